//! Families on a GPU in the types that they have there by default. The driver computes nothing but our own kernels, but layers
//! refuse numbers of another type than theirs, and so does what reads the answer.

use serde_json::{Value, json};

use crate::{
    server::{HOPPER, LONG_TEXT, Running, Setup},
    support::{chatterbox, checkout, espeak, native::content, recording, yue, zonos},
};

/// Where nothing is computed what is made is silence, and nothing is left of it.
async fn works(running: &Running, request: &Value) {
    let answer = running.server.post_json("/predict", request).await;
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert!(status == 200 || body.contains("the model made no sound"), "{status}: {body}");
}

async fn is_in(running: &Running, dtype: &str) {
    running.load().await;
    let status = running.status().await;
    assert_eq!(status["dtype"], dtype, "{status}");
}

#[tokio::test]
async fn chatterbox_speaks_and_converts() {
    let options = json!({"max_new_tokens": 150, "steps": 1});
    let running = Setup::speaking(&[HOPPER], chatterbox::english(), [LONG_TEXT, "chatterbox"], &options).start();
    is_in(&running, "f16").await;
    let (status, body) = running.ask().await;
    assert_eq!(status, 200, "{body}");
    let spoken = content(&recording("good-morning.flac"));
    works(&running, &json!({"model": "m", "audio": spoken, "voice": "chatterbox", "options": {"steps": 1}})).await;
}

#[tokio::test]
async fn the_hybrid_of_zonos_speaks() {
    let Some(program) = espeak::program() else { return };
    let setup = Setup::speaking(
        &[HOPPER],
        zonos::together("hybrid"),
        ["Good morning.", "zonos"],
        &json!({"max_new_tokens": 400}),
    );
    let running = setup.env("SCONCE_SPEECH__ESPEAK_NG", program).start();
    is_in(&running, "f16").await;
    let (status, body) = running.ask().await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn yue_sings() {
    let setup = Setup::speaking(&[HOPPER], yue::together(), ["Good morning.", "yue"], &json!({}));
    let running = setup.env("SCONCE_MODELS__M__FAMILY", "yue").start();
    is_in(&running, "bf16").await;
    let options = json!({"max_new_tokens": 20, "max_sections": 1});
    let song = json!({"model": "m", "text": "[verse]\nMorning comes over the river", "instructions": "pop", "options": options});
    works(&running, &song).await;
}

#[tokio::test]
async fn voxtral_hears() {
    let options = json!({"max_new_tokens": 20});
    let running = Setup::hearing(&[HOPPER], &checkout("tests/fixtures/voxtral"), &options).start();
    is_in(&running, "bf16").await;
    let (status, body) = running.ask().await;
    assert_eq!(status, 200, "{body}");
}
