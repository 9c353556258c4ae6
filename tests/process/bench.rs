//! `sconce bench`: what it measures by its shape, never by its figures.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    program::{Program, outcome, sconce},
    support::checkout,
};

const LIGHTS: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";
const BARE: &str = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";

/// `bench` with as little to do as there is.
fn bench(cache: &TempDir) -> Command {
    let mut command = sconce(cache);
    command.args(["bench", "--rounds", "2", "--seconds", "0.1", "--requests", "1"]);
    command
}

fn json(command: &mut Command) -> Value {
    let (stdout, stderr, code) = outcome(command.arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// What is told of a number of callers, each of whom is answered.
fn assert_level(level: &Value, callers: u64, answers: u64) {
    assert_eq!((level["callers"].as_u64(), level["answers"].as_u64()), (Some(callers), Some(answers)), "{level}");
    assert_eq!([&level["refused"], &level["late"], &level["failed"]], [0, 0, 0], "{level}");
    for times in ["seconds", "first_piece_seconds"] {
        let at = |name: &str| level[times][name].as_f64().unwrap();
        assert!(0.0 < at("p50") && at("p50") <= at("p95") && at("p95") <= at("p99"), "{times}: {level}");
    }
    for rate in ["sound_seconds_per_second", "answers_per_second", "real_time_factor"] {
        let at = |name: &str| level[rate][name].as_f64().unwrap();
        assert!(0.0 < at("lowest") && at("lowest") <= at("median") && at("median") <= at("highest"), "{rate}: {level}");
    }
    let [sound, factor] =
        ["sound_seconds_per_second", "real_time_factor"].map(|rate| level[rate]["lowest"].as_f64().unwrap());
    let highest = level["real_time_factor"]["highest"].as_f64().unwrap();
    assert!((sound * highest - 1.0).abs() < 1e-6 && factor <= highest, "{level}");
}

#[test]
fn a_model_that_hears_is_measured() {
    let cache = TempDir::new().unwrap();
    // A key is for servers elsewhere.
    let mut command = bench(&cache);
    command.env("SCONCE_KEY", "sk-secret");
    let report = json(command.args(["whisper-nano.en", "--callers", "1,3,1", "--sound-seconds", "2"]));
    assert!(!report.to_string().contains("sk-secret"), "{report}");
    assert_eq!(report["model"]["name"], "sconce/whisper-nano.en");
    assert_eq!(report["model"]["device"]["name"], "cpu");
    assert!(report["model"]["dtype"].is_string() && report["model"]["load_seconds"].is_f64(), "{report}");
    assert_eq!((&report["request"]["task"], &report["request"]["sound_seconds"]), (&"transcribe".into(), &2.0.into()));
    assert!(report["request"]["tokens"].as_f64().unwrap() >= 1.0, "{report}");
    assert_eq!(report["sconce"], env!("CARGO_PKG_VERSION"));
    assert!(report["date"].as_str().unwrap().ends_with('Z') && report.get("server").is_none());
    assert!(report["command"].as_str().unwrap().starts_with("sconce bench sconce/whisper-nano.en --task transcribe"));
    let machine = &report["machine"];
    assert!(machine["processors"].as_u64().unwrap() >= 1 && machine["instructions"].is_string(), "{machine}");
    let load = &report["load"];
    let phases = load["phases"].as_object().unwrap();
    let sum: f64 = phases.values().filter_map(Value::as_f64).sum();
    assert!((sum - load["seconds"].as_f64().unwrap()).abs() < 1e-6, "{load}");
    let first = &report["first_request"];
    assert!(first["first_piece_seconds"].as_f64().unwrap() <= first["seconds"].as_f64().unwrap(), "{first}");
    let levels = report["levels"].as_array().unwrap();
    assert_eq!(levels.len(), 2, "a number that is named twice is tried once");
    assert_level(&levels[0], 1, 2);
    assert_level(&levels[1], 3, 6);
    let memory = &report["memory"];
    let [before, loaded, peak] =
        ["before_bytes", "loaded_bytes", "peak_bytes"].map(|name| memory[name].as_f64().unwrap());
    assert!(0.0 < before && before <= peak && loaded <= peak, "{memory}");
}

#[test]
fn a_voice_is_measured_and_shown_as_a_table() {
    let cache = TempDir::new().unwrap();
    let (stdout, stderr, code) =
        outcome(bench(&cache).args(["lark.en", "--text", "Good morning.", "--field", "speed=1.5", "--callers", "1,2"]));
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with(concat!("sconce ", env!("CARGO_PKG_VERSION"), ", 20")), "{stdout}");
    assert!(lines[1].contains("bench sconce/lark.en --task synthesize --field speed=1.5 --callers 1,2"), "{stdout}");
    assert!(stdout.contains("each request speaks a text of 13 characters; rounds: 2, of 0.1 s"), "{stdout}");
    assert!(
        stdout.contains("\nload ") && stdout.contains("\nfirst request ") && stdout.contains("its first sound after")
    );
    assert!(stdout.contains("\nmemory: before ") && stdout.contains(", peak "), "{stdout}");
    let head = lines.iter().position(|line| line.trim_start().starts_with("callers")).unwrap();
    for title in ["answers", "p50", "p95", "p99", "first p50", "sound s/s", "RT factor", "CPU s/sound s"] {
        assert!(lines[head].contains(title), "{stdout}");
    }
    assert!(!lines[head].contains("tokens"), "a voice does not tell them: {stdout}");
    for (line, counts) in lines[head + 1..].iter().zip([["1", "2", "0"], ["2", "4", "0"]]) {
        assert_eq!(line.split_whitespace().take(3).collect::<Vec<_>>(), counts, "{stdout}");
    }
    assert!(stderr.contains("round 2 of 2: callers 2, answers 2"), "{stderr}");
}

#[test]
fn a_shape_is_measured_without_its_weights() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    // A hub that is not there is not asked.
    command.env("HF_ENDPOINT", "http://127.0.0.1:1").args(["bench", "whisper-tiny", "--random-weights"]);
    command.args(["--callers", "1", "--rounds", "1", "--requests", "1"]);
    // The encoder sees no more than there is.
    let report = json(command.args(["--sound-seconds", "1", "--field", "audio_ctx=50"]));
    assert_eq!(report["model"]["name"], "openai/whisper-tiny");
    assert_eq!(report["random_weights_seed"], 1);
    assert!(report["request"]["tokens"].as_f64().unwrap() > 1.0, "{report}");
    assert_level(&report["levels"][0], 1, 1);

    let fails = |arguments: &[&str]| outcome(bench(&cache).args(arguments).arg("--random-weights"));
    let (_, stderr, code) = fails(&["lark.en"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("sconce/lark.en") && stderr.contains("openai/whisper-large-v3-turbo"), "{stderr}");
    let (_, stderr, code) = fails(&["whisper-tiny", "--sound-seconds", "31"]);
    assert!(code == 2 && stderr.contains("30 at most would be right"), "{stderr}");
}

#[test]
fn a_server_that_runs_is_measured_and_keeps_its_model() {
    let cache = TempDir::new().unwrap();
    let program = Program::start(sconce(&cache).env("PORT", "0").args(["--model", "whisper-nano.en"]));
    let url = program.url("");
    let measure = || {
        let mut command = bench(&cache);
        command.args(["--server", &url, "--callers", "2"]).arg("--file").arg(checkout(LIGHTS));
        json(&mut command)
    };
    let first = measure();
    assert_eq!(first["server"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(first.get("machine").is_none() && first["load"]["seconds"].as_f64().unwrap() > 0.0, "{first}");
    assert_level(&first["levels"][0], 2, 4);
    assert!(first["memory"]["loaded_bytes"].as_f64().unwrap() > 0.0, "{first}");
    let second = measure();
    assert!(second.get("load").is_none(), "it was in memory already: {second}");

    let (_, stderr, code) = outcome(bench(&cache).args(["whisper-nanno", "--server", &url]));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("did you mean \"sconce/whisper-nano.en\"?"), "{stderr}");
    let (_, stderr, code) = outcome(bench(&cache).args(["--server", &program.url("/nowhere")]));
    assert!(code == 1 && stderr.contains("no Sconce") && stderr.contains("--task"), "{stderr}");
}

/// A server that speaks OpenAI's API and nothing else: whoever asks it for speech is answered with `answers` in turn, then
/// with sound.
fn peer(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut answers = answers.iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let answer = match read(&mut stream) {
                Some(request) if request.starts_with("POST /v1/audio/speech ") => {
                    answers.next().map_or_else(sound, |answer| answer.as_bytes().to_vec())
                }
                Some(_) => BARE.as_bytes().to_vec(),
                None => continue,
            };
            let _ = stream.write_all(&answer);
        }
    });
    url
}

