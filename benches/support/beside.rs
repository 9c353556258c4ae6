//! An engine of ours beside its reference in one run: ratios are what counts. Each engine is a process of its own with the same
//! random weights of the published shapes and as many threads; each speaks the same sentence in turn, of so many tokens.

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::speaker::{self, Loaded, Memory, Spoken, Took};

const REST: Duration = Duration::from_millis(500);
/// Bytes that each thread reads, and how often, to see how fast memory is.
const READ: usize = 512 << 20;
const READS: usize = 5;

/// Who is compared, and with whom.
pub struct Comparison {
    /// The reference, as tables call it.
    pub reference: &'static str,
    /// The variable that names the Python that has it. Without it there is nobody to compare with.
    pub python: &'static str,
    /// What makes a checkpoint, `make FOLDER --seed N …`, and speaks by the reference, `speak FOLDER THREADS`.
    pub script: &'static str,
    /// Types of weights that ours computes with, as the setting `runtime.dtype` has them.
    pub dtypes: &'static [&'static str],
    /// Of the sentence.
    pub tokens: usize,
    /// A token after the prompt, and a second of sound of what was said, as tables call them.
    pub rows: [&'static str; 2],
    /// A checkpoint of the tests, and what it is to say; `None`: there is no running it here.
    pub small: fn() -> Option<(TempDir, &'static str)>,
}

#[derive(Parser)]
struct Arguments {
    /// Where the checkpoint is, or is to be made.
    #[arg(required_unless_present = "test")]
    folder: Option<PathBuf>,
    /// Types of weights that ours computes with, as the setting `runtime.dtype` has them.
    #[arg(long, value_delimiter = ',')]
    dtypes: Vec<String>,
    /// How often each engine speaks, at most.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// After so many no round is begun but the first.
    #[arg(long, default_value_t = 8)]
    minutes: u64,
    /// Of the sentence.
    #[arg(long)]
    tokens: Option<usize>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Of the random weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What else is said to the script where it makes a checkpoint.
    #[arg(long, allow_hyphen_values = true)]
    make: Vec<String>,
    /// This process is one of ours, with this type.
    #[arg(long, hide = true)]
    speak: Option<String>,
    /// What cargo says to benchmarks, and to those that are only to be tried: then a small network is enough.
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    test: bool,
}

/// One engine, in a process of its own that waits for its turn.
struct Engine {
    name: String,
    /// Of the reference.
    theirs: bool,
    process: Child,
    turns: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    loaded: Loaded,
    whole: Vec<Spoken>,
    streamed: Vec<Spoken>,
    memory: Option<Memory>,
}

/// A line of the tables of time, from what an engine said.
type TimeRow = (&'static str, fn(&Engine) -> Vec<Took>);
/// One of that of memory, in bytes.
type MemoryRow = (&'static str, fn(&Loaded, &Memory) -> u64);

/// Those of time, two of which are called by what the engines are.
fn times([token, sound]: [&'static str; 2]) -> [TimeRow; 6] {
    [
        ("load, s", |engine| vec![engine.loaded.load]),
        (token, |engine| scaled(&engine.whole, |spoken| (spoken.token, 1000.0))),
        (sound, |engine| scaled(&engine.whole, |spoken| (spoken.sound, 1.0 / spoken.seconds))),
        ("whole, s", |engine| scaled(&engine.whole, |spoken| (spoken.whole, 1.0))),
        ("first sound, s", |engine| scaled(engine.heard(), |spoken| (spoken.first, 1.0))),
        ("last sound, s", |engine| scaled(engine.heard(), |spoken| (spoken.whole, 1.0))),
    ]
}

const MEMORY: [MemoryRow; 4] = [
    ("peak", |loaded, memory| loaded.peak.max(memory.peak)),
    ("while it is loaded", |loaded, _| loaded.peak),
    ("afterwards", |_, memory| memory.peak),
    ("of that now pages of files", |_, memory| memory.mapped),
];

/// The whole program of such a benchmark.
pub fn main(comparison: &Comparison) -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.test {
        return comparison.small_run();
    }
    let folder = arguments.folder.as_deref().context("a folder")?;
    match &arguments.speak {
        Some(dtype) => speaker::serve(folder, dtype, arguments.threads),
        None => comparison.run(folder, &arguments),
    }
}

// === impl Comparison ===

impl Comparison {
    /// One round of ours, on a network of the tests.
    fn small_run(&self) -> anyhow::Result<()> {
        let Some((folder, sentence)) = (self.small)() else { return Ok(()) };
        fs::write(folder.path().join("sentence.txt"), sentence)?;
        let mut engine = Engine::ours(folder.path(), "f32", 2)?;
        engine.turn(12)?;
        engine.memory = Some(engine.ask("peak")?);
        self.print(&[engine]);
        Ok(())
    }

    fn run(&self, folder: &Path, arguments: &Arguments) -> anyhow::Result<()> {
        let Arguments { pairs, minutes, threads, .. } = arguments;
        let tokens = arguments.tokens.unwrap_or(self.tokens);
        let usual = self.dtypes.iter().map(|&dtype| dtype.to_owned()).collect();
        let dtypes = if arguments.dtypes.is_empty() { usual } else { arguments.dtypes.clone() };
        let python = env::var(self.python).ok();
        if !folder.join("sentence.txt").exists() {
            let unset = || format!("there is no checkpoint, and {}, which makes one, is not set", self.python);
            eprintln!("making a checkpoint in {}", folder.display());
            let mut make = self.script(python.as_ref().with_context(unset)?, "make", folder);
            make.args(["--seed", &arguments.seed.to_string()]).args(&arguments.make);
            ensure!(make.status()?.success(), "no checkpoint was made");
        }
        println!("{threads} threads read memory at {:.1} GB/s", read_bytes_per_second(*threads) / 1e9);
        let theirs = python.iter().map(|python| self.theirs(python, folder, *threads));
        let ours = dtypes.iter().map(|dtype| Engine::ours(folder, dtype, *threads));
        let mut engines = theirs.chain(ours).collect::<anyhow::Result<Vec<_>>>()?;
        let (began, mut rounds) = (Instant::now(), 0);
        while rounds < *pairs && (rounds == 0 || began.elapsed() < Duration::from_secs(60 * minutes)) {
            engines.iter_mut().try_for_each(|engine| engine.turn(tokens))?;
            rounds += 1;
        }
        for engine in &mut engines {
            engine.memory = Some(engine.ask("peak")?);
        }
        println!(
            "{tokens} tokens, {threads} threads; median (lowest) of {rounds}, and how many times as much the reference took"
        );
        self.print(&engines);
        Ok(())
    }

    /// A run of the reference's script.
    fn script(&self, python: &str, what: &str, folder: &Path) -> Command {
        let mut command = Command::new(python);
        command.args(["-W", "ignore", self.script, what]).arg(folder);
        command
    }

    fn theirs(&self, python: &str, folder: &Path, threads: usize) -> anyhow::Result<Engine> {
        let mut command = self.script(python, "speak", folder);
        command.arg(threads.to_string()).env("OMP_NUM_THREADS", threads.to_string());
        let mut engine = Engine::start(self.reference, &mut command)?;
        engine.theirs = true;
        Ok(engine)
    }

    fn print(&self, engines: &[Engine]) {
        let (theirs, ours): (Vec<&Engine>, Vec<&Engine>) = engines.iter().partition(|engine| engine.theirs);
        let theirs = theirs.first().copied();
        for (of, at) in [("by the clock", 0), ("of processor time", 1)] {
            head(of, engines);
            for (what, figures) in times(self.rows) {
                let figures = |engine: &Engine| figures(engine).iter().map(|took| took[at]).collect::<Vec<f64>>();
                line(what, theirs.map(figures), &ours.iter().map(|engine| figures(engine)).collect::<Vec<_>>());
            }
        }
        head("memory, GB", engines);
        for (what, bytes) in MEMORY {
            let figures = |engine: &Engine| {
                engine.memory.iter().map(|memory| bytes(&engine.loaded, memory) as f64 / 1e9).collect()
            };
            line(what, theirs.map(figures), &ours.iter().map(|engine| figures(engine)).collect::<Vec<_>>());
        }
    }
}

/// All threads together, each through memory of its own that no cache holds.
fn read_bytes_per_second(threads: usize) -> f64 {
    let parts: Vec<Vec<u64>> = (0..threads).map(|part| vec![part as u64; READ / size_of::<u64>()]).collect();
    let read = |part: &Vec<u64>| std::hint::black_box(part.iter().fold(0u64, |sum, &number| sum.wrapping_add(number)));
    let seconds = |_| {
        let began = Instant::now();
        thread::scope(|scope| parts.iter().for_each(|part| drop(scope.spawn(move || read(part)))));
        began.elapsed().as_secs_f64()
    };
    (threads * READ) as f64 / (0..READS).map(seconds).fold(f64::INFINITY, f64::min)
}

// === the table ===

fn head(what: &str, engines: &[Engine]) {
    let column = |engine: &Engine| {
        if engine.theirs { format!(" {} |", engine.name) } else { format!(" {} | |", engine.name) }
    };
    let columns: String = engines.iter().map(column).collect();
    println!("\n| {what} |{columns}\n|{}", "---|".repeat(columns.matches('|').count() + 1));
}

/// Medians and lowest, and after each of ours the median of theirs over ours in the same round.
fn line(what: &str, theirs: Option<Vec<f64>>, ours: &[Vec<f64>]) {
    let mut columns: Vec<String> = theirs.iter().map(|figures| cell(figures)).collect();
    for figures in ours {
        let ratios = theirs.iter().flatten().zip(figures).map(|(theirs, ours)| theirs / ours).collect::<Vec<_>>();
        columns.push(cell(figures));
        columns.push(if ratios.is_empty() { String::new() } else { format!("{:.2}", median(&ratios)) });
    }
    println!("| {what} | {} |", columns.join(" | "));
}

fn cell(figures: &[f64]) -> String {
    let digits = |figure: f64| if figure < 10.0 { format!("{figure:.2}") } else { format!("{figure:.0}") };
    match figures {
        [one] => digits(*one),
        all => format!("{} ({})", digits(median(all)), digits(all.iter().copied().fold(f64::INFINITY, f64::min))),
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn scaled(spoken: &[Spoken], figure: fn(&Spoken) -> (Took, f64)) -> Vec<Took> {
    spoken.iter().map(figure).map(|(took, factor)| took.map(|seconds| seconds * factor)).collect()
}

// === impl Engine ===

impl Engine {
    fn ours(folder: &Path, dtype: &str, threads: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--speak", dtype, "--threads", &threads.to_string()]).arg(folder);
        Self::start(dtype, &mut command)
    }

    /// It has its weights, and waits.
    fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        eprintln!("loading {name}");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let turns = process.stdin.take().context("a pipe")?;
        let mut answers = BufReader::new(process.stdout.take().context("a pipe")?).lines();
        let loaded = answer(name, &mut answers)?;
        let (whole, streamed) = Default::default();
        Ok(Self {
            name: name.to_owned(),
            theirs: false,
            process,
            turns,
            answers,
            loaded,
            whole,
            streamed,
            memory: None,
        })
    }

    /// The sentence as a whole, and where it can be streamed once more so.
    fn turn(&mut self, tokens: usize) -> anyhow::Result<()> {
        let whole: Spoken = self.ask(&format!("whole {tokens}"))?;
        eprintln!("{}: {whole:.2?}", self.name);
        self.whole.push(whole);
        if !self.theirs {
            let streamed: Spoken = self.ask(&format!("stream {tokens}"))?;
            eprintln!("{}, streamed: first {:.2?}, last {:.2?}", self.name, streamed.first, streamed.whole);
            self.streamed.push(streamed);
        }
        Ok(())
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &str) -> anyhow::Result<T> {
        // Threads of some engines spin for a while when their work is done: nobody begins before they sleep.
        thread::sleep(REST);
        writeln!(self.turns, "{question}").with_context(|| format!("{} has ended", self.name))?;
        answer(&self.name, &mut self.answers)
    }

    /// What who listens as it comes hears. The reference says nothing before all is said.
    fn heard(&self) -> &[Spoken] {
        if self.streamed.is_empty() { &self.whole } else { &self.streamed }
    }
}

fn answer<T: DeserializeOwned>(name: &str, answers: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<T> {
    let line = answers.next().with_context(|| format!("{name} ended without an answer"))??;
    serde_json::from_str(&line).with_context(|| format!("{name} says {line:?}"))
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
