//! Models that are programs, as processes of their own: what they are asked and say, what goes wrong with them, and that
//! nothing is left of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Response;
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};

use crate::support::{
    Server, ServerBuilder, espeak,
    probes::{Probes, assert_prompt},
    recording,
    worker::Worker,
};

const RATE: u32 = 16_000;

fn echo() -> (Worker, ServerBuilder) {
    let worker = Worker::example("echo");
    let builder = worker.of(Server::builder(), "echo");
    (worker, builder)
}

/// One that does whatever the text says is wrong, and does not wait long for anything.
fn faulty(fault: &[&str]) -> (Worker, ServerBuilder) {
    let worker = Worker::new("faulty.py", fault, &["synthesize"]);
    let builder = worker.of(Server::builder(), "faulty");
    let builder = [
        ("SCONCE_WORKERS__HELLO_TIMEOUT", "10s"),
        ("SCONCE_WORKERS__LOAD_TIMEOUT", "2s"),
        ("SCONCE_WORKERS__PIECE_TIMEOUT", "2s"),
        ("SCONCE_WORKERS__CANCEL_TIMEOUT", "500ms"),
        ("SCONCE_WORKERS__MEMORY", "300MB"),
        ("SCONCE_LIMITS__WAIT", "60s"),
        ("SCONCE_RETRY__FIRST_DELAY", "1ms"),
        ("SCONCE_RETRY__MAX_DELAY", "20ms"),
    ]
    .into_iter()
    .fold(builder, |builder, (name, value)| builder.env(name, value));
    (worker, builder)
}

pub async fn say(server: &Server, model: &str, fields: Value) -> Response {
    try_say(server, model, fields).await.unwrap()
}

/// An error: the answer was broken off before its head was out.
async fn try_say(server: &Server, model: &str, fields: Value) -> reqwest::Result<Response> {
    let mut request = json!({"model": model, "input": "hello there", "voice": "alloy", "response_format": "wav"});
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    // On a connection of its own: one whose answer was broken off is closed.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    client.post(server.url("/v1/audio/speech")).json(&request).send().await
}

/// The same as [`say`], as often as it takes: a program that ended is begun again after a pause.
async fn say_again(server: &Server, model: &str, fields: Value) -> Response {
    try_say_again(server, model, fields).await.unwrap()
}

