//! What a body makes grow: the program's memory at its peak, over the size of the body. Every body is as large as the
//! others, made of something by chance, again and again: many small things or few large ones, where the protocols take
//! lists.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::{prelude::*, sample::select};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    bodies::anything,
    chance::each,
    limits::memory,
    support::{
        Server,
        probes::{Probes, assert_prompt},
        recording,
    },
};

/// Bytes of a body.
const SIZE: usize = 8 << 20;
/// A program takes no more than so many times a body.
const MOST: f64 = 8.0;
const CASES: u32 = 20;

/// The program, and what it had in memory before any of this came.
struct Target {
    server: Server,
    runtime: Runtime,
    before: u64,
    /// How many times its body a request took at its worst.
    worst: Mutex<f64>,
    /// How long probes took while a request was answered.
    probes: Mutex<Vec<Duration>>,
}

// === impl Target ===

impl Target {
    fn start() -> Arc<Self> {
        let runtime = Runtime::new().unwrap();
        let server = Server::builder().env("SCONCE_STORE__OFFLINE", "true").spawn();
        // The model is there, and every thread has been busy once.
        for _ in 0..8 {
            let sent = server.post_bytes("/predict", "audio/wav", recording("turn-on-the-kitchen-lights.wav"));
            assert_eq!(runtime.block_on(sent).status(), 200);
        }
        let before = memory(&server, "VmRSS");
        Arc::new(Self { server, runtime, before, worst: Mutex::new(0.0), probes: Mutex::default() })
    }

    /// Sends a body, and holds its peak against its size.
    fn sends(&self, size: usize, request: impl FnOnce(&Server) -> RequestBuilder) -> Result<(), TestCaseError> {
        let process = self.server.process_id().unwrap();
        // The peak begins anew (`proc_pid_clear_refs(5)`).
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
        let request = request(&self.server);
        let probes = Probes::start(self.server.address);
        let (status, body) = self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        });
        self.probes.lock().unwrap().extend(probes.times());
        prop_assert!(status < 500 || [501, 503].contains(&status), "{status} {:.300}", String::from_utf8_lossy(&body));
        let peak = memory(&self.server, "VmHWM");
        let times = peak.saturating_sub(self.before) as f64 / size as f64;
        let mut worst = self.worst.lock().unwrap();
        *worst = worst.max(times);
        prop_assert!(times < MOST, "{times:.1} times the body: {} MB and {} MB", peak >> 20, self.before >> 20);
        Ok(())
    }

    /// All were sent.
    fn held(&self, what: &str) {
        eprintln!("{what}: at its worst {:.1} times the body", self.worst.lock().unwrap());
        assert_prompt(what, self.probes.lock().unwrap().clone());
    }
}

/// So often that the whole is of the usual size, but for what is larger by itself.
fn count(unit: &str) -> usize {
    (SIZE / (unit.len() + 1)).max(1)
}

fn repeated(unit: &str, between: &str) -> String {
    vec![unit; count(unit)].join(between)
}

/// Text of a length between one letter and the whole body.
fn text() -> impl Strategy<Value = String> {
    let letter = select(vec!["a", "é", "\\u0000", "\\\\", "🎵", "A=", " "]);
    (letter, 0u32..=22).prop_map(|(letter, power)| letter.repeat(((1 << power) / letter.len()).max(1)))
}

/// A text that is printed in part.
#[derive(Clone)]
struct Unit(String);

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} bytes", self.0.chars().take(60).collect::<String>(), self.0.len())
    }
}

/// A member of a list, as JSON.
fn unit() -> impl Strategy<Value = Unit> {
    let json = prop_oneof![
        anything().prop_map(|value| value.to_string()),
        text().prop_map(|text| format!("\"{text}\"")),
        text().prop_map(|text| format!("{{\"audio\":\"{text}\"}}")),
        text().prop_map(|text| format!("{{\"text\":\"{text}\",\"model\":\"lark.en\"}}")),
        text().prop_map(|text| format!("{{\"audio\":{{\"content\":\"{text}\"}},\"prompt\":\"{text}\"}}")),
        Just("{}".to_owned()),
        Just("[[[[[[[[]]]]]]]]".to_owned()),
    ];
    json.prop_map(Unit)
}

