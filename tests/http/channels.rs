//! A recording whose channels are heard separately: a call with one side on each.

use std::process::{Command, Stdio};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, recording, sound},
};

const MODEL: &str = "whisper-nano.en";
const LIGHTS: (&str, &str) = ("turn-on-the-kitchen-lights.wav", "turn on the kitchen lights");
const WEATHER: (&str, &str) = ("what-is-the-weather.mp3", "what is the weather like in dublin tomorrow");

/// The second side answers when the first one is through. No sentence lies across the six seconds that the small model
/// hears at once.
fn turns() -> Vec<u8> {
    sound::call([(0.0, LIGHTS.0), (6.2, WEATHER.0)])
}

async fn hear(server: &Server, file: Vec<u8>, fields: &[(&str, &str)]) -> Value {
    let fields = [&[("channels", "separate"), ("response_format", "verbose_json")], fields].concat();
    let answer = server.transcribe(file, MODEL, &fields).await;
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{body}");
    body
}

/// What was said on a channel.
fn on(segments: &Value, channel: usize) -> Vec<String> {
    let segments = segments.as_array().unwrap_or_else(|| panic!("{segments}"));
    let mine = segments.iter().filter(|segment| segment["channel"] == channel);
    words(&mine.map(|segment| segment["text"].as_str().unwrap()).collect::<Vec<_>>().join(" "))
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|json| serde_json::from_str(json).ok())
        .collect()
}

