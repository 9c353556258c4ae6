//! SIGTERM.

use std::time::Duration;

use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{server::form, sound},
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
