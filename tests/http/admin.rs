//! Models by hand: brought in, sent away, looked at.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, ServerBuilder,
    hub::Hub,
    publish_nano, recording,
    server::form,
    sound,
    whisper::{self, Numbers, Size},
};

const NANO: &str = "sconce/whisper-nano.en";
const WAV: &str = "turn-on-the-kitchen-lights.wav";

/// A server that knows a small model as `acme/tiny`, which is never warmed up.
fn tiny() -> (ServerBuilder, TempDir) {
    let folder = TempDir::new().unwrap();
    whisper::write(folder.path(), Size { width: 64, heads: 2, layers: 2, numbers: Numbers::F16 });
    let builder = Server::builder()
        .env("MODEL_ID", "acme/tiny")
        .env("SCONCE_MODELS__ACME_TINY__SOURCE", &format!("file:{}", folder.path().display()))
        .env("SCONCE_MODELS__ACME_TINY__ALIASES", "little")
        .env("SCONCE_MODELS__ACME_TINY__WARM_UP", "false");
    (builder, folder)
}

#[tokio::test]
async fn a_model_is_loaded_and_unloaded_by_any_of_its_names() {
    let (builder, _folder) = tiny();
    let server = builder.start();
    for name in ["acme/tiny", "acme%2Ftiny", "tiny", "little"] {
        let answer = server.post_json(&format!("/models/{name}/load"), &json!({})).await;
        assert_eq!(answer.status(), 200, "{name}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["models"]["acme/tiny"]["status"], "ready", "{body}");
        let answer = server.client.post(server.url(&format!("/models/{name}/unload?wait=30"))).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        let status = server.get_json("/models/status").await;
        assert_eq!(status["models"]["acme/tiny"]["status"], "not_loaded");
    }
}

/// It may be another model than the one that is published under the name.
#[tokio::test]
async fn a_folder_that_is_called_like_a_known_model_keeps_its_own_name() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("whisper-base");
    std::fs::create_dir(&folder).unwrap();
    whisper::write(&folder, Size { width: 64, heads: 2, layers: 2, numbers: Numbers::F16 });
    let builder = Server::builder().env("MODEL_ID", &folder.display().to_string());
    let server = builder.env("SCONCE_MODELS__WHISPER_BASE__WARM_UP", "false").start();
    let status = server.get_json("/models/status").await;
    assert!(status["models"]["whisper-base"].is_object(), "{status}");
    assert!(status["models"].get("openai/whisper-base").is_none(), "{status}");
    let listed = server.get_json("/v1/models").await;
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"whisper-base") && !names.contains(&"openai/whisper-base"), "{names:?}");
    for name in ["whisper-base", "openai/whisper-base"] {
        let answer = server.transcribe(recording(WAV), name, &[("response_format", "verbose_json")]).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.headers()["x-sconce-model"], "whisper-base", "{name}");
    }
}

#[tokio::test]
async fn what_a_model_takes_is_reckoned_before_and_measured_after() {
    let (builder, _folder) = tiny();
    let server = builder.env("SCONCE_RUNTIME__DTYPE", "f32").start();
    server.post_json("/models/tiny/load", &json!({})).await;
    let status = server.get_json("/models/status").await;
    let model = &status["models"]["acme/tiny"];
    let (reckoned, measured) = (model["footprint_bytes"].as_f64().unwrap(), model["resident_bytes"].as_f64().unwrap());
    // Measured is what the load touched: caches for eight requests are reckoned, and taken when they come.
    assert!((0.5..4.0).contains(&(reckoned / measured)), "{reckoned} bytes reckoned, {measured} measured");
    assert_eq!(model["warm_seconds"], 0.0, "it was to stay cold: {model}");
    assert_eq!((&model["device"], &model["dtype"]), (&json!("cpu"), &json!("f32")));
    let info = [("model", "acme/tiny"), ("device", "cpu"), ("dtype", "f32")];
    assert_eq!(server.metric("sconce_model_info", &info).await, 1.0);

    server.post_json("/models/tiny/unload", &json!({"wait": 30})).await;
    let status = server.get_json("/models/status").await;
    assert!(status["models"]["acme/tiny"]["freed_bytes"].is_u64(), "{status}");
    assert_eq!(server.metric("sconce_model_info", &info).await, 0.0);
    assert_eq!(server.metric("sconce_model_resident_bytes", &[("model", "acme/tiny")]).await, 0.0);
}

#[tokio::test]
async fn unloading_a_busy_model_drains_it() {
    let server = Server::start();
    server.post_json("/models/whisper-nano.en/load", &json!({})).await;
    let request = server.client.post(server.url("/v1/audio/transcriptions"));
    let running = tokio::spawn(request.multipart(form(sound::babble(40.0), NANO, &[])).send());
    let start = Instant::now();
    while server.metric("sconce_audio_seconds_total", &[("model", NANO)]).await == 0.0 {
        assert!(start.elapsed() < Duration::from_secs(30), "the request never reached the model");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Either way of saying it.
    let soon = json!({"parameters": {"wait": 0}});
    let answer = server.post_json("/v2/repository/models/whisper-nano.en/unload", &soon).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("still works; it takes no new requests"));
    let answer = server.post_json("/models/whisper-nano.en/unload", &json!({"wait": false})).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "accepted");
    let answer = running.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200, "what the model works on is finished");
    server.until_status_of(NANO, "not_loaded").await;
}

