//! Vosk TTS through the server: tiny networks of random numbers, computed by the ONNX Runtime of this machine.

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::support::{
    Server, ServerBuilder,
    files::{Files, sha256},
    onnx::{LIBRARY, Voice, change, folder, library},
};

const VERA: Voice =
    Voice { name: "0", text: "Привет, мир! Сегодня хор+ошая погода. Как дела?" };
/// As it is published: symbols in streams, with a BERT.
const STREAMS: &[(&str, &str)] = &[
    ("vosk_tts/streams.onnx", "model.onnx"),
    ("vosk_tts/streams.json", "config.json"),
    ("vosk_tts/dictionary", "dictionary"),
    ("vosk_tts/vocab.txt", "bert/vocab.txt"),
    ("vosk_tts/bert.onnx", "bert/model.onnx"),
];
/// As the first ones were: symbols in a row, and nothing beside them.
const ROW: &[(&str, &str)] = &[
    ("vosk_tts/bertless.onnx", "model.onnx"),
    ("vosk_tts/bertless.json", "config.json"),
    ("vosk_tts/dictionary", "dictionary"),
];

fn builder(model: &Path, library: &str) -> ServerBuilder {
    Server::builder().env("MODEL_ID", model.to_str().unwrap()).env(LIBRARY, library)
}

/// What is said when the model is asked for and cannot be had.
async fn failure(model: &Path, library: &str) -> String {
    let (status, message) = VERA.refused(&builder(model, library).start(), json!({})).await;
    assert!(status >= 400, "{status} {message}");
    assert!(!message.contains(model.to_str().unwrap()), "a path of this machine: {message}");
    message
}

#[tokio::test]
async fn each_form_of_a_model_speaks_and_streams() {
    let Some(library) = library() else { return };
    for files in [STREAMS, ROW] {
        let model = folder(files);
        let server = builder(model.path(), &library).start();
        let whole = VERA.spoken(&server, json!({"seed": 1})).await;
        assert!(whole.seconds() > 0.05, "{}", whole.seconds());
        let voices = server.get_json("/v1/audio/voices").await.to_string();
        assert!(["\"0\"", "\"1\"", "\"2\"", "\"ru\""].iter().all(|name| voices.contains(name)), "{voices}");
        let mut answer = VERA.ask(&server, json!({"response_format": "pcm"})).await;
        let mut parts = 0;
        while answer.chunk().await.unwrap().is_some() {
            parts += 1;
        }
        assert!(parts > 1, "{parts}");
        let instance = json!({"instances": [{"text": VERA.text, "voice": "2"}]});
        let predicted: Value = server.post_json("/predict", &instance).await.json().await.unwrap();
        assert!(predicted["predictions"][0]["audio"]["content"].is_string(), "{predicted}");
        let status = server.get_json("/models/status").await.to_string();
        assert!(status.contains("vosk-tts"), "{status}");
    }
}

#[tokio::test]
async fn what_is_asked_changes_the_sound() {
    let Some(library) = library() else { return };
    let model = folder(STREAMS);
    let server = builder(model.path(), &library).env("SCONCE_RUNTIME__MAX_BATCH", "3").start();
    let still = json!({"noise_level": 0, "duration_noise_level": 0});
    let usual = VERA.spoken(&server, json!({"options": still, "seed": 1})).await;
    let again = VERA.spoken(&server, json!({"options": still, "seed": 2})).await;
    assert!(usual.samples() == again.samples(), "without noise it is always the same");
    let faster = VERA.spoken(&server, json!({"options": still, "speed": 2.0})).await;
    assert!(faster.seconds() < usual.seconds(), "{} {}", faster.seconds(), usual.seconds());
    let other = VERA.spoken(&server, json!({"options": still, "voice": "2"})).await;
    assert!(other.samples() != usual.samples(), "another speaker");
    let asked = |seed: u64| VERA.spoken(&server, json!({"seed": seed}));
    let (alone, (a, b, c)) = (asked(5).await, tokio::join!(asked(5), asked(6), asked(5)));
    assert!(alone.samples() == a.samples() && alone.samples() == c.samples() && b.samples() != a.samples());
    let alloy = VERA.spoken(&server, json!({"options": still, "voice": "alloy"})).await;
    assert!(alloy.samples() == usual.samples(), "a name of OpenAI's is the usual voice");
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let Some(library) = library() else { return };
    let model = folder(STREAMS);
    let server = builder(model.path(), &library).start();
    for (asked, said) in [
        (json!({"voice": "zoe"}), "zoe"),
        (json!({"options": {"noise_level": 3}}), "noise_level is 3; 0 to 2 would be right"),
        (json!({"options": {"noise_w": 0}}), "unknown field `noise_w`"),
        (json!({"language": "de"}), "this model speaks Russian (ru), not de"),
        (json!({"speed": 100}), "speed"),
        (json!({"input": "Good morning, all of you."}), "Cyrillic"),
        (json!({"input": "Сегодня 5 градусов."}), "this voice cannot read \\\"5\\\""),
        (json!({"voice": {"0": 0.5, "1": 0.5}}), "one at a time"),
    ] {
        let (status, message) = VERA.refused(&server, asked).await;
        assert!((400..500).contains(&status) && message.contains(said), "{said}: {status} {message}");
    }
    assert!(VERA.spoken(&server, json!({})).await.seconds() > 0.05, "it goes on");
}

