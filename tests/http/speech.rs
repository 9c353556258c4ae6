//! `POST /v1/audio/speech`, while no family of this build speaks.

use serde_json::{Value, json};

use crate::support::Server;

fn sound_request() -> Value {
    json!({"model": "whisper-nano.en", "input": "Good morning.", "voice": "alloy"})
}

/// The same with other fields; `null` takes one away.
fn with(fields: Value) -> Value {
    let mut request = sound_request();
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(request.as_object_mut().unwrap().remove(name)),
            value => request[name] = value.clone(),
        }
    }
    request
}

#[tokio::test]
async fn a_sound_request_is_told_what_is_missing() {
    let server = Server::start();
    for fields in [
        json!({}),
        json!({"instructions": "Whisper.", "response_format": "wav", "speed": 4.0, "stream_format": "sse"}),
        json!({"response_format": "pcm", "speed": 0.25, "stream_format": "audio", "input": "a".repeat(4096)}),
    ] {
        let answer = server.post_json("/v1/audio/speech", &with(fields)).await;
        assert_eq!(answer.status(), 400);
        let body: Value = answer.json().await.unwrap();
        let error = &body["error"];
        assert_eq!((&error["param"], &error["code"]), (&json!("model"), &json!("unsupported")), "{body}");
        let message = error["message"].as_str().unwrap();
        for part in ["sconce/whisper-nano.en", "does not synthesize", "it can transcribe", "no model of this server"] {
            assert!(message.contains(part), "{message}");
        }
    }
    let refused = [("task", "synthesize"), ("outcome", "unsupported"), ("protocol", "openai")];
    assert_eq!(server.metric("sconce_requests_total", &refused).await, 3.0);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_before_what_is_missing_here() {
    let server = Server::start();
    for (fields, param, part) in [
        (json!({"model": null}), Value::Null, "model"),
        (json!({"input": null}), Value::Null, "input"),
        (json!({"voice": null}), Value::Null, "voice"),
        (json!({"input": " "}), json!("input"), "nothing to say"),
        (json!({"input": "a".repeat(4097)}), json!("input"), "4097"),
        (json!({"voice": ""}), json!("voice"), "name"),
        (json!({"voice": 7}), json!("voice"), "id"),
        (json!({"voice": {"name": "anna"}}), json!("voice"), "id"),
        (json!({"speed": 0.2}), json!("speed"), "0.25 to 4"),
        (json!({"speed": 5}), json!("speed"), "0.25 to 4"),
        (json!({"speed": "fast"}), json!("speed"), "f64"),
        (json!({"response_format": "midi"}), json!("response_format"), "flac"),
        (json!({"stream_format": "rtp"}), json!("stream_format"), "sse"),
        (json!({"langauge": "en"}), json!("langauge"), "response_format"),
    ] {
        let answer = server.post_json("/v1/audio/speech", &with(fields.clone())).await;
        assert_eq!(answer.status(), 400, "{fields}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["param"], param, "{fields}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{fields}: {body}");
    }
    for (fields, param) in [(json!({"model": "nobody"}), "model"), (json!({"voice": {"id": "nobody"}}), "voice")] {
        let answer = server.post_json("/v1/audio/speech", &with(fields)).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["param"], param);
    }
    for (media_type, status) in
        [("application/json", 400), ("text/plain", 415), ("multipart/form-data; boundary=x", 415)]
    {
        let answer = server.post_bytes("/v1/audio/speech", media_type, b"speak!".to_vec()).await;
        assert_eq!(answer.status(), status, "{media_type}");
    }
}
