//! Fetching a large file from a hub on loopback, beside `curl` with `sha256sum` and the hub's own Python client, in one
//! run: ratios are what counts. Each fetch of ours is a process of its own (this program, called with `fetch`), as the
//! others are.
//!
//! `TEST_PYTHON` names an interpreter that has huggingface_hub; without it that line is left out.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

#[path = "../tests/support/hub.rs"]
mod hub;

use std::{
    ffi::OsStr,
    fs,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use hub::Hub;
use sconce::{
    remote::{Buckets, BucketsConfig},
    store::{Config, Progress, Store},
};
use tempfile::TempDir;

const REPO: &str = "acme/large";
const WEIGHTS: &str = "model.safetensors";
const MIB: usize = 1 << 20;
/// What a fetch is told to do to itself at 90 %.
const BREAK: &str = "break";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, endpoint, cache, rest @ ..] = &arguments[..]
        && word == "fetch"
    {
        return fetch(endpoint, cache, rest.first().is_some_and(|word| word == BREAK));
    }
    // `cargo test --benches` passes this: then small files are enough to see that it works.
    let quick = arguments.iter().any(|argument| argument == "--test");
    let scale = |mib: usize| if quick { 16 * MIB } else { mib * MIB };
    // `cargo bench --bench store -- memory` measures the last part alone.
    if !arguments.iter().any(|argument| argument == "memory") {
        unthrottled(scale(1024), if quick { 1 } else { 5 });
        throttled(scale(128), 8_000_000);
    }
    memory_and_resume(scale(2048));
    ExitCode::SUCCESS
}

/// Without any limit but the machine's.
fn unthrottled(bytes: usize, times: usize) {
    let hub = hub_with(bytes);
    let mut all: [Vec<Duration>; 4] = Default::default();
    for _ in 0..times {
        all[0].push(curl_pipe(&hub));
        all[1].push(curl_file(&hub));
        all[2].push(ours(&hub, &TempDir::new().expect("a folder")).0);
        all[3].extend(python(&hub));
    }
    println!("{} MiB, no limit, median of {times}", bytes / MIB);
    let names = ["curl | sha256sum", "curl -o file, then sha256sum", "sconce", "huggingface_hub"];
    let ours = median(&mut all[2]);
    for (name, durations) in names.iter().zip(&mut all) {
        line(name, bytes, durations, ours);
    }
}

/// From a server that limits each connection.
fn throttled(bytes: usize, rate: usize) {
    let hub = hub_with(bytes);
    hub.throttle(rate);
    println!("{} MiB, each connection limited to {} MB/s, once", bytes / MIB, rate / 1_000_000);
    let (curl, ours) = (curl_pipe(&hub), ours(&hub, &TempDir::new().expect("a folder")).0);
    line("curl | sha256sum", bytes, &mut [curl], Some(ours));
    line("sconce", bytes, &mut [ours], Some(ours));
    line("huggingface_hub", bytes, &mut python(&hub).into_iter().collect::<Vec<_>>(), Some(ours));
}

/// What the process grows by, and what comes again after a kill -9 at 90 %.
fn memory_and_resume(bytes: usize) {
    let hub = hub_with(bytes);
    let cache = TempDir::new().expect("a folder");
    let (_, output) = ours(&hub, &cache);
    println!("{} MiB: {}", bytes / MIB, output.trim());

    let cache = TempDir::new().expect("a folder");
    let status = own(&hub, &cache).arg(BREAK).status().expect("this program runs");
    assert!(!status.success(), "it kills itself");
    let before = hub.sent();
    ours(&hub, &cache);
    let again = (hub.sent() - before) as f64 / bytes as f64;
    println!("{} MiB, killed with 90 % received: {:.1} % came in the second try", bytes / MIB, again * 100.0);
}

fn hub_with(bytes: usize) -> Hub {
    let hub = Hub::start();
    let mut weights = vec![0; bytes];
    for (page, chunk) in weights.chunks_exact_mut(4096).enumerate() {
        chunk[..8].copy_from_slice(&page.to_le_bytes());
    }
    hub.repo(REPO).file("config.json", "{}").lfs(WEIGHTS, weights);
    hub
}