#[tokio::test]
async fn a_model_comes_as_a_zip_from_the_web() {
    let Some(library) = library() else { return };
    let model = folder(STREAMS);
    let zipped = |left_out: &str| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (_, name) in STREAMS.iter().filter(|(_, name)| *name != left_out) {
            zip.start_file(format!("vosk-model-tts-ru-0-multi/{name}"), SimpleFileOptions::default()).unwrap();
            zip.write_all(&fs::read(model.path().join(name)).unwrap()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let files = Files::start();
    files.put("whole.zip", zipped(""));
    files.put("wordless.zip", zipped("dictionary"));
    files.put("bertless.zip", zipped("bert/vocab.txt"));
    let of = |file: &str| {
        let source = format!("{}/{file}#sha256={}", files.url(), sha256(&files.get(file).unwrap().0));
        let server = Server::builder().env("MODEL_ID", "vosk-tts").env(LIBRARY, &library);
        server.env("SCONCE_MODELS__VOSK_TTS__SOURCE", &source).start()
    };
    assert!(VERA.spoken(&of("whole.zip"), json!({"voice": "1"})).await.seconds() > 0.05);
    for (file, said) in
        [("wordless.zip", "the file dictionary is missing"), ("bertless.zip", "the file bert/vocab.txt is missing")]
    {
        let (_, message) = VERA.refused(&of(file), json!({})).await;
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[tokio::test]
async fn what_is_missing_on_the_machine_is_said_everywhere() {
    let model = folder(STREAMS);
    for (library, said) in [
        ("auto", "it needs the library ONNX Runtime: it is not on this machine; `pip install onnxruntime` brings it"),
        ("off", "onnx.library = \\\"off\\\" forbids it"),
    ] {
        let server = builder(model.path(), library).start();
        let (status, message) = VERA.refused(&server, json!({})).await;
        assert!(status >= 400 && message.contains(said), "{library}: {status} {message}");
        let models = server.get_json("/models/status").await.to_string();
        assert!(models.contains("ONNX Runtime"), "{models}");
    }
}

#[tokio::test]
async fn files_that_are_no_model_are_refused_by_name() {
    let Some(library) = library() else { return };
    let written = |file: &str, bytes: &[u8]| -> TempDir {
        let model = folder(STREAMS);
        fs::write(model.path().join(file), bytes).unwrap();
        model
    };
    let network = fs::read(crate::support::fixture("vosk_tts/streams.onnx")).unwrap();
    let long = [b"a".repeat(2000), b" 1 a0\n".to_vec()].concat();
    let cases: [(&str, &[u8], &str); 9] = [
        ("model.onnx", b"no ONNX at all", "model.onnx is not what it should be: it is cut off, damaged, or no ONNX"),
        ("model.onnx", &network[..network.len() / 2], "it is cut off, damaged, or no ONNX"),
        ("bert/model.onnx", b"", "bert/model.onnx is not what it should be: it is no ONNX"),
        ("bert/model.onnx", &network, "its input \\\"input\\\" is none of input_ids"),
        ("bert/vocab.txt", b"a\nb\n", "bert/vocab.txt is not what it should be: it has no [CLS]"),
        ("bert/vocab.txt", b"\xff\xfe", "bert/vocab.txt is not what it should be"),
        ("dictionary", "вода сорок v a0\n".as_bytes(), "line 1: \\\"вода сорок v a0\\\" is no word with a probability"),
        ("dictionary", "вода 1.0 q9\n".as_bytes(), "line 1: the sound \\\"q9\\\" has no number in config.json"),
        ("dictionary", &long, "line 1: it has 2005 bytes; 1024 at most would be right"),
    ];
    for (file, bytes, said) in cases {
        let message = failure(written(file, bytes).path(), &library).await;
        assert!(message.contains(said), "{said}: {message}");
    }
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|c| c["model_type"] = json!("multistream_v9"), "none, multistream_v1 or multistream_v2 would be right"),
        (|c| c["num_speakers"] = json!(0), "num_speakers is 0"),
        (|c| c["phoneme_id_map"]["^"] = json!(-1), "gives \\\"^\\\" the number -1"),
        (|c| c["inference"]["speech_rate"] = json!("fast"), "config.json"),
    ];
    for (wrong, said) in changes {
        let model = folder(STREAMS);
        change(&model.path().join("config.json"), wrong);
        let message = failure(model.path(), &library).await;
        assert!(message.contains("config.json") && message.contains(said), "{said}: {message}");
    }
}
