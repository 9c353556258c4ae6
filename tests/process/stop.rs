//! SIGTERM.

use std::time::Duration;

use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{hub::Hub, publish_nano, server::form, sound},
};

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[test]
fn an_idle_server_ends_at_once_with_code_0() {
    let cache = TempDir::new().unwrap();
    let mut program = Program::start(sconce(&cache).env("PORT", "0"));
    program.terminate();
    program.line("stopped");
    assert_eq!(program.ended().code(), Some(0));
}

#[tokio::test]
async fn what_runs_is_finished_and_readiness_goes_first() {
    let cache = TempDir::new().unwrap();
    let mut program = Program::start(sconce(&cache).env("PORT", "0").env("SCONCE_SERVER__GRACE", "2s"));
    client().post(program.url("/download-models")).send().await.unwrap();
    let request = client().post(program.url("/v1/audio/transcriptions"));
    let running = tokio::spawn(request.multipart(form(sound::babble(60.0), "whisper-nano.en", &[])).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    program.terminate();
    program.line("stopping");
    let health = client().get(program.url("/health")).send().await.unwrap();
    assert_eq!(health.status(), 503, "unready while the grace lasts");
    let answer = running.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("coffee"));
    assert_eq!(program.ended().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let cache = TempDir::new().unwrap();
    let mut program = Program::start(sconce(&cache).env("PORT", "0").env("SCONCE_SERVER__GRACE", "60s"));
    program.terminate();
    program.line("stopping");
    program.terminate();
    assert_eq!(program.ended().code(), Some(130));
}

/// What somebody was answered whom the end of the server cut off.
async fn assert_told_to_come_back(answer: reqwest::Result<reqwest::Response>) {
    let answer = answer.expect("an answer, not a closed connection");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let text = answer.text().await.unwrap();
    assert!(text.contains("stopping"), "{text}");
}

#[tokio::test]
async fn who_waits_for_a_model_is_told_at_once() {
    let (cache, hub) = (TempDir::new().unwrap(), Hub::start());
    publish_nano(&hub, "acme/nano");
    hub.stall();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", "acme/nano").env("LOAD_MODE", "on_demand");
    let mut program = Program::start(command.env("SCONCE_SERVER__GRACE", "0s").env("SCONCE_SERVER__DRAIN", "60s"));
    let ask = || {
        let request = client().post(program.url("/v1/audio/transcriptions"));
        tokio::spawn(request.multipart(form(sound::babble(1.0), "acme/nano", &[])).send())
    };
    let waiting: Vec<_> = (0..20).map(|_| ask()).collect();
    let status = || async { client().get(program.url("/models/status")).send().await.unwrap().text().await.unwrap() };
    while !status().await.contains("\"waiting\":20") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = std::time::Instant::now();
    program.terminate();
    for answer in waiting {
        assert_told_to_come_back(answer.await.unwrap()).await;
    }
    assert!(start.elapsed() < Duration::from_secs(30), "they waited for the end of the drain");
    hub.release();
    assert_eq!(program.ended().code(), Some(0));
}

#[tokio::test]
async fn work_that_outlasts_the_drain_is_answered_before_its_end() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("SCONCE_SERVER__GRACE", "0s").env("SCONCE_SERVER__DRAIN", "2s");
    let mut program = Program::start(&mut command);
    client().post(program.url("/download-models")).send().await.unwrap();
    let ask = || {
        let request = client().post(program.url("/v1/audio/transcriptions"));
        tokio::spawn(request.multipart(form(sound::babble(1200.0), "whisper-nano.en", &[])).send())
    };
    let (running, queued) = (ask(), ask());
    tokio::time::sleep(Duration::from_secs(2)).await;
    program.terminate();
    for answer in [running, queued] {
        assert_told_to_come_back(answer.await.unwrap()).await;
    }
    assert_eq!(program.ended().code(), Some(0));
}
