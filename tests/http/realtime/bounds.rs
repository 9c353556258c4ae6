//! What ends a session, and who else notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    recordings::{truths, words},
    support::{
        Server,
        socket::{Live, pause, pcm16, said},
    },
};

const COMPLETED: &str = "conversation.item.input_audio_transcription.completed";

/// The last event and the code that the session was closed with.
async fn end(live: &mut Live) -> (Value, u16) {
    let last = live.rest().await.pop().unwrap();
    assert_eq!(last["type"], "error", "{last}");
    (last["error"].clone(), live.closed.as_ref().map_or(0, |frame| frame.code.into()))
}

/// Waits until so many sessions have ended for this reason.
pub(super) async fn ended(server: &Server, reason: &str, count: f64) {
    let start = Instant::now();
    while server.metric("sconce_live_ended_total", &[("reason", reason)]).await < count {
        assert!(start.elapsed().as_secs() < 60, "not {count} sessions ended as {reason}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Somebody else's session.
async fn others_are_heard(server: &Server) {
    let mut live = Live::start_with(server, json!({"turn_detection": null})).await;
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    live.commit().await;
    live.until(COMPLETED).await;
    live.close().await;
}

#[tokio::test]
async fn a_session_ends_after_its_time() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_SESSION", "1s").start();
    let mut live = Live::start(&server).await;
    let (error, code) = end(&mut live).await;
    assert!(error["message"].as_str().unwrap().contains("`live.max_session`"), "{error}");
    assert_eq!((&error["code"], code), (&json!("session_expired"), 1000));
    ended(&server, "expired", 1.0).await;
}

#[tokio::test]
async fn what_was_said_by_the_end_of_a_session_gets_its_text_before_it() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_SESSION", "2s").start();
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    let (file, truth) = truths().into_iter().find(|(file, _)| file.contains("kitchen")).unwrap();
    live.append(&pcm16(&[said(&file)])).await;
    let events = live.rest().await;
    let done = events.iter().find(|event| event["type"].as_str().unwrap().ends_with("transcription.completed"));
    assert_eq!(words(done.unwrap()["transcript"].as_str().unwrap()), words(&truth), "{events:?}");
    assert_eq!(events.last().unwrap()["error"]["code"], "session_expired", "{events:?}");
    ended(&server, "expired", 1.0).await;
}

#[tokio::test]
async fn a_session_in_which_nothing_comes_ends() {
    let server = Server::builder().env("SCONCE_LIVE__IDLE", "400ms").env("SCONCE_LIVE__PING", "100ms").start();
    let mut live = Live::start(&server).await;
    let (error, code) = end(&mut live).await;
    assert!(error["message"].as_str().unwrap().contains("`live.idle`"), "{error}");
    assert_eq!((&error["code"], code), (&json!("idle_timeout"), 1000));
    ended(&server, "idle", 1.0).await;
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_its_session() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_MESSAGE", "10kB").start();
    let mut live = Live::start(&server).await;
    live.append(&vec![0; 30_000]).await;
    let (error, code) = end(&mut live).await;
    assert!(error["message"].as_str().unwrap().contains("10000 bytes (`live.max_message`)"), "{error}");
    assert_eq!(code, 1009);
    ended(&server, "malformed", 1.0).await;
    others_are_heard_in_small_pieces(&server).await;
}

async fn others_are_heard_in_small_pieces(server: &Server) {
    let mut live = Live::start_with(server, json!({"turn_detection": null})).await;
    live.append_in_pieces(&pcm16(&[said("good-morning.flac")]), 100).await;
    live.commit().await;
    live.until(COMPLETED).await;
    live.close().await;
}

/// The head of a handshake, and whatever follows.
pub(super) async fn raw(server: &Server, frames: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = "GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(frames).await.unwrap();
    socket
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_alone() {
    let server = Server::builder().env("SCONCE_LIVE__PING", "500ms").start();
    let mut deaf = raw(&server, &[]).await;
    others_are_heard(&server).await;
    ended(&server, "stalled", 1.0).await;
    // What was sent to it lies there still, and then the connection is over.
    let mut said = Vec::new();
    let over = tokio::time::timeout(Duration::from_secs(60), deaf.read_to_end(&mut said)).await;
    assert!(over.is_ok(), "the connection stays open");
    assert!(said.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&said));
    others_are_heard(&server).await;
}

/// Its buffers are full of what it does not read, so that no farewell fits in.
#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_cut_off_too() {
    let server = Server::builder().env("SCONCE_LIVE__PING", "500ms").env("SCONCE_LIVE__MAX_RATE", "100000").start();
    let mut deaf = raw(&server, &[]).await;
    // Each is answered by an error that is longer than it is.
    let mask = [0, 0, 0, 0];
    let frame = [&[0x81, 0x80 | 2][..], &mask, b"{}"].concat();
    let many = frame.repeat(10_000);
    let asking = tokio::spawn(async move {
        while deaf.write_all(&many).await.is_ok() {}
        deaf
    });
    others_are_heard(&server).await;
    ended(&server, "stalled", 1.0).await;
    let asked = tokio::time::timeout(Duration::from_secs(60), asking).await;
    assert!(asked.is_ok(), "the connection stays open");
    others_are_heard(&server).await;
}

