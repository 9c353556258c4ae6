//! Who says what: `diarize` and `diarized_json`, over a network of random weights.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, ServerBuilder, checkout, fixture, python, recording, sound},
};

const MODEL: &str = "whisper-nano.en";
const LIGHTS: &str = "turn-on-the-kitchen-lights.wav";
const WEATHER: &str = "what-is-the-weather.mp3";

/// At a threshold of 0 all voices are alike, at 1 none are.
fn builder(threshold: &str) -> ServerBuilder {
    let network = fixture("chatterbox/reference/s3gen.safetensors").display().to_string();
    let builder = Server::builder().env("SCONCE_AUDIO__SPEAKER_NETWORK", &network);
    builder.env("SCONCE_AUDIO__SPEAKER_THRESHOLD", threshold)
}

/// Two sentences with a pause between them, each in a window of the small model.
fn talk() -> Vec<u8> {
    sound::apart(&[LIGHTS, WEATHER], 4.0)
}

fn reference(file: &str) -> String {
    format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(recording(file)))
}

async fn hear(server: &Server, fields: &[(&str, &str)]) -> Value {
    let answer = server.transcribe(talk(), MODEL, fields).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn speakers(body: &Value) -> Vec<&str> {
    let segments = body["segments"].as_array().unwrap_or_else(|| panic!("{body}"));
    segments.iter().map(|segment| segment["speaker"].as_str().unwrap_or_else(|| panic!("{body}"))).collect()
}

#[tokio::test]
async fn each_segment_has_its_speaker_as_openai_writes_it() {
    let server = builder("1").start();
    let body = hear(&server, &[("response_format", "diarized_json")]).await;
    assert_eq!((&body["task"], &body["usage"]["type"]), (&json!("transcribe"), &json!("duration")));
    let speakers = speakers(&body);
    assert_eq!(speakers[0], "A", "{body}");
    assert!(speakers.iter().any(|speaker| *speaker != "A"), "{body}");
    let mut before = 0.0;
    for (at, segment) in body["segments"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (&segment["type"], &segment["id"]),
            (&json!("transcript.text.segment"), &json!(format!("seg_{at}")))
        );
        let (start, end) = (segment["start"].as_f64().unwrap(), segment["end"].as_f64().unwrap());
        assert!(before <= start && start <= end, "{body}");
        before = start;
    }
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("A: "), "{text}");
    let said: Vec<_> = text.lines().flat_map(|line| words(line.split_once(": ").unwrap().1)).collect();
    assert!(
        ["kitchen", "lights", "weather", "dublin"].iter().all(|word| said.iter().any(|said| said == word)),
        "{body}"
    );
    assert_eq!(server.metric("sconce_diarization_seconds_count", &[]).await, 1.0);
}

#[tokio::test]
async fn a_voice_that_is_like_a_reference_is_called_by_its_name() {
    let server = builder("0").start();
    let known = reference(LIGHTS);
    let fields = [("known_speaker_names[]", "Ann Lee"), ("known_speaker_references[]", &known)];
    let body = hear(&server, &[&fields[..], &[("response_format", "diarized_json")]].concat()).await;
    assert!(speakers(&body).iter().all(|speaker| *speaker == "Ann Lee"), "{body}");
    // In other formats too.
    let body = hear(
        &server,
        &[&fields[..], &[("response_format", "verbose_json"), ("timestamp_granularities[]", "word")]].concat(),
    )
    .await;
    assert!(body["words"].as_array().unwrap().iter().all(|word| word["speaker"] == "Ann Lee"), "{body}");
    let subtitles = hear(&server, &[&fields[..], &[("response_format", "vtt")]].concat()).await;
    assert!(subtitles.as_str().unwrap().contains("<v Ann Lee>"), "{subtitles}");
    let text = hear(&server, &[&fields[..], &[("response_format", "text"), ("diarize", "yes")]].concat()).await;
    assert!(text.as_str().unwrap().starts_with("Ann Lee: "), "{text}");
}

