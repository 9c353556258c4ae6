//! Requests that cannot be met, and files that are no model.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{AudioFormat, Pcm, encode};
use serde_json::{Value, json};

use super::{MODEL, SPEAKER, builder, instance, server, sound, wav};
use crate::support::{
    espeak,
    native::{ask, content, refused},
    recording,
    zonos::{Parts, SPEAKER_FILES},
};

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("hybrid");
    let server = server(&parts);
    let long = BASE64_STANDARD.encode(encode(&Pcm::new(vec![0.1; 44_100 * 31], 44_100), AudioFormat::Flac).unwrap());
    for (asked, said) in [
        (json!({"options": {"emotion": [1, 0]}}), "emotion has 2 numbers; 8 numbers would be right"),
        (json!({"options": {"emotion": [0, 0, 0, 0, 0, 0, 0, 0]}}), "emotion is 0 everywhere"),
        (json!({"options": {"emotion": [1, 0, 0, 0, 0, 0, 0, -1]}}), "emotion is -1; 0 to 1 would be right"),
        (json!({"options": {"speaking_rate": 41}}), "speaking_rate is 41; 0 to 40 would be right"),
        (json!({"speed": 4.0}), "speaking_rate is 60; 0 to 40 would be right"),
        (json!({"options": {"fmax": -1}}), "fmax is -1; 0 to 24000 would be right"),
        (json!({"options": {"pitch_std": 500}}), "pitch_std is 500; 0 to 400 would be right"),
        (json!({"options": {"vqscore_8": [0.7]}}), "vqscore_8 has 1 numbers; 8 numbers would be right"),
        (json!({"options": {"vqscore_8": 0.9}}), "vqscore_8 is 0.9; 0.5 to 0.8 would be right"),
        (json!({"options": {"dnsmos_ovrl": 6}}), "dnsmos_ovrl is 6; 1 to 5 would be right"),
        (json!({"options": {"cfg_scale": 0.5}}), "cfg_scale is 0.5; 1 to 10 would be right"),
        (json!({"options": {"min_p": 2}}), "min_p is 2; 0 to 1 would be right"),
        (json!({"options": {"max_new_tokens": 0}}), "max_new_tokens is 0; 1 to 5160 would be right"),
        (json!({"options": {"exaggeration": 1}}), "unknown field `exaggeration`"),
        (json!({"options": {"audio_prefix": long}}), "audio_prefix: the audio is longer than 30 s"),
        (json!({"language": "tlh"}), "the language \"tlh\" is unknown; known are en"),
        (json!({"text": "今日は", "language": "ja"}), "Japanese is read in kana alone, and '今' is none"),
        (json!({"text": "?! ..."}), "the text has only punctuation and symbols"),
        (json!({"voice": "anna"}), "anna"),
        (json!({"voice": content(&wav(vec![0.1; 8820]))}), "the recording is 0.20 s long; 1 to 60 s tell a voice"),
    ] {
        let message = refused(&server, &instance(asked.clone())).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(sound(&server, &instance(json!({}))).await.seconds() > 0.1, "it goes on");
}

#[tokio::test]
async fn a_transformer_says_what_only_a_hybrid_hears() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("transformer");
    let server = server(&parts);
    for options in [json!({"vqscore_8": 0.78}), json!({"dnsmos_ovrl": 4}), json!({"speaker_noised": true})] {
        let name = options.as_object().unwrap().keys().next().unwrap().clone();
        let message = refused(&server, &instance(json!({"options": options}))).await;
        assert!(message.contains(&format!("this model does not hear of {name}")), "{message}");
    }
    let left_out = json!({"options": {"vqscore_8": null, "dnsmos_ovrl": null}});
    assert!(sound(&server, &instance(left_out)).await.seconds() > 0.1);
}

/// What is said when the model is asked for and cannot be loaded.
async fn failure(parts: &Parts, names: &[&str]) -> String {
    let (status, answer) = ask(&builder(parts, names).start(), &instance(json!({}))).await;
    assert!(status >= 400, "{status} {answer}");
    answer.to_string()
}

#[tokio::test]
async fn a_checkpoint_with_the_configuration_of_the_other_kind_is_refused() {
    if espeak::program().is_none() {
        return;
    }
    for (kind, other, said) in [
        ("hybrid", "transformer", "config.json describes a transformer"),
        ("transformer", "hybrid", "config.json describes a hybrid"),
    ] {
        let (parts, others) = (Parts::of(kind), Parts::of(other));
        let theirs: Value =
            serde_json::from_slice(&fs::read(others.model.path().join("config.json")).unwrap()).unwrap();
        let layers = if kind == "hybrid" { 5 } else { 3 };
        parts.change(|config| {
            *config = theirs;
            config["backbone"]["n_layer"] = json!(layers);
            let conditioners = config["prefix_conditioner"]["conditioners"].as_array_mut().unwrap();
            conditioners.truncate(7);
        });
        let message = failure(&parts, &["model", "codec", "speaker"]).await;
        // The hybrid has more conditions than a transformer's configuration.
        let also = "prefix_conditioner.conditioners.7";
        assert!(message.contains(said) || message.contains(also), "{kind}: {message}");
    }
}

#[tokio::test]
async fn a_speaker_file_that_is_none_or_runs_code_is_refused() {
    if espeak::program().is_none() {
        return;
    }
    for bytes in [b"no pickle at all".to_vec(), b"cposix\nsystem\n(S'true'\ntR.".to_vec(), Vec::new()] {
        let parts = Parts::of("transformer");
        fs::write(parts.speaker.path().join(SPEAKER_FILES[0]), bytes).unwrap();
        let message = failure(&parts, &["model", "codec", "speaker"]).await;
        assert!(message.contains(SPEAKER_FILES[0]), "{message}");
    }
    let parts = Parts::of("transformer");
    fs::remove_file(parts.speaker.path().join(SPEAKER_FILES[1])).unwrap();
    let message = failure(&parts, &["model", "codec", "speaker"]).await;
    assert!(message.contains("LDA"), "{message}");
}

#[tokio::test]
async fn without_a_speaker_network_it_speaks_and_lends_no_voice() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("transformer");
    let server = builder(&parts, &["model", "codec"]).start();
    assert!(sound(&server, &instance(json!({}))).await.seconds() > 0.1);
    let message = refused(&server, &instance(json!({"voice": content(&recording(SPEAKER))}))).await;
    assert!(message.contains("no part speaker"), "{message}");
}

#[tokio::test]
async fn a_codec_of_another_kind_is_refused() {
    if espeak::program().is_none() {
        return;
    }
    let parts = Parts::of("transformer");
    let path = parts.codec.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap().replace("\"codebook_size\": 64", "\"codebook_size\": 32");
    fs::write(path, config).unwrap();
    let message = failure(&parts, &["model", "codec"]).await;
    assert!(message.contains("codebook"), "{message}");
    let (status, _) = ask(&server(&Parts::of("transformer")), &instance(json!({"model": MODEL}))).await;
    assert_eq!(status, 200);
}
