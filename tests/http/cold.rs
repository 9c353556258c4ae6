//! A model that is not there yet.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, hub::Hub, publish_nano, recording},
};

const MODEL: &str = "acme/nano";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const FILES: [&str; 5] =
    ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"];

fn hub() -> Hub {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    hub
}

fn on_demand(hub: &Hub) -> ServerBuilder {
    Server::builder().hub(hub).env("LOAD_MODE", "on_demand").env("MODEL_ID", MODEL)
}

#[tokio::test]
async fn a_hundred_first_requests_are_all_answered_and_cause_one_download_and_one_load() {
    let hub = hub();
    let server = on_demand(&hub).start();
    let body = server.get_json("/health").await;
    assert_eq!((&body["status"], &body["models"]["status"]), (&json!("healthy"), &json!("not_loaded")));
    let one = || async {
        let answer = server.transcribe(recording(WAV), MODEL, &[]).await;
        assert_eq!(answer.status(), 200);
        words(answer.json::<Value>().await.unwrap()["text"].as_str().unwrap())
    };
    for heard in join_all((0..100).map(|_| one())).await {
        assert_eq!(heard, ["turn", "on", "the", "kitchen", "lights"]);
    }
    for file in FILES {
        assert_eq!(hub.downloads(file), 1, "{file}");
    }
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
    assert_eq!(server.metric("sconce_requests_total", &[("outcome", "ok"), ("model", MODEL)]).await, 100.0);
}

#[tokio::test]
async fn a_download_beforehand_leaves_nothing_to_wait_for() {
    let hub = hub();
    let server = on_demand(&hub).start();
    let answer = server.post_json("/download-models", &json!({"models": [MODEL]})).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["status"], &body["models"][MODEL]["status"]), (&json!("success"), &json!("ready")));
    let requests = hub.requests();
    let answer = server.transcribe(recording(WAV), MODEL, &[("wait", "0")]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(hub.requests(), requests, "the request went to the hub again");
}

#[tokio::test]
async fn a_download_that_is_not_waited_for_is_accepted() {
    let hub = hub();
    hub.stall();
    let server = on_demand(&hub).start();
    let answer = server.post_json("/download-models", &json!({"wait": false})).await;
    assert_eq!(answer.status(), 202);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "accepted");
    hub.release();
    server.until_status_of(MODEL, "ready").await;
}

#[tokio::test]
async fn a_download_shows_its_phase_and_where_the_files_came_from() {
    let hub = hub();
    hub.stall_large();
    let server = on_demand(&hub).start();
    server.post_json("/download-models", &json!({"wait": false, "load": false})).await;
    let model = || async { server.get_json("/models/status").await["models"][MODEL].clone() };
    while model().await["progress"]["phase"] != "downloading" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hub.release();
    while model().await["fetched"] != true {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let part = &model().await["parts"]["model"];
    let (commit, source) = (hub.repo(MODEL).commit(), format!("hf://{MODEL}@main"));
    assert_eq!(*part, json!({"source": source, "commit": commit, "from": "network"}));
}

#[tokio::test]
async fn files_alone_can_be_fetched() {
    let hub = hub();
    let server = on_demand(&hub).start();
    let answer: Value = server.post_json("/download-models", &json!({"load": false})).await.json().await.unwrap();
    assert_eq!(answer["models"][MODEL]["fetched"], true, "{answer}");
    assert_ne!(answer["models"][MODEL]["status"], "ready");
}

#[tokio::test]
async fn who_does_not_wait_is_told_when_to_come_back() {
    let hub = hub();
    hub.stall();
    let server = on_demand(&hub).start();
    let start = Instant::now();
    for fields in [&[("wait", "0")][..], &[("wait", "0.2")]] {
        let answer = server.transcribe(recording(WAV), MODEL, fields).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(answer.headers()["retry-after-ms"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(!answer.headers().contains_key("x-should-retry"));
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "model_loading");
        assert!(body["error"]["message"].as_str().unwrap().contains("/models/status"), "{body}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "the callers waited for the stalled hub");
    hub.release();
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_hub_that_fails_is_reported_and_recovered_from() {
    let hub = hub();
    hub.fail_next(usize::MAX, 500, None);
    let server = on_demand(&hub).env("SCONCE_STORE__ATTEMPTS", "1").start();
    let hurry = [("wait", "0.4")];
    let answer = server.transcribe(recording(WAV), MODEL, &hurry).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("500"), "{body}");
    let requests = hub.requests();
    let again = server.transcribe(recording(WAV), MODEL, &[("wait", "0")]).await;
    assert_eq!((again.status().as_u16(), hub.requests()), (503, requests), "no request before it is time");
    hub.heal();
    let explicit = server.post_json("/download-models", &json!({})).await;
    assert_eq!(explicit.status(), 200, "{}", explicit.text().await.unwrap());
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_not_tried_again() {
    let hub = Hub::start();
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/missing").start();
    let answer = server.transcribe(recording(WAV), "acme/missing", &[]).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let requests = hub.requests();
    assert_eq!(server.transcribe(recording(WAV), "acme/missing", &[]).await.status(), 503);
    assert_eq!(hub.requests(), requests);
}

#[tokio::test]
async fn events_follow_a_model_on_its_way() {
    use futures::StreamExt;
    let hub = hub();
    let server = on_demand(&hub).start();
    let mut events = server.get("/models/events").await.bytes_stream();
    server.post_json("/download-models", &json!({"wait": false})).await;
    let mut text = String::new();
    let read = async {
        while !text.contains(r#""status":"ready""#) {
            text.push_str(std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.unwrap();
    assert!(text.starts_with("data: {") && text.contains("downloading"), "{text}");
}
