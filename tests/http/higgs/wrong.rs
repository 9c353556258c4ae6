//! Requests that cannot be met, and files that are no model.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::{builder, instance, keep, keeping, server, shown, sound, tone};
use crate::support::{
    higgs::Parts,
    native::{ask, content, refused, with},
    recording,
};

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let (parts, voices) = (Parts::of("transformers"), TempDir::new().unwrap());
    let server = keeping(&parts, &voices).start();
    keep(&server, "silent", tone(1.5, 0.05), None).await;
    keep(&server, "long", tone(30.5, 0.05), Some("A long story.")).await;
    let scene = "A very large hall in which somebody whispers. ".repeat(200);
    let no_transcript = "the voice's recording has no transcript, and this model speaks in a voice only where it knows";
    for (asked, said) in [
        (json!({"voice": "silent"}), no_transcript),
        (json!({"voice": content(&recording(super::SPEAKER))}), no_transcript),
        (json!({"voice": with(shown(""), json!({}))}), no_transcript),
        (json!({"voice": with(shown("a"), json!({"transcript": 7}))}), "audio should be"),
        (json!({"voice": "long"}), "the voice's recording has 30.5 s; at most 30 s would be right"),
        (json!({"voice": "anna"}), "anna"),
        (json!({"instructions": scene}), "of its 8192 are left beside the text; a shorter scene"),
        (json!({"speed": 1.5}), "this model speaks at a pace of its own"),
        (json!({"options": {"temperature": 11}}), "temperature is 11; 0 to 10 would be right"),
        (json!({"options": {"top_p": 0}}), "top_p is 0; above 0, to 1, would be right"),
        (json!({"options": {"ras_window": 101}}), "ras_window is 101; 0 to 100 would be right"),
        (json!({"options": {"ras_repeats": 0}}), "ras_repeats is 0; 1 to 100 would be right"),
        (json!({"options": {"max_new_tokens": 0}}), "max_new_tokens is 0; 1 to 2048 would be right"),
        (json!({"options": {"max_new_tokens": 2049}}), "max_new_tokens is 2049; 1 to 2048 would be right"),
        (json!({"options": {"context_blocks": 9}}), "context_blocks is 9; 0 to 8 would be right"),
        (json!({"options": {"exaggeration": 1}}), "unknown field `exaggeration`"),
        (json!({"text": "?! ..."}), "the text has only punctuation and symbols"),
    ] {
        let message = refused(&server, &instance(asked.clone())).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(sound(&server, &instance(json!({}))).await.seconds() > 0.3, "it goes on");
}

#[tokio::test]
async fn who_asks_for_a_conversion_is_told_of_chatterbox() {
    let parts = Parts::of("transformers");
    let server = server(&parts);
    let convert =
        json!({"model": super::MODEL, "task": "vc", "audio": content(&recording(super::SPEAKER)), "voice": "higgs"});
    let message = refused(&server, &convert).await;
    assert!(message.contains("Higgs Audio has no voice conversion") && message.contains("chatterbox-vc"), "{message}");
}

/// What is said when the model is asked for and cannot be loaded.
async fn failure(parts: &Parts) -> String {
    let (status, answer) = ask(&builder(parts).start(), &instance(json!({}))).await;
    assert!(status >= 400, "{status} {answer}");
    answer.to_string()
}

#[tokio::test]
async fn a_checkpoint_that_was_converted_by_half_is_refused() {
    // The second shard of Boson's layout is a whole file of the other.
    let (parts, other) = (Parts::of("boson"), Parts::of("transformers"));
    let shard = parts.model.path().join("model-00002-of-00002.safetensors");
    fs::copy(other.model.path().join("model.safetensors"), shard).unwrap();
    let message = failure(&parts).await;
    assert!(message.contains("converted by half"), "{message}");
}

#[tokio::test]
async fn parts_that_do_not_belong_together_are_refused() {
    let parts = Parts::of("transformers");
    Parts::change(&parts.model, |config| config["num_codebooks"] = json!(2));
    let message = failure(&parts).await;
    assert!(message.contains("embed_audio_tokens"), "{message}");
    let parts = Parts::of("transformers");
    Parts::change(&parts.codec, |config| config["acoustic_model_config"]["downsampling_ratios"] = json!([2, 2]));
    let message = failure(&parts).await;
    assert!(message.contains("downsampling_ratios is [2, 2]"), "{message}");
    let parts = Parts::of("transformers");
    fs::write(parts.model.path().join("tokenizer.json"), "{}").unwrap();
    let message = failure(&parts).await;
    assert!(message.contains("tokenizer.json is not what it should be"), "{message}");
}