async fn try_say_again(server: &Server, model: &str, fields: Value) -> reqwest::Result<Response> {
    let began = Instant::now();
    loop {
        let answer = try_say(server, model, fields.clone()).await?;
        if answer.status() != 503 || began.elapsed() > Duration::from_secs(30) {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn refused(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, answer.json::<Value>().await.unwrap()["error"]["message"].as_str().unwrap().to_owned())
}

pub fn heard(bytes: &[u8]) -> Pcm {
    decode(bytes, None, RATE, Duration::from_secs(900)).unwrap().pcm
}

pub async fn process(server: &Server, model: &str) -> Value {
    server.get_json("/models/status").await["models"][model]["process"].clone()
}

#[tokio::test]
async fn a_program_of_a_few_lines_hears_speaks_and_converts() {
    let (worker, builder) = echo();
    let server = builder.start();
    let status = server.get_json("/models/status").await;
    let model = &status["models"]["echo"];
    assert_eq!(
        (&model["family"], &model["tasks"]),
        (&json!("worker"), &json!(["transcribe", "synthesize", "convert"]))
    );

    let answer = say(&server, "echo", json!({})).await;
    assert_eq!(answer.status(), 200);
    let low = heard(&answer.bytes().await.unwrap());
    assert!((low.seconds() - 0.55).abs() < 0.1, "{}", low.seconds());
    let answer = say(&server, "echo", json!({"voice": "high", "speed": 2.0, "options": {"loudness": 0.1}})).await;
    let high = heard(&answer.bytes().await.unwrap());
    assert!((high.seconds() - 0.28).abs() < 0.1, "{}", high.seconds());

    let wav = recording("turn-on-the-kitchen-lights.wav");
    let text: Value = server.transcribe(wav.clone(), "echo", &[]).await.json().await.unwrap();
    let seconds = heard(&wav).seconds();
    assert_eq!(text["text"], format!("{seconds:.1} seconds"));
    let content = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &wav);
    let instance =
        json!({"instances": [{"audio": content, "voice": "low", "task": "convert"}], "parameters": {"model": "echo"}});
    let converted: Value = server.post_json("/predict", &instance).await.json().await.unwrap();
    let sound = converted["predictions"][0]["audio"]["duration"].as_f64().unwrap_or_default();
    assert!((sound - seconds).abs() < 0.2, "{converted:.300}");

    for (fields, part) in [
        (json!({"voice": "middle"}), "middle"),
        (json!({"options": {"loudness": 2}}), "from 0 to 1"),
        (json!({"options": {"pace": 2}}), "this model has loudness"),
    ] {
        let (status, message) = refused(say(&server, "echo", fields).await).await;
        assert!(status == 400 && message.contains(part), "{status} {message}");
    }
    let voices = server.get_json("/v1/audio/voices").await;
    let own = voices["data"].as_array().unwrap().iter().filter(|voice| voice["model"] == "echo");
    assert_eq!(own.map(|voice| voice["id"].as_str().unwrap()).collect::<Vec<_>>(), ["low", "high"], "it said so");

    let process = process(&server, "echo").await;
    assert_eq!(process["name"], "echo");
    assert!(process["memory_bytes"].as_u64().unwrap() > 3_000_000, "{process}");
    let held = server.metric("sconce_worker_memory_bytes", &[("model", "echo")]).await;
    let status = server.get_json("/models/status").await;
    let resident = status["models"]["echo"]["resident_bytes"].as_f64().unwrap();
    assert!(held > 3e6 && resident > 3e6, "{held} {resident}");
    server.stop();
    worker.assert_gone();
}

#[tokio::test]
async fn long_texts_come_in_chunks_and_streams_as_they_are_made() {
    let (_worker, builder) = echo();
    let server = builder.start();
    let text = "This is a sentence of some words. ".repeat(60);
    let answer = say(&server, "echo", json!({"input": text, "response_format": "pcm"})).await;
    assert_eq!(answer.status(), 200);
    let (mut stream, mut parts, mut bytes) = (answer.bytes_stream(), 0, 0);
    while let Some(part) = stream.next().await {
        (parts, bytes) = (parts + 1, bytes + part.unwrap().len());
    }
    let seconds = bytes as f64 / 2.0 / 24_000.0;
    assert!(parts > 3 && (60.0..130.0).contains(&seconds), "{parts} {seconds}");
}

#[tokio::test]
async fn nothing_is_executed_that_the_configuration_does_not_allow() {
    let worker = Worker::example("echo");
    let source = format!("file:{}", worker.path().display());
    let builder = || Server::builder().env("PATH", "/usr/bin:/bin").env("SCONCE_MODELS__ECHO__SOURCE", &source);
    let server = builder().start();
    let (status, message) = refused(say(&server, "echo", json!({})).await).await;
    let line = format!("worker_sha256 = \"{}\"", worker.sha256());
    assert!(status == 400 && message.contains("nobody allowed") && message.contains(&line), "{status} {message}");
    let status = server.get_json("/models/status").await;
    assert!(status["models"]["echo"].to_string().contains("nobody allowed"), "{}", status["models"]["echo"]);

    let other = "0".repeat(64);
    let server = builder().env("SCONCE_MODELS__ECHO__WORKER_SHA256", &other).start();
    let (_, message) = refused(say(&server, "echo", json!({})).await).await;
    assert!(message.contains("is not what the configuration allows") && message.contains(&other), "{message}");

    // It was right when the server began, and is not when the model is loaded.
    let worker = Worker::example("echo");
    let server = worker.of(Server::builder(), "echo").start();
    worker.put("worker.py", b"print('something else')\n");
    let (_, message) = refused(say(&server, "echo", json!({})).await).await;
    assert!(message.contains("is not what the configuration allows"), "{message}");
}

#[tokio::test]
async fn what_does_not_begin_well_is_told() {
    for (fault, part) in [
        ("mute", "did not say hello within 1 s"),
        ("ends", "it ended (exit status: 1)"),
        ("floods", "it sends a header of 4294967295 bytes"),
        ("version", "it speaks the protocol 7, and this server 1"),
        ("other", "it is to synthesize, and says that it does [transcribe]"),
        ("voices", "more than 4096 voices"),
        ("unready", "it was not ready within 2 s"),
        ("refuses", "there is no model in the folder"),
        ("faints", "it failed its first job"),
    ] {
        let (worker, builder) = faulty(&[fault]);
        let hello = if fault == "mute" { "1s" } else { "10s" };
        let builder = builder.env("SCONCE_WORKERS__HELLO_TIMEOUT", hello);
        // It is not begun again while its caller still waits.
        let builder = builder.env("SCONCE_RETRY__FIRST_DELAY", "5min").env("SCONCE_RETRY__MAX_DELAY", "5min");
        let server = builder.env("SCONCE_LIMITS__WAIT", "20s").start();
        let (status, message) = refused(say(&server, "faulty", json!({})).await).await;
        let at_first = if fault == "faints" { "did not survive its first inference" } else { part };
        assert!(status == 503 && message.contains(at_first), "{fault}: {status} {message}");
        server.stop();
        worker.assert_gone();
    }
}

#[tokio::test]
async fn one_job_that_goes_wrong_is_told_and_the_next_one_is_spoken() {
    let (worker, builder) = faulty(&[]);
    let server = builder.start();
    for (text, status) in [
        ("die now.", 500),
        ("cut now.", 500),
        ("lie now.", 500),
        ("heap now.", 500),
        ("garbage now.", 500),
        ("json now.", 500),
        ("silent now.", 500),
        ("leak now.", 500),
        ("fork now.", 500),
        ("bomb now.", 500),
        ("stranger now.", 500),
        ("odd now.", 500),
        ("rates now.", 500),
        ("fail now.", 500),
        ("nothing now.", 400),
        ("refuse now.", 400),
        ("chatter now.", 200),
        ("twice now.", 200),
    ] {
        let began = Instant::now();
        match try_say_again(&server, "faulty", json!({"input": text})).await {
            Ok(answer) => {
                let got = answer.status();
                let bytes = answer.bytes().await;
                // Whose status was sent before it failed is broken off.
                let fine = got == status || (status == 500 && got == 200 && bytes.is_err());
                assert!(fine, "{text}: {got} {bytes:?}");
            }
            Err(error) => assert!(status == 500, "{text}: {error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{text}: {:?}", began.elapsed());
        let next = say_again(&server, "faulty", json!({"input": "fine."})).await;
        assert_eq!(next.status(), 200, "after {text}: {}", next.text().await.unwrap());
        assert!((heard(&next.bytes().await.unwrap()).seconds() - 0.5).abs() < 0.2, "after {text}");
    }
    server.stop();
    worker.assert_gone();
}

#[tokio::test]
async fn who_leaves_is_left_alone_and_who_works_on_is_ended() {
    let (worker, builder) = faulty(&[]);
    let server = builder.start();
    assert_eq!(say(&server, "faulty", json!({"input": "fine."})).await.status(), 200);
    let before = worker.processes();
    for text in ["flood now.", "deaf now."] {
        let answer = say(&server, "faulty", json!({"input": text, "response_format": "pcm"})).await;
        let mut stream = answer.bytes_stream();
        stream.next().await;
        drop(stream);
        let started = Instant::now();
        while worker.processes().iter().any(|pid| before.contains(pid)) && text.starts_with("deaf") {
            assert!(started.elapsed() < Duration::from_secs(10), "it works on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let next = say_again(&server, "faulty", json!({"input": "fine."})).await;
        assert_eq!(next.status(), 200, "after {text}");
    }
    server.stop();
    worker.assert_gone();
}

#[tokio::test]
async fn a_program_that_dies_while_nobody_asks_is_begun_again() {
    let (worker, builder) = echo();
    let server = builder.env("SCONCE_RETRY__FIRST_DELAY", "1ms").start();
    assert_eq!(say(&server, "echo", json!({})).await.status(), 200);
    let before = worker.processes();
    for pid in &before {
        // SAFETY: a signal; the processes are those of this test, in a folder of its own.
        unsafe { libc::kill(i32::try_from(*pid).unwrap(), libc::SIGKILL) };
    }
    server.until_status_of("echo", "failed").await;
    let status = server.get_json("/models/status").await;
    assert!(status["models"]["echo"]["error"].to_string().contains("broke"), "{}", status["models"]["echo"]);
    let answer = say_again(&server, "echo", json!({})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert!(worker.processes().iter().all(|pid| !before.contains(pid)));
}

/// Two hundred jobs, most of them well, the others with whatever can go wrong.
#[tokio::test]
async fn everybody_is_answered_once_whatever_goes_wrong() {
    const FAULTS: [&str; 16] = [
        "die", "cut", "lie", "heap", "garbage", "json", "flood", "leak", "fork", "bomb", "stranger", "odd", "rates",
        "twice", "refuse", "fail",
    ];
    const JOBS: usize = 200;
    let (worker, builder) = faulty(&[]);
    let server = builder.env("SCONCE_RUNTIME__MAX_BATCH", "4").start();
    let mut random = StdRng::seed_from_u64(7);
    let texts: Vec<String> = (0..JOBS)
        .map(|_| match random.random_bool(0.2) {
            true => format!("{} now.", FAULTS[random.random_range(0..FAULTS.len())]),
            false => "fine.".to_owned(),
        })
        .collect();
    let probes = Probes::start(server.address);
    let asked = stream::iter(&texts).map(async |text| {
        let name = text.split(' ').next().unwrap().to_owned();
        match try_say(&server, "faulty", json!({"input": text, "response_format": "pcm"})).await {
            Ok(answer) => (name, answer.status().as_u16(), answer.bytes().await.map(|bytes| bytes.len())),
            // It was broken off.
            Err(error) => (name, 200, Err(error)),
        }
    });
    let answers: Vec<_> = asked.buffer_unordered(4).collect().await;
    let times = probes.times();
    assert_eq!(answers.len(), JOBS);
    let mut counts = BTreeMap::<(String, u16), usize>::new();
    for (text, status, bytes) in &answers {
        *counts.entry((text.clone(), *status)).or_default() += 1;
        assert!([200, 400, 500, 503].contains(status), "{text}: {status}");
        if *status == 200 && text == "fine." {
            // Who worked when another job ended the program is broken off, and told so.
            assert!(bytes.as_ref().map_or(true, |bytes| *bytes == 24_000), "{bytes:?}");
        }
    }
    eprintln!("{counts:?}");
    let fine =
        answers.iter().filter(|(text, status, bytes)| text == "fine." && *status == 200 && bytes.is_ok()).count();
    // Most are asked while it is begun again.
    assert!(fine > JOBS / 20, "{fine}: {counts:?}");
    let last = say_again(&server, "faulty", json!({"input": "fine."})).await;
    assert_eq!(last.status(), 200);
    let held = process(&server, "faulty").await["memory_bytes"].as_u64().unwrap();
    assert!((3_000_000..300_000_000).contains(&held), "{held}");
    assert_prompt("while programs fail", times);
    server.stop();
    worker.assert_gone();
}

#[tokio::test]
async fn a_command_of_the_configuration_needs_no_files() {
    let worker = Worker::example("echo");
    let script = worker.path().join("worker.py").display().to_string();
    let builder = || {
        let builder = Server::builder().env("PATH", "/usr/bin:/bin").env("MODEL_ID", "hum");
        let builder = builder.env("SCONCE_WORKERS__GUARD", env!("CARGO_BIN_EXE_sconce"));
        builder.env("SCONCE_MODELS__HUM__WORKER", &format!("python3 {script}"))
    };
    let server = builder().start();
    let (_, message) = refused(say(&server, "hum", json!({})).await).await;
    assert!(message.contains("nothing says what it does: worker_tasks"), "{message}");
    let server = builder().env("SCONCE_MODELS__HUM__WORKER_TASKS", "synthesize").start();
    let (_, message) = refused(say(&server, "hum", json!({})).await).await;
    let sha256 = message.rsplit("worker_sha256 = \"").next().unwrap().split('"').next().unwrap().to_owned();
    let server = builder()
        .env("SCONCE_MODELS__HUM__WORKER_TASKS", "synthesize")
        .env("SCONCE_MODELS__HUM__WORKER_SHA256", &sha256)
        .start();
    let answer = say(&server, "hum", json!({})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

/// A voice assistant: a program speaks, the small model hears it; and where the program fails, another voice does.
#[tokio::test]
async fn an_assistant_speaks_and_hears() {
    let worker = Worker::new("assistant.py", &[], &["synthesize"]);
    let said = "turn-on-the-kitchen-lights.wav";
    worker.put(said, &recording(said));
    let server = worker
        .of(Server::builder(), "recorded")
        .env("SCONCE_LOAD_MODE", "background")
        .env("MODEL_ID", "recorded")
        .start();
    server.until_status_of("recorded", "ready").await;
    let answer = say(&server, "recorded", json!({"input": "Turn on the kitchen lights."})).await;
    let sound = answer.bytes().await.unwrap().to_vec();
    let heard: Value = server.transcribe(sound, "whisper-nano.en", &[]).await.json().await.unwrap();
    assert_eq!(heard["text"], "turn on the kitchen lights");
    let (status, message) = refused(say(&server, "recorded", json!({"input": "Sing."})).await).await;
    assert!(status == 400 && message.contains("there is no recording"), "{message}");

    let Some(espeak) = espeak::program() else { return };
    let broken = Worker::new("assistant.py", &["broken"], &["synthesize"]);
    let builder = broken.of(Server::builder(), "recorded").env("SCONCE_SPEECH__ESPEAK_NG", espeak);
    let builder =
        builder.env("SCONCE_MODELS__RECORDED__FALLBACK", "espeak-ng").env("SCONCE_MODELS__RECORDED__PRELOAD", "true");
    let server = builder.env("SCONCE_LOAD_MODE", "startup").env("SCONCE_ON_PRELOAD_FAILURE", "lazy").start();
    server.until("/health", 200).await;
    let answer = say(&server, "recorded", json!({"input": "Turn on the kitchen lights.", "language": "en"})).await;
    assert_eq!(answer.headers()["x-sconce-fallback-for"], "recorded");
    let sound = answer.bytes().await.unwrap().to_vec();
    let heard: Value = server.transcribe(sound, "whisper-nano.en", &[]).await.json().await.unwrap();
    assert_eq!(heard["text"], "turn on the kitchen lights");
}
