//! A family that speaks and converts, through every protocol of the server.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Response, multipart};
use sconce::audio::{Pcm, decode, encode_wav};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    family::RATE,
    stage::{FAMILIES, tones},
    support::{Server, ServerBuilder},
};

/// A server with the model `tone`, and the folder that it lies in.
fn builder() -> (ServerBuilder, TempDir) {
    let folder = tones();
    let source = format!("file:{}", folder.path().display());
    let voices = folder.path().join("voices");
    let builder = Server::builder()
        .families(FAMILIES)
        .env("MODEL_ID", "whisper-nano.en,tone")
        .env("SCONCE_MODELS__TONE__SOURCE", &source)
        .env("SCONCE_MODELS__TONE__FAMILY", "tone")
        .env("SCONCE_VOICES__DIR", &voices.display().to_string());
    (builder, folder)
}

/// A recording of so many seconds, of one pitch in hertz.
fn hum(seconds: f64, pitch: f32) -> Vec<u8> {
    let sample = |at: usize| (std::f32::consts::TAU * pitch * at as f32 / RATE as f32).sin() / 2.0;
    encode_wav(&Pcm::new((0..(seconds * f64::from(RATE)) as usize).map(sample).collect(), RATE))
}

/// A recording of so many seconds that is as loud throughout, so that what hums along has the pitch of the voice alone.
fn level(seconds: f64) -> Vec<u8> {
    encode_wav(&Pcm::new(vec![0.5; (seconds * f64::from(RATE)) as usize], RATE))
}

/// How often it turns from below to above nothing in a second.
fn pitch(sound: &[u8]) -> f64 {
    let pcm = decode(sound, None, RATE, Duration::from_secs(60)).unwrap().pcm;
    let turns = pcm.samples().windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    turns as f64 / pcm.seconds()
}

async fn convert(server: &Server, file: Vec<u8>, texts: &[(&str, &str)], target: Option<Vec<u8>>) -> Response {
    let part = |bytes| multipart::Part::bytes(bytes).file_name("sound.wav");
    let form = multipart::Form::new().part("file", part(file));
    let form = texts.iter().fold(form, |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()));
    let form = target.into_iter().fold(form, |form, target| form.part("target", part(target)));
    server.client.post(server.url("/v1/audio/voice-conversions")).multipart(form).send().await.unwrap()
}

fn near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 0.08 * wanted
}

#[tokio::test]
async fn a_recording_is_converted_to_the_voice_that_is_named_or_shown() {
    let (builder, _folder) = builder();
    let server = builder.start();
    for (texts, target, wanted) in [
        (&[("voice", "low"), ("model", "tone")][..], None, 110.0),
        // The only model that converts; and nothing said is its usual voice.
        (&[], None, 220.0),
        (&[("voice", "low:0.5,high:0.5")], None, 275.0),
        (&[], Some(hum(2.0, 330.0)), 330.0),
    ] {
        let mut texts = texts.to_vec();
        texts.push(("response_format", "wav"));
        let answer = convert(&server, level(1.5), &texts, target).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"audio/wav".parse().unwrap()));
        let found = pitch(&answer.bytes().await.unwrap());
        assert!(near(found, wanted), "{texts:?}: {found}");
    }
    let usual = convert(&server, level(1.0), &[("sample_rate", "16000")], None).await;
    assert_eq!(usual.headers()["content-type"], "audio/mpeg");
    let usual = decode(&usual.bytes().await.unwrap(), None, RATE, Duration::from_secs(60)).unwrap();
    assert_eq!(usual.source.rate, 16_000);
    let events = convert(&server, level(1.0), &[("stream", "true"), ("response_format", "pcm")], None).await;
    let text = events.text().await.unwrap();
    assert!(text.contains("speech.audio.delta") && text.contains("speech.audio.done"), "{text}");
    assert_eq!(server.metric("sconce_requests_total", &[("task", "convert"), ("outcome", "ok")]).await, 6.0);
    assert!(server.metric("sconce_audio_seconds_total", &[("model", "tone")]).await > 7.0);
}

