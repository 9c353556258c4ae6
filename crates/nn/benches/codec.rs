//! DAC and X-Codec beside their references, `DacModel` and `HiggsAudioV2TokenizerModel` of transformers, in one run: both have the
//! same random weights of the published shapes and as many threads, and decode and encode the same in turn.
//!
//!     pip install transformers==5.23.0 torch==2.6.0           # into an environment of its own
//!     export CODEC_PYTHON=…/bin/python
//!     cargo bench -p sconce-nn --bench codec -- FOLDER        # 306 MB of weights, which are made if there are none
//!     cargo bench -p sconce-nn --bench codec -- FOLDER --seconds 10 --rounds 5 --threads 2
//!     cargo bench -p sconce-nn --bench codec -- FOLDER --xcodec
//!
//! Without `CODEC_PYTHON` there is nobody to compare with, and ours is shown alone. Seconds are by the clock and of processor
//! time; of ours the first is of a whole sound, then of the same in a stream of so many frames at a time, each with a decoder in
//! `f32` and in `bf16`, as it has beside a model in eight bits.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use candle_core::{DType, Device};
use sconce_nn::{
    ComputeContext, Threads,
    codec::{Dac, DacConfig, DacStream, XCodec, XCodecConfig, XCodecStream},
    weights::{Loader, Weights},
};

type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// As the server has it: activations of megabytes are not new pages each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Frames that a stream is given at a time.
const STREAMED: [usize; 3] = [1, 8, 40];

/// By the clock, and of processor time, in seconds.
type Took = [f64; 2];

fn main() -> Done<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(folder) = arguments.first().filter(|first| !first.starts_with("--")).map(Path::new) else {
        println!("nothing to do: name a folder for the weights");
        return Ok(());
    };
    let option = |name: &str, default: usize| {
        let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
        given.map_or(Ok(default), |given| given.parse())
    };
    let (seconds, rounds, threads) = (option("--seconds", 10)?, option("--rounds", 3)?, option("--threads", 2)?);
    let kind = if arguments.iter().any(|argument| argument == "--xcodec") { "xcodec" } else { "dac" };
    let mut reference =
        env::var("CODEC_PYTHON").ok().map(|python| Reference::start(&python, folder, threads, kind)).transpose()?;
    let threads = Threads::start("codec", threads)?;
    threads.install(|| compare(kind, folder, (seconds, rounds), reference.as_mut()))
}

enum Codec {
    Dac(Box<Dac>),
    XCodec(Box<XCodec>),
}

fn compare(
    kind: &str,
    folder: &Path,
    (seconds, rounds): (usize, usize),
    mut reference: Option<&mut Reference>,
) -> Done<()> {
    let codecs = [("f32", Codec::load(kind, folder, DType::F32)?), ("bf16", Codec::load(kind, folder, DType::BF16)?)];
    let codec = &codecs[0].1;
    let [rate, hop, books, of_book] = codec.sizes();
    let frames = seconds * rate / hop;
    let codes: Vec<u32> = (0..frames * books).map(|at| (at * at * 31 % 1009 % of_book) as u32).collect();
    let samples: Vec<f32> = (0..frames * hop).map(|at| (at as f32 * 0.031).sin() * 0.5).collect();
    println!("{seconds} s of sound, {frames} frames");
    for _ in 0..rounds {
        let theirs = reference.as_mut().map(|reference| reference.ask("decode", frames)).transpose()?;
        for (dtype, codec) in &codecs {
            show(&format!("decode, {dtype}"), measured(|| codec.stream(&codes, frames * books))?, theirs);
            for at_once in STREAMED {
                let took = measured(|| codec.stream(&codes, at_once * books))?;
                show(&format!("decode, {dtype}, {at_once} at a time"), took, theirs);
            }
        }
        let theirs = reference.as_mut().map(|reference| reference.ask("encode", frames)).transpose()?;
        show("encode", measured(|| codec.encode(&samples))?, theirs);
    }
    Ok(())
}

