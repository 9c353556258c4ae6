//! Small Higgs models in both published layouts, with random weights: what they say is noise, how they are asked and answered is
//! real.

mod dialogue;
mod flow;
mod wrong;

use futures::future::join_all;
use reqwest::multipart::{Form, Part};
use sconce::audio::{AudioFormat, Pcm, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, ServerBuilder,
    higgs::{LAYOUTS, Parts},
    native::{self, bare, content, furthest, with},
    recording,
};

const MODEL: &str = "small_higgs";
const TEXT: &str = "Good morning to you.";
const SPEAKER: &str = "good-morning.flac";
/// Frames of a text; a random network rarely stops by itself.
const FRAMES: usize = 30;
const RATE: u32 = 24_000;

fn builder(parts: &Parts) -> ServerBuilder {
    let of = |folder: &TempDir| format!("file:{}", folder.path().display());
    Server::builder()
        .env("LOAD_MODE", "on_demand")
        .env("SCONCE_MODELS__SMALL_HIGGS__FAMILY", "higgs")
        .env("SCONCE_MODELS__SMALL_HIGGS__PARTS__MODEL", &of(&parts.model))
        .env("SCONCE_MODELS__SMALL_HIGGS__PARTS__CODEC", &of(&parts.codec))
}

fn server(parts: &Parts) -> Server {
    builder(parts).start()
}

fn keeping(parts: &Parts, voices: &TempDir) -> ServerBuilder {
    builder(parts).env("SCONCE_VOICES__DIR", &voices.path().display().to_string())
}

/// With `more` in it.
fn instance(more: Value) -> Value {
    with(json!({"model": MODEL, "text": TEXT, "seed": 7, "options": {"max_new_tokens": FRAMES}}), more)
}

/// A recording, and what is said in it.
fn shown(transcript: &str) -> Value {
    with(content(&recording(SPEAKER)), json!({"transcript": transcript}))
}

/// As long as this, and no speech: the network hears only codes.
fn tone(seconds: f64, pitch: f32) -> Vec<u8> {
    let sample = |at: usize| (at as f32 * pitch * (1.0 + (at / 2400 % 9) as f32 * 0.1)).sin() * 0.3;
    let samples = (0..(seconds * f64::from(RATE)) as usize).map(sample).collect();
    encode(&Pcm::new(samples, RATE), AudioFormat::Wav).unwrap()
}

