//! Bringing a large model into memory, against what cannot be undercut: reading its file once.
//!
//!     cargo bench --bench load                # a model of 1 GB, in each type that files have
//!     cargo bench --bench load -- 0.25        # of 0.25 GB
//!
//! The model is made on the fly, with random weights, in a temporary folder; the page cache is warm. "Read" is
//! `std::fs::read`: the file copied once into fresh memory. "Load" is what the server does before a first inference: it
//! maps the file and brings every page of it in, and copies singles that are halves. They take turns, so that a noisy
//! machine is noisy to both.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[allow(dead_code, reason = "the tests' part of it")]
#[path = "../tests/support/whisper.rs"]
mod whisper;

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use candle_core::Device;
use sconce::{
    app::App,
    config::{self, Sources},
    families::FAMILIES,
    lifecycle::Target,
    model::{Backing, Location, ModelFiles, Placement, Precision},
};
use whisper::{Numbers, Size};

const ROUNDS: usize = 7;
const SWITCHES: usize = 6;
/// Layers of each half, for a gigabyte of halves at this width.
const WIDTH: usize = 1024;
const LAYERS_PER_GB: f64 = 17.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let gigabytes = arguments.iter().find_map(|argument| argument.parse().ok());
    let gigabytes: f64 = gigabytes.unwrap_or(if quick { 0.06 } else { 1.0 });
    let rounds = if quick { 1 } else { ROUNDS };
    for numbers in [Numbers::F16, Numbers::F16AsF32, Numbers::F32] {
        load(gigabytes, numbers, rounds);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(switch(gigabytes, if quick { 2 } else { SWITCHES }));
}

/// A model whose file has about so many bytes.
fn size(gigabytes: f64, numbers: Numbers) -> Size {
    let halves = if numbers == Numbers::F16 { gigabytes } else { gigabytes / 2.0 };
    let layers = (halves * LAYERS_PER_GB).round().max(1.0) as usize;
    Size { width: WIDTH, heads: WIDTH / 64, layers, numbers }
}

fn load(gigabytes: f64, numbers: Numbers, rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    whisper::write(folder.path(), size(gigabytes, numbers));
    let file = folder.path().join("model.safetensors");
    let bytes = std::fs::metadata(&file).expect("a file").len();
    let (mut reads, mut loads) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (read, loaded) = (timed(|| drop(black_box(std::fs::read(&file)))), timed(|| load_once(folder.path())));
        // The first round warms the page cache.
        if round > 0 {
            reads.push(read);
            loads.push(loaded);
        }
    }
    let (read, loaded) = (middle(&mut reads), middle(&mut loads));
    println!(
        "{numbers:?}: {:.2} GB; read {:.3} s, load {:.3} s, ratio of the middles {:.2}, of the lowest {:.2}; n {rounds}",
        bytes as f64 / 1e9,
        read.as_secs_f64(),
        loaded.as_secs_f64(),
        loaded.as_secs_f64() / read.as_secs_f64(),
        loads[0].as_secs_f64() / reads[0].as_secs_f64(),
    );
}

/// As the server does it, on every core.
fn load_once(folder: &Path) {
    let mut files = ModelFiles::default();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        files.insert("model", &name, Location::Disk(path));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let place = Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads,
        max_batch: 1,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    };
    black_box(FAMILIES[0].load(&files, &place).expect("a model"));
}

/// Two models of which one fits: from the ask for the other until it is ready, without and with a first inference.
async fn switch(gigabytes: f64, times: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["one", "two"] {
        whisper::write(&folder.path().join(name), size(gigabytes, Numbers::F16));
    }
    let file = folder.path().join("one/model.safetensors");
    let mut reads: Vec<_> = (0..times).map(|_| timed(|| drop(black_box(std::fs::read(&file))))).collect();
    let read = middle(&mut reads);
    for warm_up in [false, true] {
        let mut switches = switches(folder.path(), warm_up, times).await;
        let switch = middle(&mut switches);
        println!(
            "switch, warm_up = {warm_up}: {:.3} s for a model that is read in {:.3} s, ratio of the middles {:.2}, of the \
             lowest {:.2}; n {times}",
            switch.as_secs_f64(),
            read.as_secs_f64(),
            switch.as_secs_f64() / read.as_secs_f64(),
            switches[0].as_secs_f64() / reads[0].as_secs_f64(),
        );
    }
}

async fn switches(folder: &Path, warm_up: bool, times: usize) -> Vec<Duration> {
    let app = app(folder, warm_up);
    let catalog = app.catalog();
    let names = ["one", "two"].map(|name| catalog.resolve(Some(name)).expect("a model").name.clone());
    let mut durations = Vec::new();
    for round in 0..=times {
        let name = std::slice::from_ref(&names[round % 2]);
        let start = Instant::now();
        app.service().lifecycle().prepare(name, Target::Ready, None).await;
        if round > 0 {
            durations.push(start.elapsed());
        }
    }
    app.stop().await;
    durations
}

fn app(folder: &Path, warm_up: bool) -> App {
    let mut sources = Sources::default();
    for name in ["one", "two"] {
        let source = format!("file:{}", folder.join(name).display());
        let variable = |key: &str| format!("SCONCE_MODELS__{}__{key}", name.to_uppercase());
        sources.environment.insert(variable("SOURCE"), source);
        sources.environment.insert(variable("WARM_UP"), warm_up.to_string());
    }
    sources.environment.insert("SCONCE_MEMORY__MAX_RESIDENT".to_owned(), "1".to_owned());
    let config = config::load(&sources).expect("a right configuration").config;
    App::build(config).expect("a right configuration")
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The middle one; the durations are in order afterwards.
fn middle(durations: &mut [Duration]) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}
