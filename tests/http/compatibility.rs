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

#[tokio::test]
async fn fields_of_a_transcription_are_read_as_clients_spell_them() {
    let server = Server::start();
    let ask = async |fields: &[(&str, &str)]| {
        let answer = server.transcribe(recording(WAV), "gpt-4o-mini-transcribe", fields).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for fields in [
        [("stream", "True"), ("language", "auto")],
        [("stream", "1"), ("vad_filter", "true")],
        [("stream", "no"), ("vad_filter", "False")],
        [("condition_on_previous_text", "False"), ("log_prob_threshold", "-1.5")],
        [("beam_size", "5"), ("best_of", "")],
        [("repetition_penalty", "1.05"), ("no_repeat_ngram_size", "4")],
        [("patience", "1.5"), ("audio_ctx", "300")],
        [("hallucination_silence_threshold", "2"), ("response_format", "text")],
        [("hotwords", "kitchen lights"), ("language", "en")],
        [("keywords[]", "kitchen"), ("keywords[]", "lights")],
        [("options", r#"{"beam_size": 2, "no_speech_threshold": null}"#), ("beam_size", "1")],
        [("without_timestamps", "true"), ("response_format", "text")],
    ] {
        let (status, text) = ask(&fields).await;
        assert!(status == 200 && text.to_lowercase().contains("kitchen"), "{fields:?}: {status} {text}");
        assert_eq!(
            text.starts_with("data:"),
            fields[0] == ("stream", "True") || fields[0] == ("stream", "1"),
            "{text}"
        );
    }
    for granularities in ["[\"word\", \"segment\"]", "word,segment", " segment , word "] {
        let (status, text) =
            ask(&[("response_format", "verbose_json"), ("timestamp_granularities", granularities)]).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, body["words"].as_array().map(Vec::len)), (200, Some(5)), "{granularities}: {text}");
        assert!(body["segments"].is_array(), "{granularities}: {text}");
    }
    let (_, text) = ask(&[("response_format", "verbose_json"), ("word_timestamps", "true")]).await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["words"].as_array().map(Vec::len), Some(5), "{text}");
    for (field, value, said) in [
        ("beam_size", "500", "max_batch"),
        ("suppress_blank", "false", "suppress_blank"),
        ("repetition_penalty", "0", "repetition_penalty"),
        ("options", r#"{"beam_size": 500}"#, "max_batch"),
        ("options", r#"{"sed": 1}"#, "condition_on_previous_text"),
        ("options", "[1]", "options is no JSON object"),
        ("stream", "perhaps", "true or false"),
        ("vad_filter", "2", "true or false"),
        ("beam_sise", "5", "condition_on_previous_text"),
    ] {
        let (status, text) = ask(&[(field, value)]).await;
        assert!(status == 400 && text.contains(said), "{field}={value}: {status} {text}");
    }
    let (status, text) = ask(&[("without_timestamps", "true"), ("response_format", "srt")]).await;
    assert!(status == 400 && text.contains("json or text"), "{text}");
}

#[tokio::test]
async fn paths_of_azure_say_the_model_and_a_slash_at_the_end_changes_nothing() {
    let server = Server::start();
    let (base, field) = ("/openai/deployments/whisper-nano.en/audio", "file");
    for path in [
        format!("{base}/transcriptions?api-version=2024-06-01"),
        format!("{base}/transcriptions/?api-version=2024-06-01"),
    ] {
        let (status, _, text) = heard_at(&server, &path, field, &[]).await;
        assert!(status == 200 && text.to_lowercase().contains("kitchen"), "{path}: {status} {text}");
    }
    for path in ["/v1/audio/transcriptions/", "/v1/audio/transcriptions//", "/inference/"] {
        let (status, _, text) = heard_at(&server, path, field, &[("model", "whisper-1")]).await;
        assert!(status == 200 && text.to_lowercase().contains("kitchen"), "{path}: {status} {text}");
    }
    let (status, _, text) = heard_at(&server, &format!("{base}/translations"), field, &[]).await;
    assert!(status == 400 && text.contains("unsupported"), "{text}");
    let (status, _, text) = heard_at(&server, "/openai/deployments/nobody/audio/transcriptions", field, &[]).await;
    assert!(status == 404 && text.contains("nobody"), "{text}");
    let speech = json!({"input": "Good morning.", "voice": "alloy", "response_format": "wav"});
    let answer = server.post_json("/openai/deployments/tts-1/audio/speech?api-version=1", &speech).await;
    assert_eq!((answer.status().as_u16(), &answer.bytes().await.unwrap()[..4]), (200, &b"RIFF"[..]));
    assert_eq!(server.get("/docs/").await.status(), 200);
}

#[tokio::test]
async fn a_recording_under_another_name_is_told_where_it_belongs() {
    let server = Server::start();
    let part = reqwest::multipart::Part::bytes(recording(WAV)).file_name("a.wav");
    let form = reqwest::multipart::Form::new().part("audio", part).text("model", "whisper-1");
    let request = server.client.post(server.url("/v1/audio/transcriptions")).multipart(form);
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!("audio")), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("into the field file"), "{body}");
}

