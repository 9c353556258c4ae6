//! Recordings with several audio tracks: films, screens that were recorded with a microphone beside them.

use std::process::{Command, Stdio};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    recordings::words,
    support::{Server, checkout},
};

const MODEL: &str = "whisper-nano.en";
const LIGHTS: (&str, &str) = ("turn-on-the-kitchen-lights.wav", "turn on the kitchen lights");
const WEATHER: (&str, &str) = ("what-is-the-weather.mp3", "what is the weather like in dublin tomorrow");
/// The tracks as they are.
const BOTH: &str = "-map 0:a -map 1:a";
/// The second one begins when the first is through: what the small model hears at once are six seconds.
const IN_TURN: &str = "-filter_complex [1:a]adelay=6200[late] -map 0:a -map [late]";

/// A film of both recordings, as ffmpeg makes it where it is installed.
fn film(name: &str, tracks: &str, codecs: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error"]);
    for recording in [LIGHTS.0, WEATHER.0] {
        ffmpeg.arg("-i").arg(checkout("assets/recordings").join(recording));
    }
    ffmpeg.args(tracks.split(' ')).args(codecs.split(' ')).arg(&file).stdin(Stdio::null());
    if !ffmpeg.status().is_ok_and(|status| status.success()) {
        eprintln!("not made: {name}");
        return None;
    }
    Some(std::fs::read(file).unwrap())
}

async fn answer(server: &Server, file: &[u8], fields: &[(&str, &str)]) -> (u16, Value) {
    let fields = [&[("response_format", "verbose_json")], fields].concat();
    let answer = server.transcribe(file.to_vec(), MODEL, &fields).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn hear(server: &Server, file: &[u8], track: &str) -> Value {
    let (status, body) = answer(server, file, &[("track", track)]).await;
    assert_eq!(status, 200, "{track}: {body}");
    body
}

fn text(body: &Value) -> Vec<String> {
    words(body["text"].as_str().unwrap())
}

/// What was said on a track.
fn on(segments: &Value, track: usize) -> Vec<String> {
    let segments = segments.as_array().unwrap_or_else(|| panic!("{segments}"));
    let mine = segments.iter().filter(|segment| segment["track"] == track);
    words(&mine.map(|segment| segment["text"].as_str().unwrap()).collect::<Vec<_>>().join(" "))
}

/// By our own decoders, by ffmpeg, and one by each.
#[tokio::test]
async fn a_track_is_heard_by_its_number() {
    let server = Server::start();
    for (name, codecs) in
        [("x.mkv", "-c:a libopus"), ("x.mp4", "-c:a aac"), ("x.ts", "-c:a mp2"), ("x.mov", "-c:a:0 ac3 -c:a:1 aac")]
    {
        let Some(film) = film(name, BOTH, codecs) else { continue };
        assert_eq!(text(&hear(&server, &film, "0").await), words(LIGHTS.1), "{name}");
        let second = hear(&server, &film, "1").await;
        assert_eq!(text(&second), words(WEATHER.1), "{name}");
        assert!(second.get("tracks").is_none() && second["segments"][0].get("track").is_none(), "{name}: {second}");
        let (status, body) = answer(&server, &film, &[("track", "2")]).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!("track")), "{name}: {body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("no audio track 2") && message.contains("from 0"), "{name}: {message}");
    }
}

