//! Many callers of more models than fit: for as long as one likes, with callers who hang up.
//!
//!     cargo bench --bench soak                # ten minutes
//!     cargo bench --bench soak -- 60          # seconds
//!
//! Four copies of the embedded model in four folders, a budget for two, 32 callers who ask for the four in shares of
//! 60, 25, 10 and 5 %, one in ten of whom hangs up after a moment. Every answer must be the text or a declared refusal
//! (429, or 503 with `Retry-After`); no more models may be in memory than the budget lets in; the memory of the process
//! must not grow; 99 of 100 callers must have their model within the bound that the configuration sets, and each model's
//! callers must be answered. It ends with an error if one of these does not hold.
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
/// So many models fit.
const ROOM: usize = 2;
/// A shorter run says nothing about waits, about memory and about models that are asked for rarely.
const TELLING: Duration = Duration::from_secs(60);

/// What became of one request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Text,
    Refused(u16),
    HungUp,
    Wrong(u16),
}

struct Call {
    model: &'static str,
    outcome: Outcome,
    seconds: f64,
}

/// At one moment.
struct Sample {
    /// Bytes that are the process' own; 0 where the system does not tell.
    memory: u64,
    /// Models in memory.
    loaded: usize,
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
    let (calls, samples) = tokio::join!(calling, watch(&server, start, length));
    let calls: Vec<_> = calls.into_iter().flatten().collect();
    println!(
        "{} s, {CALLERS} callers, budget {} bytes, one model {footprint} bytes",
        length.as_secs(),
        footprint * 5 / 2
    );
    let mut faults = Vec::new();
    judge_calls(&calls, length, &mut faults);
    judge_server(&server.get("/metrics").await.text().await.expect("metrics"), length, &mut faults);
    judge_memory(&samples, length, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
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

/// One caller until the time is over.
async fn call(server: &Server, caller: u64, end: Instant) -> Vec<Call> {
    let (mut random, mut calls) = (StdRng::seed_from_u64(caller), Vec::new());
    let recordings: Vec<_> = RECORDINGS.iter().map(|name| fs::read(asset("recordings").join(name)).unwrap()).collect();
    while Instant::now() < end {
        let recording = recordings[random.random_range(0..recordings.len())].clone();
        let patience = random.random_bool(0.1).then(|| Duration::from_millis(random.random_range(1..200)));
        let (model, start) = (model(&mut random), Instant::now());
        let asking = ask(server, model, recording);
        let outcome = match patience {
            None => asking.await,
            Some(patience) => tokio::time::timeout(patience, asking).await.unwrap_or(Outcome::HungUp),
        };
        calls.push(Call { model, outcome, seconds: start.elapsed().as_secs_f64() });
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

/// The server at a hundred moments.
async fn watch(server: &Server, start: Instant, length: Duration) -> Vec<Sample> {
    let mut samples = Vec::new();
    while start.elapsed() < length {
        tokio::time::sleep(length / 100).await;
        samples.push(Sample { memory: server.memory(), loaded: server.loaded().await });
    }
    samples
}

/// Everything is reported before the end, whatever did not hold.
fn demand(faults: &mut Vec<String>, holds: bool, otherwise: impl Into<String>) {
    if !holds {
        faults.push(otherwise.into());
    }
}

/// Nothing but texts and declared refusals, for each model.
fn judge_calls(calls: &[Call], length: Duration, faults: &mut Vec<String>) {
    let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
    calls.iter().for_each(|call| *outcomes.entry(call.outcome).or_default() += 1);
    println!("{} requests: {outcomes:?}", calls.len());
    let wrong = outcomes.keys().any(|outcome| matches!(outcome, Outcome::Wrong(_)));
    for (model, share) in MODELS {
        let of_model = calls.iter().filter(|call| call.model == model);
        let answered = of_model.clone().filter(|call| call.outcome == Outcome::Text);
        let mut seconds: Vec<f64> = answered.map(|call| call.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let at = |part: f64| seconds.get(((seconds.len() as f64 - 1.0) * part).round() as usize).copied();
        let [middle, most, longest] = [0.5, 0.99, 1.0].map(|part| at(part).unwrap_or(f64::NAN));
        println!(
            "{model:6} {share:2} %: asked {:6}, answered {:6} after {middle:.3} s (median), {most:.3} s (99 %), {longest:.3} s (longest)",
            of_model.count(),
            seconds.len(),
        );
        demand(faults, length < TELLING || !seconds.is_empty(), format!("nobody was answered by {model}"));
    }
    demand(faults, !wrong, format!("undeclared answers: {outcomes:?}"));
}

/// What the server counted itself.
fn judge_server(metrics: &str, length: Duration, faults: &mut Vec<String>) {
    let sum = |name: &str| sum(metrics, name);
    let wait = bucket(metrics, "sconce_model_wait_seconds", 0.99);
    println!("99 % had their model within {wait} s; the bound is {} s", BOUND.as_secs());
    println!(
        "switches {}, evictions {}, failures {}, panics {}, leaked bytes {}",
        sum("sconce_model_switches_total"),
        sum("sconce_model_evictions_total"),
        sum("sconce_model_failures_total"),
        sum("sconce_model_panics_total"),
        sum("sconce_model_leaked_bytes_total"),
    );
    let failed = sum("sconce_model_failures_total") + sum("sconce_model_panics_total");
    demand(faults, failed == 0.0, "models failed");
    demand(faults, length < TELLING || wait <= BOUND.as_secs_f64(), format!("callers waited for {wait} s"));
}

/// Never more models than fit, and a flat line.
fn judge_memory(samples: &[Sample], length: Duration, faults: &mut Vec<String>) {
    let most_loaded = samples.iter().map(|sample| sample.loaded).max().unwrap_or(0);
    let memory: Vec<u64> = samples.iter().map(|sample| sample.memory).collect();
    let mean = |samples: &[u64]| samples.iter().sum::<u64>() as f64 / samples.len().max(1) as f64;
    let tenth = (memory.len() / 10).max(1);
    let (early, late) = (mean(&memory[tenth..2 * tenth]), mean(&memory[memory.len() - tenth..]));
    let [least, most] = [memory.iter().min(), memory.iter().max()].map(|bytes| *bytes.unwrap_or(&0) as f64 / 1e6);
    println!("models in memory at once: {most_loaded} at most in {} looks", samples.len());
    println!(
        "memory of the process: second tenth {:.1} MB, last tenth {:.1} MB, least {least:.1} MB, most {most:.1} MB",
        early / 1e6,
        late / 1e6,
    );
    demand(faults, most_loaded <= ROOM, format!("{most_loaded} models were in memory at once"));
    let flat = length < TELLING || late <= early * GROWTH;
    demand(faults, flat, format!("the memory grew from {early} to {late} bytes"));
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
    metrics
        .lines()
        .filter(of_name)
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .fold(0.0, |sum, value| sum + value)
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

    /// Models in memory, as the status has them.
    async fn loaded(&self) -> usize {
        let status: Value = self.get("/models/status").await.json().await.expect("a status");
        MODELS.iter().filter(|(model, _)| status["models"][model]["status"] == "ready").count()
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