/// The first line of a request, of which everything is read; each connection has one.
fn read(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(head)
}

/// A second of it.
fn sound() -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\nconnection: close\r\ncontent-length: 48000\r\n\r\n";
    [head.as_bytes(), &[0; 48_000]].concat()
}

#[test]
fn a_server_of_another_kind_is_measured_and_its_refusals_are_counted() {
    let cache = TempDir::new().unwrap();
    const SOUND: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nabcd";
    let url = peer(&[SOUND, BUSY, BUSY]);
    let mut command = sconce(&cache);
    command.args(["bench", "their-voice", "--task", "synthesize", "--callers", "1", "--rounds", "1", "--json"]);
    command.args(["--seconds", "60", "--requests", "3", "--server", &url]);
    let (stdout, stderr, code) = outcome(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["server"]["url"], report["server"].get("version")), (&url.as_str().into(), None));
    assert_eq!(report["model"], serde_json::json!({"name": "their-voice"}));
    let level = &report["levels"][0];
    assert_eq!([&level["answers"], &level["refused"], &level["failed"]], [1, 2, 0], "{level}");
    assert!(report["memory"]["peak_bytes"].is_null(), "{report}");

    // Nothing but refusals is no measurement.
    let url = peer(&[SOUND, BUSY, BUSY]);
    let (stdout, stderr, code) =
        outcome(bench(&cache).args(["x", "--task", "synthesize", "--callers", "1", "--server", &url]));
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("2 refused") && stdout.contains('–'), "{stdout}");
}