#[tokio::test]
async fn all_tracks_are_written_down_and_labelled() {
    let server = Server::start();
    for (name, codecs) in [
        ("x.mkv", "-c:a libopus"),
        ("x.ts", "-c:a mp2"),
        ("x.mp4", "-c:a:0 aac -c:a:1 ac3"),
        ("x.mov", "-c:a pcm_s16le"),
    ] {
        let Some(film) = film(name, BOTH, codecs) else { continue };
        let body = hear(&server, &film, "all").await;
        assert_eq!(
            (on(&body["segments"], 0), on(&body["segments"], 1)),
            (words(LIGHTS.1), words(WEATHER.1)),
            "{name}: {body}"
        );
        assert!(body["text"].as_str().unwrap().contains("[track 1] "), "{name}: {body}");
        assert_eq!(
            (&body["tracks"], body.get("channels"), body.get("warnings")),
            (&json!(2), None, None),
            "{name}: {body}"
        );
        // Of each as long as the longer one.
        assert_eq!(
            body["usage"]["seconds"],
            (2.0 * body["duration"].as_f64().unwrap()).ceil() as u64,
            "{name}: {body}"
        );
    }
    let Some(film) = film("x.mkv", IN_TURN, "-c:a flac") else { return };
    for (format, first, second) in [
        ("text", "[track 0] turn", "\n[track 1] what"),
        ("srt", "\n[track 0] turn", "\n[track 1] what"),
        ("vtt", "\n<v track 0>turn", "\n<v track 1>what"),
    ] {
        let fields = [("track", "all"), ("response_format", format)];
        let text = server.transcribe(film.clone(), MODEL, &fields).await.text().await.unwrap().to_lowercase();
        let (one, other) = (text.find(first), text.find(second));
        assert!(one.is_some() && one < other, "{format}: {text}");
    }
    let fields = [("track", "all"), ("stream", "true")];
    let events = server.transcribe(film, MODEL, &fields).await.text().await.unwrap();
    assert!(events.contains(r#""track":0"#) && events.contains(r#""track":1"#), "{events}");
}

/// A game and its player, the far side of a call and the microphone.
#[tokio::test]
async fn tracks_are_heard_as_one() {
    let server = Server::start();
    for (name, codecs) in [("x.mkv", "-c:a libopus"), ("x.ts", "-c:a mp2"), ("x.mov", "-c:a:0 ac3 -c:a:1 aac")] {
        let Some(film) = film(name, IN_TURN, codecs) else { continue };
        let body = hear(&server, &film, "mix").await;
        assert_eq!(text(&body), [words(LIGHTS.1), words(WEATHER.1)].concat(), "{name}: {body}");
        assert!(body.get("tracks").is_none() && body["segments"][0].get("track").is_none(), "{name}: {body}");
        assert!((9.8..10.2).contains(&body["duration"].as_f64().unwrap()), "{name}: {body}");
    }
}

#[tokio::test]
async fn without_a_number_a_silent_track_is_passed_over() {
    let server = Server::start();
    let silent_first = "-filter_complex [0:a]volume=0[quiet] -map [quiet] -map 1:a";
    for (name, codecs) in [("x.mp4", "-c:a aac"), ("x.ts", "-c:a mp2"), ("x.mkv", "-c:a ac3")] {
        let Some(film) = film(name, silent_first, codecs) else { continue };
        let (status, body) = answer(&server, &film, &[]).await;
        assert_eq!((status, text(&body)), (200, words(WEATHER.1)), "{name}: {body}");
        assert_eq!(text(&hear(&server, &film, "auto").await), words(WEATHER.1), "{name}");
        // It is what was asked for.
        assert!(text(&hear(&server, &film, "0").await).is_empty(), "{name}");
    }
}

/// What is heard of several is told; the other is named.
#[tokio::test]
async fn a_track_that_cannot_be_decoded_is_left_out_and_told_of() {
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start();
    let Some(film) = film("x.mkv", BOTH, "-c:a:0 ac3 -c:a:1 aac") else { return };
    for track in ["all", "mix"] {
        let body = hear(&server, &film, track).await;
        assert_eq!(body["warnings"][0]["code"], "left_out", "{body}");
        let message = body["warnings"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("track 0 is left out: ") && message.contains("AC-3"), "{message}");
        assert_eq!(words(&body["text"].as_str().unwrap().replace("[track 1]", "")), words(WEATHER.1), "{body}");
    }
    let fields = [("track", "all"), ("response_format", "text")];
    let answer = server.transcribe(film.clone(), MODEL, &fields).await;
    assert_eq!(answer.headers()["x-sconce-warnings"], "left_out");
    let (status, body) = self::answer(&server, &film, &[("track", "0")]).await;
    assert_eq!(status, 400, "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("AC-3") && message.contains("ffmpeg"), "{message}");
    assert_eq!(text(&hear(&server, &film, "1").await), words(WEATHER.1));
}

/// It is not taken for one of too many tracks.
#[tokio::test]
async fn a_file_in_which_nothing_can_be_decoded_is_refused_by_its_name() {
    let server = Server::start();
    let stream: Vec<u8> = (0..188 * 16).map(|at| if at % 188 == 0 { 0x47 } else { 0 }).collect();
    for track in ["all", "mix", "0", "3", "auto"] {
        let (status, body) = answer(&server, &stream, &[("track", track)]).await;
        assert_eq!(status, 400, "{track}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("an MPEG transport stream"), "{track}: {body}");
    }
}

#[tokio::test]
async fn every_route_takes_tracks() {
    let server = Server::start();
    let Some(film) = film("x.mkv", BOTH, "-c:a libopus") else { return };
    let audio = BASE64_STANDARD.encode(&film);
    let instances = json!({"instances": [{"audio": audio}], "parameters": {"track": "1"}});
    let vertex: Value = server.post_json("/predict", &instances).await.json().await.unwrap();
    assert_eq!(text(&vertex["predictions"][0]), words(WEATHER.1), "{vertex}");
    let one = json!({"audio": audio, "track": 1});
    let native: Value = server.post_json("/predict", &one).await.json().await.unwrap();
    assert_eq!(text(&native), words(WEATHER.1), "{native}");
    let request = server.client.post(server.url("/predict?track=1")).header("content-type", "video/x-matroska");
    let query: Value = request.body(film.clone()).send().await.unwrap().json().await.unwrap();
    assert_eq!(text(&query), words(WEATHER.1), "{query}");
    let all = json!({"audio": audio, "track": "all"});
    let all: Value = server.post_json("/predict", &all).await.json().await.unwrap();
    assert_eq!((&all["tracks"], on(&all["segments"], 1)), (&json!(2), words(WEATHER.1)), "{all}");
    let job: Value = server.post_json("/v1/jobs", &one).await.json().await.unwrap();
    let job = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    server.get(&format!("{job}/events")).await.text().await.unwrap();
    assert_eq!(text(&server.get_json(&job).await["result"]), words(WEATHER.1));
    for parameters in [json!({"track": 1}), json!({"track": "1"})] {
        let input = json!({"name": "audio", "shape": [1], "datatype": "BYTES", "data": [audio]});
        let oip = json!({"inputs": [input], "parameters": parameters});
        let oip: Value = server.post_json("/v2/models/whisper-nano.en/infer", &oip).await.json().await.unwrap();
        let output = oip["outputs"].as_array().unwrap().iter().find(|output| output["name"] == "text");
        assert_eq!(words(output.unwrap()["data"][0].as_str().unwrap()), words(WEATHER.1), "{oip}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_AUDIO", "6s").start();
    let Some(film) = film("x.mkv", BOTH, "-c:a libopus") else { return };
    for (fields, param, told) in [
        (&[("track", "left")][..], "track", "a number from 0, all, mix or auto"),
        (&[("track", "-1")], "track", "a number from 0, all, mix or auto"),
        (&[("track", "all"), ("channels", "separate")], "track", "name it by its number"),
        (&[("track", "all"), ("diarize", "true")], "diarize", "told by its track"),
    ] {
        let (status, body) = answer(&server, &film, fields).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{fields:?}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(told), "{fields:?}: {body}");
    }
    let (status, body) = answer(&server, &film, &[("track", "all")]).await;
    assert_eq!(status, 413, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("tracks of the audio are longer than 6 s"), "{body}");
    assert_eq!(answer(&server, &film, &[("track", "mix")]).await.0, 200, "it is as long as its longest track");
    let Some(many) = self::film("x.mkv", &["-map 0:a"; 9].join(" "), "-c:a libopus -t 0.5") else { return };
    for track in ["all", "mix"] {
        let (status, body) = answer(&server, &many, &[("track", track)]).await;
        assert_eq!(status, 413, "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("more than 8 tracks"), "{body}");
    }
    assert_eq!(answer(&server, &many, &[("track", "8")]).await.0, 200);
}
