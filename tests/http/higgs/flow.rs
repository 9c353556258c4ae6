//! From the hub: consent, names and room.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::FRAMES;
use crate::support::{
    Server,
    higgs::{self, LICENCE},
    hub::Hub,
    native::ask,
};

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