#[tokio::test]
async fn what_cannot_be_converted_is_said() {
    let (builder, _folder) = builder();
    let server = builder.start();
    for (file, texts, target, status, param, part) in [
        (b"no sound".to_vec(), &[][..], None, 400, "file", "format"),
        (level(1.0), &[("voice", "midle")], None, 400, "voice", "did you mean middle?"),
        (level(1.0), &[("voice", "low:0")], None, 400, "voice", "above 0"),
        (level(1.0), &[("voice", "low")], Some(hum(2.0, 330.0)), 400, "target", "one of them"),
        (level(1.0), &[], Some(hum(0.5, 330.0)), 400, "target", "1 to 60 s"),
        (level(1.0), &[("response_format", "midi")], None, 400, "response_format", "flac"),
        (level(1.0), &[("sample_rate", "7")], None, 400, "sample_rate", "8000"),
        (level(1.0), &[("speed", "1")], None, 400, "speed", "target"),
        (level(1.0), &[("model", "whisper-nano.en")], None, 400, "model", "these can: tone"),
        (level(1.0), &[("model", "nobody")], None, 404, "model", "nobody"),
        (level(1.0), &[("options", "7")], None, 400, "options", "JSON object"),
        (level(1.0), &[("options", "{\"pitch\": 3}")], None, 400, "options", "pitch"),
    ] {
        let answer = convert(&server, file, texts, target).await;
        assert_eq!(answer.status(), status, "{texts:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["param"], param, "{texts:?}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{texts:?}: {body}");
    }
    let json = server.post_json("/v1/audio/voice-conversions", &json!({})).await;
    assert_eq!(json.status(), 415);
    let empty = multipart::Form::new().text("voice", "low");
    let empty = server.client.post(server.url("/v1/audio/voice-conversions")).multipart(empty).send().await.unwrap();
    assert_eq!(empty.status(), 400);
}

#[tokio::test]
async fn the_model_says_what_is_done_with_a_recording() {
    let (builder, _folder) = builder();
    let server = builder.start();
    let audio = BASE64_STANDARD.encode(level(1.0));
    let sample = json!({"content": BASE64_STANDARD.encode(hum(2.0, 330.0))});
    let instances = json!([
        {"audio": audio, "model": "tone"},
        {"audio": audio, "voice": "low"},
        {"audio": audio, "voice": {"low": 1, "high": 1}},
        {"audio": audio, "voice": sample},
        {"audio": audio},
        {"audio": audio, "voice": "low", "model": "whisper-nano.en"},
        {"text": "hello", "voice": "high", "model": "tone"},
        {"audio": audio, "voice": "low", "speed": 2},
    ]);
    let answer: Value = server.post_json("/predict", &json!({"instances": instances})).await.json().await.unwrap();
    let predictions = &answer["predictions"];
    for (place, wanted) in [(0, 220.0), (1, 110.0), (2, 275.0), (3, 330.0)] {
        let prediction = &predictions[place];
        let sound = BASE64_STANDARD.decode(prediction["audio"]["content"].as_str().unwrap()).unwrap();
        assert!(near(pitch(&sound), wanted), "{place}: {} {prediction}", pitch(&sound));
        assert_eq!((&prediction["audio"]["duration"], &prediction["model"]), (&json!(1.0), &json!("tone")));
    }
    assert!(predictions[4]["text"].is_string(), "the default model hears: {predictions}");
    let refused = predictions[5]["error"]["message"].as_str().unwrap();
    assert!(refused.contains("does not convert, it can transcribe; these can: tone"), "{refused}");
    assert!(predictions[6]["audio"]["content"].is_string());
    assert_eq!(predictions[7]["error"]["details"][1]["fieldViolations"][0]["field"], "speed");

    let raw = server.post_bytes("/predict?voice=low&response_format=wav", "audio/wav", level(1.0)).await;
    assert!(near(pitch(&raw.bytes().await.unwrap()), 110.0));
    let ignored = json!({"text": "hello", "model": "tone", "instructions": "Whisper."});
    let ignored: Value = server.post_json("/predict", &ignored).await.json().await.unwrap();
    assert_eq!(ignored["ignored"], json!(["instructions"]));
}

#[tokio::test]
async fn voices_come_from_the_folder_and_from_the_model() {
    let (builder, folder) = builder();
    std::fs::create_dir(folder.path().join("voices")).unwrap();
    std::fs::write(folder.path().join("voices/anna.wav"), hum(2.0, 330.0)).unwrap();
    let server = builder.start();
    let list = server.get_json("/v1/audio/voices").await;
    let voices: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|voice| (&voice["id"], &voice["origin"])).collect();
    let [folder, model] = [json!("folder"), json!("model")];
    let names = ["anna", "middle", "low", "high"].map(Value::from);
    assert_eq!(voices, [(&names[0], &folder), (&names[1], &model), (&names[2], &model), (&names[3], &model)]);
    assert_eq!((&list["data"][1]["model"], &list["data"][1]["languages"]), (&json!("tone"), &json!([])));

    let speak = async |voice: Value| {
        let body = json!({"model": "tone", "input": "aaaaaaaa", "voice": voice, "seed": 1, "response_format": "wav"});
        let answer = server.post_json("/v1/audio/speech", &body).await;
        assert_eq!(answer.status(), 200, "{voice}");
        pitch(&answer.bytes().await.unwrap())
    };
    let middle = speak(json!("middle")).await;
    for (voice, ratio) in [
        (json!("high"), 2.0),
        (json!("alloy"), 1.0),
        (json!("anna"), 1.5),
        (json!({"id": "anna"}), 1.5),
        (json!({"anna": 0.5, "middle": 0.5}), 1.25),
        (json!("low:3,high:1"), 0.875),
    ] {
        let found = speak(voice.clone()).await / middle;
        assert!(near(found, ratio), "{voice}: {found}");
    }
}

