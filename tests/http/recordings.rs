//! Every recording that the project ships is understood.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{Server, checkout, recording};

/// Every recording that the project ships, and what is said in it.
pub fn truths() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(checkout("assets/recordings/recordings.json")).unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.iter().map(|one| (text(&one["file"]), text(&one["text"]))).collect()
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Lower case without marks, so that spelling is compared and not style.
pub fn words(text: &str) -> Vec<String> {
    let plain = text.to_lowercase().replace(|letter: char| !letter.is_alphanumeric() && letter != '\'', " ");
    plain.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_recording_in_every_format_gives_its_words() {
    let server = Server::start();
    for (file, truth) in truths() {
        let body: Value = server.transcribe(recording(&file), "whisper-nano.en", &[]).await.json().await.unwrap();
        let text = body["text"].as_str().unwrap_or_else(|| panic!("{file}: {body}"));
        assert_eq!(words(text), words(&truth), "{file}");
    }
}

#[tokio::test]
async fn many_at_once_are_heard_as_each_alone() {
    let server = Server::start();
    let truths = truths();
    let requests = truths.iter().map(|(file, truth)| {
        let server = &server;
        async move {
            let body: Value = server.transcribe(recording(file), "whisper-nano.en", &[]).await.json().await.unwrap();
            assert_eq!(words(body["text"].as_str().unwrap()), words(truth), "{file}");
        }
    });
    futures::future::join_all(requests).await;
    assert_eq!(server.metric("sconce_requests_total", &[("outcome", "ok")]).await, truths.len() as f64);
    assert_eq!(server.metric("sconce_model_load_seconds_count", &[("phase", "load")]).await, 1.0);
}

#[tokio::test]
async fn what_breaks_off_is_heard_as_far_as_it_goes_and_the_answer_says_so() {
    let server = Server::start();
    let whole = recording("turn-on-the-kitchen-lights.wav");
    let cut = whole[..whole.len() - 40_000].to_vec();
    let warned = |answer: &reqwest::Response| {
        answer.headers().get("x-sconce-warnings").map(|codes| codes.to_str().unwrap().to_owned())
    };
    for format in ["json", "verbose_json", "text", "srt", "vtt", "tsv"] {
        for (bytes, expected) in [(whole.clone(), None), (cut.clone(), Some("truncated".to_owned()))] {
            let answer = server.transcribe(bytes, "whisper-nano.en", &[("response_format", format)]).await;
            assert_eq!((answer.status().as_u16(), warned(&answer)), (200, expected.clone()), "{format}");
            let text = answer.text().await.unwrap();
            if format.ends_with("json") {
                let body: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(body["warnings"][0]["code"].as_str(), expected.as_deref(), "{body}");
                assert_eq!(body.get("warnings").is_some(), expected.is_some(), "{body}");
            }
        }
    }
    let answer = server.transcribe(cut.clone(), "whisper-nano.en", &[("stream", "true")]).await;
    assert_eq!(warned(&answer).as_deref(), Some("truncated"));
    let events = answer.text().await.unwrap();
    assert_eq!(events.matches(r#""code":"truncated""#).count(), 1, "{events}");
    let inputs = json!([{"name": "audio", "shape": [2], "datatype": "BYTES", "data": [base64(&whole), base64(&cut)]}]);
    let answer = server.post_json("/v2/models/whisper-nano.en/infer", &json!({"inputs": inputs})).await;
    assert_eq!(warned(&answer).as_deref(), Some("truncated"));
    let body: Value = answer.json().await.unwrap();
    let told: Value = serde_json::from_str(body["parameters"]["warnings"].as_str().unwrap()).unwrap();
    assert_eq!(
        (told.as_array().unwrap().len(), &told[0]["row"], &told[0]["code"]),
        (1, &json!(1), &json!("truncated"))
    );
    let answer = server.post_bytes("/predict", "audio/wav", cut).await;
    assert_eq!(warned(&answer).as_deref(), Some("truncated"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["warnings"][0]["code"], "truncated", "{body}");
    assert_eq!(server.metric("sconce_recording_warnings_total", &[("code", "truncated")]).await, 9.0);
}

#[tokio::test]
async fn silence_is_not_put_into_words() {
    let server = Server::start();
    let silence = crate::support::sound::silence(3.0);
    let body: Value = server.transcribe(silence, "whisper-nano.en", &[]).await.json().await.unwrap();
    assert_eq!(body["text"], "");
}
