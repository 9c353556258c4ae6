//! Forms whose recording is still made while they are sent: heard as it comes, and told meanwhile.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::{Body, Response};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    recordings::words,
    support::{
        Server, recording,
        socket::{pause, pcm16, said},
    },
};

const BOUNDARY: &str = "what-stands-between-parts";
/// A recording that goes on for longer is one that is made.
const LONGER: Duration = Duration::from_millis(2500);
const LIGHTS: (&str, &str) = ("turn-on-the-kitchen-lights.wav", "turn on the kitchen lights");
const ALARM: (&str, &str) = ("wake-me-up.flac", "wake me up at half past six in the morning");

/// One end of a request whose body is still being written.
struct Sender {
    body: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

// === impl Sender ===

impl Sender {
    /// Begins a form: its fields, and the head of the recording's part.
    async fn begin(server: &Server, fields: &[(&str, &str)], file: &str) -> (Self, impl Future<Output = Response>) {
        let (body, rest) = mpsc::channel(64);
        let request = server
            .client
            .post(server.url("/v1/audio/transcriptions"))
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(Body::wrap_stream(ReceiverStream::new(rest)));
        let sender = Self { body };
        let all = [&[("model", "whisper-nano.en"), ("stream", "true")], fields].concat();
        for (name, value) in all {
            sender.field(name, value).await;
        }
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        sender.send(head.as_bytes()).await;
        (sender, async move { request.send().await.unwrap() })
    }

    async fn field(&self, name: &str, value: &str) {
        let field = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        self.send(field.as_bytes()).await;
    }

    /// Whoever does not listen any more gets nothing.
    async fn send(&self, bytes: &[u8]) {
        let _ = self.body.send(Ok(Bytes::copy_from_slice(bytes))).await;
    }