async fn keep(server: &Server, name: &str, sample: Vec<u8>, transcript: Option<&str>) {
    let form = Form::new().text("name", name.to_owned()).part("audio_sample", Part::bytes(sample).file_name("a.wav"));
    let form = transcript.into_iter().fold(form, |form, words| form.text("transcript", words.to_owned()));
    let answer = server.client.post(server.url("/v1/audio/voices")).multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

async fn sound(server: &Server, instance: &Value) -> Pcm {
    native::sound(server, instance, RATE).await
}

#[tokio::test]
async fn a_text_is_spoken_from_either_layout_and_twice_alike() {
    let mut made = Vec::new();
    for layout in LAYOUTS {
        let parts = Parts::of(layout);
        let server = server(&parts);
        let first = sound(&server, &instance(json!({}))).await;
        assert!(first.seconds() > 0.3 && first.seconds() < 1.3, "{layout}: {}", first.seconds());
        assert_eq!(sound(&server, &instance(json!({"voice": "higgs"}))).await, first);
        assert_ne!(sound(&server, &instance(json!({"seed": 8}))).await, first);
        let status = server.get_json("/models/status").await["models"][MODEL].clone();
        assert_eq!((&status["status"], &status["family"]), (&json!("ready"), &json!("higgs")), "{status}");
        assert!(status["licence_notice"].as_str().unwrap().contains("Boson Higgs Audio 2"), "{status}");
        made.push(first);
    }
    assert!(furthest(made[0].samples(), made[1].samples()) < 1e-3, "both are one model");
}

#[tokio::test]
async fn every_knob_and_what_is_to_be_heard_change_what_is_said() {
    let parts = Parts::of("transformers");
    let server = server(&parts);
    let usual = sound(&server, &instance(json!({}))).await;
    for options in [
        json!({"temperature": 0}),
        json!({"temperature": 2.0}),
        json!({"top_k": 2}),
        json!({"top_p": 0.1}),
        json!({"ras_window": 50, "ras_repeats": 1}),
        json!({"max_new_tokens": 12}),
    ] {
        assert_ne!(sound(&server, &instance(json!({"options": options}))).await, usual, "{options}");
    }
    let scene = sound(&server, &instance(json!({"instructions": "A large hall, whispering."}))).await;
    assert_ne!(scene, usual);
    let same = json!({"options": {"temperature": 0.7, "top_k": 50, "top_p": 0.95, "ras_window": 7, "ras_repeats": 2}});
    assert_eq!(sound(&server, &instance(same)).await, usual, "what is usual");
    let answer = server.post_json("/predict", &instance(json!({"instructions": "Calm."}))).await;
    assert!(!answer.text().await.unwrap().contains("ignored"), "it follows them");
}

#[tokio::test]
async fn a_stream_is_the_whole_sound_however_large_its_first_block_is() {
    let parts = Parts::of("transformers");
    let server = server(&parts);
    let whole = sound(&server, &instance(json!({}))).await;
    for first in [0, 1, 20, 250] {
        let body = json!({"model": MODEL, "input": TEXT, "voice": "higgs", "response_format": "pcm", "seed": 7,
            "stream_format": "audio", "sample_rate": RATE, "options": {"max_new_tokens": FRAMES, "first_block": first}});
        let streamed = server.post_json("/v1/audio/speech", &body).await;
        assert_eq!(streamed.status(), 200);
        let bytes = streamed.bytes().await.unwrap();
        let samples = bare(&bytes);
        assert_eq!(samples.len(), whole.samples().len());
        let off = furthest(&samples, whole.samples());
        assert!(off < 1e-4, "{first}: {off}");
    }
}

#[tokio::test]
async fn texts_together_sound_as_each_alone() {
    let parts = Parts::of("boson");
    let server = server(&parts);
    let texts = ["Good morning to you.", "Good day, whoever you are.", "Yes, it is what it is.", "No, not at all."];
    let ask = |text: &str| instance(json!({"text": text, "voice": shown("Good morning.")}));
    let mut alone = Vec::new();
    for text in texts {
        alone.push(sound(&server, &ask(text)).await);
    }
    let together = join_all(texts.map(|text| {
        let (server, instance) = (&server, ask(text));
        async move { sound(server, &instance).await }
    }));
    assert!(together.await == alone);
}

#[tokio::test]
async fn a_recording_lends_its_voice_and_is_heard_once() {
    let parts = Parts::of("transformers");
    let server = server(&parts);
    let own = sound(&server, &instance(json!({}))).await;
    let ask = instance(json!({"voice": shown("Good morning.")}));
    let first = sound(&server, &ask).await;
    assert_ne!(first, own);
    assert_eq!(sound(&server, &ask).await, first, "a kept beginning is one that is read anew");
    for found in ["computed", "memory"] {
        assert_eq!(server.metric("sconce_reference_cache_total", &[("found", found)]).await, 1.0, "{found}");
    }
    let other = instance(json!({"voice": shown("Something else.")}));
    assert_ne!(sound(&server, &other).await, first, "what is said in it is told to the model");
}

#[tokio::test]
async fn what_is_said_in_a_recording_another_model_writes_down_where_nobody_did() {
    let (parts, voices) = (Parts::of("transformers"), TempDir::new().unwrap());
    let server = keeping(&parts, &voices).env("SCONCE_VOICES__TRANSCRIBER", "sconce/whisper-nano.en").start();
    keep(&server, "told", recording(SPEAKER), Some("Good morning.")).await;
    keep(&server, "untold", recording(SPEAKER), None).await;
    let told = sound(&server, &instance(json!({"voice": "told"}))).await;
    let heard = sound(&server, &instance(json!({"voice": {"id": "untold"}}))).await;
    assert!(heard.seconds() > 0.3 && told.seconds() > 0.3);
    assert_eq!(sound(&server, &instance(json!({"voice": content(&recording(SPEAKER))}))).await, heard);
    let ready = server.get_json("/models/status").await["models"]["sconce/whisper-nano.en"]["status"].clone();
    assert_eq!(ready, "ready");
}

#[tokio::test]
async fn a_long_text_is_spoken_block_by_block_each_after_those_before() {
    let parts = Parts::of("transformers");
    let server = server(&parts);
    // A pause ends a block.
    let text = "Good morning to you. [pause:100ms] Good evening to all of you. [pause:100ms] Good night, then.";
    let ask = |blocks: usize| instance(json!({"text": text, "options": {"context_blocks": blocks}}));
    let (alone, told) = (sound(&server, &ask(0)).await, sound(&server, &ask(2)).await);
    assert!(alone.seconds() > 1.0, "{}", alone.seconds());
    // The first block is the same, and those after it heard something else.
    let beginning = RATE as usize / 4;
    assert!(furthest(&told.samples()[..beginning], &alone.samples()[..beginning]) < 1e-3);
    assert_ne!(told, alone);
    assert_ne!(sound(&server, &ask(1)).await, told, "the third block heard one block less");
}

#[tokio::test]
async fn who_leaves_is_given_up_within_a_step() {
    let parts = Parts::of("transformers");
    let server = server(&parts);
    let short = instance(json!({}));
    let expected = sound(&server, &short).await;
    // The likeliest codes alone go on to the last frame, and nothing is sent before it.
    let options = json!({"temperature": 0, "ras_window": 0, "max_new_tokens": 2048, "first_block": 2048});
    let long = instance(json!({"options": options}));
    server.leave(server.post_json("/predict", &long)).await;
    assert_eq!(sound(&server, &short).await, expected);
}
