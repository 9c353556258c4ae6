//! Names that other programs have for the same models, and files in their formats.

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, hub::Hub, publish_nano, recording},
};

const ORIGINAL: &str = "openai/whisper-base";
const COPY: &str = "Systran/faster-whisper-base";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const LIGHTS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];

/// What CTranslate2 writes beside the weights of a Whisper.
const PACKED: &str =
    r#"{"alignment_heads": [[1, 2]], "lang_ids": [50259], "suppress_ids": [1], "suppress_ids_begin": [220]}"#;

fn server(hub: &Hub) -> ServerBuilder {
    Server::builder().hub(hub).env("LOAD_MODE", "on_demand")
}

fn served_by(answer: &Response) -> String {
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    header("x-sconce-model").unwrap_or_else(|| panic!("{answer:?}"))
}

async fn assert_heard(answer: Response) {
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(served_by(&answer), ORIGINAL);
    let body: Value = answer.json().await.unwrap();
    let text = body["text"].as_str().or_else(|| body["predictions"][0]["text"].as_str());
    let text = text.or_else(|| body["outputs"][0]["data"][0].as_str()).unwrap_or_else(|| panic!("{body}"));
    assert_eq!(words(text), LIGHTS);
}

#[tokio::test]
async fn a_copy_in_another_format_is_answered_by_its_original_which_is_loaded_once() {
    let hub = Hub::start();
    publish_nano(&hub, ORIGINAL);
    let server = server(&hub).start();
    let names = [COPY, ORIGINAL, "base", "ggml-base-q5_0.bin", "ggerganov/whisper.cpp/ggml-base.bin", COPY];
    let answers = join_all(names.map(|name| server.transcribe(recording(WAV), name, &[]))).await;
    for answer in answers {
        assert_heard(answer).await;
    }
    let instance = json!({"audio": BASE64_STANDARD.encode(recording(WAV)), "model": COPY});
    assert_heard(server.post_json("/predict", &json!({"instances": [instance]})).await).await;
    for name in ["Systran--faster-whisper-base", "Systran%2Ffaster-whisper-base"] {
        let audio = BASE64_STANDARD.encode(recording(WAV));
        let input = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [audio]});
        let body = json!({"inputs": [input], "outputs": [{"name": "text"}]});
        assert_heard(server.post_json(&format!("/v2/models/{name}/infer"), &body).await).await;
    }
    assert_eq!(server.get_json(&format!("/v1/models/{COPY}")).await["id"], ORIGINAL);
    assert_eq!(hub.downloads("model.safetensors"), 1);
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
    let other = server.transcribe(recording(WAV), "somebody/faster-whisper-base", &[]).await;
    assert_eq!(other.status(), 404, "what somebody trained is another model");
}

#[tokio::test]
async fn a_configuration_may_name_a_copy() {
    let hub = Hub::start();
    publish_nano(&hub, ORIGINAL);
    let by_name = server(&hub).env("MODEL_ID", COPY).start();
    assert_heard(by_name.transcribe(recording(WAV), "whisper-1", &[]).await).await;
    let source = format!("hf://{COPY}");
    let by_source = server(&hub).env("SCONCE_MODELS__MINE__SOURCE", &source).start();
    assert_heard(by_source.transcribe(recording(WAV), "mine", &[]).await).await;
    let status = by_source.get_json("/models/status").await;
    assert!(status["models"][ORIGINAL].is_object() && status["models"]["mine"].is_null(), "{status}");
}

#[tokio::test]
async fn a_model_that_is_configured_under_such_a_name_goes_before_the_original() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/own");
    let server = server(&hub).env("SCONCE_MODELS__BASE__SOURCE", "hf://acme/own").start();
    let answer = server.transcribe(recording(WAV), "base", &[]).await;
    assert_eq!((answer.status().as_u16(), served_by(&answer).as_str()), (200, "base"));
}

/// What is said to who asks for the only model.
async fn refusal(builder: ServerBuilder) -> String {
    let server = builder.start();
    let answer = server.post_bytes("/predict", "audio/wav", recording(WAV)).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(!status.is_success(), "{text}");
    text
}

#[tokio::test]
async fn files_of_ctranslate2_and_ggml_are_refused_by_what_they_are() {
    let hub = Hub::start();
    for repo in ["acme/packed", COPY] {
        hub.repo(repo).file("config.json", PACKED).file("vocabulary.txt", "a").lfs("model.bin", vec![7; 1000]);
    }
    hub.repo("acme/cpp").file("README.md", "#").lfs("ggml-tiny.en-q5_1.bin", vec![7; 1000]);
    let named = |model: &str| server(&hub).env("MODEL_ID", model);
    let unknown = refusal(named("acme/packed")).await;
    assert!(unknown.contains("CTranslate2") && unknown.contains("model.safetensors, would be right"), "{unknown}");
    // Whoever names a revision means that repository.
    let known = refusal(named(&format!("{COPY}@main"))).await;
    assert!(known.contains("CTranslate2") && known.contains("ask for openai/whisper-base,"), "{known}");
    let cpp = refusal(named("acme/cpp")).await;
    assert!(cpp.contains("ggml") && cpp.contains("ask for openai/whisper-tiny.en,"), "{cpp}");
    assert_eq!(hub.downloads("model.bin") + hub.downloads("ggml-tiny.en-q5_1.bin"), 0);

    let folder = tempfile::TempDir::new().unwrap();
    for (file, content) in [("config.json", PACKED), ("vocabulary.json", "[]"), ("model.bin", "x")] {
        std::fs::write(folder.path().join(file), content).unwrap();
    }
    let path = folder.path().display().to_string();
    assert!(refusal(named(&path)).await.contains("CTranslate2"));
    let as_whisper = server(&hub).env("SCONCE_MODELS__MINE__SOURCE", &format!("file:{path}"));
    let as_whisper = refusal(as_whisper.env("SCONCE_MODELS__MINE__FAMILY", "whisper")).await;
    assert!(as_whisper.contains("CTranslate2"), "{as_whisper}");

    let file = folder.path().join("ggml-base.en.bin");
    std::fs::write(&file, "x").unwrap();
    let alone = refusal(named(&file.display().to_string())).await;
    assert!(alone.contains("ggml") && alone.contains("ask for openai/whisper-base.en,"), "{alone}");
    let other = refusal(named(&folder.path().join("model.bin").display().to_string())).await;
    assert!(other.contains("is a file, where a folder"), "{other}");
}