#[tokio::test]
async fn a_stream_tells_each_segment_when_it_is_known_whose_it_is() {
    let server = builder("0").start();
    let events = hear(&server, &[("response_format", "diarized_json"), ("stream", "true")]).await;
    let events: Vec<Value> = events
        .as_str()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let (deltas, segments, done) =
        (of("transcript.text.delta"), of("transcript.text.segment"), of("transcript.text.done"));
    assert!(!segments.is_empty() && segments.iter().all(|segment| segment["speaker"] == "A"), "{events:?}");
    let ids = |events: &[&Value], name: &str| events.iter().map(|event| event[name].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&deltas, "segment_id"), ids(&segments, "id"));
    let told: String = deltas.iter().map(|delta| delta["delta"].as_str().unwrap()).collect();
    assert_eq!((done.len(), done[0]["text"].as_str()), (1, Some(told.as_str())), "{events:?}");
}

#[tokio::test]
async fn a_native_request_and_an_excerpt_are_told_apart_too() {
    let server = builder("0").start();
    let audio = BASE64_STANDARD.encode(talk());
    let body = json!({"instances": [{"audio": audio, "diarize": true}], "parameters": {"model": MODEL}});
    let answer: Value = server.post_json("/predict", &body).await.json().await.unwrap();
    assert!(speakers(&answer["predictions"][0]).iter().all(|speaker| *speaker == "A"), "{answer}");
    // As a query beside a recording as well.
    let answer: Value = server.post_bytes("/predict?diarize=true", "audio/wav", talk()).await.json().await.unwrap();
    assert!(speakers(&answer).iter().all(|speaker| *speaker == "A"), "{answer}");
    let cut = hear(&server, &[("response_format", "diarized_json"), ("chunking_strategy", "auto")]).await;
    let last = cut["segments"].as_array().unwrap().last().unwrap();
    // In times of the whole recording, which has a pause of four seconds.
    assert!(last["end"].as_f64().unwrap() > 5.0 && speakers(&cut).iter().all(|speaker| *speaker == "A"), "{cut}");
}

#[tokio::test]
async fn a_reference_that_cannot_be_used_is_named() {
    let server = builder("0").start();
    let silence = format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(sound::silence(2.0)));
    let long = format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(sound::silence(31.0)));
    let nothing = format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(b"no recording at all"));
    for (reference, said) in [(&silence, "nobody is heard"), (&long, "longer than 30 s"), (&nothing, "known format")] {
        let fields = [
            ("response_format", "diarized_json"),
            ("known_speaker_names[]", "Ann"),
            ("known_speaker_references[]", reference),
        ];
        let answer = server.transcribe(talk(), MODEL, &fields).await;
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        let error = &body["error"];
        assert_eq!(error["param"], "known_speaker_references", "{body}");
        let message = error["message"].as_str().unwrap();
        assert!(
            (400..500).contains(&status) && message.contains("\"Ann\"") && message.contains(said),
            "{status} {body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_reads_who_says_what() {
    let server = builder("0").spawn();
    let recordings = checkout("assets/recordings").display().to_string();
    tokio::task::block_in_place(|| python::run("speakers_client.py", &[&server.url("/v1"), &recordings]));
}

#[tokio::test]
async fn a_server_whose_network_cannot_be_read_does_not_start() {
    let network = fixture("silero/network.safetensors").display().to_string();
    let (program, folder) = (env!("CARGO_BIN_EXE_sconce"), tempfile::TempDir::new().unwrap());
    let output = std::process::Command::new(program)
        .args(["transcribe", "--diarize"])
        .arg(checkout("assets/recordings").join(LIGHTS))
        .env("SCONCE_STORE__CACHE_DIR", folder.path())
        .env("SCONCE_AUDIO__SPEAKER_NETWORK", &network)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("audio.speaker_network") && said.contains("CAM++"), "{said}");
}
