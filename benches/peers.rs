//! One window of 30 s and 128 tokens of it, beside CTranslate2, the engine of faster-whisper, and whisper.cpp, in one run:
//! ratios are what counts. Every engine has random weights of the same shapes, as many threads, and does one window in turn.
//!
//!     pip install ctranslate2                      # into an environment of its own
//!     CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary pywhispercpp pywhispercpp
//!     export PEERS_PYTHON=…/bin/python LD_LIBRARY_PATH=…/site-packages
//!     cargo bench --bench peers
//!     cargo bench --bench peers -- base            # or tiny, small, large-v3-turbo; of all of them large takes the longest
//!     SCONCE_BENCH_THREADS=1 cargo bench --bench peers
//!
//! Without `PEERS_PYTHON` there is nobody to compare with, and ours is shown alone.
//!
//! Where `PEERS_MODEL` names a folder with published weights, as faster-whisper has them, whole requests to the server are
//! measured instead, as `recordings.py` beside this file says; what follows is for that:
//!
//!     PEERS_MODEL=…/whisper-base cargo bench --bench peers -- recordings/*.wav --callers 8
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment, and rests")]

#[path = "support/network.rs"]
mod network;

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use network::{BASE, SMALL, Shape, TINY, TURBO, net, noise};
use sconce::{families::whisper::net::Net, model::Precision};
use sconce_nn::CpuKernels;

/// How ours computes: the types, and candle's operations in the place of our kernels.
const OURS: [(Precision, CpuKernels); 4] = [
    (Precision::F32, CpuKernels::Auto),
    (Precision::Bf16, CpuKernels::Auto),
    (Precision::Q8, CpuKernels::Auto),
    (Precision::F32, CpuKernels::Candle),
];
/// The others, and how they compute.
const PEERS: [(&str, &str); 3] = [("ctranslate2", "float32"), ("ctranslate2", "int8"), ("whisper.cpp", "q8_0")];
const ROUNDS: usize = 9;
/// Of the large one, of which a round takes minutes.
const ROUNDS_OF_TURBO: usize = 3;
const REST: Duration = Duration::from_millis(500);
const TOKENS: usize = 128;
/// What begins a text, and what ends one and is not made here.
const PROMPT: [u32; 4] = [50_258, 50_259, 50_359, 50_363];
const END: usize = 50_257;

/// Somebody else's engine, in a process of its own that waits for its turn.
struct Peer {
    process: Child,
    turns: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What one window took.
#[derive(Clone, Copy)]
struct Took {
    encoder: Duration,
    tokens: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes this: then the smallest network and one round are enough to see that it works.
    let quick = arguments.iter().any(|argument| argument == "--test");
    let chosen = |name: &str| match arguments.iter().find(|argument| !argument.starts_with("--")) {
        Some(asked) => asked == name,
        None => !quick || name == "tiny",
    };
    let python = std::env::var_os("PEERS_PYTHON");
    if let (Some(python), Some(model), false) = (&python, std::env::var_os("PEERS_MODEL"), quick) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/recordings.py");
        let mut command = Command::new(python);
        command.arg(script).arg(env!("CARGO_BIN_EXE_sconce")).arg(model);
        command.args(arguments.iter().filter(|argument| *argument != "--bench"));
        assert!(command.status().expect("PEERS_PYTHON runs").success(), "recordings.py failed");
        return;
    }
    let threads = std::env::var("SCONCE_BENCH_THREADS").ok().and_then(|threads| threads.parse().ok());
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    for shape in [TINY, BASE, SMALL, TURBO].into_iter().filter(|shape| chosen(shape.name)) {
        let ours = OURS.map(|(dtype, kernels)| {
            kernels.choose();
            net(shape, threads, dtype)
        });
        CpuKernels::Auto.choose();
        let start = |peer| python.as_ref().map(|python| Peer::start(python, peer, threads, shape));
        let mut peers: Vec<Peer> = PEERS.into_iter().filter_map(start).collect();
        let mut took = vec![Vec::new(); ours.len() + peers.len()];
        let rounds = if shape.name == TURBO.name { ROUNDS_OF_TURBO } else { ROUNDS };
        for _ in 0..if quick { 1 } else { rounds } {
            let (of_ours, of_peers) = took.split_at_mut(ours.len());
            of_ours.iter_mut().zip(&ours).for_each(|(took, net)| took.push(alone(|| window(net))));
            of_peers.iter_mut().zip(&mut peers).for_each(|(took, peer)| took.push(alone(|| peer.window())));
        }
        print(shape.name, threads, &took);
    }
}