fn url(hub: &Hub) -> String {
    format!("{}/{REPO}/resolve/main/{WEIGHTS}", hub.url())
}

fn timed(command: &mut Command) -> (Duration, String) {
    let start = Instant::now();
    let output = command.output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    (start.elapsed(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shell(script: &str, arguments: &[&OsStr]) -> Duration {
    timed(Command::new("sh").args(["-euc", script, "sh"]).args(arguments)).0
}

fn curl_pipe(hub: &Hub) -> Duration {
    shell("curl -sSfL \"$1\" | sha256sum", &[url(hub).as_ref()])
}

fn curl_file(hub: &Hub) -> Duration {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("file");
    shell("curl -sSfL -o \"$2\" \"$1\"; sha256sum \"$2\"", &[url(hub).as_ref(), file.as_ref()])
}

fn own(hub: &Hub, cache: &TempDir) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.arg("fetch").arg(hub.url()).arg(cache.path());
    command
}

fn ours(hub: &Hub, cache: &TempDir) -> (Duration, String) {
    timed(&mut own(hub, cache))
}

#[expect(clippy::disallowed_methods, reason = "where the interpreter is, is no configuration of the server")]
fn python(hub: &Hub) -> Option<Duration> {
    const SCRIPT: &str =
        "import sys; from huggingface_hub import hf_hub_download as get; get(sys.argv[1], sys.argv[2])";
    let cache = TempDir::new().expect("a folder");
    let mut command = Command::new(std::env::var_os("TEST_PYTHON")?);
    command.args(["-c", SCRIPT, REPO, WEIGHTS]).env("HF_ENDPOINT", hub.url()).env("HF_HOME", cache.path());
    Some(timed(command.env("HF_HUB_DISABLE_XET", "1").env("HF_HUB_DISABLE_TELEMETRY", "1")).0)
}

fn median(durations: &mut [Duration]) -> Option<Duration> {
    durations.sort();
    durations.get(durations.len() / 2).copied()
}

fn line(name: &str, bytes: usize, durations: &mut [Duration], ours: Option<Duration>) {
    let (Some(median), Some(ours)) = (median(durations), ours) else {
        return println!("  {name:30} not measured");
    };
    let rate = bytes as f64 / 1e6 / median.as_secs_f64();
    let times = median.as_secs_f64() / ours.as_secs_f64();
    println!("  {name:30} {:7.2} s  {rate:7.0} MB/s  {times:5.2} times what sconce takes", median.as_secs_f64());
}

/// One fetch, in a process of its own. Prints by how much that process grew at most.
fn fetch(endpoint: &str, cache: &str, breaks: bool) -> ExitCode {
    let config = Config {
        cache_dir: cache.into(),
        read_only: Vec::new(),
        other_caches: Vec::new(),
        own_caches: Default::default(),
        quota: None,
        endpoints: vec![endpoint.into()],
        token: None,
        offline: false,
        idle_timeout: Duration::from_secs(30),
        min_rate: 1000,
        attempts: 5,
        connections: 10,
        xet: true,
        xet_cache: 0,
        reserve: 0,
        keep_derived: false,
        verify: sconce::store::Verify::Fetch,
        accepted_licences: Vec::new(),
    };
    let store =
        Store::new(config, Buckets::new(BucketsConfig::default()), &[], &prometheus::Registry::new()).expect("a store");
    let parts = [("model".to_owned(), format!("hf://{REPO}").parse().expect("a source"))];
    let break_at_ninety = |progress: Progress| {
        if breaks && progress.bytes_total > 0 && progress.bytes_done * 10 >= progress.bytes_total * 9 {
            // SAFETY: a signal to this very process.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let small = |_: &str, _: &[String]| Ok(vec!["config.json".to_owned()]);
        store.fetch(&parts, &small, &|_| {}).await.expect("the small file comes");
        let before = peak();
        let large = |_: &str, _: &[String]| Ok(vec![WEIGHTS.to_owned()]);
        store.fetch(&parts, &large, &break_at_ninety).await.expect("the large file comes");
        println!("the process grew by {:.1} MB at most", (peak() - before) as f64 / 1e3);
    });
    ExitCode::SUCCESS
}

/// The most memory that this process ever held, in kB, as the kernel counts it.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}