    async fn end(self) {
        self.send(format!("\r\n--{BOUNDARY}--\r\n").as_bytes()).await;
    }
}

/// The header of a WAV file whose recorder does not know how long it will be.
fn wav_of_unknown_length(rate: u32) -> Vec<u8> {
    let mut head = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    head.extend(rate.to_le_bytes());
    head.extend((2 * rate).to_le_bytes());
    head.extend(b"\x02\0\x10\0data\xFF\xFF\xFF\xFF");
    head
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}

fn deltas(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"].as_str()).collect()
}

/// Reads events until this was told.
async fn until_told(answer: &mut Response, text: &mut String, word: &str) {
    while !deltas(&events(&text[..text.rfind("\n\n").map_or(0, |end| end + 2)])).to_lowercase().contains(word) {
        let chunk = answer.chunk().await.unwrap().unwrap_or_else(|| panic!("it ended with {text}"));
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

async fn rest(mut answer: Response, mut text: String) -> Vec<Value> {
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    events(&text)
}

#[tokio::test]
async fn words_are_told_while_the_recording_is_made() {
    let server = Server::start();
    let (sender, answer) = Sender::begin(&server, &[("language", "en")], "live.wav").await;
    sender.send(&wav_of_unknown_length(24_000)).await;
    sender.send(&pcm16(&[pause(0.5), said(LIGHTS.0), pause(1.5)])).await;
    let mut answer = answer.await;
    assert_eq!(answer.status(), 200);
    let mut text = String::new();
    until_told(&mut answer, &mut text, "lights").await;
    // Nobody has said yet that the recording is over.
    sender.send(&pcm16(&[said(ALARM.0), pause(0.2)])).await;
    sender.end().await;
    let events = rest(answer, text).await;
    let done = events.last().unwrap();
    let all = words(&format!("{} {}", LIGHTS.1, ALARM.1));
    assert_eq!(
        (&done["type"], words(done["text"].as_str().unwrap())),
        (&json!("transcript.text.done"), all),
        "{events:?}"
    );
    assert_eq!(deltas(&events), done["text"].as_str().unwrap());
    assert!(done.get("warnings").is_none(), "{done}");
    assert!(done["usage"]["seconds"].as_u64().unwrap() >= 6, "{done}");
    assert_eq!(server.metric("sconce_live_ended_total", &[("protocol", "openai"), ("reason", "left")]).await, 1.0);
    assert_eq!(server.metric("sconce_live_sessions", &[("protocol", "openai")]).await, 0.0);
}

#[tokio::test]
async fn every_format_that_can_be_heard_from_its_front_is() {
    let server = Server::start();
    let files = [
        ("good-morning.flac", "good morning"),
        ("play-piano-music.opus", "play"),
        ("shopping-list.ogg", "shopping list"),
        ("close-the-blinds.webm", "bedroom blinds"),
        ("what-is-the-weather.mp3", "dublin"),
        // Its index is where it may be; if that is at the end, the whole is heard.
        ("set-a-timer.m4a", "timer"),
    ];
    let hear = |(file, said): (&'static str, &'static str)| {
        let server = &server;
        async move {
            let (sender, answer) = Sender::begin(server, &[], file).await;
            let bytes = recording(file);
            let (first, second) = bytes.split_at(bytes.len() / 2);
            sender.send(first).await;
            let send = async {
                sleep(LONGER).await;
                sender.send(second).await;
                sender.end().await;
            };
            let (answer, ()) = tokio::join!(answer, send);
            assert_eq!(answer.status(), 200, "{file}");
            let events = rest(answer, String::new()).await;
            let done = events.last().unwrap();
            assert!(done["text"].as_str().unwrap().to_lowercase().contains(said), "{file}: {events:?}");
        }
    };
    futures::future::join_all(files.map(hear)).await;
}

#[tokio::test]
async fn a_sender_that_stops_in_the_middle_gets_what_was_heard() {
    let server = Server::builder().env("SCONCE_LIVE__IDLE", "3s").start();
    let (sender, answer) = Sender::begin(&server, &[], "live.wav").await;
    sender.send(&wav_of_unknown_length(24_000)).await;
    sender.send(&pcm16(&[said(LIGHTS.0), pause(0.1)])).await;
    // It stays connected, and says no more.
    let silent = rest(answer.await, String::new()).await;
    let done = silent.last().unwrap();
    assert_eq!(words(done["text"].as_str().unwrap()), words(LIGHTS.1), "{silent:?}");
    assert_eq!(done["warnings"][0]["code"], "truncated", "{done}");
    drop(sender);
    // It ends the body without the end of the form.
    let (sender, answer) = Sender::begin(&server, &[], "live.wav").await;
    sender.send(&wav_of_unknown_length(24_000)).await;
    sender.send(&pcm16(&[said(LIGHTS.0), pause(0.1)])).await;
    let answer = answer.await;
    drop(sender);
    let cut = rest(answer, String::new()).await;
    let done = cut.last().unwrap();
    assert_eq!(
        (words(done["text"].as_str().unwrap()), &done["warnings"][0]["code"]),
        (words(LIGHTS.1), &json!("truncated"))
    );
}

#[tokio::test]
async fn what_is_here_at_once_is_a_file_as_any_other() {
    let server = Server::start();
    // Fields may come after it, and what cannot be told before the end can be asked for.
    let (sender, answer) = Sender::begin(&server, &[("include[]", "logprobs")], LIGHTS.0).await;
    sender.send(&recording(LIGHTS.0)).await;
    sender.send(b"\r\n").await;
    sender.field("language", "en").await;
    sender.send(format!("--{BOUNDARY}--\r\n").as_bytes()).await;
    let (answer, ()) = tokio::join!(answer, async { drop(sender) });
    let events = rest(answer, String::new()).await;
    let done = events.last().unwrap();
    assert_eq!(words(done["text"].as_str().unwrap()), words(LIGHTS.1), "{events:?}");
    assert!(!done["logprobs"].as_array().unwrap().is_empty(), "{done}");
    assert_eq!(server.metric("sconce_requests_total", &[("protocol", "openai"), ("outcome", "ok")]).await, 1.0);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_a_status_as_long_as_there_is_none() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_SESSIONS", "1").env("SCONCE_LIVE__IDLE", "3s").start();
    // No recording: all of it is waited for, and refused as any other file.
    let (sender, answer) = Sender::begin(&server, &[], "live.wav").await;
    sender.send(b"this is not a recording, whoever says so").await;
    let ends = async {
        sleep(LONGER).await;
        sender.end().await;
    };
    let (answer, ()) = tokio::join!(answer, ends);
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("known format"));
    // A field that is wrong, and a model that is not there.
    for (fields, status) in [([("temperature", "hot")], 400), ([("language", "klingon")], 200)] {
        let (sender, answer) = Sender::begin(&server, &fields, "live.wav").await;
        sender.send(&wav_of_unknown_length(24_000)).await;
        sender.send(&pcm16(&[said(LIGHTS.0), pause(1.0)])).await;
        let answer = answer.await;
        assert_eq!(answer.status(), status);
        sender.end().await;
        let text = answer.text().await.unwrap();
        assert!(text.contains(fields[0].1), "{text}");
    }
    // One session is open, and a second one finds no place.
    let (first, answer) = Sender::begin(&server, &[], "live.wav").await;
    first.send(&wav_of_unknown_length(24_000)).await;
    first.send(&pcm16(&[said(LIGHTS.0), pause(1.0)])).await;
    let open = answer.await;
    let (second, refused) = Sender::begin(&server, &[], "live.wav").await;
    second.send(&wav_of_unknown_length(24_000)).await;
    second.send(&pcm16(&[said(LIGHTS.0)])).await;
    let refused = refused.await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().await.unwrap().contains("live.max_sessions"));
    first.end().await;
    assert_eq!(words(rest(open, String::new()).await.last().unwrap()["text"].as_str().unwrap()), words(LIGHTS.1));
}

#[tokio::test]
async fn a_field_after_a_recording_that_is_made_comes_too_late() {
    let server = Server::start();
    let (sender, answer) = Sender::begin(&server, &[], "live.wav").await;
    sender.send(&wav_of_unknown_length(24_000)).await;
    sender.send(&pcm16(&[said(LIGHTS.0)])).await;
    let answer = answer.await;
    sender.send(b"\r\n").await;
    sender.field("language", "de").await;
    sender.end().await;
    let events = rest(answer, String::new()).await;
    let error = &events.last().unwrap()["error"];
    assert_eq!(
        (&error["param"], error["message"].as_str().unwrap().contains("last of a form")),
        (&json!("file"), true)
    );
}

#[tokio::test]
async fn a_session_as_long_as_one_may_be_ends_with_what_was_heard() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_SESSION", "4s").start();
    let (sender, answer) = Sender::begin(&server, &[], "live.wav").await;
    sender.send(&wav_of_unknown_length(24_000)).await;
    let sound = pcm16(&[said(LIGHTS.0), pause(0.2)]);
    sender.send(&sound).await;
    let events = rest(answer.await, String::new()).await;
    let done = events.last().unwrap();
    assert_eq!(words(done["text"].as_str().unwrap()), words(LIGHTS.1), "{events:?}");
    assert_eq!(done["warnings"][0]["code"], "truncated");
}

#[tokio::test]
async fn who_leaves_takes_the_session_along() {
    let server = Server::start();
    let (sender, answer) = Sender::begin(&server, &[], "live.wav").await;
    sender.send(&wav_of_unknown_length(24_000)).await;
    sender.send(&pcm16(&[said(LIGHTS.0), pause(0.2)])).await;
    drop((answer.await.bytes_stream().boxed(), sender));
    for _ in 0..200 {
        if server.metric("sconce_live_sessions", &[("protocol", "openai")]).await == 0.0 {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the session is still open");
}
