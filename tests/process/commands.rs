//! The commands beside `serve`.

use std::process::Stdio;

use tempfile::TempDir;

use crate::{
    libraries::reason,
    program::{Program, outcome, sconce},
    support::{checkout, fixture, higgs, hub::Hub, publish_nano, sound},
};

const LIGHTS: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";

#[test]
fn transcribe_writes_each_format() {
    let cache = TempDir::new().unwrap();
    let run = |format: &str| {
        outcome(sconce(&cache).arg("transcribe").arg(checkout(LIGHTS)).args(["--format", format, "--words"]))
    };
    let (text, stderr, code) = run("text");
    assert_eq!((text.to_lowercase().trim(), code), ("turn on the kitchen lights", 0), "{stderr}");
    assert!(run("srt").0.starts_with("1\n00:00:0"));
    assert!(run("vtt").0.starts_with("WEBVTT\n"));
    let json: serde_json::Value = serde_json::from_str(&run("json").0).unwrap();
    assert_eq!((json["words"].as_array().unwrap().len(), json["language"].as_str()), (5, Some("en")));
}

#[test]
fn transcribe_tells_channels_apart() {
    let cache = TempDir::new().unwrap();
    let call = cache.path().join("call.wav");
    std::fs::write(&call, sound::call([(0.0, "turn-on-the-kitchen-lights.wav"), (6.2, "what-is-the-weather.mp3")]))
        .unwrap();
    let (text, stderr, code) = outcome(sconce(&cache).arg("transcribe").arg(&call).args(["--channels", "separate"]));
    let lines: Vec<_> = text.lines().map(str::to_lowercase).collect();
    assert_eq!((lines.len(), code), (2, 0), "{text} {stderr}");
    assert_eq!(lines[0], "[channel 0] turn on the kitchen lights");
    assert!(lines[1].starts_with("[channel 1] what is the weather"), "{text}");
}

#[test]
fn transcribe_takes_a_track_by_its_number() {
    let cache = TempDir::new().unwrap();
    let run = |track: &[&str]| outcome(sconce(&cache).arg("transcribe").arg(checkout(LIGHTS)).args(track));
    let (text, stderr, code) = run(&["--track", "0"]);
    assert_eq!((text.to_lowercase().trim(), code), ("turn on the kitchen lights", 0), "{stderr}");
    assert!(run(&["--track", "all"]).0.to_lowercase().starts_with("[track 0] turn on"));
    for (wrong, told) in [
        (&["--track", "1"][..], "no audio track 1; the file has one"),
        (&["--track", "left"], "a number from 0, all, mix or auto"),
        (&["--track", "all", "--channels", "separate"], "name it by its number"),
    ] {
        let (_, stderr, code) = run(wrong);
        assert!(code != 0 && stderr.contains(told), "{wrong:?}: {stderr}");
    }
}

#[test]
fn subtitles_of_several_recordings_lie_beside_them() {
    let (cache, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let files = ["one.wav", "two.wav"].map(|name| folder.path().join(name));
    for file in &files {
        std::fs::copy(checkout(LIGHTS), file).unwrap();
    }
    let run = |format: &str| outcome(sconce(&cache).arg("transcribe").args(&files).args(["--format", format]));
    for (format, beginning) in [("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")] {
        let (stdout, stderr, code) = run(format);
        assert_eq!((stdout.lines().count(), code), (2, 0), "{stderr}");
        for name in ["one", "two"] {
            let subtitles = std::fs::read_to_string(folder.path().join(name).with_extension(format)).unwrap();
            assert!(subtitles.starts_with(beginning) && subtitles.matches(" --> ").count() == 1, "{subtitles}");
            assert!(stdout.contains(&format!("{name}.{format}")), "{stdout}");
        }
    }
    let (_, stderr, code) =
        outcome(sconce(&cache).arg("transcribe").arg("-").args(&files).args(["--format", "srt"]).stdin(Stdio::null()));
    assert!(code != 0 && stderr.contains("by itself"), "{code} {stderr}");
}

#[test]
fn transcribe_goes_on_after_a_file_that_is_none() {
    let cache = TempDir::new().unwrap();
    let files = [checkout("no-such-file.wav"), checkout("Cargo.toml"), checkout(LIGHTS)];
    let (stdout, stderr, code) = outcome(sconce(&cache).arg("transcribe").args(files));
    assert_eq!(code, 1);
    assert_eq!(stdout.to_lowercase().trim(), "turn on the kitchen lights");
    assert!(stderr.contains("no-such-file.wav: cannot be read") && stderr.contains("Cargo.toml: "), "{stderr}");
    assert_eq!(stderr.matches("not audio in a known format").count(), 1, "told once: {stderr}");
}

#[test]
fn pull_fills_the_cache_and_verify_checks_it() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let cache = TempDir::new().unwrap();
    let run =
        |command: &str| outcome(sconce(&cache).env("HF_ENDPOINT", hub.url()).env("MODEL_ID", "acme/nano").arg(command));
    assert_eq!(run("verify").2, 1, "nothing is there yet");
    let (stdout, stderr, code) = run("pull");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("acme/nano") && stdout.contains(&hub.repo("acme/nano").commit()), "{stdout}");
    let (stdout, stderr, code) = run("verify");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("ok") && stdout.contains("model.safetensors"), "{stdout}");

    let sha256 = crate::support::hub::sha256(
        &std::fs::read(checkout("assets/models/whisper-nano.en/model.safetensors")).unwrap(),
    );
    let blob = cache.path().join("models--acme--nano/blobs").join(sha256);
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let (stdout, _, code) = run("verify");
    assert_eq!(code, 1);
    assert!(stdout.contains("damaged"), "{stdout}");
    let (stdout, stderr, code) = run("pull");
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (stdout, stderr, code) = run("verify");
    assert_eq!(code, 0, "what verify finds pull mends: {stdout}{stderr}");
}

