//! Several models in the memory of one.

use serde_json::{Value, json};

use crate::support::{Server, hub::Hub, publish_nano, recording};

const WAV: &str = "turn-on-the-kitchen-lights.wav";

#[tokio::test]
async fn a_request_for_another_model_switches() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/one");
    publish_nano(&hub, "acme/two");
    let builder = Server::builder().hub(&hub).env("MODEL_ID", "acme/one,acme/two");
    let server = builder.env("SCONCE_MEMORY__MAX_RESIDENT", "1").start();
    for (model, other) in [("acme/one", "acme/two"), ("acme/two", "acme/one"), ("acme/one", "acme/two")] {
        assert_eq!(server.transcribe(recording(WAV), model, &[]).await.status(), 200, "{model}");
        let status = server.get_json("/models/status").await;
        assert_eq!(status["models"][model]["status"], "ready");
        assert_eq!(status["models"][other]["status"], "not_loaded");
    }
    assert_eq!(server.metric("sconce_model_switches_total", &[]).await, 2.0);
    assert_eq!(hub.downloads("model.safetensors"), 2, "a switch is no reason to download again");
}

#[tokio::test]
async fn what_can_never_fit_is_refused_with_need_and_budget() {
    let server = Server::builder().env("SCONCE_MEMORY__BUDGET", "1MB").start();
    let answer = server.transcribe(recording(WAV), "whisper-nano.en", &[]).await;
    assert_eq!(answer.status(), 507);
    let body: Value = answer.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("1000000"), "{body}");
    assert_eq!(body["error"]["code"], json!("model_wont_fit"));
}