#[tokio::test]
async fn a_client_that_floods_is_read_no_faster_than_it_may() {
    let server = Server::builder().env("SCONCE_LIVE__MAX_RATE", "1").env("SCONCE_LIVE__AHEAD", "2s").start();
    let mut flood = Live::start(&server).await;
    let seconds = 3600.0;
    let flooding = tokio::spawn(async move {
        let sound = pcm16(&[pause(10.0)]);
        for _ in 0..(seconds / 10.0) as usize {
            flood.append(&sound).await;
        }
    });
    let start = Instant::now();
    others_are_heard(&server).await;
    let taken = server.metric("sconce_live_audio_seconds_total", &[]).await;
    let may = start.elapsed().as_secs_f64() + 2.0 + 2.0 * 10.0 + 10.0;
    assert!(taken <= may, "{taken} s were taken, and {may} might have been");
    flooding.abort();
}

#[tokio::test]
async fn a_session_costs_its_key_what_it_sends() {
    let server =
        Server::builder().env("SCONCE_ACCESS__KEYS", "sk").env("SCONCE_ACCESS__AUDIO_SECONDS_PER_MINUTE", "5").start();
    let headers = [("authorization", "Bearer sk")];
    let mut live = Live::open(&server, "", &headers).await.unwrap();
    live.append_in_pieces(&pcm16(&[pause(7.0)]), 100).await;
    let (error, code) = end(&mut live).await;
    assert_eq!((&error["code"], &error["type"]), (&json!("rate_limit_exceeded"), &json!("rate_limit_error")));
    assert_eq!(code, 1008);
    let metrics = server.client.get(server.url("/metrics")).bearer_auth("sk").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("sconce_key_audio_seconds_total")).unwrap();
    assert!(line.ends_with(" 5"), "{line}");
}

#[tokio::test]
async fn a_server_that_stops_gives_what_was_said_its_text_and_says_so() {
    let server = Server::start();
    others_are_heard(&server).await;
    let mut live = Live::start_with(&server, json!({"turn_detection": null})).await;
    live.append(&pcm16(&[said("good-morning.flac")])).await;
    let mut silent = Live::start(&server).await;
    silent.append(&pcm16(&[pause(2.0)])).await;
    // An answer shows that the sound is there.
    for session in [&mut live, &mut silent] {
        session.set(json!({"transcription": {"language": "en"}})).await;
    }
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    let events = live.rest().await;
    let done = events.iter().find(|event| event["type"] == COMPLETED).unwrap_or_else(|| panic!("{events:?}"));
    assert!(!done["transcript"].as_str().unwrap().is_empty());
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["error"]["code"]), (&json!("error"), &json!("stopping")));
    assert_eq!(live.closed.as_ref().map(|frame| u16::from(frame.code)), Some(1001));
    let events = silent.rest().await;
    assert_eq!(events.len(), 1, "silence is no item: {events:?}");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_work_for_it() {
    let server = Server::start();
    let mut live = Live::start(&server).await;
    live.append(&pcm16(&[pause(1.0), said("good-morning.flac")])).await;
    drop(live);
    ended(&server, "left", 1.0).await;
    let start = Instant::now();
    while server.metric("sconce_requests_in_flight", &[]).await > 0.0 {
        assert!(start.elapsed().as_secs() < 60, "the model works on for nobody");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.metric("sconce_live_sessions", &[]).await, 0.0);
}
