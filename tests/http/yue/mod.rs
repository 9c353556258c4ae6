//! A small YuE with random weights: what it sings is noise, how it is asked and answers is real.

mod jobs;
mod turns;
mod wrong;

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{AudioFormat, Pcm, encode};
use serde_json::{Value, json};

use crate::support::{
    Server,
    native::{self, ask, content, heard, with},
    yue::{MODEL, Parts},
};

const LYRICS: &str = "[verse]\nMorning comes over the river\n\n[chorus]\nOh, carry me over\n\n[outro]\nHome\n";
/// Tokens of a section: a random network rarely ends by itself.
const TOKENS: usize = 60;
const RATE: u32 = 44_100;
/// Samples of a frame, of which each has two tokens.
const HOP: usize = 882;

/// A song, with `more` in it.
fn song(more: Value) -> Value {
    let song = json!({"model": MODEL, "text": LYRICS, "instructions": "pop airy female", "seed": 7,
        "options": {"max_new_tokens": TOKENS}});
    with(song, more)
}

async fn sound(server: &Server, instance: &Value) -> Pcm {
    native::sound(server, instance, RATE).await
}

/// A file of an answer.
fn file(object: &Value) -> Pcm {
    heard(&BASE64_STANDARD.decode(object["content"].as_str().unwrap_or_else(|| panic!("{object}"))).unwrap(), RATE)
}

/// As long as this, and no song: the network hears only codes.
fn tone(seconds: f64, pitch: f32) -> Vec<u8> {
    let sample = |at: usize| (at as f32 * pitch * (1.0 + (at / 1600 % 9) as f32 * 0.1)).sin() * 0.3;
    let samples = (0..(seconds * 16_000.0) as usize).map(sample).collect();
    encode(&Pcm::new(samples, 16_000), AudioFormat::Wav).unwrap()
}

#[tokio::test]
async fn lyrics_become_a_song_and_its_stems_twice_alike() {
    let parts = Parts::new();
    let server = parts.server().start();
    let whole = sound(&server, &song(json!({}))).await;
    let frames = whole.samples().len() / HOP;
    assert!(frames * HOP == whole.samples().len() && frames > 40 && frames <= 3 * TOKENS / 2, "{frames}");
    assert!(whole.samples().iter().any(|sample| sample.abs() > 0.01), "there is something to hear");
    assert_eq!(sound(&server, &song(json!({"stems": "mix"}))).await, whole, "what is usual");
    assert_ne!(sound(&server, &song(json!({"seed": 8}))).await.samples(), whole.samples());
    let (status, answer) = ask(&server, &song(json!({"stems": ["vocals", "mix", "instrumental"]}))).await;
    assert_eq!(status, 200, "{answer}");
    let (vocals, mix) = (file(&answer["audio"]), file(&answer["stems"]["mix"]));
    let instrumental = file(&answer["stems"]["instrumental"]);
    assert_eq!(mix, whole);
    assert_eq!([vocals.samples().len(), instrumental.samples().len()], [whole.samples().len(); 2]);
    assert_ne!(vocals.samples(), instrumental.samples());
    let status = server.get_json("/models/status").await["models"][MODEL].clone();
    assert_eq!((&status["status"], &status["family"]), (&json!("ready"), &json!("yue")), "{status}");
}

#[tokio::test]
async fn every_knob_the_genre_and_a_recording_change_what_is_sung() {
    let parts = Parts::new();
    let server = parts.server().start();
    let one = json!({"text": "[verse]\nMorning comes over the river"});
    let sing = async |more: Value| sound(&server, &with(song(one.clone()), more)).await;
    let usual = sing(json!({})).await;
    for options in [
        json!({"temperature": 0}),
        json!({"temperature": 2.0}),
        json!({"top_k": 2}),
        json!({"top_p": 0.1}),
        json!({"repetition_penalty": 2}),
        json!({"guidance_scale": 1}),
        json!({"guidance_scale": 4}),
        json!({"max_new_tokens": 20}),
    ] {
        assert_ne!(sing(json!({"options": options})).await, usual, "{options}");
    }
    for more in [
        json!({"instructions": "metal"}),
        json!({"text": "[chorus]\nMorning comes over the river"}),
        json!({"voice": content(&tone(1.0, 0.05))}),
        json!({"voice": [content(&tone(1.0, 0.05)), content(&tone(1.5, 0.02))]}),
    ] {
        assert_ne!(sing(more.clone()).await, usual, "{more}");
    }
    let same = json!({"options": {"temperature": 1, "top_k": 50, "top_p": 0.93, "repetition_penalty": 1.1, "guidance_scale": 1.5,
        "max_sections": 1, "stage2_batch": 1}});
    assert_eq!(sing(same).await, usual, "what is usual");
    // Of a recording the stretch that counts.
    let like = |start: f64| json!({"voice": content(&tone(3.0, 0.05)), "options": {"prompt_start": start}});
    assert_ne!(sing(like(0.0)).await, sing(like(1.5)).await);
    let answer = server.post_json("/predict", &song(json!({"instructions": "calm"}))).await;
    assert!(!answer.text().await.unwrap().contains("ignored"), "it follows them");
}

#[tokio::test]
async fn sections_that_are_not_sung_are_read() {
    let parts = Parts::new();
    let server = parts.server().start();
    let first = sound(&server, &song(json!({"options": {"max_sections": 1}}))).await;
    let whole = sound(&server, &song(json!({}))).await;
    assert!(first.samples().len() < whole.samples().len());
    let alone = sound(&server, &song(json!({"text": "[verse]\nMorning comes over the river"}))).await;
    assert_ne!(first, alone, "it knows what would follow");
}

#[tokio::test]
async fn songs_in_company_are_the_songs_alone() {
    let parts = Parts::new();
    let server = parts.server().env("SCONCE_RUNTIME__MAX_BATCH", "3").start();
    let seeded = |seed: u64| song(json!({"seed": seed}));
    let mut alone = Vec::new();
    for seed in 0..3 {
        alone.push(sound(&server, &seeded(seed)).await);
    }
    let asked = [seeded(0), seeded(1), seeded(2)];
    let together = futures::future::join_all(asked.iter().map(|song| sound(&server, song))).await;
    assert!(together == alone);
}

#[tokio::test]
async fn who_leaves_is_gone_within_a_step() {
    let parts = Parts::new();
    let server = parts.server().start();
    sound(&server, &song(json!({"options": {"max_sections": 1, "max_new_tokens": 4}}))).await;
    let long = song(json!({"options": {"max_new_tokens": 6000}}));
    server.leave(server.post_json("/predict", &long)).await;
    assert!(sound(&server, &song(json!({}))).await.seconds() > 0.5, "it goes on with the next");
}