#[tokio::test]
async fn what_was_found_out_about_a_voice_outlives_the_server() {
    let (_, folder) = builder();
    let source = format!("file:{}", folder.path().display());
    let voices = folder.path().join("voices");
    std::fs::create_dir(&voices).unwrap();
    std::fs::write(voices.join("anna.wav"), hum(2.0, 330.0)).unwrap();
    let start = || {
        Server::builder()
            .families(FAMILIES)
            .env("MODEL_ID", "tone")
            .env("SCONCE_MODELS__TONE__SOURCE", &source)
            .env("SCONCE_MODELS__TONE__FAMILY", "tone")
            .env("SCONCE_VOICES__DIR", &voices.display().to_string())
            .start()
    };
    let found = async |server: &Server| {
        let count = async |found| server.metric("sconce_reference_cache_total", &[("found", found)]).await;
        [count("computed").await, count("disk").await, count("memory").await]
    };
    let inline = json!({"content": BASE64_STANDARD.encode(hum(2.0, 110.0))});
    let speak = async |server: &Server, voice: Value| {
        let answer = server.post_json("/predict", &json!({"text": "aaaa", "voice": voice, "seed": 1})).await;
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()["audio"]["content"].clone()
    };
    let first = start();
    assert_eq!(found(&first).await, [0.0; 3]);
    let (named, shown) = (speak(&first, json!("anna")).await, speak(&first, inline.clone()).await);
    assert_eq!(found(&first).await, [2.0, 0.0, 0.0]);
    assert_eq!(speak(&first, json!("anna")).await, named);
    assert_eq!(found(&first).await, [2.0, 0.0, 1.0]);
    drop(first);
    let second = start();
    assert_eq!((speak(&second, json!("anna")).await, speak(&second, inline).await), (named.clone(), shown));
    assert_eq!(found(&second).await, [0.0, 2.0, 0.0]);
    let listed = second.get_json("/v1/audio/voices").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 4, "what is kept is no voice: {listed}");
    // Another recording under the old name is another voice.
    std::fs::write(voices.join("anna.wav"), hum(2.0, 220.0)).unwrap();
    assert_ne!(speak(&second, json!("anna")).await, named);
    assert_eq!(found(&second).await, [1.0, 2.0, 0.0]);
}

#[tokio::test]
async fn rows_of_samples_are_converted() {
    let (builder, _folder) = builder();
    let server = builder.start();
    let metadata = server.get_json("/v2/models/tone").await;
    let inputs: Vec<_> =
        metadata["inputs"].as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert!(["text", "audio", "samples", "voice"].iter().all(|name| inputs.contains(name)), "{inputs:?}");
    let optional = metadata["inputs"].as_array().unwrap().iter().all(|port| port["parameters"]["optional"] == true);
    assert!(optional, "either of text and audio: {metadata}");

    let samples = vec![0.5; 4800];
    let rows = json!({"name": "samples", "shape": [1, 4800], "datatype": "FP32", "data": samples});
    let rate = json!({"name": "sample_rate", "shape": [1], "datatype": "INT32", "data": [RATE]});
    let voice = json!({"name": "voice", "shape": [1], "datatype": "BYTES", "data": ["low"]});
    let body = json!({"inputs": [rows, rate, voice], "outputs": [{"name": "audio"}, {"name": "wav"}]});
    let answer = server.post_json("/v2/models/tone/infer", &body).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["outputs"][0]["shape"], json!([1, 4800]));
    let wav = BASE64_STANDARD.decode(answer["outputs"][1]["data"][0].as_str().unwrap()).unwrap();
    assert!(near(pitch(&wav), 110.0), "{}", pitch(&wav));
    let text = json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["hello"]}]});
    let spoken: Value = server.post_json("/v2/models/tone/infer", &text).await.json().await.unwrap();
    assert_eq!(spoken["outputs"][2]["data"], json!([RATE]));
}

#[tokio::test]
async fn a_job_converts_and_says_how_far_it_is() {
    let (builder, _folder) = builder();
    let server = builder.start();
    let audio = BASE64_STANDARD.encode(level(1.0));
    let job = json!({"audio": audio, "voice": "low", "response_format": "flac"});
    let job: Value = server.post_json("/v1/jobs", &job).await.json().await.unwrap();
    let path = format!("/v1/jobs/{}/events", job["id"].as_str().unwrap_or_else(|| panic!("{job}")));
    let text = server.get(&path).await.text().await.unwrap();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    let audio = &last["job"]["result"]["audio"];
    assert_eq!((&audio["mime_type"], &audio["duration"]), (&json!("audio/flac"), &json!(1.0)), "{last}");
    let sound = BASE64_STANDARD.decode(audio["content"].as_str().unwrap()).unwrap();
    assert!(near(pitch(&sound), 110.0));
    // What takes long is seen on its way, and cancelled.
    let long = json!({"text": "on and on ".repeat(4000), "model": "tone", "speed": 4.0});
    let long: Value = server.post_json("/v1/jobs", &long).await.json().await.unwrap();
    let path = format!("/v1/jobs/{}", long["id"].as_str().unwrap());
    for _ in 0..500 {
        if server.get_json(&path).await["progress"]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0) {
            assert_eq!(server.client.delete(server.url(&path)).send().await.unwrap().status(), 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing was made");
}
