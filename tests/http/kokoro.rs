//! Kokoro through the server: a tiny network of random numbers and two voices, computed by the ONNX Runtime of this machine.

use std::{fs, path::Path};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Server, ServerBuilder, espeak, fixture,
    onnx::{LIBRARY, Voice, folder, library},
};

const ANNA: Voice = Voice { name: "af_anna", text: "Good morning, all of you. The train leaves at eight." };
/// As a release has it: a name says what it is.
const RELEASE: &[(&str, &str)] = &[
    ("kokoro/model.onnx", "kokoro-tiny.onnx"),
    ("kokoro/af_anna.bin", "voices/af_anna.bin"),
    ("kokoro/bm_ben.bin", "voices/bm_ben.bin"),
];
/// As the hub has it, but for what says what it is.
const HUB: &[(&str, &str)] = &[
    ("kokoro/model.onnx", "onnx/model.onnx"),
    ("kokoro/af_anna.bin", "voices/af_anna.bin"),
    ("kokoro/bm_ben.bin", "voices/bm_ben.bin"),
];

/// The library and the program that it takes, where this machine has both.
fn machine() -> Option<(String, &'static str)> {
    Some((library()?, espeak::program()?))
}

fn builder(model: &Path, (library, program): &(String, &'static str)) -> ServerBuilder {
    let builder = Server::builder().env("MODEL_ID", model.to_str().unwrap());
    builder.env(LIBRARY, library).env("SCONCE_SPEECH__ESPEAK_NG", program)
}

fn hub() -> TempDir {
    let model = folder(HUB);
    fs::write(model.path().join("config.json"), r#"{"model_type": "style_text_to_speech_2"}"#).unwrap();
    model
}

#[tokio::test]
async fn both_layouts_speak_in_their_voices() {
    let Some(machine) = machine() else { return };
    let mut sounds = Vec::new();
    for model in [folder(RELEASE), hub()] {
        let server = builder(model.path(), &machine).start();
        let anna = ANNA.spoken(&server, json!({"seed": 1})).await;
        assert!(anna.seconds() > 0.3, "{}", anna.seconds());
        let ben = ANNA.spoken(&server, json!({"seed": 1, "voice": "bm_ben"})).await;
        assert!(ben.samples() != anna.samples(), "another voice");
        let voices = server.get_json("/v1/audio/voices").await.to_string();
        assert!(["af_anna", "bm_ben", "en-GB"].iter().all(|it| voices.contains(it)), "{voices}");
        sounds.push(anna);
    }
    assert!(sounds[0].samples() == sounds[1].samples(), "it is the same model");
}

#[tokio::test]
async fn blends_seeds_and_speeds_are_kept() {
    let Some(machine) = machine() else { return };
    let model = hub();
    let server = builder(model.path(), &machine).start();
    let anna = ANNA.spoken(&server, json!({"seed": 1})).await;
    assert!(ANNA.spoken(&server, json!({"seed": 1})).await.samples() == anna.samples(), "a seed is one sound");
    assert!(ANNA.spoken(&server, json!({"seed": 2})).await.samples() != anna.samples());
    assert!(ANNA.spoken(&server, json!({"seed": 1, "speed": 2.0})).await.seconds() < 0.8 * anna.seconds());
    let blend = |voice: &'static str| ANNA.spoken(&server, json!({"seed": 1, "voice": voice}));
    let (own, between) = (blend("af_anna+af_anna").await, blend("af_anna(2)+bm_ben(1)").await);
    assert!(own.samples() == anna.samples() && between.samples() != anna.samples());
    let usual = ANNA.spoken(&server, json!({"seed": 1, "voice": "alloy"})).await;
    assert!(usual.samples() == anna.samples(), "a name of OpenAI's is the usual voice");
}

#[tokio::test]
async fn it_streams_and_several_share_it() {
    let Some(machine) = machine() else { return };
    let model = hub();
    let server = builder(model.path(), &machine).env("SCONCE_RUNTIME__MAX_BATCH", "2").start();
    let mut answer = ANNA.ask(&server, json!({"response_format": "pcm"})).await;
    let mut parts = 0;
    while answer.chunk().await.unwrap().is_some() {
        parts += 1;
    }
    assert!(parts > 1, "{parts}");
    let asked = |seed: u64| ANNA.spoken(&server, json!({"seed": seed}));
    let (alone, (a, b, c)) = (asked(5).await, tokio::join!(asked(5), asked(6), asked(5)));
    assert!(alone.samples() == a.samples() && alone.samples() == c.samples() && b.samples() != a.samples());
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let Some(machine) = machine() else { return };
    let model = hub();
    let server = builder(model.path(), &machine).start();
    for (asked, said) in [
        (json!({"voice": "cleo"}), "cleo"),
        (json!({"voice": "af_anna+cleo"}), "cleo"),
        (json!({"speed": 3}), "0.5 to 2"),
        (json!({"options": {"pitch": 3}}), "pitch"),
        (json!({"language": "de"}), "does not speak de"),
        (json!({"input": "… — !"}), "only punctuation"),
    ] {
        let (status, message) = ANNA.refused(&server, asked).await;
        assert!((400..500).contains(&status) && message.contains(said), "{said}: {status} {message}");
    }
    assert!(ANNA.spoken(&server, json!({})).await.seconds() > 0.3, "it goes on");
}

#[tokio::test]
async fn what_is_missing_or_no_voice_is_said() {
    let Some((library, program)) = machine() else { return };
    let model = hub();
    let without = [
        ((library.clone(), "off"), "it needs the program espeak-ng, which speech.espeak_ng = \\\"off\\\" forbids"),
        (("off".to_owned(), program), "it needs the library ONNX Runtime"),
    ];
    for (machine, said) in without {
        let (status, message) = ANNA.refused(&builder(model.path(), &machine).start(), json!({})).await;
        assert!(status >= 400 && message.contains(said), "{status} {message}");
    }
    let machine = (library, program);
    let network = fs::read(fixture("kokoro/model.onnx")).unwrap();
    let faults: [(&str, Vec<u8>, &str); 4] = [
        (
            "onnx/model.onnx",
            network[..network.len() / 2].to_vec(),
            "model.onnx is not what it should be: it is cut off",
        ),
        ("voices/af_anna.bin", vec![0; 1000], "af_anna.bin is not what it should be: it has 1000 bytes"),
        ("voices/af_anna.bin", [0xff; 1024].to_vec(), "some of its numbers are none"),
        ("tokenizer.json", b"{".to_vec(), "tokenizer.json"),
    ];
    for (file, bytes, said) in faults {
        let model = hub();
        fs::write(model.path().join(file), bytes).unwrap();
        let (status, message) = ANNA.refused(&builder(model.path(), &machine).start(), json!({})).await;
        assert!(status >= 400 && message.contains(said), "{file}: {status} {message}");
        assert!(!message.contains(model.path().to_str().unwrap()), "a path of this machine: {message}");
    }
}
