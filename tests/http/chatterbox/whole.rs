//! The whole chain against the reference's: text and recording in, samples out.

use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::{MODEL, server, sound};
use crate::support::{chatterbox, native::content};

/// So loud may the difference be, of the loudness of the reference's sound. A frame whose pitch is near the least that counts
/// as a voice is one in one of them only.
const TOLERANCE: f32 = 3e-3;
/// Samples at the end of a text that are faded out, which the reference leaves as they are.
const FADED: usize = 192;

struct Expected {
    /// What is asked, but for the voice.
    instance: Value,
    samples: Vec<f32>,
}

fn expected() -> Expected {
    let said: Value = serde_json::from_slice(&chatterbox::chain("expected.json")).unwrap();
    let mut options = said["options"].clone();
    let likeliest =
        json!({"temperature": 0, "first_block": 0, "max_new_tokens": said["tokens"].as_array().unwrap().len()});
    options.as_object_mut().unwrap().extend(likeliest.as_object().unwrap().clone());
    let instance = json!({"model": MODEL, "text": said["text"], "seed": said["seed"], "options": options});
    let file = chatterbox::chain("expected.safetensors");
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let wave = tensors.tensor("wave").unwrap();
    let sample = |bytes: &[u8; 2]| f32::from(i16::from_le_bytes(*bytes)) / 32768.0;
    Expected { instance, samples: wave.data().as_chunks().0.iter().map(sample).collect() }
}

/// The loudness of the difference to the reference, of the reference's.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let until = expected.len() - FADED;
    let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|sample| f64::from(sample).powi(2)).sum::<f64>();
    let far = power(&mut found[..until].iter().zip(expected).map(|(found, expected)| found - expected));
    (far / power(&mut expected[..until].iter().copied())).sqrt() as f32
}

#[tokio::test]
async fn a_text_in_the_voice_of_a_recording_sounds_as_the_reference_says_it() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let Expected { mut instance, samples } = expected();
    instance["voice"] = content(&chatterbox::chain("recording.wav"));
    let far = difference(sound(&server, &instance).await.samples(), &samples);
    assert!(far < TOLERANCE, "{far}");
}

#[tokio::test]
async fn a_text_in_a_voice_that_the_reference_kept_sounds_as_the_reference_says_it() {
    let folder = chatterbox::english();
    std::fs::remove_file(folder.path().join("conds.safetensors")).unwrap();
    std::fs::write(folder.path().join("conds.pt"), chatterbox::chain("conds.pt")).unwrap();
    let server = server(&folder);
    let Expected { instance, samples } = expected();
    let far = difference(sound(&server, &instance).await.samples(), &samples);
    assert!(far < TOLERANCE, "{far}");
}