/// Threads of some engines spin for a while when their work is done: nobody begins before they sleep.
fn alone(window: impl FnOnce() -> Took) -> Took {
    thread::sleep(REST);
    window()
}

/// One window through ours, greedily.
fn window(net: &Net) -> Took {
    let mel = noise(net);
    let mut slots = net.slots(1);
    let began = Instant::now();
    let features = net.encode(&[&mel]).expect("features").remove(0);
    let encoded = Instant::now();
    let slot = net.open(&mut slots, &features).expect("a row");
    let mut next = PROMPT.to_vec();
    for _ in 0..TOKENS {
        let logits = net.step(&mut slots, &[(&slot, &next)]).expect("logits").remove(0);
        let likely = |best: usize, token: usize| if logits[token] > logits[best] { token } else { best };
        next = vec![(0..logits.len()).filter(|token| *token != END).fold(0, likely) as u32];
    }
    slots.close(slot);
    Took { encoder: encoded - began, tokens: encoded.elapsed() }
}

/// Medians, and how many times ours in f32 each is.
fn print(name: &str, threads: usize, took: &[Vec<Took>]) {
    println!("{name}, {threads} threads, median of {}", took[0].len());
    let ours = OURS.map(|(dtype, kernels)| match kernels {
        CpuKernels::Candle => format!("candle's, {}", dtype.as_str()),
        _ => format!("sconce, {}", dtype.as_str()),
    });
    let names = ours.into_iter().chain(PEERS.map(|(engine, kind)| format!("{engine}, {kind}")));
    let parts: [fn(&Took) -> Duration; 3] =
        [|took| took.encoder, |took| took.tokens, |took| took.encoder + took.tokens];
    println!("{:24}{:>20}{:>20}{:>20}", "", "encoder", "128 tokens", "both");
    for (name, rounds) in names.zip(took) {
        let figures = parts.map(|part| {
            let (its, ours) = (median(rounds, part), median(&took[0], part));
            format!("{:.0} ms {:>6.2}", its * 1000.0, its / ours)
        });
        println!("{name:24}{:>20}{:>20}{:>20}", figures[0], figures[1], figures[2]);
    }
}

/// In seconds.
fn median(rounds: &[Took], part: fn(&Took) -> Duration) -> f64 {
    let mut seconds: Vec<f64> = rounds.iter().map(|took| part(took).as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

// === impl Peer ===

impl Peer {
    /// It has its weights, and waits.
    fn start(python: &OsString, (engine, kind): (&str, &str), threads: usize, shape: Shape) -> Self {
        let Shape { width, heads, encoder, decoder, bands, vocabulary, .. } = shape;
        let numbers = [threads, width, heads, encoder, decoder, bands, vocabulary];
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.py");
        let mut command = Command::new(python);
        command.args([script, engine, kind]).args(numbers.map(|number| number.to_string()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("PEERS_PYTHON runs");
        let turns = process.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let first = answers.next().expect("the engine is there").expect("a line");
        assert_eq!(first, "ready");
        Self { process, turns, answers }
    }

    fn window(&mut self) -> Took {
        writeln!(self.turns, "now").expect("it waits");
        let line = self.answers.next().expect("it answers").expect("a line");
        let seconds: Vec<f64> = line.split(' ').map(|number| number.parse().expect("seconds")).collect();
        let [encoder, tokens] = seconds[..] else { panic!("{line}") };
        Took { encoder: Duration::from_secs_f64(encoder), tokens: Duration::from_secs_f64(tokens) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
