//! Zipformer transducers through the server: tiny networks of random numbers, computed by the ONNX Runtime of this machine.

use std::{fs, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use sconce::audio::{Pcm, decode, encode_wav, resample};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Server, ServerBuilder, fixture,
    onnx::{LIBRARY, folder, library},
    socket::{self, Live},
    vosk::Caller,
};

/// As Alpha Cephei lays them out. Heard at once.
const WHOLE: &[(&str, &str)] = &[
    ("zipformer/encoder.onnx", "am-onnx/encoder.onnx"),
    ("zipformer/decoder.onnx", "am-onnx/decoder.onnx"),
    ("zipformer/joiner.onnx", "am-onnx/joiner.onnx"),
    ("zipformer/tokens.txt", "lang/tokens.txt"),
];
/// As sherpa-onnx does. Heard as sound comes.
const CHUNKS: &[(&str, &str)] = &[
    ("zipformer/encoder.chunks.onnx", "encoder-epoch-9-avg-1-chunk-16-left-4.onnx"),
    ("zipformer/decoder.onnx", "decoder-epoch-9-avg-1-chunk-16-left-4.onnx"),
    ("zipformer/joiner.onnx", "joiner-epoch-9-avg-1-chunk-16-left-4.onnx"),
    ("zipformer/tokens.txt", "tokens.txt"),
];
const NAME: &str = "zipformer-xx";

fn builder(model: &Path, library: &str) -> ServerBuilder {
    Server::builder()
        .env("MODEL_ID", NAME)
        .env("SCONCE_MODELS__ZIPFORMER_XX__SOURCE", &format!("file:{}", model.display()))
        .env(LIBRARY, library)
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(fixture("zipformer/expected.json")).unwrap()).unwrap()
}