#[test]
fn pull_asks_once_for_consent_to_a_licence_that_wants_it() {
    let hub = Hub::start();
    higgs::publish(&hub);
    let cache = TempDir::new().unwrap();
    let run = |arguments: &[&str]| outcome(sconce(&cache).env("HF_ENDPOINT", hub.url()).args(arguments));
    let (_, stderr, code) = run(&["pull", "higgs"]);
    assert_eq!(code, 4, "{stderr}");
    for part in
        ["the licence is boson-higgs-audio-2-community", "Llama 3", "--accept-licence", "store.accepted_licences"]
    {
        assert!(stderr.contains(part), "{part} is missing in {stderr}");
    }
    assert_eq!(hub.downloads("model.safetensors"), 0);
    let (stdout, stderr, code) = run(&["pull", "--accept-licence", "higgs"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(higgs::MODEL), "{stdout}");
    // Of another revision, too, for which nobody is asked again.
    hub.swap(higgs::MODEL, "tokenizer.json", std::fs::read(fixture("higgs/net/boson/tokenizer.json")).unwrap());
    let (_, stderr, code) = run(&["pull", "higgs"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_mistyped_model_is_wrong_usage_and_the_nearest_one_is_named_alone() {
    let cache = TempDir::new().unwrap();
    for arguments in [&["pull", "whisper-tinny"][..], &["verify", "whisper-tinny"], &["--model", "whisper-tinny"]] {
        let (_, stderr, code) = outcome(sconce(&cache).args(arguments).env("PORT", "0"));
        assert_eq!(code, 2, "{stderr}");
        let meant = stderr.contains("did you mean") && stderr.contains("openai/whisper-tiny");
        assert!(meant && !stderr.contains("whisper-large"), "{stderr}");
        assert_eq!(stderr.matches("did you mean").count(), 1, "{stderr}");
    }
}

#[test]
fn an_unreachable_hub_is_told_once_with_what_helps() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    let (_, stderr, code) = outcome(command.env("HF_ENDPOINT", "http://127.0.0.1:1").args(["pull", "acme/nano"]));
    assert_eq!((code, stderr.lines().count()), (5, 1), "{stderr}");
    for part in ["acme/nano", "cannot be reached", "HF_ENDPOINT", "HTTPS_PROXY", "--offline"] {
        assert!(stderr.contains(part), "{part} is missing in {stderr}");
    }
}

#[test]
fn a_repository_whose_name_is_almost_a_known_one_is_a_warning() {
    let cache = TempDir::new().unwrap();
    let mut program = Program::start(sconce(&cache).env("PORT", "0").env("MODEL_ID", "openai/wisper-small"));
    assert_eq!(program.heard[0]["message"], "starting");
    assert!(program.heard[0]["docs"].as_str().unwrap().ends_with("/docs"));
    let warning = program.line("no known model has this name; it is taken for a repository of the hub");
    assert_eq!((&warning["level"], &warning["nearest"]), (&"WARN".into(), &"openai/whisper-small".into()));
}

#[test]
fn models_lists_what_there_is() {
    let cache = TempDir::new().unwrap();
    let (stdout, _, code) = outcome(sconce(&cache).arg("models"));
    assert_eq!(code, 0);
    assert!(
        stdout.contains("sconce/whisper-nano.en *") && stdout.contains("openai/whisper-large-v3-turbo"),
        "{stdout}"
    );
    assert!(stdout.contains("inside the program") && stdout.contains("remote, 39 M parameters"), "{stdout}");
}

#[test]
fn models_tells_what_is_missing_once_below_the_table() {
    let cache = TempDir::new().unwrap();
    let (stdout, _, code) = outcome(sconce(&cache).arg("models").env("PATH", cache.path()));
    assert_eq!(code, 0);
    let (table, notes) = stdout.split_once("\n\n").unwrap();
    assert!(table.lines().all(|line| line.chars().count() < 140), "{table}");
    assert!(reason(&stdout, "alphacep/vosk-model-small-en-us-0.15").contains("pip install vosk"), "{stdout}");
    assert!(reason(&stdout, "rhasspy/en_US-ljspeech-medium").contains("pip install onnxruntime"), "{stdout}");
    assert_eq!(notes.matches("pip install onnxruntime").count(), 1, "{stdout}");
}

#[test]
fn a_reader_who_stops_early_is_no_fault() {
    let cache = TempDir::new().unwrap();
    for command in ["check-config", "models"] {
        let mut child = sconce(&cache).arg(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{command}: {output:?}");
    }
}

#[test]
fn check_config_says_where_each_value_came_from() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("HF_TOKEN", "hf_secret").env("PORT", "9000").args(["check-config", "--load-mode", "startup"]);
    let (stdout, _, code) = outcome(&mut command);
    assert_eq!(code, 0);
    let line =
        |name: &str| stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {stdout}"));
    assert!(line("server.port").contains("9000") && line("server.port").contains("PORT"));
    assert!(line("load_mode").contains("startup") && line("load_mode").contains("--load-mode"));
    assert!(line("store.token").contains("***"));
    assert!(!stdout.contains("hf_secret"));
    let (changed, _, _) = outcome(command.arg("--changed"));
    assert!(
        changed.lines().count() < 10 && changed.contains("server.port") && !changed.contains("  default"),
        "{changed}"
    );
}

#[test]
fn the_help_of_a_command_offers_what_it_obeys_and_names_variables() {
    let cache = TempDir::new().unwrap();
    let (transcribe, _, _) = outcome(sconce(&cache).args(["transcribe", "--help"]));
    assert!(!transcribe.contains("--port") && !transcribe.contains("--load-mode"), "{transcribe}");
    assert!(transcribe.contains("--offline") && transcribe.contains("MODEL_ID"), "{transcribe}");
    let (serve, _, _) = outcome(sconce(&cache).args(["serve", "--help"]));
    assert!(serve.contains("--port") && serve.contains("PORT)"), "{serve}");
    // A script may give every command the same flags.
    let (_, stderr, code) = outcome(sconce(&cache).args(["models", "--port", "9000"]));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn check_config_looks_the_models_up_as_a_start_would() {
    let cache = TempDir::new().unwrap();
    let (stdout, stderr, code) =
        outcome(sconce(&cache).env("SCONCE_DEFAULT_MODEL", "whisper-tinny").arg("check-config"));
    assert_eq!(code, 2);
    assert!(stdout.contains("whisper-tinny"), "{stdout}");
    assert!(stderr.contains("whisper-tinny") && stderr.contains("openai/whisper-tiny"), "{stderr}");
}

#[test]
fn healthcheck_follows_the_health_of_a_server() {
    let cache = TempDir::new().unwrap();
    // The default address is all of them.
    let anywhere = || {
        let mut command = sconce(&cache);
        command.env_remove("SCONCE_SERVER__HOST");
        command
    };
    let program = Program::start(anywhere().env("PORT", "0"));
    let port = program.address.rsplit(':').next().unwrap().to_owned();
    let starting = program.heard.iter().find(|line| line["message"] == "starting").unwrap();
    assert!(starting["url"].as_str().unwrap().starts_with("http://localhost:"), "{starting}");
    let check = || outcome(anywhere().env("PORT", &port).arg("healthcheck"));
    let (stdout, stderr, code) = check();
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("healthy"), "{stdout}");
    drop(program);
    let (_, stderr, code) = check();
    assert_eq!(code, 1);
    assert!(stderr.contains("no answer"), "{stderr}");
}
