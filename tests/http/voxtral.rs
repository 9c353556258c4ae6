//! A Voxtral from a folder, asked as any other model that hears. Its weights are random, so what it writes says nothing;
//! `tests/fixtures/voxtral/expected.json` says what it has to be.

use serde_json::{Value, json};

use crate::support::{Server, checkout, recording, sound};

const WAV: &str = "turn-on-the-kitchen-lights.wav";
const MODEL: &str = "tiny_voxtral";

fn server() -> Server {
    let folder = format!("file:{}", checkout("tests/fixtures/voxtral").display());
    Server::builder().env("LOAD_MODE", "on_demand").env("SCONCE_MODELS__TINY_VOXTRAL__SOURCE", &folder).start()
}

/// The text, and what came before it where it was streamed.
async fn heard(server: &Server, fields: &[(&str, &str)]) -> Value {
    let answer = server.transcribe(recording(WAV), MODEL, fields).await;
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|_| json!(body))
}

async fn refused(server: &Server, file: Vec<u8>, fields: &[(&str, &str)]) -> Value {
    let answer = server.transcribe(file, MODEL, fields).await;
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 400, "{body}");
    body["error"].clone()
}

#[tokio::test]
async fn a_recording_is_written_down_and_twice_alike() {
    let server = server();
    let first = heard(&server, &[("language", "en")]).await;
    assert!(!first["text"].as_str().unwrap().is_empty(), "{first}");
    assert_eq!(heard(&server, &[("language", "English")]).await, first);
    assert_ne!(heard(&server, &[("language", "de")]).await["text"], first["text"]);
    let status = server.get_json("/models/status").await["models"][MODEL].clone();
    assert_eq!((&status["status"], &status["family"]), (&json!("ready"), &json!("voxtral")), "{status}");
}

#[tokio::test]
async fn segments_are_sentences_somewhere_in_the_recording() {
    let server = server();
    let body = heard(&server, &[("language", "en"), ("response_format", "verbose_json")]).await;
    let segments = body["segments"].as_array().unwrap();
    let texts: String = segments.iter().map(|segment| segment["text"].as_str().unwrap()).collect();
    assert_eq!(texts.trim(), body["text"].as_str().unwrap());
    assert!(segments.len() > 1, "{body}");
    for segment in segments {
        assert_eq!((&segment["start"], &segment["end"]), (&json!(0.0), &body["duration"]), "{segment}");
    }
    assert_eq!(body["language"], "english");
}

#[tokio::test]
async fn a_stream_gives_sentences_and_then_the_whole() {
    let server = server();
    let whole = heard(&server, &[("language", "en")]).await;
    let answer = server.transcribe(recording(WAV), MODEL, &[("language", "en"), ("stream", "true")]).await;
    let text = answer.text().await.unwrap();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let (last, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 1, "{text}");
    let joined: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!((joined.trim(), &last["text"]), (whole["text"].as_str().unwrap(), &whole["text"]));
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let server = server();
    let words = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let error = refused(&server, recording(WAV), &words).await;
    assert!(error["message"].as_str().unwrap().contains("does not tell when a word is said"), "{error}");
    let error = refused(&server, recording(WAV), &[("prompt", "Sconce")]).await;
    assert!(error["param"] == "prompt" && error["message"].as_str().unwrap().contains("takes no prompt"), "{error}");
    let error = refused(&server, recording(WAV), &[("language", "klingon")]).await;
    assert_eq!(error["param"], "language", "{error}");
    // Twenty windows of two seconds.
    let error = refused(&server, sound::silence(41.0), &[]).await;
    assert!(error["message"].as_str().unwrap().contains("at most 40 s"), "{error}");
}

#[tokio::test]
async fn its_own_options_come_with_a_native_request() {
    let server = server();
    let audio = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, recording(WAV));
    let body = json!({"model": MODEL, "audio": audio, "language": "en", "options": {"max_new_tokens": 3}});
    let answer = server.post_json("/predict", &body).await;
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{body}");
    let whole = heard(&server, &[("language", "en")]).await;
    let short = body["text"].as_str().or_else(|| body["predictions"][0]["text"].as_str()).unwrap_or_default();
    assert!(whole["text"].as_str().unwrap().starts_with(short) && short.len() < 40, "{body} {whole}");
}

#[tokio::test]
async fn vertex_and_the_open_inference_protocol_say_the_same() {
    let server = server();
    let whole = heard(&server, &[("language", "en")]).await;
    let audio = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, recording(WAV));
    let envelope = json!({"instances": [{"audio": audio, "language": "en"}], "parameters": {"model": MODEL}});
    let answer: Value = server.post_json("/predict", &envelope).await.json().await.unwrap();
    assert_eq!(answer["predictions"][0]["text"], whole["text"], "{answer}");
    let bytes = |name: &str, data: &str| json!({"name": name, "shape": [1], "datatype": "BYTES", "data": [data]});
    let inputs = json!({"inputs": [bytes("audio", &audio), bytes("language", "en")], "outputs": [{"name": "text"}]});
    let answer: Value = server.post_json(&format!("/v2/models/{MODEL}/infer"), &inputs).await.json().await.unwrap();
    assert_eq!(answer["outputs"][0]["data"][0], whole["text"], "{answer}");
}

#[tokio::test]
async fn callers_are_answered_together_and_all_hear_the_same() {
    let server = server();
    let whole = heard(&server, &[("language", "en")]).await;
    let others = futures::future::join_all((0..4).map(|_| heard(&server, &[("language", "en")]))).await;
    assert_eq!(others, vec![whole; 4]);
}
