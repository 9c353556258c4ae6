//! A model that can never fit is refused before its weights come.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, ServerBuilder, hub::Hub, publish_nano, recording};

const MODEL: &str = "acme/nano";
const WEIGHTS: &str = "model.safetensors";
const WAV: &str = "turn-on-the-kitchen-lights.wav";

fn hub() -> Hub {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    hub
}

fn tight(hub: &Hub, cache: &TempDir) -> ServerBuilder {
    let folder = cache.path().display().to_string();
    let builder = Server::builder().hub(hub).env("HF_HUB_CACHE", &folder).env("MODEL_ID", MODEL);
    builder.env("SCONCE_MEMORY__BUDGET", "1MB")
}

/// The largest file below a folder, in bytes.
fn largest(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let sizes =
        entries.map(|path| if path.is_dir() { largest(&path) } else { fs::metadata(path).map_or(0, |it| it.len()) });
    sizes.max().unwrap_or(0)
}

fn assert_nothing_of_the_weights_came(hub: &Hub, cache: &TempDir) {
    assert_eq!(hub.downloads(WEIGHTS), 0);
    assert!(largest(cache.path()) < 100_000, "{} bytes of something are on disk", largest(cache.path()));
}

#[tokio::test]
async fn a_request_for_what_can_never_fit_costs_a_look_and_no_download() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    let server = tight(&hub, &cache).start();
    let answer = server.transcribe(recording(WAV), MODEL, &[]).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-should-retry"]), (507, &"false".parse().unwrap()));
    let error = answer.json::<Value>().await.unwrap()["error"].take();
    assert_eq!(error["code"], "model_wont_fit");
    assert!(error["message"].as_str().unwrap().contains("bytes of memory on cpu"), "{error}");
    assert_nothing_of_the_weights_came(&hub, &cache);

    let requests = hub.requests();
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 507);
    assert_eq!(hub.requests(), requests, "it is known, and not tried again");
    let status = server.get_json("/models/status").await["models"][MODEL].clone();
    assert_eq!((&status["status"], &status["fetched"]), (&json!("failed"), &json!(false)), "{status}");
    assert_eq!(status["availability"], "available", "{status}");
}

#[tokio::test]
async fn who_brings_models_in_is_told_the_same() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    let server = tight(&hub, &cache).start();
    for _ in 0..2 {
        let answer = server.post_json("/download-models", &json!({"models": [MODEL]})).await;
        assert_eq!(answer.status(), 507);
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["status"], &body["models"][MODEL]["status"]), (&json!("failed"), &json!("failed")), "{body}");
    }
    assert_nothing_of_the_weights_came(&hub, &cache);

    let files = server.post_json("/download-models", &json!({"models": [MODEL], "load": false})).await;
    assert_eq!(files.status(), 200, "the files alone need no memory");
    assert_eq!(hub.downloads(WEIGHTS), 1);
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 507);
}

#[tokio::test]
async fn a_start_with_what_can_never_fit_is_unhealthy_and_fetches_nothing() {
    for mode in ["startup", "background"] {
        let (hub, cache) = (hub(), TempDir::new().unwrap());
        let server = tight(&hub, &cache).env("LOAD_MODE", mode).start();
        server.until_status_of(MODEL, "failed").await;
        let error = server.get_json("/models/status").await["models"][MODEL]["error"].clone();
        assert_eq!(error["permanent"], true, "{error}");
        let healthy = server.get("/health").await.status() == 200;
        assert_eq!(healthy, mode == "background");
        assert_nothing_of_the_weights_came(&hub, &cache);
    }
}

#[tokio::test]
async fn a_larger_budget_lets_it_come() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    let server = tight(&hub, &cache).start();
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 507);
    let endpoint = hub.url();
    let wide = [("HF_ENDPOINT", &*endpoint), ("MODEL_ID", MODEL), ("SCONCE_MEMORY__BUDGET", "1GB")];
    server.reload(&wide).await;
    assert_eq!(server.transcribe(recording(WAV), MODEL, &[]).await.status(), 200);
    assert_eq!((hub.downloads(WEIGHTS), hub.downloads("config.json")), (1, 1));
}
