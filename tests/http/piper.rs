//! Piper through the server: a tiny voice of random numbers, computed by the ONNX Runtime of this machine.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, ServerBuilder, espeak,
    onnx::{LIBRARY, Voice, change, folder, library},
};

const ANNA: Voice = Voice { name: "anna", text: "Good morning, all of you. The train leaves at eight. Is it late?" };
/// A voice that reads letters, so that nothing but the library is needed.
const LETTERS: &[(&str, &str)] =
    &[("piper/voice.onnx", "en-tiny.onnx"), ("piper/letters.onnx.json", "en-tiny.onnx.json")];
/// One that reads sounds.
const SOUNDS: &[(&str, &str)] = &[("piper/voice.onnx", "en-tiny.onnx"), ("piper/voice.onnx.json", "en-tiny.onnx.json")];

fn builder(voice: &Path, library: &str) -> ServerBuilder {
    Server::builder().env("MODEL_ID", voice.to_str().unwrap()).env(LIBRARY, library)
}

/// What is said when the model is asked for and cannot be had.
async fn failure(voice: &Path, library: &str) -> String {
    let (status, message) = ANNA.refused(&builder(voice, library).start(), json!({})).await;
    assert!(status >= 400, "{status} {message}");
    assert!(!message.contains(voice.to_str().unwrap()), "a path of this machine: {message}");
    message
}

#[tokio::test]
async fn a_folder_with_a_voice_speaks() {
    let Some(library) = library() else { return };
    let voice = folder(LETTERS);
    let server = builder(voice.path(), &library).start();
    let whole = ANNA.spoken(&server, json!({"seed": 1})).await;
    assert!(whole.seconds() > 0.5, "{}", whole.seconds());
    let loudest = whole.samples().iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!((0.9..=1.0).contains(&loudest), "{loudest}");
    let voices = server.get_json("/v1/audio/voices").await.to_string();
    assert!(["anna", "ben", "cleo"].iter().all(|name| voices.contains(name)), "{voices}");
    for format in ["mp3", "opus", "flac", "pcm"] {
        let answer = ANNA.ask(&server, json!({"response_format": format})).await;
        assert!(answer.status() == 200 && answer.bytes().await.unwrap().len() > 1000, "{format}");
    }
    let instance = json!({"instances": [{"text": ANNA.text, "voice": "ben"}]});
    let predicted: Value = server.post_json("/predict", &instance).await.json().await.unwrap();
    assert!(predicted["predictions"][0]["audio"]["content"].is_string(), "{predicted}");
}

#[tokio::test]
async fn what_is_asked_changes_the_sound() {
    let Some(library) = library() else { return };
    let voice = folder(LETTERS);
    let server = builder(voice.path(), &library).start();
    let still = json!({"noise_scale": 0, "noise_w": 0});
    let usual = ANNA.spoken(&server, json!({"options": still, "seed": 1})).await;
    let again = ANNA.spoken(&server, json!({"options": still, "seed": 2})).await;
    assert!(usual.samples() == again.samples(), "without noise it is always the same");
    let faster = ANNA.spoken(&server, json!({"options": still, "speed": 2.0})).await;
    assert!(faster.seconds() < 0.8 * usual.seconds(), "{} {}", faster.seconds(), usual.seconds());
    let other = ANNA.spoken(&server, json!({"options": still, "voice": "cleo"})).await;
    assert!(other.samples() != usual.samples(), "another speaker");
    let first = ANNA.spoken(&server, json!({"seed": 1})).await;
    assert!(first.samples() == ANNA.spoken(&server, json!({"seed": 1})).await.samples(), "a seed is one sound");
    assert!(first.samples() != ANNA.spoken(&server, json!({"seed": 2})).await.samples());
    let alloy = ANNA.spoken(&server, json!({"options": still, "voice": "alloy"})).await;
    assert!(alloy.samples() == usual.samples(), "a name of OpenAI's is the usual voice");
}

#[tokio::test]
async fn many_at_once_get_what_each_gets_alone() {
    let Some(library) = library() else { return };
    let voice = folder(LETTERS);
    let server = builder(voice.path(), &library).env("SCONCE_RUNTIME__MAX_BATCH", "3").start();
    let alone = ANNA.spoken(&server, json!({"seed": 5})).await;
    let asked = |seed: u64| ANNA.spoken(&server, json!({"seed": seed}));
    let (a, b, c, d) = tokio::join!(asked(5), asked(6), asked(5), asked(7));
    assert!(alone.samples() == a.samples() && alone.samples() == c.samples());
    assert!(b.samples() != a.samples() && d.samples() != b.samples());
}

#[tokio::test]
async fn sentences_are_streamed_as_they_come() {
    let Some(library) = library() else { return };
    let voice = folder(LETTERS);
    let server = builder(voice.path(), &library).start();
    let mut answer = ANNA.ask(&server, json!({"response_format": "pcm"})).await;
    let mut parts = 0;
    while answer.chunk().await.unwrap().is_some() {
        parts += 1;
    }
    assert!(parts > 1, "{parts}");
}

#[tokio::test]
async fn a_voice_that_reads_sounds_asks_espeak_ng() {
    let (Some(library), Some(program)) = (library(), espeak::program()) else { return };
    let voice = folder(SOUNDS);
    let server = builder(voice.path(), &library).env("SCONCE_SPEECH__ESPEAK_NG", program).start();
    assert!(ANNA.spoken(&server, json!({})).await.seconds() > 0.5);
    let without = builder(voice.path(), &library).env("SCONCE_SPEECH__ESPEAK_NG", "off").start();
    let (status, message) = ANNA.refused(&without, json!({})).await;
    assert_eq!(status, 400, "{message}");
    assert!(
        message.contains("it needs the program espeak-ng, which speech.espeak_ng = \\\"off\\\" forbids"),
        "{message}"
    );
}

