//! What a model that is a program costs beside one that is not: a job with a megabyte of samples, to a worker that does
//! nothing but read it and answer.
//!
//!     cargo bench --bench worker
//!
//! The worker is this program once more, in Rust, so that what is measured is the way there and back: the request, two
//! pipes, the threads at their ends, and the answer. The way without a process is a `memcpy` of the same samples.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    hint::black_box,
    io::{Read, Write},
    time::{Duration, Instant},
};

use candle_core::Device;
use sconce::{
    audio::Pcm,
    families::worker::Worker,
    model::{
        Admission, Backing, Batch, Family, GuardRules, ModelFiles, Placement, Precision, ProgramChoice, Programs,
        Request, WorkerChoice, WorkerRules, request,
    },
    process::Isolation,
    speech::{TaskKind, Transcribe, TranscribeOptions},
};

/// A megabyte of samples.
const SAMPLES: usize = (1 << 20) / size_of::<f32>();
const RATE: u32 = 16_000;
const ROUNDS: usize = 500;

/// Nobody else comes.
struct Alone;

impl Admission<Transcribe> for Alone {
    fn next(&mut self) -> Option<Request<Transcribe>> {
        None
    }

    fn step(&mut self) {}
}

fn main() {
    if std::env::args().any(|argument| argument == "--be-the-worker") {
        return work();
    }
    let quick = std::env::args().any(|argument| argument == "--test");
    let here = std::env::current_exe().expect("this program").display().to_string();
    let mut model = {
        let files = ModelFiles::default();
        let unpinned = programs(&here, None);
        // The hash that the refusal tells is the one that allows it.
        let refusal = Worker.described("bench", &files, &unpinned).expect_err("not allowed").to_string();
        let sha256 = refusal.split('"').rfind(|part| part.len() == 64).map(str::to_owned);
        let place = place(programs(&here, sha256));
        let family = Worker.described("bench", &files, &place.programs).expect("allowed").expect("a worker");
        family.load(&files, &place).expect("it loads")
    };
    let audio = Pcm::new((0..SAMPLES).map(|at| (at % 200) as f32 / 200.0).collect(), RATE);
    let (mut jobs, mut copies) = (Vec::new(), Vec::new());
    for _ in 0..if quick { 5 } else { ROUNDS } {
        let began = Instant::now();
        let copied = black_box(audio.clone());
        copies.push(began.elapsed());
        let ask = Transcribe { audio: copied, options: TranscribeOptions::default() };
        let (request, mut responses) = request("bench".to_owned(), ask, None);
        let began = Instant::now();
        model.transcribe(&mut Batch::new(vec![request], &mut Alone)).expect("it works");
        jobs.push(began.elapsed());
        let answers = std::iter::from_fn(|| responses.blocking_next()).count();
        assert_eq!(answers, 2, "a segment and the end");
    }
    println!("a job with 1 MiB of samples    {}", told(jobs));
    println!("a copy of them                 {}", told(copies));
}

fn told(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    format!("median {:?}, 90 % within {:?}, best {:?}", at(50), at(90), times[0])
}

fn programs(here: &str, sha256: Option<String>) -> Programs {
    let worker = WorkerChoice {
        command: vec![here.to_owned(), "--be-the-worker".to_owned()],
        sha256,
        tasks: vec![TaskKind::Transcribe],
        ..WorkerChoice::default()
    };
    // The guard stands beside the pipes, not between them; this program is none.
    let guard = GuardRules { program: ProgramChoice::Off, isolation: Isolation::Off, ..GuardRules::default() };
    let workers = WorkerRules { guard, ..WorkerRules::default() };
    Programs { worker, workers, ..Programs::default() }
}

fn place(programs: Programs) -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::default(),
        threads: 1,
        max_batch: 1,
        residency: Default::default(),
        references: Default::default(),
        programs,
    }
}

/// A worker: `docs/workers.md`.
fn work() {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut say = |text: &str| {
        let lengths = [(text.len() as u32).to_le_bytes(), 0u32.to_le_bytes()].concat();
        output.write_all(&[&lengths, text.as_bytes()].concat()).expect("somebody reads");
        output.flush().expect("somebody reads");
    };
    let mut sound = Vec::new();
    loop {
        let mut lengths = [0; 8];
        if input.read_exact(&mut lengths).is_err() {
            return;
        }
        let [a, b, c, d, e, f, g, h] = lengths;
        let mut header = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        sound.resize(u32::from_le_bytes([e, f, g, h]) as usize, 0);
        input.read_exact(&mut header).expect("a whole message");
        input.read_exact(&mut sound).expect("a whole message");
        let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
        match header["type"].as_str() {
            Some("hello") => {
                say(r#"{"type":"hello","protocol":1,"name":"bench","tasks":["transcribe"]}"#);
                say(r#"{"type":"ready"}"#);
            }
            Some("job") => {
                let id = &header["id"];
                say(&format!(r#"{{"type":"segment","id":{id},"start":0,"end":1,"text":"{} bytes"}}"#, sound.len()));
                say(&format!(r#"{{"type":"done","id":{id}}}"#));
            }
            Some("shutdown") => return,
            _ => {}
        }
    }
}
