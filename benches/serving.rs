//! What serving costs, measured from outside: the start, the way from exec to the first text, the first request over the
//! second, a request by each protocol over the bare computation, and health while every core is busy. `make bench` runs
//! it; each line says how often it was measured.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "support/program.rs"]
mod program;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::future::join_all;
use sconce::{
    app::App,
    config::{self, Sources},
    service::{Call, Recording, Served, TranscribeRequest},
    speech::TranscribeOptions,
};

use self::program::{Program, report};

const RECORDING: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";
const STARTS: usize = 20;
const REQUESTS: usize = 40;
const EMPTY_REQUESTS: usize = 400;
const PROBES: usize = 400;

fn main() {
    // `cargo test --benches` passes this: then two rounds of each are enough to see that it works.
    let quick = std::env::args().any(|argument| argument == "--test");
    let times = |full: usize| if quick { 2 } else { full };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        report("exec to 200 on /health, on_demand", &mut starts(times(STARTS)).await);
        report("exec to the text of a recording of 2.7 s, on_demand", &mut first_texts(times(STARTS)).await);
        for warm_up in [false, true] {
            first_and_second(warm_up, times(STARTS)).await;
        }
        let wav = wav();
        overhead("2.7 s", &wav, times(REQUESTS)).await;
        overhead("nothing", &nothing_heard(wav.len()), times(EMPTY_REQUESTS)).await;
        health_under_load(times(PROBES)).await;
    });
}

/// The body of a success, or that there was none.
async fn answer(request: reqwest::RequestBuilder) -> Option<bytes::Bytes> {
    let answer = request.send().await.expect("an answer");
    if answer.status() == 200 { Some(answer.bytes().await.expect("a body")) } else { None }
}

fn wav() -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(RECORDING)).expect("a recording")
}

async fn starts(count: usize) -> Vec<Duration> {
    let mut durations = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        Program::exec(&[]).healthy().await;
        durations.push(start.elapsed());
    }
    durations
}

async fn first_texts(count: usize) -> Vec<Duration> {
    let (wav, mut durations) = (wav(), Vec::new());
    for _ in 0..count {
        let start = Instant::now();
        let server = Program::exec(&[]);
        server.healthy().await;
        server.predict(&wav).await;
        durations.push(start.elapsed());
    }
    durations
}

