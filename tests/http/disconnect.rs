//! Clients that leave.

use std::time::{Duration, Instant};

use crate::support::{Server, server::form, sound};

#[tokio::test]
async fn compute_stops_when_the_client_leaves() {
    let server = Server::start();
    server.post_json("/download-models", &serde_json::json!({})).await;
    let long = sound::babble(600.0);
    let request =
        server.client.post(server.url("/v1/audio/transcriptions")).multipart(form(long, "whisper-nano.en", &[]));
    let left = tokio::time::timeout(Duration::from_secs(3), request.send()).await;
    assert!(left.is_err(), "ten minutes were heard in three seconds: make the recording longer");
    let start = Instant::now();
    while server.metric("sconce_requests_total", &[("outcome", "cancelled")]).await == 0.0 {
        assert!(start.elapsed() < Duration::from_secs(10), "the request was never given up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