#[test]
fn what_cannot_be_measured_is_told() {
    let (cache, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let noise = folder.path().join("noise.wav");
    std::fs::write(&noise, "no sound at all").unwrap();
    let noise = noise.to_str().unwrap();
    for (arguments, code, said) in [
        (&["whisper-tinny"][..], 2, "openai/whisper-tiny"),
        (&["--callers", "0"], 2, "1 to 1024 would be right"),
        (&["--callers", "4,100000"], 2, "1 to 1024 would be right"),
        (&["--callers", "many"], 2, "1 to 1024 would be right"),
        (&["--callers", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"], 2, "16 at most would be right"),
        (&["--seconds", "0"], 2, "0.1 to 3600 would be right"),
        (&["--rounds", "0"], 2, "1..=100"),
        (&["--field", "language"], 2, "a name, =, and a value"),
        (&["--task", "sing"], 2, "transcribe, synthesize or convert would be right"),
        (&["whisper-nano.en", "--task", "synthesize"], 2, "sconce/whisper-nano.en does transcribe"),
        (&["--random-weights", "--server", "http://127.0.0.1:1"], 2, "cannot be used with"),
        (&["whisper-nano.en", "--file", "no-such.wav"], 1, "no-such.wav cannot be read"),
        (&["whisper-nano.en", "--file", noise], 1, "not audio in a known format"),
        (&["whisper-nano.en", "--field", "langauge=en"], 1, "langauge"),
        (&["--server", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1 does not answer"),
    ] {
        let (stdout, stderr, ended) = outcome(sconce(&cache).arg("bench").args(arguments));
        assert_eq!(ended, code, "{arguments:?}: {stderr}");
        assert!(stderr.contains(said) && stdout.is_empty(), "{arguments:?}: {stderr}{stdout}");
    }
}
