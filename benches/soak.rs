//! Many callers of more models than fit: for as long as one likes, with callers who hang up.
//!
//!     cargo bench --bench soak                # ten minutes
//!     cargo bench --bench soak -- 60          # seconds
//!
//! Four copies of the embedded model in four folders, a budget for two, 32 callers who ask for the four in shares of
//! 60, 25, 10 and 5 %, one in ten of whom hangs up after a moment. Every answer must be the text or a declared refusal
//! (429, or 503 with `Retry-After`); the memory must not grow; 99 of 100 callers must have their model within the bound
//! that the configuration sets. It ends with an error if one of these does not hold.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

const CALLERS: u64 = 32;
const MODELS: [(&str, u32); 4] = [("north", 60), ("east", 25), ("south", 10), ("west", 5)];
const RECORDINGS: [&str; 3] = ["turn-on-the-kitchen-lights.wav", "wake-me-up.flac", "what-is-the-weather.mp3"];
/// A caller of another model waits no longer than this for the one in use to make room.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// Beyond that: two turns of others before one's own, each with an unload and a load.
const BOUND: Duration = Duration::from_secs(10);
/// Memory may differ by so much between the second tenth of the time and the last.
const GROWTH: f64 = 1.10;

/// What became of one request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Text,
    Refused(u16),
    HungUp,
    Wrong(u16),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 3 } else { 600 });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(soak(Duration::from_secs(seconds)));
}

async fn soak(length: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let footprint = footprint(folder.path()).await;
    let server = Server::exec(folder.path(), Some(footprint * 5 / 2));
    server.healthy().await;
    let start = Instant::now();
    let calling = join_all((0..CALLERS).map(|caller| call(&server, caller, start + length)));
    let (calls, memory) = tokio::join!(calling, watch(&server, start, length));
    report(&server, calls.into_iter().flatten().collect(), &memory, footprint, length).await;
}

/// What one model is counted with, as the server says.
async fn footprint(folder: &Path) -> u64 {
    let server = Server::exec(folder, None);
    server.healthy().await;
    let answer = server.client.post(server.url("/models/north/load")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
    let status: Value = server.get("/models/status").await.json().await.expect("a status");
    status["models"]["north"]["footprint_bytes"].as_u64().expect("a footprint")
}

/// One caller until the time is over: the outcome and the seconds of each request.
async fn call(server: &Server, caller: u64, end: Instant) -> Vec<(Outcome, f64)> {
    let (mut random, mut calls) = (StdRng::seed_from_u64(caller), Vec::new());
    let recordings: Vec<_> = RECORDINGS.iter().map(|name| fs::read(asset("recordings").join(name)).unwrap()).collect();
    while Instant::now() < end {
        let recording = recordings[random.random_range(0..recordings.len())].clone();
        let patience = random.random_bool(0.1).then(|| Duration::from_millis(random.random_range(1..200)));
        let start = Instant::now();
        let outcome = match patience {
            None => ask(server, model(&mut random), recording).await,
            Some(patience) => tokio::time::timeout(patience, ask(server, model(&mut random), recording))
                .await
                .unwrap_or(Outcome::HungUp),
        };
        calls.push((outcome, start.elapsed().as_secs_f64()));
    }
    calls
}

fn model(random: &mut StdRng) -> &'static str {
    let mut at = random.random_range(0..100);
    for (model, share) in MODELS {
        if at < share {
            return model;
        }
        at -= share;
    }
    MODELS[0].0
}

async fn ask(server: &Server, model: &str, recording: Vec<u8>) -> Outcome {
    let part = reqwest::multipart::Part::bytes(recording).file_name("recording");
    let form = reqwest::multipart::Form::new().part("file", part).text("model", model.to_owned());
    let Ok(answer) = server.client.post(server.url("/v1/audio/transcriptions")).multipart(form).send().await else {
        return Outcome::Wrong(0);
    };
    let (status, returns) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
    match (status, answer.json::<Value>().await) {
        (200, Ok(body)) if body["text"].as_str().is_some_and(|text| !text.trim().is_empty()) => Outcome::Text,
        (429 | 503, Ok(_)) if returns => Outcome::Refused(status),
        _ => Outcome::Wrong(status),
    }
}

/// The server's own memory, in bytes, at a hundred moments.
async fn watch(server: &Server, start: Instant, length: Duration) -> Vec<u64> {
    let mut samples = Vec::new();
    while start.elapsed() < length {
        tokio::time::sleep(length / 100).await;
        samples.push(server.memory());
    }
    samples
}

