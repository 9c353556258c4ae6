//! Speech by `/predict`, in our own words.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};

use super::Server;

/// Status and body of what is answered.
pub async fn ask(server: &Server, instance: &Value) -> (u16, Value) {
    let answer = server.post_json("/predict", instance).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What is spoken, at so many hertz.
pub async fn sound(server: &Server, instance: &Value, rate: u32) -> Pcm {
    let (status, answer) = ask(server, instance).await;
    assert_eq!(status, 200, "{answer}");
    heard(&BASE64_STANDARD.decode(answer["audio"]["content"].as_str().unwrap()).unwrap(), rate)
}

/// What the caller is told who did something wrong.
pub async fn refused(server: &Server, instance: &Value) -> String {
    let (status, answer) = ask(server, instance).await;
    assert_eq!(status, 400, "{answer}");
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A file, at so many hertz.
pub fn heard(bytes: &[u8], rate: u32) -> Pcm {
    decode(bytes, None, rate, Duration::from_secs(600)).unwrap().pcm
}

/// Samples without a header.
pub fn bare(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / 32768.0).collect()
}

/// A recording as a request has it.
pub fn content(bytes: &[u8]) -> Value {
    json!({"content": BASE64_STANDARD.encode(bytes)})
}

/// With `more` in it, and those of its options.
pub fn with(mut instance: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        match (name.as_str(), value) {
            ("options", Value::Object(options)) => instance["options"].as_object_mut().unwrap().extend(options.clone()),
            _ => instance[name] = value.clone(),
        }
    }
    instance
}

pub fn furthest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