/// Sends a form with the recording in `field`.
async fn heard_at(server: &Server, path: &str, field: &'static str, fields: &[(&str, &str)]) -> (u16, String, String) {
    let part = reqwest::multipart::Part::bytes(recording(WAV)).file_name("a.wav");
    let form = reqwest::multipart::Form::new().part(field, part);
    let form = fields.iter().fold(form, |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()));
    let answer = server.client.post(server.url(path)).multipart(form).send().await.unwrap();
    let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), media_type, answer.text().await.unwrap())
}

#[tokio::test]
async fn asr_hears_for_clients_of_whisper_asr_webservice() {
    let server = Server::start();
    for (query, kind) in [
        ("", "text/plain"),
        ("?encode=true&task=transcribe&language=en&initial_prompt=&output=txt&vad_filter=false", "text/plain"),
        ("?output=srt", "application/x-subrip"),
        ("?output=vtt", "text/vtt"),
        ("?output=tsv", "text/tab-separated-values"),
        ("?output=json&word_timestamps=true&model=whisper-nano.en", "application/json"),
    ] {
        let (status, media_type, text) = heard_at(&server, &format!("/asr{query}"), "audio_file", &[]).await;
        assert!(status == 200 && media_type.starts_with(kind), "{query}: {status} {media_type} {text}");
        assert!(text.to_lowercase().contains("kitchen"), "{query}: {text}");
        if query.contains("json") {
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((body["language"].as_str(), body["words"].as_array().map(Vec::len)), (Some("english"), Some(5)));
        }
    }
    for (query, said) in [
        ("?task=sing", "transcribe or translate"),
        ("?task=translate", "English only"),
        ("?output=doc", "json, text"),
        ("?diarize=true", "diarize"),
    ] {
        let (status, _, text) = heard_at(&server, &format!("/asr{query}"), "audio_file", &[]).await;
        assert!(status == 400 && text.contains(said), "{query}: {status} {text}");
    }
    let (status, _, text) = heard_at(&server, "/asr", "recording", &[]).await;
    assert!(status == 400 && text.contains("field file"), "{status} {text}");
}

#[tokio::test]
async fn inference_hears_for_clients_of_whisper_cpp() {
    let server = Server::start();
    let usual = [("temperature", "0.0"), ("response_format", "json")];
    let (status, _, text) = heard_at(&server, "/inference", "file", &usual).await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, words(body["text"].as_str().unwrap())), (200, LIGHTS.map(str::to_owned).to_vec()));
    let plain = [("response_format", "text"), ("no_timestamps", "true"), ("translate", "false")];
    let (status, _, text) = heard_at(&server, "/inference", "file", &plain).await;
    assert_eq!((status, words(&text)), (200, LIGHTS.map(str::to_owned).to_vec()));
    let (status, _, text) = heard_at(&server, "/inference", "file", &[("translate", "true")]).await;
    assert!(status == 400 && text.contains("translate"), "{status} {text}");
}
