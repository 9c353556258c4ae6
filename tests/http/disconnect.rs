//! Clients that leave.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Server, server::form, sound};

const SOON: Duration = Duration::from_secs(60);

/// A connection on which this was said.
async fn said(server: &Server, head: &str, body: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body).await.unwrap();
    connection
}

/// What is answered until the connection is closed.
async fn rest(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    drop(tokio::time::timeout(SOON, connection.read_to_end(&mut answer)).await.expect("it was never closed"));
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(version: &str, body: &[u8]) -> String {
    let length = body.len();
    format!("POST /predict HTTP/{version}\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: {length}\r\n\r\n")
}

#[tokio::test]
async fn compute_stops_when_the_client_leaves() {
    let server = Server::start();
    server.post_json("/download-models", &serde_json::json!({})).await;
    let long = sound::babble(600.0);
    server.leave(server.transcribe(long, "whisper-nano.en", &[])).await;
    // The model is free again at once, not after the rest of the ten minutes.
    let answer = server.transcribe(sound::silence(1.0), "whisper-nano.en", &[]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_download_goes_on_when_the_client_that_caused_it_leaves() {
    let hub = crate::support::hub::Hub::start();
    crate::support::publish_nano(&hub, "acme/nano");
    hub.stall();
    let server = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano").start();
    let request = server.client.post(server.url("/v1/audio/transcriptions"));
    let request = request.multipart(form(sound::silence(1.0), "acme/nano", &[])).send();
    assert!(tokio::time::timeout(Duration::from_millis(500), request).await.is_err());
    hub.release();
    server.until_status_of("acme/nano", "ready").await;
}

#[tokio::test]
async fn who_says_no_more_and_still_listens_is_answered() {
    let server = Server::start();
    let recording = sound::babble(40.0);
    for round in 0..2 {
        let mut connection = said(&server, &post("1.1", &recording), &recording).await;
        connection.shutdown().await.unwrap();
        let answer = rest(connection).await;
        let (told, answer) = answer.split_once("HTTP/1.1 200 OK\r\n").unwrap_or_else(|| panic!("{round}: {answer}"));
        assert!(told.is_empty() || told == "HTTP/1.1 100 Continue\r\n\r\n", "{told}");
        assert!(answer.contains("\"segments\""), "{answer}");
    }
    let mut probe = said(&server, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", &[]).await;
    probe.shutdown().await.unwrap();
    assert!(rest(probe).await.contains("HTTP/1.1 200 OK"));
    assert_eq!(server.metric("sconce_requests_total", &[("outcome", "cancelled")]).await, 0.0);
}

#[tokio::test]
async fn who_cannot_be_asked_counts_as_gone() {
    let server = Server::start();
    server.post_json("/download-models", &serde_json::json!({})).await;
    let long = sound::babble(600.0);
    let mut connection = said(&server, &post("1.0", &long), &long).await;
    connection.shutdown().await.unwrap();
    assert_eq!(rest(connection).await, "");
    let part = &long[..long.len() / 2];
    let mut half = said(&server, &post("1.1", &long), part).await;
    half.shutdown().await.unwrap();
    let answer = rest(half).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "half a body: {answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_BODY", "1MB").start();
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: {length}\r\n\
                 Expect: 100-continue\r\n\r\n"
        )
    };
    for (path, status, told) in [
        ("/predict", 413, "\"status\":\"INVALID_ARGUMENT\""),
        ("/v1/audio/transcriptions", 413, "\"type\":\"invalid_request_error\""),
        ("/v2/models/whisper-nano.en/infer", 400, "{\"error\":"),
    ] {
        let mut connection = said(&server, &head(path, 900_000_000), &[]).await;
        let mut answer = vec![0; 4096];
        let length = tokio::time::timeout(SOON, connection.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains("limits.max_body"),
            "{path}: {answer}"
        );
        assert!(answer.contains(told), "{path}: {answer}");
    }
    let recording = sound::silence(1.0);
    let mut connection = said(&server, &head("/predict", recording.len()), &[]).await;
    let mut told = [0; 25];
    tokio::time::timeout(SOON, connection.read_exact(&mut told)).await.unwrap().unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(&recording).await.unwrap();
    connection.shutdown().await.unwrap();
    assert!(rest(connection).await.contains("HTTP/1.1 200 OK"));
}