fn json_to(server: &Server, path: &str, body: String) -> RequestBuilder {
    server.client.post(server.url(path)).header("content-type", "application/json").body(body)
}

#[test]
#[cfg(target_os = "linux")]
fn an_envelope_takes_a_small_multiple_of_itself() {
    let target = Target::start();
    let routes = select(vec!["/predict", "/invocations", "/v1/jobs", "/generate", "/v1/audio/speech"]);
    each(CASES, (routes, unit(), any::<bool>()), |(path, Unit(unit), shared)| {
        let many = repeated(&unit, ",");
        let body = match shared {
            false => format!("{{\"instances\":[{many}],\"parameters\":{{}}}}"),
            true => {
                format!("{{\"instances\":[{{}},{{}},{{}},{{}}],\"parameters\":{{\"options\":{{\"a\":[{many}]}}}}}}")
            }
        };
        target.sends(body.len(), |server| json_to(server, path, body))
    });
    target.held("envelopes");
}

#[test]
#[cfg(target_os = "linux")]
fn tensors_take_a_small_multiple_of_themselves() {
    let target = Target::start();
    let names = select(vec!["audio", "samples", "text", "prompt", "x"]);
    let types = select(vec!["BYTES", "FP32", "BOOL", "INT64"]);
    let models = select(vec!["whisper-nano.en", "lark.en"]);
    let kinds = (models, names, types, unit(), 0u8..3);
    each(CASES, kinds, |(model, name, datatype, Unit(unit), place)| {
        let path = format!("/v2/models/{model}/infer");
        let many = repeated(&unit, ",");
        let tensor = |data: &str| {
            let shape = count(&unit);
            format!("{{\"name\":\"{name}\",\"shape\":[{shape}],\"datatype\":\"{datatype}\",\"data\":[{data}]}}")
        };
        match place {
            0 => {
                let body = format!("{{\"inputs\":[{}]}}", tensor(&many));
                target.sends(body.len(), |server| json_to(server, &path, body))
            }
            1 => {
                let tensors = repeated(&tensor("\"UklGRg==\""), ",");
                let body = format!("{{\"inputs\":[{tensors}],\"outputs\":[{tensors}]}}");
                target.sends(body.len(), |server| json_to(server, &path, body))
            }
            _ => {
                let bytes = [&(unit.len() as u32).to_le_bytes()[..], unit.as_bytes()].concat();
                let rest = bytes.repeat((SIZE / bytes.len()).max(1));
                let input = json!({"name": name, "shape": [SIZE / bytes.len()], "datatype": datatype,
                    "parameters": {"binary_data_size": rest.len()}});
                let head = json!({"inputs": [input]}).to_string();
                target.sends(head.len() + rest.len(), |server| {
                    let request = server.client.post(server.url(&path));
                    let request = request.header("inference-header-content-length", head.len().to_string());
                    let request = request.header("content-type", "application/octet-stream");
                    request.body([head.as_bytes(), &rest].concat())
                })
            }
        }
    });
    target.held("tensors");
}

#[test]
#[cfg(target_os = "linux")]
fn a_form_takes_a_small_multiple_of_itself() {
    let target = Target::start();
    let routes = select(vec!["/v1/audio/transcriptions", "/v1/audio/voice-conversions", "/predict", "/v1/jobs"]);
    let names = select(vec!["file", "audio", "prompt", "options", "instances", "x"]);
    each(CASES, (routes, names, text().prop_map(Unit), any::<bool>()), |(path, name, Unit(text), file)| {
        let kind = if file { "; filename=\"a.wav\"" } else { "" };
        let part = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{kind}\r\n\r\n{text}\r\n");
        let body = format!("{}--x--\r\n", repeated(&part, ""));
        target.sends(body.len(), |server| {
            let request = server.client.post(server.url(path));
            request.header("content-type", "multipart/form-data; boundary=x").body(body)
        })
    });
    target.held("forms");
}

/// Held against the strategies: what they make is JSON.
#[test]
fn what_is_sent_is_what_it_says() {
    each(64, unit(), |Unit(unit)| {
        prop_assert!(serde_json::from_str::<Value>(&unit).is_ok(), "{unit:.200}");
        Ok(())
    });
}
