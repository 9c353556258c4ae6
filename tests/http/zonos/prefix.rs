//! Recordings that are gone on with.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{FRAMES, MODEL, RATE, TEXT, builder, instance, server, sound, wav};
use crate::support::{
    Server, espeak,
    native::{bare, furthest, refused},
    zonos::Parts,
};

const PARTS: [&str; 3] = ["model", "codec", "speaker"];

/// As long as this, and no speech: the network hears only codes.
fn tone(seconds: f64) -> Vec<u8> {
    let sample = |at: usize| (at as f32 * 0.05 * (1.0 + (at / 4410 % 9) as f32 * 0.1)).sin() * 0.3;
    wav((0..(seconds * f64::from(RATE)) as usize).map(sample).collect())
}

fn keeping(parts: &Parts, voices: &TempDir) -> Server {
    builder(parts, &PARTS).env("SCONCE_VOICES__DIR", &voices.path().display().to_string()).start()
}

async fn keep(server: &Server, name: &str, seconds: f64, transcript: Option<&str>) {
    let sample = Part::bytes(tone(seconds)).file_name("tone.wav");
    let form = Form::new().text("name", name.to_owned()).part("audio_sample", sample);
    let form = transcript.into_iter().fold(form, |form, words| form.text("transcript", words.to_owned()));
    let answer = server.client.post(server.url("/v1/audio/voices")).multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

fn after(prefix: Value) -> Value {
    instance(json!({"options": {"audio_prefix": prefix}}))
}

#[tokio::test]
async fn a_recording_can_be_gone_on_with() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("hybrid");
    let server = server(&parts);
    let usual = sound(&server, &instance(json!({}))).await;
    let ask = after(json!(BASE64_STANDARD.encode(tone(0.1))));
    let after = sound(&server, &ask).await;
    assert_ne!(after, usual);
    assert_eq!(after.samples().len(), usual.samples().len(), "what was given is not said again");
    assert_eq!(sound(&server, &ask).await, after);
}

#[tokio::test]
async fn one_that_the_server_keeps_is_encoded_once_whatever_route_asks() {
    if espeak::program().is_none() {
        return;
    }
    let (parts, voices) = (Parts::of("transformer"), TempDir::new().unwrap());
    let server = keeping(&parts, &voices);
    keep(&server, "long", 3.0, None).await;
    keep(&server, "longer", 30.5, None).await;
    let ask = after(json!({"id": "long"}));
    let usual = sound(&server, &instance(json!({}))).await;
    let first = sound(&server, &ask).await;
    assert_ne!(first, usual);
    assert_eq!(first.samples().len(), usual.samples().len());
    assert_eq!(sound(&server, &ask).await, first);
    for (found, times) in [("computed", 1.0), ("memory", 1.0)] {
        assert_eq!(server.metric("sconce_reference_cache_total", &[("found", found)]).await, times, "{found}");
    }
    // By OpenAI's route as well.
    let body = json!({"model": MODEL, "input": TEXT, "voice": "zonos", "response_format": "pcm", "seed": 7,
        "sample_rate": RATE, "options": {"max_new_tokens": FRAMES, "audio_prefix": {"id": "long"}}});
    let streamed = server.post_json("/v1/audio/speech", &body).await;
    assert_eq!(streamed.status(), 200);
    let samples = bare(&streamed.bytes().await.unwrap());
    assert_eq!(samples.len(), first.samples().len());
    assert!(furthest(&samples, first.samples()) < 1e-4);
    let message = refused(&server, &after(json!({"id": "longer"}))).await;
    assert!(message.contains("the recording is 30.5 s long; at most 30 s would be right"), "{message}");
}

#[tokio::test]
async fn what_is_said_in_it_is_told_to_the_model_where_somebody_wrote_it_down() {
    if espeak::program().is_none() {
        return;
    }
    let (parts, voices) = (Parts::of("hybrid"), TempDir::new().unwrap());
    let server = keeping(&parts, &voices);
    keep(&server, "told", 1.5, Some("Oh.")).await;
    keep(&server, "untold", 1.5, None).await;
    let told = sound(&server, &after(json!({"id": "told"}))).await;
    assert_ne!(sound(&server, &after(json!({"id": "untold"}))).await, told);
    // Whoever says it with the text says the same.
    let mut both = after(json!({"id": "untold"}));
    both["text"] = json!(format!("Oh. {TEXT}"));
    assert_eq!(sound(&server, &both).await, told);
}

#[tokio::test]
async fn a_recording_that_cannot_be_had_is_refused_by_name() {
    if espeak::program().is_none() {
        return;
    }
    let (parts, voices) = (Parts::of("hybrid"), TempDir::new().unwrap());
    let server = keeping(&parts, &voices);
    keep(&server, "anna", 1.5, None).await;
    for (prefix, said) in [
        (json!({"id": "ana"}), "audio_prefix: there is no voice \"ana\" (did you mean anna?); there is anna"),
        (json!({"id": 7}), "audio_prefix should be base64 of a recording, or {\"id\": …}"),
        (json!({"id": "anna", "uri": "https://example.org/a.wav"}), "audio_prefix should be base64 of a recording"),
        (json!({"uri": "https://example.org/a.wav"}), "audio_prefix should be base64 of a recording"),
        (json!("?"), "audio_prefix is no base64"),
        (json!("aGVsbG8="), "audio_prefix: this is not audio in a known format"),
        (json!("A".repeat(70_000)), "options has 70026 bytes of text; 65536 at most would be right"),
    ] {
        let message = refused_or_too_large(&server, &after(prefix.clone())).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(sound(&server, &instance(json!({}))).await.seconds() > 0.1, "it goes on");
}

async fn refused_or_too_large(server: &Server, instance: &Value) -> String {
    let answer = server.post_json("/predict", instance).await;
    assert!([400, 413].contains(&answer.status().as_u16()), "{}", answer.status());
    answer.text().await.unwrap().replace("\\\"", "\"")
}