#[tokio::test]
async fn each_side_of_a_call_is_written_down_and_labelled() {
    let server = Server::start();
    let body = hear(&server, turns(), &[]).await;
    assert_eq!(
        words(body["text"].as_str().unwrap()),
        words(&format!("channel 0 {} channel 1 {}", LIGHTS.1, WEATHER.1))
    );
    assert!(body["text"].as_str().unwrap().starts_with("[channel 0] "), "{body}");
    assert_eq!((on(&body["segments"], 0), on(&body["segments"], 1)), (words(LIGHTS.1), words(WEATHER.1)), "{body}");
    let (ids, starts): (Vec<_>, Vec<_>) = body["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| (segment["id"].as_u64().unwrap(), segment["start"].as_f64().unwrap()))
        .unzip();
    assert!(starts.is_sorted() && ids.iter().copied().eq(0..ids.len() as u64), "{body}");
    // 6.2 s of silence and 3.73 s on each channel.
    assert!((body["duration"].as_f64().unwrap() - 9.93).abs() < 0.05, "{body}");
    assert_eq!((&body["channels"], &body["usage"]["seconds"]), (&json!(2), &json!(20)));
    let heard = server.metric("sconce_audio_seconds_total", &[]).await;
    assert!((heard - 2.0 * 9.93).abs() < 0.1, "{heard}");
    assert_eq!(server.metric("sconce_requests_total", &[("outcome", "ok")]).await, 1.0);
}

#[tokio::test]
async fn who_speaks_at_the_same_time_is_heard_all_the_same() {
    let server = Server::start();
    let body = hear(
        &server,
        sound::call([(0.0, LIGHTS.0), (0.0, WEATHER.0)]),
        &[("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")],
    )
    .await;
    assert_eq!((on(&body["segments"], 0), on(&body["segments"], 1)), (words(LIGHTS.1), words(WEATHER.1)), "{body}");
    let said = body["words"].as_array().unwrap();
    assert!(said.iter().map(|word| word["start"].as_f64().unwrap()).is_sorted(), "{body}");
    let of = |channel: usize| {
        let mine = said.iter().filter(|word| word["channel"] == channel);
        mine.flat_map(|word| words(word["word"].as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!((of(0), of(1)), (words(LIGHTS.1), words(WEATHER.1)), "{body}");
    let changes = said.windows(2).filter(|pair| pair[0]["channel"] != pair[1]["channel"]).count();
    assert!(changes > 1, "they do not speak at once: {body}");
}

#[tokio::test]
async fn silence_between_turns_is_cut_on_each_channel_by_itself() {
    let server = Server::start();
    let file = sound::call([(0.0, LIGHTS.0), (20.0, WEATHER.0)]);
    let body = hear(&server, file, &[("chunking_strategy", "auto"), ("timestamp_granularities[]", "word")]).await;
    let starts = |channel: usize| {
        let mine = body["words"].as_array().unwrap().iter().filter(move |word| word["channel"] == channel);
        mine.map(|word| word["start"].as_f64().unwrap()).next().unwrap()
    };
    assert!((starts(0) - 0.718).abs() < 0.4 && (starts(1) - 20.656).abs() < 0.4, "{body}");
    assert!((body["duration"].as_f64().unwrap() - 23.73).abs() < 0.05, "{body}");
}

#[tokio::test]
async fn mixed_recordings_have_no_labels_and_mono_ones_one_channel() {
    let server = Server::start();
    let fields = [("channels", "mix"), ("response_format", "verbose_json")];
    let mixed: Value = server.transcribe(turns(), MODEL, &fields).await.json().await.unwrap();
    assert!(mixed.get("channels").is_none() && mixed["segments"][0].get("channel").is_none(), "{mixed}");
    let mono = hear(&server, recording(LIGHTS.0), &[]).await;
    assert_eq!((&mono["channels"], on(&mono["segments"], 0)), (&json!(1), words(LIGHTS.1)), "{mono}");
}

#[tokio::test]
async fn every_format_says_who_speaks() {
    let server = Server::start();
    for (format, first, second) in [
        ("text", "[channel 0] turn", "\n[channel 1] what"),
        ("json", "[channel 0] turn", r"\n[channel 1] what"),
        ("srt", "\n[channel 0] turn", "\n[channel 1] what"),
        ("vtt", "\n<v channel 0>turn", "\n<v channel 1>what"),
        ("tsv", "\t[channel 0] turn", "\t[channel 1] what"),
    ] {
        let fields = [("channels", "separate"), ("response_format", format)];
        let text = server.transcribe(turns(), MODEL, &fields).await.text().await.unwrap().to_lowercase();
        let (one, other) = (text.find(first), text.find(second));
        assert!(one.is_some() && one < other, "{format}: {text}");
    }
}

#[tokio::test]
async fn channels_stream() {
    let server = Server::start();
    let fields = [("channels", "separate"), ("stream", "true")];
    let all = events(&server.transcribe(turns(), MODEL, &fields).await.text().await.unwrap());
    let (done, deltas) = all.split_last().unwrap();
    let text: String = deltas.iter().map(|delta| delta["delta"].as_str().unwrap()).collect();
    assert_eq!(text.trim(), done["text"].as_str().unwrap(), "{all:?}");
    let order: Vec<_> = deltas.iter().map(|delta| delta["channel"].as_u64().unwrap()).collect();
    assert!(order.is_sorted() && order.contains(&0) && order.contains(&1), "{all:?}");
    assert_eq!(done["usage"]["seconds"], 20);

    let request = server.client.post(server.url("/predict?channels=separate")).header("content-type", "audio/wav");
    let answer = request.header("accept", "text/event-stream").body(turns()).send().await.unwrap();
    let all = events(&answer.text().await.unwrap());
    let segments: Value = all.iter().filter_map(|event| event.get("segment").cloned()).collect();
    assert_eq!((on(&segments, 0), on(&segments, 1)), (words(LIGHTS.1), words(WEATHER.1)), "{all:?}");
}

#[tokio::test]
async fn every_route_takes_channels() {
    let server = Server::start();
    let audio = BASE64_STANDARD.encode(turns());
    let instances = json!({"instances": [{"audio": audio}], "parameters": {"channels": "separate"}});
    let vertex: Value = server.post_json("/predict", &instances).await.json().await.unwrap();
    let one = json!({"audio": audio, "channels": "separate", "timestamps": "word"});
    let native: Value = server.post_json("/predict", &one).await.json().await.unwrap();
    let job: Value = server.post_json("/v1/jobs", &one).await.json().await.unwrap();
    let job = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    server.get(&format!("{job}/events")).await.text().await.unwrap();
    let job = server.get_json(&job).await["result"].take();
    let input = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [audio]});
    let oip = json!({"inputs": [input], "parameters": {"channels": "separate"}});
    let oip: Value = server.post_json("/v2/models/whisper-nano.en/infer", &oip).await.json().await.unwrap();
    let oip = oip["outputs"].as_array().unwrap().iter().find(|output| output["name"] == "segments").unwrap().clone();
    let oip: Value = serde_json::from_str(oip["data"][0].as_str().unwrap()).unwrap();
    for (route, segments) in [
        ("vertex", &vertex["predictions"][0]["segments"]),
        ("native", &native["segments"]),
        ("job", &job["segments"]),
        ("oip", &oip),
    ] {
        assert_eq!((on(segments, 0), on(segments, 1)), (words(LIGHTS.1), words(WEATHER.1)), "{route}");
    }
    assert_eq!(native["segments"][0]["words"][0]["channel"], 0, "{native}");
    assert_eq!(native["channels"], 2);
}

#[tokio::test]
async fn the_seconds_of_all_channels_are_bounded() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_AUDIO", "10s").start();
    let answer = server.transcribe(turns(), MODEL, &[("channels", "separate")]).await;
    assert_eq!(answer.status(), 413);
    let body: Value = answer.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("2 channels"), "{body}");
    assert_eq!(server.transcribe(turns(), MODEL, &[]).await.status(), 200);
    let answer = server.transcribe(turns(), MODEL, &[("channels", "left")]).await;
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["param"], "channels", "{body}");
}

/// What only ffmpeg reads has channels as well.
#[tokio::test]
async fn channels_of_what_ffmpeg_reads_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (wav, wma) = (folder.path().join("call.wav"), folder.path().join("call.wma"));
    std::fs::write(&wav, turns()).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&wav).args(["-c:a", "wmav2", "-b:a", "128k"]).arg(&wma).stdin(Stdio::null());
    if !ffmpeg.status().is_ok_and(|status| status.success()) {
        return eprintln!("there is no ffmpeg");
    }
    let server = Server::start();
    let body = hear(&server, std::fs::read(wma).unwrap(), &[]).await;
    assert_eq!((on(&body["segments"], 0), on(&body["segments"], 1)), (words(LIGHTS.1), words(WEATHER.1)), "{body}");
}
