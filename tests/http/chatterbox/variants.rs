//! The other models of the family.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{MODEL, RATE, SPEAKER, instance, server, sound, wav};
use crate::support::{
    Server, chatterbox,
    native::{ask, content, heard, refused},
    recording,
};

#[tokio::test]
async fn the_multilingual_model_speaks_from_files_of_pytorch() {
    let folder = chatterbox::multilingual();
    let server = server(&folder);
    let hindi = json!({"text": "नमस्ते दुनिया", "language": "hi"});
    let first = sound(&server, &instance(hindi.clone())).await;
    assert!(first.seconds() > 0.5, "{}", first.seconds());
    assert_eq!(sound(&server, &instance(hindi)).await, first);
    let as_english = sound(&server, &instance(json!({"text": "नमस्ते दुनिया"}))).await;
    assert_ne!(as_english, first, "a language is told to the model");
    let shown = json!({"text": "Привет, как дела?", "language": "ru", "voice": content(&recording(SPEAKER))});
    assert!(sound(&server, &instance(shown)).await.seconds() > 0.5);
    let chinese = json!({"text": "今天天气很好。", "language": "zh"});
    assert!(sound(&server, &instance(chinese)).await.seconds() > 0.5);
    for (text, language, said) in [
        ("こんにちは", "ja", "Japanese cannot be spoken"),
        ("שלום", "he", "Hebrew cannot be spoken"),
        ("Saluton", "eo", "the language \"eo\" is unknown; known are ar, "),
    ] {
        let message = refused(&server, &instance(json!({"text": text, "language": language}))).await;
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[tokio::test]
async fn turbo_speaks_and_laughs() {
    let folder = chatterbox::turbo();
    let server = server(&folder);
    let ask = |text: &str| instance(json!({"text": text}));
    let plain = sound(&server, &ask("That is funny.")).await;
    assert!(plain.seconds() > 0.5, "{}", plain.seconds());
    assert_eq!(sound(&server, &ask("That is funny.")).await, plain);
    assert_ne!(sound(&server, &ask("That is funny [laugh].")).await, plain);
    let short = refused(&server, &instance(json!({"voice": content(&wav(vec![0.1; 24_000 * 3]))}))).await;
    assert!(short.contains("at least 5 s would be right"), "{short}");
    let steps = |at: usize| (at as f32 * 0.02 * (1.0 + (at / 4800 % 7) as f32 * 0.1)).sin() * 0.3;
    let shown = wav((0..24_000 * 6).map(steps).collect());
    assert_ne!(sound(&server, &instance(json!({"voice": content(&shown)}))).await, plain);
    for (options, said) in [
        (json!({"exaggeration": 0.7}), "this model has no exaggeration"),
        (json!({"cfg_weight": 0.5}), "this model has no cfg_weight"),
    ] {
        let message = refused(&server, &instance(json!({"options": options}))).await;
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[tokio::test]
async fn a_job_of_runpod_is_understood() {
    let folder = chatterbox::english();
    let server = server(&folder);
    let mut spoken = instance(json!({"task": "tts"}));
    spoken.as_object_mut().unwrap().remove("model");
    spoken["model_type"] = json!(MODEL);
    let expected = sound(&server, &instance(json!({}))).await;
    assert_eq!(sound(&server, &spoken).await, expected, "without the envelope");
    let (status, answer) = ask(&server, &json!({"id": "a-1", "input": spoken, "webhook": "for RunPod"})).await;
    assert_eq!((status, &answer["id"]), (200, &json!("a-1")), "{answer}");
    assert_eq!(
        heard(&BASE64_STANDARD.decode(answer["output"]["audio"]["content"].as_str().unwrap()).unwrap(), RATE),
        expected
    );
    let mut job = json!({"input": {"model_type": MODEL, "task": "voice_conversion", "audio": content(&recording(SPEAKER)),
        "voice": "chatterbox", "seed": 1, "options": {"steps": 1}}});
    let (status, answer) = ask(&server, &job).await;
    assert!(status == 200 && answer["output"]["audio"]["duration"].as_f64().unwrap() > 1.0, "{answer}");
    job["input"].as_object_mut().unwrap().remove("audio");
    let message = refused(&server, &job).await;
    assert!(message.contains("audio"), "{message}");
}

#[tokio::test]
async fn a_model_that_only_converts_is_not_asked_to_speak() {
    let folder = chatterbox::english();
    chatterbox::keep_conversion(&folder);
    let server = Server::builder()
        .env("LOAD_MODE", "on_demand")
        .env("SCONCE_MODELS__CHANGER__PARTS__S3GEN", &format!("file:{}", folder.path().display()))
        .start();
    let (status, answer) = ask(&server, &json!({"text": "Good morning."})).await;
    assert_eq!((status, &answer["model"]), (200, &json!("sconce/lark.en")), "the voice inside: {answer}");
    let message = refused(&server, &json!({"model": "changer", "text": "Good morning."})).await;
    assert!(message.contains("does not synthesize"), "{message}");
    let convert = json!({"audio": content(&recording(SPEAKER)), "voice": "chatterbox", "options": {"steps": 1}});
    let (status, answer) = ask(&server, &convert).await;
    assert_eq!((status, &answer["model"]), (200, &json!("changer")), "{answer}");
}
