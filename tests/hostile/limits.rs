//! Small requests that ask for much memory, large ones, and many of both at once: the program stays below a gigabyte, and
//! who only asks whether it lives is answered all the while.
//!
//! The system gives the program no more than that for its data, and its memory is measured besides: an allocation that
//! fails would end it.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream};
use reqwest::{RequestBuilder, multipart};
use sconce::audio::{AudioFormat, Pcm, encode};
use serde_json::{Value, json};

use crate::support::{
    Server,
    probes::{Probes, assert_prompt},
    recording,
};

/// Bytes that the program may have in memory at its worst.
const MOST_MEMORY: u64 = 1 << 30;
/// Part of what was in memory before that may stay there more, in percent.
const KEPT: u64 = 10;
const CALLERS: usize = 8;
const ROUNDS: usize = 3;
/// For a request that would only keep the model busy: hanging up is one more thing that callers do.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent, and which answers are right.
struct Attack {
    name: &'static str,
    request: fn(&Server) -> RequestBuilder,
    right: &'static [u16],
}

/// Ten minutes of silence.
static LONG: LazyLock<Vec<u8>> =
    LazyLock::new(|| encode(&Pcm::new(vec![0.0; 16_000 * 600], 16_000), AudioFormat::Flac).unwrap());

const ATTACKS: &[Attack] = &[
    Attack { name: "instances that share a prompt", request: shared_prompt, right: &[413] },
    Attack { name: "too many instances", request: many_instances, right: &[413] },
    Attack { name: "nothing, a million times", request: nothing, right: &[413] },
    Attack { name: "instances that share what is no recording", request: shared_audio, right: &[400, 429] },
    Attack { name: "empty recordings", request: empty_recordings, right: &[400] },
    Attack { name: "outputs, again and again", request: outputs, right: &[400] },
    Attack { name: "parts of a form", request: parts, right: &[413] },
    Attack { name: "a large body in base64", request: large_base64, right: &[400, 429] },
    Attack { name: "a large form", request: large_form, right: &[400, 429] },
    Attack { name: "minutes of sound in a few kilobytes", request: silence, right: &[200, 429] },
    Attack { name: "a recording", request: speech, right: &[200, 429] },
];

fn predict(server: &Server, body: String) -> RequestBuilder {
    server.client.post(server.url("/predict")).header("content-type", "application/json").body(body)
}

fn instances(count: usize, parameters: &Value) -> String {
    format!(r#"{{"instances":[{}],"parameters":{parameters}}}"#, vec!["{}"; count].join(","))
}

fn shared_prompt(server: &Server) -> RequestBuilder {
    predict(server, instances(1000, &json!({"audio": "UklGRg==", "prompt": "x".repeat(500_000)})))
}

fn many_instances(server: &Server) -> RequestBuilder {
    predict(server, instances(5_000, &json!({"prompt": "x".repeat(500_000)})))
}

fn nothing(server: &Server) -> RequestBuilder {
    predict(server, instances(1_000_000, &json!({})))
}

fn shared_audio(server: &Server) -> RequestBuilder {
    predict(server, instances(100, &json!({"audio": "AAAA".repeat(500_000)})))
}

fn infer(server: &Server, json: &Value, rest: &[u8]) -> RequestBuilder {
    let json = json.to_string();
    let request = server.client.post(server.url("/v2/models/whisper-nano.en/infer"));
    let request = request.header("inference-header-content-length", json.len().to_string());
    request.header("content-type", "application/octet-stream").body([json.as_bytes(), rest].concat())
}

fn empty_recordings(server: &Server) -> RequestBuilder {
    let count = 200_000;
    let audio = json!({"name": "audio", "shape": [count], "datatype": "BYTES",
        "parameters": {"binary_data_size": 4 * count}});
    infer(server, &json!({"inputs": [audio], "parameters": {"prompt": "x".repeat(1_000_000)}}), &vec![0; 4 * count])
}

fn outputs(server: &Server) -> RequestBuilder {
    let audio = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": ["UklGRg=="]});
    infer(server, &json!({"inputs": [audio], "outputs": vec![json!({"name": "text"}); 300_000]}), &[])
}

fn parts(server: &Server) -> RequestBuilder {
    let part = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    let request = server.client.post(server.url("/v1/audio/transcriptions"));
    request.header("content-type", "multipart/form-data; boundary=x").body(part.repeat(100_000))
}

fn large_base64(server: &Server) -> RequestBuilder {
    predict(server, json!({"audio": "AAAA".repeat(4_000_000)}).to_string())
}

fn large_form(server: &Server) -> RequestBuilder {
    form(server, vec![0; 16_000_000])
}

fn form(server: &Server, file: Vec<u8>) -> RequestBuilder {
    let form = multipart::Form::new().part("file", multipart::Part::bytes(file)).text("model", "whisper-nano.en");
    server.client.post(server.url("/v1/audio/transcriptions")).multipart(form)
}

fn silence(server: &Server) -> RequestBuilder {
    form(server, LONG.clone()).timeout(PATIENCE)
}

fn speech(server: &Server) -> RequestBuilder {
    form(server, recording("turn-on-the-kitchen-lights.wav"))
}

/// A number of the process' status, in bytes.
pub fn memory(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Sends it, and judges the answer. Whoever lost patience has none.
async fn attack(server: &Server, attack: &Attack) {
    match (attack.request)(server).send().await {
        Ok(answer) => {
            let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
            assert!(attack.right.contains(&status), "{}: {status} {body:.300}", attack.name);
        }
        Err(error) => assert!(error.is_timeout(), "{}: {error:?}", attack.name),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(target_os = "linux")]
async fn nothing_that_is_sent_takes_a_gigabyte_or_the_probes_answers() {
    let limits = [("MAX_BODIES", "200MB"), ("MAX_DECODED", "200MB")];
    let builder =
        limits.iter().fold(Server::builder(), |all, (name, value)| all.env(&format!("SCONCE_LIMITS__{name}"), value));
    let server = builder.spawn_within(MOST_MEMORY);
    // What honest work takes is no growth: as many at once, and as long a recording.
    for _ in 0..2 {
        let long = || form(&server, LONG.clone());
        let honest = (0..CALLERS).map(|caller| if caller == 0 { long() } else { speech(&server) }.send());
        for answer in join_all(honest).await {
            assert_eq!(answer.unwrap().status(), 200);
        }
    }
    let before = memory(&server, "VmRSS");
    let probes = Probes::start(server.address);
    for one in ATTACKS {
        attack(&server, one).await;
    }
    // And mixed: each caller is at another place of the list.
    let mixed = (0..ROUNDS * ATTACKS.len()).map(|at| attack(&server, &ATTACKS[at * 7 % ATTACKS.len()]));
    stream::iter(mixed).buffer_unordered(CALLERS).for_each(|()| std::future::ready(())).await;
    assert_prompt("while small and large requests ask for much", probes.times());
    let peak = memory(&server, "VmHWM");
    eprintln!("peak memory {} MB, {} MB before", peak >> 20, before >> 20);
    assert!(peak < MOST_MEMORY, "{peak} bytes were in memory at once");
    // What was taken is to be had again, and goes back to the system.
    let start = Instant::now();
    while speech(&server).send().await.unwrap().status() != 200
        || memory(&server, "VmRSS") > before + before / 100 * KEPT
    {
        let held = memory(&server, "VmRSS") >> 20;
        assert!(start.elapsed() < Duration::from_secs(60), "it does not recover: {held} MB are in memory");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!("{} MB afterwards", memory(&server, "VmRSS") >> 20);
}