#[tokio::test]
async fn a_voice_may_come_in_two_parts() {
    let Some(library) = library() else { return };
    let (network, known) = (folder(&LETTERS[..1]), folder(&LETTERS[1..]));
    let source = |folder: &TempDir| format!("file:{}", folder.path().display());
    let server = Server::builder()
        .env("MODEL_ID", "tiny")
        .env("SCONCE_MODELS__TINY__FAMILY", "piper")
        .env("SCONCE_MODELS__TINY__PARTS__MODEL", &source(&network))
        .env("SCONCE_MODELS__TINY__PARTS__CONFIG", &source(&known))
        .env(LIBRARY, &library)
        .start();
    assert!(ANNA.spoken(&server, json!({"voice": "ben"})).await.seconds() > 0.5);
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let Some(library) = library() else { return };
    let voice = folder(LETTERS);
    let server = builder(voice.path(), &library).start();
    for (asked, said) in [
        (json!({"voice": "zoe"}), "zoe"),
        (json!({"options": {"noise_scale": 3}}), "noise_scale is 3; 0 to 2 would be right"),
        (json!({"options": {"length": 3}}), "unknown field `length`"),
        (json!({"language": "de"}), "this voice speaks en-US, not de"),
        (json!({"input": "漢字"}), "the text has nothing that can be spoken"),
        (json!({"voice": {"anna": 0.5, "ben": 0.5}}), "one at a time"),
    ] {
        let (status, message) = ANNA.refused(&server, asked).await;
        assert!((400..500).contains(&status) && message.contains(said), "{said}: {status} {message}");
    }
    assert!(ANNA.spoken(&server, json!({})).await.seconds() > 0.5, "it goes on");
}

#[tokio::test]
async fn what_is_missing_on_the_machine_is_said_everywhere() {
    let voice = folder(LETTERS);
    for (library, said) in [
        ("auto", "it needs the library ONNX Runtime: it is not on this machine; `pip install onnxruntime` brings it"),
        ("off", "onnx.library = \\\"off\\\" forbids it"),
        ("/nowhere/libonnxruntime.so", "onnx.library names no such file"),
    ] {
        let server = builder(voice.path(), library).start();
        let (status, message) = ANNA.refused(&server, json!({})).await;
        assert!(status >= 400 && message.contains(said), "{library}: {status} {message}");
        let models = server.get_json("/models/status").await.to_string();
        assert!(models.contains("ONNX Runtime"), "{models}");
    }
}

#[tokio::test]
async fn a_library_that_is_another_is_refused() {
    let voice = folder(LETTERS);
    let wrong = voice.path().join("libonnxruntime.so");
    fs::write(&wrong, "this is a text and no library").unwrap();
    let message = failure(voice.path(), wrong.to_str().unwrap()).await;
    assert!(message.contains("libonnxruntime.so is no library of this system"), "{message}");
}

#[tokio::test]
async fn files_that_are_no_voice_are_refused_by_name() {
    let Some(library) = library() else { return };
    let network = fs::read(crate::support::fixture("piper/voice.onnx")).unwrap();
    let renamed = |from: &[u8], to: &[u8]| {
        let mut bytes = network.clone();
        let places: Vec<_> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
        places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
        bytes
    };
    // A graph with a tensor of 2^40 numbers, and four bytes for them.
    let hostile = b"\x3a\x14\x2a\x12\x08\x80\x80\x80\x80\x80\x20\x10\x01\x42\x01w\x4a\x04abcd".to_vec();
    for (bytes, said) in [
        (b"no ONNX at all".to_vec(), "en-tiny.onnx is not what it should be: it is cut off, damaged, or no ONNX"),
        (Vec::new(), "it is no ONNX: it has no graph"),
        (network[..network.len() / 2].to_vec(), "it is cut off, damaged, or no ONNX"),
        (renamed(b"ConvTranspose", b"ConvTransport"), "ONNX Runtime does not take it"),
        (renamed(b"input_lengths", b"input_lengthz"), "its input \\\"input_lengthz\\\" is none of input"),
        (hostile, "the tensor w has 4 bytes, which is not what its shape"),
    ] {
        let voice = folder(LETTERS);
        fs::write(voice.path().join("en-tiny.onnx"), bytes).unwrap();
        let message = failure(voice.path(), &library).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|c| drop(c.as_object_mut().unwrap().remove("phoneme_id_map")), "missing field `phoneme_id_map`"),
        (|c| drop(c.as_object_mut().unwrap().remove("audio")), "missing field `audio`"),
        (|c| c["phoneme_type"] = json!("japanese"), "espeak or text would be right"),
        (|c| c["num_speakers"] = json!(2), "num_speakers is 2"),
    ];
    // Of a voice that does not say what it reads it is taken for granted that it reads sounds.
    let Some(program) = espeak::program() else { return };
    for (wrong, said) in changes {
        let voice = folder(LETTERS);
        change(&voice.path().join("en-tiny.onnx.json"), wrong);
        let server = builder(voice.path(), &library).env("SCONCE_SPEECH__ESPEAK_NG", program).start();
        let (_, message) = ANNA.refused(&server, json!({})).await;
        assert!(message.contains("en-tiny.onnx.json") && message.contains(said), "{said}: {message}");
    }
}
