//! From the hub: consent, room, and a worker with two models.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::FRAMES;
use crate::support::{
    Server, chatterbox, checkout,
    higgs::{self, LICENCE},
    hub::Hub,
    native::{ask, content},
    recording,
};

const CHATTERBOX: &str = "ResembleAI/chatterbox";

fn spoken(model: &str) -> Value {
    json!({"model": model, "text": "Good morning to you.", "seed": 3, "options": {"max_new_tokens": FRAMES}})
}

async fn status(server: &Server, model: &str) -> Value {
    server.get_json("/models/status").await["models"][model].clone()
}

#[tokio::test]
async fn nothing_is_fetched_before_somebody_agrees_to_the_licence() {
    let hub = Hub::start();
    higgs::publish(&hub);
    let server = Server::builder().hub(&hub).env("LOAD_MODE", "on_demand").env("MODEL_ID", higgs::MODEL).start();
    let (code, answer) = ask(&server, &spoken("higgs")).await;
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(code >= 400 && message.contains(LICENCE) && message.contains("--accept-licence"), "{code} {answer}");
    assert!(message.contains("store.accepted_licences") && message.contains("100 000 users"), "{message}");
    assert_eq!(hub.downloads("model.safetensors"), 0);
    let told = status(&server, higgs::MODEL).await;
    assert_eq!(told["licence"], LICENCE);
    assert!(told["licence_notice"].as_str().unwrap().contains("Llama 3"), "{told}");
}

#[tokio::test]
async fn once_it_is_agreed_to_the_model_comes_under_all_of_its_names() {
    let hub = Hub::start();
    higgs::publish(&hub);
    let builder = Server::builder().hub(&hub).env("LOAD_MODE", "on_demand").env("MODEL_ID", higgs::MODEL);
    let server = builder.env("SCONCE_STORE__ACCEPTED_LICENCES", LICENCE).start();
    for name in ["higgs", "higgs-audio-v2", "higgs-tts-2-3b-base", "higgs-audio-v2-generation-3B-base", higgs::MODEL] {
        let (code, answer) = ask(&server, &spoken(name)).await;
        assert_eq!((code, &answer["model"]), (200, &json!(higgs::MODEL)), "{name}: {answer}");
    }
    assert_eq!(hub.downloads("model.safetensors"), 2, "a model and its codec");
}

#[tokio::test]
async fn a_device_that_is_too_small_is_told_before_anything_comes() {
    let hub = Hub::start();
    higgs::publish(&hub);
    let builder = Server::builder().hub(&hub).env("LOAD_MODE", "on_demand").env("MODEL_ID", higgs::MODEL);
    let builder = builder.env("SCONCE_STORE__ACCEPTED_LICENCES", LICENCE);
    let server = builder.env("SCONCE_MEMORY__BUDGET", "1MB").start();
    let (code, answer) = ask(&server, &spoken("higgs")).await;
    assert_eq!(code, StatusCode::INSUFFICIENT_STORAGE.as_u16(), "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("needs") && message.contains("1000000"), "{message}");
    assert_eq!(hub.downloads("model.safetensors"), 0);
}

/// The settings of the endpoint, on a volume that is here.
fn endpoint(volume: &TempDir) -> Vec<(String, String)> {
    let text = fs::read_to_string(checkout("deploy/runpod/chatterbox-higgs.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().replace("/runpod-volume", volume.path().to_str().unwrap());
    let pairs = endpoint["variables"]["input"]["template"]["env"].as_array().unwrap().iter();
    let pairs = pairs.map(|pair| (text(&pair["key"]), text(&pair["value"])));
    let elsewhere = ["PORT", "PORT_HEALTH", "SCONCE_RUNTIME__REQUIRE_GPU"];
    pairs.filter(|(name, _)| !elsewhere.contains(&name.as_str())).collect()
}

fn publish_chatterbox(hub: &Hub) {
    let english = chatterbox::english();
    for entry in fs::read_dir(english.path()).unwrap().map(Result::unwrap) {
        hub.repo(CHATTERBOX).lfs(entry.file_name().to_str().unwrap(), fs::read(entry.path()).unwrap());
    }
}

#[tokio::test]
async fn fifty_jobs_of_two_models_in_one_worker_cost_two_loads_and_no_fetch() {
    let (hub, volume) = (Hub::start(), TempDir::new().unwrap());
    higgs::publish(&hub);
    publish_chatterbox(&hub);
    let worker = || {
        let settings = endpoint(&volume);
        settings.iter().fold(Server::builder().hub(&hub), |builder, (name, value)| builder.env(name, value)).start()
    };
    let first = worker();
    first.until("/health", 200).await;
    for (folder, file) in [("chatterbox", "t3_cfg.safetensors"), ("higgs", "tokenizer.json")] {
        assert_eq!(hub.downloads(file), 1, "{file}");
        assert!(fs::read_dir(volume.path().join(folder)).unwrap().count() > 0, "{folder} is a folder of its own");
    }
    drop(first);
    // A second worker finds all of it there.
    let fetched = hub.sent();
    let server = worker();
    server.until("/health", 200).await;
    let loads = || server.metric("sconce_model_load_seconds_count", &[("phase", "load")]);
    assert_eq!(loads().await, 2.0);
    let tts = |model: &str, options: Value| json!({"model_type": model, "task": "tts", "text": "Good morning to you.", "seed": 1, "options": options});
    let jobs = [
        tts("higgs", json!({"max_new_tokens": FRAMES})),
        tts("chatterbox", json!({"max_new_tokens": 25, "steps": 1})),
        json!({"model_type": "chatterbox", "task": "vc", "audio": content(&recording(super::SPEAKER)), "voice": "chatterbox",
            "seed": 1, "options": {"steps": 1}}),
    ];
    for at in 0..50 {
        let job = json!({"id": format!("job-{at}"), "input": jobs[at % jobs.len()]});
        let (code, answer) = ask(&server, &job).await;
        assert_eq!((code, &answer["id"]), (200, &job["id"]), "{answer}");
        assert!(answer["output"]["audio"]["duration"].as_f64().unwrap() > 0.3, "{answer}");
    }
    assert_eq!(loads().await, 2.0, "a job costs no load");
    assert_eq!(hub.sent(), fetched, "nothing is fetched twice");
    for model in [CHATTERBOX, higgs::MODEL] {
        assert_eq!(status(&server, model).await["status"], "ready", "{model}");
    }
}