fn spoken() -> Pcm {
    let path = crate::support::checkout(expected()["recording"].as_str().unwrap());
    decode(&fs::read(path).unwrap(), None, 16_000, Duration::from_secs(60)).unwrap().pcm
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// What is heard in a recording, as `/predict` says it.
async fn heard(server: &Server, sound: &Pcm, fields: Value) -> Value {
    let mut instance = json!({"audio": BASE64_STANDARD.encode(encode_wav(sound))});
    instance.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    server.post_json("/predict", &instance).await.json().await.unwrap()
}

async fn failure(model: &Path, library: &str) -> String {
    let server = builder(model, library).env("SCONCE_MODELS__ZIPFORMER_XX__FAMILY", "zipformer").start();
    let answer = server.transcribe(encode_wav(&spoken()), NAME, &[]).await;
    let status = answer.status().as_u16();
    let message = answer.text().await.unwrap();
    assert!(status >= 400, "{status} {message}");
    message
}

#[tokio::test]
async fn both_kinds_hear_what_the_reference_hears() {
    let Some(library) = library() else { return };
    for (files, reference) in [(WHOLE, "whole"), (CHUNKS, "chunks")] {
        let model = folder(files);
        let server = builder(model.path(), &library).start();
        for (penalty, expected) in expected()[reference].as_object().unwrap() {
            let options = json!({"blank_penalty": penalty.parse::<f32>().unwrap()});
            let prediction = heard(&server, &spoken(), json!({"options": options, "timestamps": "word"})).await;
            let (text, said) = (prediction["text"].as_str().unwrap(), expected["text"].as_str().unwrap());
            assert_eq!(words(text), words(said), "{reference} {penalty}: {prediction}");
            let segments = prediction["segments"].as_array().unwrap();
            let times: Vec<f64> = segments
                .iter()
                .flat_map(|segment| segment["words"].as_array().unwrap())
                .map(|word| word["start"].as_f64().unwrap())
                .collect();
            assert_eq!(times.len(), words(said).len(), "{prediction}");
            assert!(times.is_sorted() && times[0] == expected["times"][0], "{prediction}");
        }
        for silent in [0, 100, 1000] {
            let prediction = heard(&server, &Pcm::new(vec![0.0; silent], 16_000), json!({})).await;
            assert!(prediction["text"].is_string() || prediction["error"].is_object(), "{silent}: {prediction}");
        }
        let answer = server.transcribe(encode_wav(&spoken()), NAME, &[("response_format", "srt")]).await;
        assert!(answer.text().await.unwrap().contains("-->"));
        let status = server.get_json("/models/status").await.to_string();
        assert!(status.contains("\"zipformer\""), "{status}");
    }
}

#[tokio::test]
async fn long_recordings_are_heard_window_by_window() {
    let Some(library) = library() else { return };
    let model = folder(WHOLE);
    let server = builder(model.path(), &library).start();
    let long = Pcm::joined(&vec![spoken(); 30]).unwrap();
    let prediction = heard(&server, &long, json!({"timestamps": "word"})).await;
    let segments = prediction["segments"].as_array().unwrap_or_else(|| panic!("{prediction}"));
    assert!(!segments.is_empty(), "{prediction}");
    let starts: Vec<f64> = segments.iter().map(|segment| segment["start"].as_f64().unwrap()).collect();
    assert!(starts.is_sorted() && *starts.last().unwrap() > 60.0, "{starts:?}");
    let ends: Vec<f64> = segments.iter().map(|segment| segment["end"].as_f64().unwrap()).collect();
    assert!(ends.is_sorted() && *ends.last().unwrap() <= long.seconds() + 0.01, "{ends:?} {}", long.seconds());
    assert!((prediction["duration"].as_f64().unwrap() - long.seconds()).abs() < 0.01);
}

#[tokio::test]
async fn many_at_once_get_what_each_gets_alone() {
    let Some(library) = library() else { return };
    for files in [WHOLE, CHUNKS] {
        let model = folder(files);
        let server = builder(model.path(), &library).env("SCONCE_RUNTIME__MAX_BATCH", "3").start();
        let sounds: Vec<Pcm> =
            (1..5).map(|n| Pcm::new(spoken().samples()[..n * spoken().samples().len() / 4].to_vec(), 16_000)).collect();
        let mut alone = Vec::new();
        for sound in &sounds {
            alone.push(heard(&server, sound, json!({})).await["text"].take());
        }
        let all = sounds.iter().chain(&sounds).map(|sound| heard(&server, sound, json!({})));
        for (at, mut together) in futures::future::join_all(all).await.into_iter().enumerate() {
            assert_eq!(together["text"].take(), alone[at % alone.len()]);
        }
        assert_ne!(alone[0], alone[3]);
    }
}

#[tokio::test]
async fn what_is_live_is_heard_while_it_is_spoken() {
    let Some(library) = library() else { return };
    for files in [CHUNKS, WHOLE] {
        heard_live(files, &library).await;
    }
}

async fn heard_live(files: &[(&str, &str)], library: &str) {
    let model = folder(files);
    let server = builder(model.path(), library).start();
    let whole = heard(&server, &spoken(), json!({})).await["text"].take();
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    let sound = socket::pcm16(&[resample(&spoken(), socket::RATE).unwrap()]);
    let mut events = Vec::new();
    for piece in sound.chunks(sound.len() / 40 * 2) {
        live.append(piece).await;
        events.extend(live.heard_within(Duration::from_millis(50)).await);
    }
    let early = events.len();
    live.commit().await;
    events.extend(live.until("conversation.item.input_audio_transcription.completed").await);
    let told = socket::kinds(&events[..early]);
    assert!(told.iter().any(|kind| kind == "delta"), "no word before the end: {early} {events:#?}");
    let said = events.last().unwrap()["transcript"].as_str().unwrap().to_owned();
    assert!(!said.is_empty(), "{events:#?}");
    live.close().await;
    let mut caller = Caller::start(&server, json!({"sample_rate": 16_000})).await;
    let answers = caller.hear_all(&spoken(), true).await;
    let (last, _) = caller.end().await;
    let text = answers.iter().chain([&last]).filter_map(|answer| answer["text"].as_str()).collect::<Vec<_>>().join(" ");
    assert!(!text.trim().is_empty(), "{answers:?} {last} {whole}");
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name() {
    let Some(library) = library() else { return };
    let model = folder(WHOLE);
    let server = Server::builder()
        .env("MODEL_ID", "zipformer-ru")
        .env("SCONCE_MODELS__ZIPFORMER_RU__SOURCE", &format!("file:{}", model.path().display()))
        .env(LIBRARY, &library)
        .start();
    for (asked, said) in [
        (json!({"language": "de"}), "this model hears Russian (ru), not de"),
        (json!({"task": "translate"}), "does not translate"),
        (json!({"prompt": "Sconce"}), "takes no prompt"),
        (json!({"temperature": 0.5}), "takes the likeliest symbol each time"),
        (json!({"options": {"grammar": ["one"]}}), "unknown field `grammar`"),
        (json!({"options": {"blank_penalty": 11}}), "0 to 10 would be right"),
    ] {
        let prediction = heard(&server, &spoken(), asked).await;
        let message = prediction["error"]["message"].as_str().unwrap_or_else(|| panic!("{prediction}")).to_owned();
        assert!(message.contains(said), "{said}: {message}");
    }
    let prediction = heard(&server, &spoken(), json!({"language": "ru"})).await;
    assert!(prediction["text"].is_string(), "it goes on: {prediction}");
}

#[tokio::test]
async fn files_that_are_no_model_are_refused_by_name() {
    let Some(library) = library() else { return };
    let cases: [(&str, Option<&str>, &str); 8] = [
        ("am-onnx/joiner.onnx", None, "the file am-onnx/joiner.onnx is missing"),
        ("lang/tokens.txt", None, "the file tokens.txt is missing"),
        ("am-onnx/encoder.onnx", Some(""), "am-onnx/encoder.onnx is not what it should be: it is no ONNX"),
        ("am-onnx/encoder.onnx", Some("joiner"), "am-onnx/encoder.onnx is not what it should be"),
        ("am-onnx/decoder.onnx", Some("encoder"), "its input \\\"x\\\" is none of y"),
        ("am-onnx/joiner.onnx", Some("decoder"), "its input \\\"y\\\" is none of encoder_out, decoder_out"),
        ("lang/tokens.txt", Some("expected.json"), "tokens.txt is not what it should be"),
        (
            "lang/tokens.txt",
            Some("short"),
            "lang/tokens.txt is not what it should be: it has 2 symbols, and the joiner knows 15",
        ),
    ];
    for (file, instead, said) in cases {
        let model: TempDir = folder(WHOLE);
        let path = model.path().join(file);
        match instead {
            None => fs::remove_file(&path).unwrap(),
            Some("") => fs::write(&path, "").unwrap(),
            Some("short") => fs::write(&path, "<blk> 0\na 1\n").unwrap(),
            Some("expected.json") => drop(fs::copy(fixture("zipformer/expected.json"), &path).unwrap()),
            Some(other) => drop(fs::copy(fixture(&format!("zipformer/{other}.onnx")), &path).unwrap()),
        }
        let message = failure(model.path(), &library).await;
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[tokio::test]
async fn what_is_missing_on_the_machine_is_said_everywhere() {
    let model = folder(CHUNKS);
    let message = failure(model.path(), "auto").await;
    let said = "it needs the library ONNX Runtime: it is not on this machine; `pip install onnxruntime` brings it";
    assert!(message.contains(said), "{message}");
    let server = builder(model.path(), "off").start();
    let models = server.get_json("/models/status").await.to_string();
    assert!(models.contains("ONNX Runtime"), "{models}");
}
