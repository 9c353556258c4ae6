//! How the program starts, or says why it does not.

use tempfile::TempDir;

use crate::program::{Program, outcome, sconce};

#[test]
fn a_second_server_on_the_same_port_says_so() {
    let cache = TempDir::new().unwrap();
    let first = Program::start(sconce(&cache).env("PORT", "0"));
    let port = first.address.rsplit(':').next().unwrap();
    let (_, stderr, code) = outcome(sconce(&cache).env("PORT", port));
    assert_eq!(code, 1);
    assert!(stderr.contains(&format!("cannot listen on 127.0.0.1:{port}: another program listens there")), "{stderr}");
}

#[test]
fn every_fault_of_the_configuration_is_reported_at_once() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command
        .env("PORT", "eighty")
        .env("LOAD_MODE", "sometimes")
        .env("SCONCE_SERVER__WORKER", "3")
        .env("HF_TOKEN", "hf_secret");
    let (_, stderr, code) = outcome(&mut command);
    assert_eq!(code, 2);
    for part in
        ["PORT", "eighty", "LOAD_MODE", "sometimes", "on_demand", "SCONCE_SERVER__WORKER", "SCONCE_SERVER__WORKERS"]
    {
        assert!(stderr.contains(part), "{part} is missing in:\n{stderr}");
    }
    assert!(!stderr.contains("hf_secret"), "{stderr}");
}

#[tokio::test]
async fn an_unwritable_cache_is_named_in_the_answer_and_nothing_crashes() {
    use crate::support::{hub::Hub, publish_nano, recording, server::form};
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let cache = TempDir::new().unwrap();
    let file = cache.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("HF_HUB_CACHE", &file).env("HF_ENDPOINT", hub.url()).env("MODEL_ID", "acme/nano");
    let mut program = Program::start(&mut command);
    let (client, url) =
        (reqwest::Client::builder().no_proxy().build().unwrap(), program.url("/v1/audio/transcriptions"));
    // Who does not wait is told how it is: first that the model is fetched, and once that failed why.
    let ask = async || {
        let form = form(recording("turn-on-the-kitchen-lights.wav"), "acme/nano", &[("wait", "0")]);
        let answer = client.post(&url).multipart(form).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(ask().await.0, 503);
    while !program.line("failed")["reason"].as_str().unwrap().contains("cache") {}
    let mut told = Vec::new();
    // It is tried again in between.
    while !told.last().is_some_and(|(_, text): &(_, String)| text.contains("cache")) {
        told.push(ask().await);
        assert!(told.len() < 50 && told.iter().all(|(status, _)| *status == 503), "{told:?}");
    }
    assert_eq!(client.get(program.url("/health")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_preload_that_fails_ends_the_process_if_that_is_wanted() {
    let hub = crate::support::hub::Hub::start();
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", "acme/missing").env("LOAD_MODE", "startup");
    let mut program = Program::start(command.env("SCONCE_ON_PRELOAD_FAILURE", "exit"));
    assert_eq!(program.ended().code(), Some(1));
}

#[test]
#[cfg(not(any(feature = "cuda", feature = "metal")))]
fn the_device_is_said_at_the_start_and_one_that_is_required_and_missing_is_the_end() {
    let cache = TempDir::new().unwrap();
    let program = Program::start(sconce(&cache).env("PORT", "0"));
    assert_eq!(program.heard.last().unwrap()["devices"], "cpu");
    // What is served and on what comes before jobs and keys.
    let place = |message: &str| program.heard.iter().position(|line| line["message"] == message);
    let models = place("models to serve").unwrap();
    assert_eq!(
        (&program.heard[models]["models"], &program.heard[models]["devices"]),
        (&"sconce/whisper-nano.en".into(), &"cpu".into())
    );
    let jobs = place("jobs are kept in memory and end with this process; jobs.dir would keep them").unwrap();
    assert!(place("starting") == Some(0) && models < jobs, "{:?}", program.heard);
    let (_, stderr, code) = outcome(sconce(&cache).env("PORT", "0").env("SCONCE_RUNTIME__REQUIRE_GPU", "true"));
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("require_gpu = true, and there is no accelerator"), "{stderr}");
}

/// What a voice assistant expects of the models that it wants to have at once, and how it follows that in the log.
#[tokio::test]
async fn a_warm_up_that_fails_is_a_warning_and_the_first_request_tries_again() {
    use crate::support::{checkout, server::form, sound, whisper};
    let cache = TempDir::new().unwrap();
    let folder = cache.path().join("voice");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json"] {
        std::fs::copy(checkout("assets/models/whisper-nano.en").join(file), folder.join(file)).unwrap();
    }
    let good = std::fs::read(checkout("assets/models/whisper-nano.en/model.safetensors")).unwrap();
    std::fs::write(folder.join("model.safetensors"), whisper::spoiled(good.clone())).unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("LOAD_MODE", "background").env("SCONCE_ON_PRELOAD_FAILURE", "lazy");
    command.env("SCONCE_MODELS__VOICE__SOURCE", format!("file:{}", folder.display()));
    let mut program = Program::start(command.env("SCONCE_MODELS__VOICE__PRELOAD", "true"));
    // The first steps may come before it listens.
    let mut said = |message: &str| {
        let heard = program.heard.iter().find(|line| line["message"] == message).cloned();
        heard.unwrap_or_else(|| program.line(message))
    };
    assert_eq!(said("looking for its files")["cause"], "preload");
    assert!(said("its files are here")["bytes"].as_u64().unwrap() > good.len() as u64);
    assert_eq!(said("loading")["model"], "voice");
    assert!(said("the first inference failed")["error"].as_str().unwrap().contains("no numbers"));
    let warning = said("not loaded at start: left to the first request");
    assert_eq!((&warning["level"], &warning["model"]), (&"WARN".into(), &"voice".into()));
    assert!(warning["reason"].as_str().unwrap().contains("first inference"), "{warning}");

    // Beside it first: nobody may read half of it.
    std::fs::write(folder.join("new"), good).unwrap();
    std::fs::rename(folder.join("new"), folder.join("model.safetensors")).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = || {
        let form = form(sound::silence(0.2), "voice", &[]);
        client.post(program.url("/v1/audio/transcriptions")).multipart(form).send()
    };
    let mut answer = ask().await.unwrap();
    while answer.status() == 503 {
        assert_eq!(answer.headers()["retry-after"], "1", "it is told when that is");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = ask().await.unwrap();
    }
    assert_eq!(answer.status(), 200);
    assert_eq!(program.line("looking for its files")["cause"], "retry");
    for step in ["loaded", "warm", "ready"] {
        assert!(program.line(step)["seconds"].is_number(), "{step}");
    }
}
