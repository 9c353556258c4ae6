//! Memory that comes back.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::whisper::{self, Numbers, Size},
};

const TIMES: usize = 200;
/// The first loads fill what a process fills once: thread stacks, tables of the allocator.
const SETTLED: usize = 20;
/// Bytes. If a load left a hundredth of what the model takes, the last would find more than this.
const FLAT: u64 = 2 << 20;

/// Bytes that are the process' own.
fn held(program: &Program) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", program.id())).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Whether weights are mapped.
fn maps_weights(program: &Program) -> bool {
    fs::read_to_string(format!("/proc/{}/maps", program.id())).unwrap().contains("model.safetensors")
}

fn middle(samples: &[u64]) -> u64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// The program with a small model `m` that is never warmed up.
fn program(cache: &TempDir, leak_threshold: &str, log_level: &str) -> Program {
    let folder = cache.path().join("model");
    whisper::write(&folder, Size { width: 128, heads: 2, layers: 3, numbers: Numbers::F16 });
    let mut command = sconce(cache);
    command.env("PORT", "0").env("SCONCE_MODELS__M__SOURCE", format!("file:{}", folder.display()));
    command.env("SCONCE_MODELS__M__WARM_UP", "false").env("SCONCE_MEMORY__LEAK_THRESHOLD", leak_threshold);
    // Weights of eight bits leave their file.
    command.env("SCONCE_RUNTIME__WEIGHTS", "map").env("SCONCE_RUNTIME__DTYPE", "f32");
    Program::start(command.env("LOG_LEVEL", log_level))
}

async fn post(program: &Program, path: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(program.url(path)).json(&json!({"wait": 60})).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
}

async fn leaked(program: &Program) -> f64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = client.get(program.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("sconce_model_leaked_bytes_total{")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn two_hundred_loads_leave_the_memory_where_it_was() {
    let cache = TempDir::new().unwrap();
    // Nobody reads the log any more once the address is known, and a full pipe would stop the program.
    let program = program(&cache, "8MB", "warn,sconce::app=info");
    let (mut held_after, mut resident) = (Vec::new(), 0);
    for _ in 0..TIMES {
        post(&program, "/models/m/load").await;
        if resident == 0 {
            let status = reqwest::get(program.url("/models/status")).await.unwrap();
            let status: Value = status.json().await.unwrap();
            resident = status["models"]["m"]["resident_bytes"].as_u64().unwrap();
            assert!(maps_weights(&program), "halves are used where they lie");
        }
        post(&program, "/models/m/unload").await;
        held_after.push(held(&program));
        assert!(!maps_weights(&program), "a model that went left its file mapped");
    }
    assert!(resident > 2 * FLAT, "the model takes {resident} bytes, too little to prove anything");
    let (early, late) = (middle(&held_after[SETTLED..2 * SETTLED]), middle(&held_after[TIMES - SETTLED..]));
    assert!(late <= early + FLAT, "{early} bytes after the first loads, {late} after the last: {held_after:?}");
    assert_eq!(leaked(&program).await, 0.0);
}