#[tokio::test]
async fn another_revision_is_loaded_by_hand() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    let first = hub.repo("acme/nano").commit();
    hub.repo("acme/nano").file("README.md", "a second edition");
    let second = hub.repo("acme/nano").commit();
    let builder = Server::builder().hub(&hub).env("MODEL_ID", &format!("acme/nano@{first}"));
    let server = builder.env("SCONCE_MODELS__ACME_NANO__WARM_UP", "false").start();
    server.post_json("/models/acme/nano/load", &json!({})).await;
    assert_eq!(server.get_json("/models/status").await["models"]["acme/nano"]["revision"], first.as_str());
    let answer = server.post_json("/models/acme/nano/load", &json!({"revision": second})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(server.get_json("/models/status").await["models"]["acme/nano"]["revision"], second.as_str());
}

#[tokio::test]
async fn what_is_wrong_with_an_ask_is_said() {
    let (builder, _folder) = tiny();
    let server = builder.start();
    let post = async |path: &str, body: &Value| {
        let answer = server.post_json(path, body).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, text) = post("/models/acme/tinny/load", &json!({})).await;
    assert!(status == 404 && text.contains("acme/tiny"), "{text}");
    let (status, text) = post("/models/tiny/load", &json!({"wait": "soon"})).await;
    assert!(status == 400 && text.contains("wait"), "{text}");
    let (status, text) = post("/models/tiny/unload?wait=-1", &json!({})).await;
    assert!(status == 400 && text.contains("wait"), "{text}");
    let (status, text) = post("/models/tiny/load", &json!({"revison": "main"})).await;
    assert!(status == 400 && text.contains("revison"), "{text}");
    let (status, text) = post("/models/tiny/unload", &json!({"revision": "main"})).await;
    assert!(status == 400 && text.contains("revision"), "{text}");
    assert_eq!(server.get("/models/tiny/load").await.status(), 405);

    let (builder, _folder) = tiny();
    let closed = builder.env("SCONCE_HTTP__ADMIN", "false").start();
    for path in ["/models/tiny/load", "/models/tiny/unload"] {
        assert_eq!(closed.post_json(path, &json!({})).await.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn every_answer_of_a_model_says_which_device_made_it() {
    let server = Server::start();
    let answer = server.transcribe(recording(WAV), NANO, &[]).await;
    assert_eq!(answer.headers()["x-sconce-device"], "cpu");
    let answer = server.post_bytes("/predict", "audio/wav", recording(WAV)).await;
    assert_eq!(answer.headers()["x-sconce-device"], "cpu");
    assert!(!server.get("/health").await.headers().contains_key("x-sconce-device"));
    let refused = server.transcribe(recording(WAV), "nobody", &[]).await;
    assert!(!refused.headers().contains_key("x-sconce-device"));
}

#[tokio::test]
async fn a_model_that_cannot_be_had_says_why() {
    let hub = Hub::start();
    let foreign = hub.repo("acme/foreign").file("config.json", r#"{"model_type":"bert"}"#).file("tokenizer.json", "{}");
    foreign.lfs("model.safetensors", vec![7; 100_000]);
    let builder = Server::builder().hub(&hub).env("MODEL_ID", "whisper-nano.en,acme/foreign,acme/far");
    let server = builder.env("SCONCE_MODELS__ACME_FAR__DEVICE", "cuda:3").start();
    let models = server.get_json("/models/status").await["models"].clone();
    assert_eq!(models[NANO]["availability"], "available");
    assert_eq!(models["acme/far"]["availability"], "unsupported");
    assert!(models["acme/far"]["reason"].as_str().unwrap().contains("cuda:3"), "{models}");
    let answer = server.transcribe(recording(WAV), "acme/far", &[]).await;
    let text = answer.text().await.unwrap();
    assert!(text.contains("cuda:3"), "{text}");
    server.post_json("/models/acme/foreign/load", &json!({})).await;
    let models = server.get_json("/models/status").await["models"].clone();
    assert_eq!(models["acme/foreign"]["availability"], "unsupported");
    assert!(models["acme/foreign"]["reason"].as_str().unwrap().contains("\"bert\""), "{models}");
    assert_eq!(hub.downloads("model.safetensors"), 0, "known before its weights are fetched");
}

#[tokio::test]
async fn a_gated_model_says_what_to_do() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.gate("hf_right");
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    server.post_json("/models/acme/nano/load", &json!({})).await;
    let model = server.get_json("/models/status").await["models"]["acme/nano"].clone();
    assert_eq!(model["availability"], "gated", "{model}");
    assert!(model["reason"].as_str().unwrap().contains("HF_TOKEN"), "{model}");
}
