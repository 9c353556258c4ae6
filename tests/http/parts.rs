//! A model whose files come from several places.

use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, checkout, hub::Hub, recording},
};

const RUN: &str = "acme/run";
const BASE: &str = "acme/base";
const WAV: &str = "turn-on-the-kitchen-lights.wav";

fn nano(file: &str) -> Vec<u8> {
    std::fs::read(checkout("assets/models/whisper-nano.en").join(file)).unwrap()
}

/// What a training run leaves behind, without a vocabulary, and the model that it began with.
fn hub() -> Hub {
    let hub = Hub::start();
    let run = hub.repo(RUN).file("config.json", nano("config.json")).file("trainer_state.json", "{}");
    run.file("generation_config.json", nano("generation_config.json"))
        .lfs("model.safetensors", nano("model.safetensors"));
    let base = hub.repo(BASE).file("config.json", "{}").file("tokenizer.json", nano("tokenizer.json"));
    base.lfs("model.safetensors", vec![7; 100_000]);
    hub
}

fn ours(hub: &Hub) -> ServerBuilder {
    let builder = Server::builder().hub(hub).env("LOAD_MODE", "on_demand");
    let builder = builder.env("SCONCE_MODELS__OURS__PARTS__WEIGHTS", &format!("hf://{RUN}"));
    builder.env("SCONCE_MODELS__OURS__PARTS__TOKENIZER", &format!("hf://{BASE}"))
}

async fn assert_hears(server: &Server) {
    let answer = server.transcribe(recording(WAV), "ours", &[]).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let body: Value = answer.json().await.unwrap();
    assert_eq!(words(body["text"].as_str().unwrap()), ["turn", "on", "the", "kitchen", "lights"]);
}

async fn status(server: &Server) -> Value {
    server.get_json("/models/status").await["models"]["ours"].clone()
}

#[tokio::test]
async fn weights_and_vocabulary_of_two_repositories_are_one_model() {
    let hub = hub();
    let server = ours(&hub).start();
    let before = status(&server).await;
    assert_eq!(before["source"], json!({"weights": "hf://acme/run@main", "tokenizer": "hf://acme/base@main"}));
    assert_hears(&server).await;
    let (run, base) = (hub.repo(RUN).commit(), hub.repo(BASE).commit());
    let now = status(&server).await;
    let part = |source: &str, commit: &str| json!({"source": source, "commit": commit, "from": "network"});
    assert_eq!(
        now["parts"],
        json!({"weights": part("hf://acme/run@main", &run), "tokenizer": part("hf://acme/base@main", &base)})
    );
    assert_eq!(now["revision"], format!("{run}+{base}"));
    assert_eq!((hub.downloads("tokenizer.json"), hub.downloads("model.safetensors")), (1, 1), "no file of both");
    assert_eq!(hub.downloads("trainer_state.json"), 0);
}

#[tokio::test]
async fn either_part_may_be_updated() {
    let hub = hub();
    let server = ours(&hub).start();
    assert_hears(&server).await;
    let update = async || {
        let answer = server.post_json("/download-models", &json!({"models": ["ours"], "update": true})).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        status(&server).await["revision"].as_str().unwrap().to_owned()
    };
    let first = update().await;
    assert_eq!(server.metric("sconce_model_updates_total", &[("outcome", "unchanged")]).await, 1.0);
    let moved = hub.repo(BASE).file("README.md", "new").commit();
    let second = update().await;
    assert!(first != second && second.ends_with(&format!("+{moved}")), "{first} {second}");
    let moved = hub.repo(RUN).file("README.md", "new").commit();
    assert!(update().await.starts_with(&format!("{moved}+")));
    assert_hears(&server).await;
    assert_eq!((hub.downloads("tokenizer.json"), hub.downloads("model.safetensors")), (1, 1), "what did not change");

    let one = json!({"models": [{"name": "ours", "revision": "v2"}]});
    let answer = server.post_json("/download-models", &one).await;
    let body = answer.text().await.unwrap();
    assert!(body.contains("its files come from several places; set their revisions in the configuration"), "{body}");
}

#[tokio::test]
async fn a_part_that_cannot_be_had_is_named() {
    let hub = hub();
    let server = ours(&hub).env("SCONCE_MODELS__OURS__PARTS__TOKENIZER", "hf://acme/run").start();
    let answer = server.transcribe(recording(WAV), "ours", &[]).await;
    assert_eq!(answer.status(), 503);
    let body = answer.text().await.unwrap();
    assert!(body.contains("hf://acme/run@main is not a model that can be served: the file tokenizer.json"), "{body}");
    assert_eq!(hub.downloads("model.safetensors"), 0, "before the first byte");
}