fn measured<T>(work: impl FnOnce() -> candle_core::Result<T>) -> Done<Took> {
    let (began, cpu) = (Instant::now(), processor_seconds()?);
    work()?;
    Ok([began.elapsed().as_secs_f64(), processor_seconds()? - cpu])
}

fn show(what: &str, ours: Took, theirs: Option<Took>) {
    let theirs = theirs
        .map(|theirs| format!(", the reference {theirs:.2?}: {:.2} {:.2}", theirs[0] / ours[0], theirs[1] / ours[1]));
    println!("{what}: {ours:.2?} s{}", theirs.unwrap_or_default());
}

/// Of this process, from `/proc/self/stat`; a tick is a hundredth of a second.
fn processor_seconds() -> Done<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// The reference in a process of its own, which waits for its turn.
struct Reference {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Reference {
    fn start(python: &str, folder: &Path, threads: usize, kind: &str) -> Done<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/codec_reference.py");
        let mut command = Command::new(python);
        command.arg(script).arg(folder).arg(threads.to_string()).arg(kind).env("OMP_NUM_THREADS", threads.to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(process.stdout.take().ok_or("a pipe")?);
        let mut reference = Self { process, answers };
        reference.answer()?; // it has its weights
        Ok(reference)
    }

    fn ask(&mut self, what: &str, frames: usize) -> Done<Took> {
        writeln!(self.process.stdin.as_mut().ok_or("a pipe")?, "{what} {frames}")?;
        Ok(serde_json::from_str(&self.answer()?)?)
    }

    fn answer(&mut self) -> Done<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Codec ===

impl Codec {
    fn load(kind: &str, folder: &Path, decoder: DType) -> Done<Self> {
        let config = fs::read(folder.join("config.json"))?;
        let file = ("model.safetensors".to_owned(), fs::read(folder.join("model.safetensors"))?.into());
        let (mut weights, context) = (Weights::open(&[file], "")?, ComputeContext::new(&Device::Cpu, DType::F32));
        let of_decoder = ComputeContext::new(&Device::Cpu, decoder).with_rounded_activations();
        let mut loader = Loader { weights: &mut weights, context: &context };
        Ok(match kind {
            "dac" => {
                let config: DacConfig = serde_json::from_slice(&config)?;
                Self::Dac(Dac::load(&mut loader, &of_decoder, "", &config)?.into())
            }
            _ => {
                let config: XCodecConfig = serde_json::from_slice(&config)?;
                Self::XCodec(XCodec::load(&mut loader, &of_decoder, &config)?.into())
            }
        })
    }

    /// Samples a second, samples and codes of a frame, and how many codes a book has.
    fn sizes(&self) -> [usize; 4] {
        match self {
            Self::Dac(dac) => [dac.rate() as usize, dac.hop(), dac.books(), dac.codes()],
            Self::XCodec(codec) => [codec.rate() as usize, codec.hop(), codec.books(), codec.codes()],
        }
    }

    /// Decodes so many codes at a time.
    fn stream(&self, codes: &[u32], at_once: usize) -> candle_core::Result<()> {
        match self {
            Self::Dac(dac) => {
                let mut stream = DacStream::new();
                codes.chunks(at_once).try_for_each(|codes| stream.push(dac, codes).map(drop))?;
                stream.finish(dac).map(drop)
            }
            Self::XCodec(codec) => {
                let mut stream = XCodecStream::new();
                codes.chunks(at_once).try_for_each(|codes| stream.push(codec, codes).map(drop))?;
                stream.finish(codec).map(drop)
            }
        }
    }

    fn encode(&self, samples: &[f32]) -> candle_core::Result<Vec<u32>> {
        match self {
            Self::Dac(dac) => dac.encode(samples),
            Self::XCodec(codec) => codec.encode(samples),
        }
    }
}