async fn report(server: &Server, calls: Vec<(Outcome, f64)>, memory: &[u64], footprint: u64, length: Duration) {
    let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
    calls.iter().for_each(|(outcome, _)| *outcomes.entry(*outcome).or_default() += 1);
    let mut answered: Vec<f64> =
        calls.iter().filter(|(outcome, _)| *outcome == Outcome::Text).map(|(_, seconds)| *seconds).collect();
    answered.sort_by(f64::total_cmp);
    let at = |part: f64| answered[((answered.len() - 1) as f64 * part).round() as usize];
    let metrics = server.get("/metrics").await.text().await.expect("metrics");
    let wait = bucket(&metrics, "sconce_model_wait_seconds", 0.99);
    let sum = |name: &str| sum(&metrics, name);
    let mean = |samples: &[u64]| samples.iter().sum::<u64>() as f64 / samples.len().max(1) as f64;
    let tenth = memory.len() / 10;
    let (early, late) = (mean(&memory[tenth..2 * tenth.max(1)]), mean(&memory[memory.len() - tenth.max(1)..]));

    println!("{} s, {} requests by {CALLERS} callers: {outcomes:?}", length.as_secs(), calls.len());
    println!("answered: median {:.3} s, 99 % {:.3} s, longest {:.3} s", at(0.5), at(0.99), at(1.0));
    println!("99 % had their model within {wait} s; the bound is {} s", BOUND.as_secs());
    println!("budget {} bytes, one model {footprint} bytes", footprint * 5 / 2);
    println!(
        "switches {}, evictions {}, failures {}, panics {}, leaked bytes {}",
        sum("sconce_model_switches_total"),
        sum("sconce_model_evictions_total"),
        sum("sconce_model_failures_total"),
        sum("sconce_model_panics_total"),
        sum("sconce_model_leaked_bytes_total"),
    );
    let (least, most) = (memory.iter().min().unwrap_or(&0), memory.iter().max().unwrap_or(&0));
    println!(
        "memory of the process: second tenth {:.1} MB, last tenth {:.1} MB, least {:.1} MB, most {:.1} MB",
        early / 1e6,
        late / 1e6,
        *least as f64 / 1e6,
        *most as f64 / 1e6
    );
    assert!(!outcomes.keys().any(|outcome| matches!(outcome, Outcome::Wrong(_))), "undeclared answers: {outcomes:?}");
    assert_eq!(sum("sconce_model_failures_total") + sum("sconce_model_panics_total"), 0.0);
    assert!(wait <= BOUND.as_secs_f64(), "a caller waited for {wait} s");
    assert!(length < Duration::from_secs(60) || late <= early * GROWTH, "the memory grew from {early} to {late} bytes");
}

/// The upper end of the bucket that holds this part of what a histogram saw.
fn bucket(metrics: &str, name: &str, part: f64) -> f64 {
    let count = sum(metrics, &format!("{name}_count"));
    let prefix = format!("{name}_bucket{{le=\"");
    let buckets = metrics.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "));
    let mut buckets = buckets.filter_map(|(end, seen)| Some((end.parse::<f64>().ok()?, seen.parse::<f64>().ok()?)));
    buckets.find(|(_, seen)| *seen >= part * count).map_or(f64::INFINITY, |(end, _)| end)
}

fn sum(metrics: &str, name: &str) -> f64 {
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    metrics.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A server as a process of its own.
struct Server {
    child: Child,
    port: u16,
    client: reqwest::Client,
}

impl Server {
    fn exec(folder: &Path, budget: Option<u64>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sconce"));
        command.env_clear().env("PORT", free.port().to_string()).env("SCONCE_SERVER__HOST", "127.0.0.1");
        command.env("HF_HUB_CACHE", folder).env("SCONCE_MEMORY__ROOM_PATIENCE", ROOM_PATIENCE.as_secs().to_string());
        for (model, _) in MODELS {
            let source = copy_of_nano(&folder.join(model));
            command.env(format!("SCONCE_MODELS__{}__SOURCE", model.to_uppercase()), source);
        }
        if let Some(budget) = budget {
            command.env("SCONCE_MEMORY__BUDGET", budget.to_string());
        }
        let child = command.stderr(Stdio::null()).spawn().expect("the program starts");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { child, port: free.port(), client }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.expect("an answer")
    }

    async fn healthy(&self) {
        while self.client.get(self.url("/health")).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Bytes that are the process' own; 0 where the system does not tell.
    fn memory(&self) -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn asset(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// The embedded model in a folder of its own, and the source that names it.
fn copy_of_nano(folder: &Path) -> String {
    fs::create_dir_all(folder).expect("a folder");
    for entry in fs::read_dir(asset("models/whisper-nano.en")).expect("the model") {
        let path = entry.expect("a file").path();
        fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
    }
    format!("file:{}", folder.display())
}
