//! Routes that clients of other servers know.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::decode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    recordings::words,
    support::{Server, recording, server::form},
};

const LIGHTS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];
const WAV: &str = "turn-on-the-kitchen-lights.wav";

#[tokio::test]
async fn invocations_take_what_predict_takes() {
    let server = Server::start();
    let audio = BASE64_STANDARD.encode(recording(WAV));
    let json = server.post_json("/invocations", &json!({"instances": [{"audio": audio}]})).await;
    let json: Value = json.json().await.unwrap();
    assert_eq!(words(json["predictions"][0]["text"].as_str().unwrap()), LIGHTS);
    let raw = server.post_bytes("/invocations", "audio/wav", recording(WAV)).await;
    assert_eq!(words(raw.json::<Value>().await.unwrap()["text"].as_str().unwrap()), LIGHTS);
    let form = form(recording(WAV), "whisper-nano.en", &[]);
    let form = server.client.post(server.url("/invocations")).multipart(form).send().await.unwrap();
    assert_eq!(words(form.json::<Value>().await.unwrap()["text"].as_str().unwrap()), LIGHTS);
    assert_eq!(server.get("/ping").await.status(), 200);
}

#[tokio::test]
async fn a_text_to_generate_becomes_a_wav() {
    let server = Server::start();
    let answer = server.post_json("/generate", &json!({"text": "Good morning."})).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    let wav = answer.bytes().await.unwrap();
    assert_eq!(wav[4..8], u32::try_from(wav.len() - 8).unwrap().to_le_bytes(), "the header says how much follows");
    let pcm = decode(&wav, None, 24_000, Duration::from_secs(60)).unwrap().pcm;
    assert!((0.5..3.0).contains(&pcm.seconds()), "{}", pcm.seconds());
}

#[tokio::test]
async fn a_voice_of_a_recording_is_refused_where_the_model_has_its_own_only() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("anna.flac"), recording("good-morning.flac")).unwrap();
    let dir = folder.path().display().to_string();
    let server = Server::builder().env("SCONCE_VOICES__DIR", &dir).start();
    for fields in [
        json!({"text": "Good morning.", "voice": "anna"}),
        json!({"text": "Good morning.", "audio_prompt_path": "anna.flac"}),
        json!({"text": "Good morning.", "audio_prompt_path": format!("{dir}/anna.flac")}),
    ] {
        let answer = server.post_json("/generate", &fields).await;
        assert_eq!(answer.status(), 400, "{fields}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["error"]["message"].as_str().unwrap().contains("its own voice only"), "{body}");
        assert_eq!(body["error"]["details"][0]["reason"], "UNSUPPORTED");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_text_to_generate_is_said() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().display().to_string();
    let server = Server::builder().env("SCONCE_VOICES__DIR", &dir).start();
    for (fields, part) in [
        (json!({}), "text"),
        (json!({"text": ""}), "empty"),
        (json!({"text": "a", "txt": "b"}), "audio_prompt_path"),
        (json!({"text": "a", "voice": "anna", "audio_prompt_path": "anna.wav"}), "one of them"),
        (json!({"text": "a", "audio_prompt_path": "../anna.wav"}), "folder of voices"),
        (json!({"text": "a", "audio_prompt_path": "/etc/passwd"}), "folder of voices"),
    ] {
        let answer = server.post_json("/generate", &fields).await;
        assert_eq!(answer.status(), 400, "{fields}");
        let body: Value = answer.json().await.unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(part) && !message.contains(&dir), "{fields}: {body}");
    }
    assert_eq!(server.post_json("/generate", &json!({"text": "a", "model": "nobody"})).await.status(), 404);
    assert_eq!(server.post_bytes("/generate", "text/plain", b"a".to_vec()).await.status(), 415);
}
