//! Songs that cannot be sung, and files that are no model.

use std::fs;

use serde_json::json;

use super::{song, sound, tone};
use crate::support::{
    native::{ask, content, refused},
    yue::{MODEL, Parts},
};

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let parts = Parts::new();
    let server = parts.server().start();
    let many = "[verse]\nla\n\n".repeat(40);
    let long = format!("[verse]\n{}", "la ".repeat(3000));
    let (one, two) = (content(&tone(1.0, 0.05)), content(&tone(61.0, 0.05)));
    for (asked, said) in [
        (json!({"text": "Morning comes"}), "is in no section; each section begins with its label on a line of its own"),
        (json!({"text": "[yodel]\nla"}), "section 1 of the lyrics is [yodel], which is none; each section begins"),
        (json!({"text": many}), "the lyrics have 40 sections; 1 to 20 would be right"),
        (json!({"text": long}), "section 1 of the lyrics, [verse], has 3000 words; at most 200 would be right"),
        (json!({"instructions": null}), "instructions are missing: the genre, instruments, mood"),
        (json!({"instructions": "[verse]"}), "instructions have a bracket"),
        (json!({"voice": two}), "longer than 60 s"),
        (json!({"voice": [one]}), "the list has 1 voices"),
        (json!({"voice": [one, one, one]}), "the list has 3 voices"),
        (json!({"voice": one, "options": {"prompt_start": 2}}), "the recording has 1.0 s, and prompt_start is 2; less"),
        (json!({"voice": "anna"}), "anna"),
        (json!({"voice": content(b"no sound")}), "this is not audio in a known format"),
        (json!({"stems": "drums"}), "there is no stem \"drums\"; there are mix, vocals, instrumental"),
        (json!({"speed": 1.5}), "this model sings at a pace of its own"),
        (json!({"options": {"max_new_tokens": 1}}), "max_new_tokens is 1; 2 to 6000 would be right"),
        (json!({"options": {"max_sections": 21}}), "max_sections is 21; 1 to 20 would be right"),
        (json!({"options": {"guidance_scale": 11}}), "guidance_scale is 11; 1 to 10 would be right"),
        (json!({"options": {"exaggeration": 1}}), "unknown field `exaggeration`"),
    ] {
        let message = refused(&server, &song(asked.clone())).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(sound(&server, &song(json!({}))).await.seconds() > 0.3, "it goes on");
}

#[tokio::test]
async fn lyrics_that_leave_no_room_are_refused() {
    let parts = Parts::new();
    Parts::change(&parts.model, |config| config["max_position_embeddings"] = json!(300));
    let server = parts.server().start();
    let text = format!("[verse]\n{}", "over the river ".repeat(50));
    let message = refused(&server, &song(json!({"text": text}))).await;
    assert!(message.contains("positions of the model, and 239 are left beside the sound of a section"), "{message}");
}

#[tokio::test]
async fn who_asks_for_a_conversion_is_told_of_chatterbox() {
    let parts = Parts::new();
    let server = parts.server().start();
    let tone = content(&tone(1.0, 0.05));
    let convert = json!({"model": MODEL, "task": "vc", "audio": tone, "voice": tone});
    let message = refused(&server, &convert).await;
    assert!(message.contains("YuE converts no voices") && message.contains("chatterbox-vc"), "{message}");
}

/// What is said when the model is asked for and cannot be loaded.
async fn failure(parts: &Parts) -> String {
    let (status, answer) = ask(&parts.server().start(), &song(json!({}))).await;
    assert!(status >= 400, "{status} {answer}");
    answer.to_string()
}

#[tokio::test]
async fn weights_that_others_quantised_are_refused_by_their_name() {
    let quantised = "YuE-s1-7B-anneal-en-cot-Q8_0.gguf";
    let parts = Parts::new();
    for entry in fs::read_dir(parts.model.path()).unwrap().map(Result::unwrap) {
        if entry.file_name() != "config.json" {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(parts.model.path().join(quantised), "GGUF").unwrap();
    let message = failure(&parts).await;
    assert!(message.contains(&format!("its model is {quantised}, and GGUF is not read")), "{message}");
    assert!(message.contains("the published safetensors would be right"), "{message}");
}

#[tokio::test]
async fn parts_that_do_not_belong_together_are_refused() {
    let parts = Parts::new();
    Parts::change(&parts.stage2, |config| config["num_hidden_layers"] = json!(3));
    let message = failure(&parts).await;
    assert!(message.contains("there are 2 layers, and it says 3"), "{message}");
    let parts = Parts::new();
    fs::write(parts.stage2.path().join("tokenizer.model"), "no model").unwrap();
    let message = failure(&parts).await;
    assert!(message.contains("tokenizer.model is not what it should be"), "{message}");
    let parts = Parts::new();
    fs::remove_file(parts.stage2.path().join("tokenizer.model")).unwrap();
    let message = failure(&parts).await;
    assert!(message.contains("tokenizer.model is missing"), "{message}");
    let parts = Parts::new();
    Parts::change(&parts.model, |config| config["rope_scaling"] = json!({"type": "yarn"}));
    Parts::change(&parts.model, |config| config["rope_parameters"] = json!(null));
    let message = failure(&parts).await;
    assert!(message.contains("rope_type is \\\"yarn\\\""), "{message}");
}
