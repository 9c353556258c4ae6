//! What speaking costs, measured from outside: from a request to its first sound, alone and while every core is busy; the
//! speech of a second; from exec to the first sound of the command line; and the memory of a text of 1 MB. `make bench`
//! runs it; each line says how often it was measured.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "support/program.rs"]
mod program;

use std::{
    io::Read,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use futures::StreamExt;
use serde_json::json;

use self::program::{Program, peak, report, sconce};

const SENTENCE: &str = "Good morning. It is 7:30, and the train leaves at eight.";
const REQUESTS: usize = 200;
const EXECS: usize = 20;
const LENGTHS: usize = 5;
/// Bytes per second of the samples that are asked for.
const PER_SECOND: f64 = 2.0 * 24_000.0;
/// Before the samples of a WAV file.
const HEADER: usize = 44;
/// Of a text of 1 MB, which is some 18 hours of speech, so much is heard before the memory is looked at.
const LISTENED: Duration = Duration::from_secs(30);

fn main() {
    // `cargo test --benches` passes this: then two rounds of each are enough to see that it works.
    let quick = std::env::args().any(|argument| argument == "--test");
    let times = |full: usize| if quick { 2 } else { full };
    let listened = if quick { Duration::from_secs(1) } else { LISTENED };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = Program::exec(&[("SCONCE_LIMITS__MAX_TEXT", "2000000")]);
        speak(&server, SENTENCE).await.whole().await;
        report("a request to its first sound, alone", &mut first_sounds(&server, times(REQUESTS)).await);
        let load = Load::on_every_core();
        report("a request to its first sound, every core busy", &mut first_sounds(&server, times(REQUESTS)).await);
        drop(load);
        pace(&server, times(LENGTHS)).await;
        report("exec to the first sound of `sconce speak \"Hello.\"`", &mut execs(times(EXECS)));
        memory(&server, listened).await;
    });
}

/// Begins to have a text spoken, as bare samples.
async fn speak(server: &Program, text: &str) -> Sound {
    let body = json!({"model": "tts-1", "voice": "alloy", "response_format": "pcm", "input": text});
    let answer = loop {
        match server.post("/v1/audio/speech").json(&body).send().await {
            Ok(answer) => break answer,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await, // it starts
        }
    };
    assert_eq!(answer.status(), 200);
    Sound(Box::pin(answer.bytes_stream()))
}

/// Samples that come from a server.
struct Sound(futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>);

impl Sound {
    async fn next(&mut self) -> Option<usize> {
        self.0.next().await.map(|bytes| bytes.expect("the sound breaks off").len())
    }

    /// Seconds of it.
    async fn whole(mut self) -> f64 {
        let mut bytes = 0;
        while let Some(more) = self.next().await {
            bytes += more;
        }
        bytes as f64 / PER_SECOND
    }
}

async fn first_sounds(server: &Program, count: usize) -> Vec<Duration> {
    let mut durations = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let mut sound = speak(server, SENTENCE).await;
        while sound.next().await.expect("some sound") == 0 {}
        durations.push(start.elapsed());
        sound.whole().await;
    }
    durations
}

/// Seconds of sound for a second of work, of a text of about a minute.
async fn pace(server: &Program, count: usize) {
    let text = format!("{SENTENCE} ").repeat(12);
    let mut paces = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let seconds = speak(server, &text).await.whole().await;
        paces.push(seconds / start.elapsed().as_secs_f64());
    }
    paces.sort_by(f64::total_cmp);
    let (least, median) = (paces[0], paces[paces.len() / 2]);
    println!(
        "{:58} min {least:8.1}      median {median:8.1}      n {count}",
        "seconds of sound in a second, one caller"
    );
}

fn execs(count: usize) -> Vec<Duration> {
    let one = |_| {
        let start = Instant::now();
        let mut child =
            sconce().args(["speak", "Hello.", "-o", "-"]).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut output = child.stdout.take().expect("its output");
        output.read_exact(&mut [0; HEADER + 2]).expect("some sound");
        let elapsed = start.elapsed();
        output.read_to_end(&mut Vec::new()).expect("the rest of it");
        assert!(child.wait().expect("an end").success());
        elapsed
    };
    (0..count).map(one).collect()
}

/// What a process held at most, while a text of 1 MB is spoken to somebody who listens as fast as it comes.
async fn memory(server: &Program, listened: Duration) {
    let text = format!("{SENTENCE}\n\n").repeat(1_000_000 / (SENTENCE.len() + 2));
    println!("{:58} {:8.1} MB", "peak memory of the server before", server.peak() as f64 / 1e6);
    let (mut sound, start, mut bytes) = (speak(server, &text).await, Instant::now(), 0);
    while start.elapsed() < listened {
        bytes += sound.next().await.unwrap_or(0);
    }
    told("of the server", server.peak(), bytes);
    drop(sound);

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &text).expect("the text");
    let mut command = sconce();
    command.args(["speak", "--format", "pcm", "--file"]).arg(file.path()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut output = child.stdout.take().expect("its output");
    let (start, mut bytes, mut piece) = (Instant::now(), 0, [0; 64 << 10]);
    while start.elapsed() < listened {
        bytes += output.read(&mut piece).expect("some sound");
    }
    told("of `sconce speak`", peak(child.id()), bytes);
    let _ = child.kill();
    let _ = child.wait();
}

fn told(whose: &str, peak: u64, bytes: usize) {
    let what = format!("peak memory {whose}, {:.0} s into a text of 1 MB", bytes as f64 / PER_SECOND);
    println!("{what:58} {:8.1} MB", peak as f64 / 1e6);
}

/// A thread for each core that does nothing but keep it busy, as long as the value lives.
struct Load(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Load {
    fn on_every_core() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            let over = over.clone();
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..cores).map(spin).collect();
        Self(over, threads)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            let _ = thread.join();
        }
    }
}