/// The first two requests after the model is ready, which a first inference of its own is to make equal.
async fn first_and_second(warm_up: bool, count: usize) {
    let (wav, warm) = (wav(), warm_up.to_string());
    let variables = [
        ("LOAD_MODE", "startup"),
        ("MODEL_ID", "whisper-nano.en"),
        ("SCONCE_MODELS__WHISPER_NANO_EN__WARM_UP", warm.as_str()),
    ];
    let (mut firsts, mut seconds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let server = Program::exec(&variables);
        server.healthy().await;
        for durations in [&mut firsts, &mut seconds] {
            let start = Instant::now();
            server.predict(&wav).await;
            durations.push(start.elapsed());
        }
        ratios.push(firsts[firsts.len() - 1].as_secs_f64() / seconds[seconds.len() - 1].as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    report(&format!("the first request, warm_up = {warm_up}"), &mut firsts);
    report("    the second", &mut seconds);
    println!("{:58} median {:8.2}", "    the first over the second of the same server", ratios[ratios.len() / 2]);
}

/// A way in: its name, and the request with a recording.
type Protocol = (&'static str, fn(&Program, &[u8]) -> reqwest::RequestBuilder);

const PROTOCOLS: [Protocol; 4] = [
    ("/predict, the recording as it is", |server, wav| {
        server.post("/predict").header("content-type", "audio/wav").body(wav.to_vec())
    }),
    ("/predict, the envelope with base64", |server, wav| {
        let audio = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, wav);
        server.post("/predict").json(&serde_json::json!({"instances": [{"audio": audio}]}))
    }),
    ("/v1/audio/transcriptions, a form", |server, wav| {
        let part = reqwest::multipart::Part::bytes(wav.to_vec()).file_name("recording.wav");
        let form = reqwest::multipart::Form::new().text("model", "whisper-nano.en").part("file", part);
        server.post("/v1/audio/transcriptions").multipart(form)
    }),
    ("/v2/…/infer, a raw body", |server, wav| {
        let request = server.post("/v2/models/whisper-nano.en/infer").header("inference-header-content-length", "0");
        request.header("content-type", "application/octet-stream").body(wav.to_vec())
    }),
];

/// The same recording by every protocol and straight to the service, in turn, so that a noisy machine is noisy to all.
async fn overhead(what: &str, body: &[u8], count: usize) {
    let server = Program::exec(&[]);
    server.healthy().await;
    let config = config::load(&Sources::default()).expect("the defaults are right").config;
    let app = App::build(config).expect("the defaults are right");
    let mut protocols = Vec::new();
    for (name, request) in PROTOCOLS {
        // A build may lack one of them.
        match answer(request(&server, body)).await {
            Some(_) => protocols.push((name, request, Vec::new())),
            None => println!("{what}: {name} is not served by this build"),
        }
    }
    compute(&app, body).await;
    let mut bare = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        compute(&app, body).await;
        bare.push(start.elapsed());
        for (_, request, durations) in &mut protocols {
            let start = Instant::now();
            answer(request(&server, body)).await.expect("it was served before");
            durations.push(start.elapsed());
        }
    }
    for (name, _, durations) in &mut protocols {
        let mut over: Vec<f64> = durations.iter().zip(&bare).map(|(one, bare)| millis(*one) - millis(*bare)).collect();
        over.sort_by(f64::total_cmp);
        report(&format!("{what}: {name}"), durations);
        println!("{:58} median {:+8.2} ms, in the same round", "    over the bare service", over[over.len() / 2]);
    }
    report(&format!("{what}: the bare service"), &mut bare);
    app.stop().await;
}

/// A file as large as the recording, in which the model hears nothing: 50 ms of silence after what no decoder reads. All
/// that is left of a request is what the protocol, the decoder and the queue cost.
fn nothing_heard(bytes: usize) -> Vec<u8> {
    let silence = sconce::audio::encode_wav(&sconce::audio::Pcm::new(vec![0.0; 800], 16_000));
    let (header, data) = silence.split_at(36); // up to the samples' own chunk
    let padding = (bytes - silence.len() - 8) / 2 * 2;
    let mut file = header.to_vec();
    file.extend(b"JUNK");
    file.extend((padding as u32).to_le_bytes());
    file.extend(vec![0; padding]);
    file.extend(data);
    let size = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

async fn compute(app: &App, wav: &[u8]) {
    let wait = Some(Duration::from_secs(60));
    let served = Served::default();
    let call = Call {
        id: String::new(),
        protocol: "bench",
        model: None,
        wait,
        time_limit: None,
        deadline: None,
        served,
        keep_alive: None,
        allowance: None,
    };
    let listen = TranscribeRequest {
        audio: Recording { bytes: wav.to_vec().into(), hint: None }.into(),
        options: TranscribeOptions::default(),
        voice_activity: None,
        known_speakers: Vec::new(),
    };
    app.service().transcribe(call, listen).await.expect("it starts").whole().await.expect("it ends");
}

/// Twice as many callers as cores keep the model busy while one asks for the health.
async fn health_under_load(probes: usize) {
    let (wav, server) = (wav(), Program::exec(&[]));
    server.healthy().await;
    server.predict(&wav).await;
    let callers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let busy = join_all((0..callers).map(|_| async {
        loop {
            server.predict(&wav).await;
        }
    }));
    let probing = async {
        let mut durations = Vec::new();
        for _ in 0..probes {
            let start = Instant::now();
            let answer = server.client.get(server.url("/health")).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            durations.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        durations
    };
    tokio::select! {
        _ = busy => {}
        mut durations = probing => report("/health while every core transcribes", &mut durations),
    }
}
