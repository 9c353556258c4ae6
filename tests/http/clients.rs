//! The official `openai` client for Python, unchanged. `.ci/run` installs it and names its interpreter in `TEST_PYTHON`.

use std::process::Command;

use crate::support::{Server, checkout, hub::Hub, publish_nano};

/// Runs `tests/clients/<script>` against a server. Without an interpreter that has the client it says so, except in CI,
/// where that is a failure.
#[expect(clippy::disallowed_methods, reason = "says where the client is, not how the server behaves")]
fn run(script: &str, server: &Server, arguments: &[&str]) {
    let Ok(python) = std::env::var("TEST_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "TEST_PYTHON names no interpreter with the openai package");
        eprintln!("SKIPPED {script}: TEST_PYTHON names no interpreter with the openai package");
        return;
    };
    let script = checkout("tests/clients").join(script);
    let output = Command::new(python).arg(script).arg(server.url("/v1")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_transcribes_streams_lists_and_raises() {
    let server = Server::start();
    let recordings = checkout("assets/recordings").display().to_string();
    tokio::task::block_in_place(|| run("openai_client.py", &server, &[&recordings]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_comes_back_after_a_while_by_itself() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.delay(std::time::Duration::from_millis(300));
    let builder = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano");
    let server = builder.env("SCONCE_LIMITS__WAIT", "100ms").start();
    let recording = checkout("assets/recordings/turn-on-the-kitchen-lights.wav").display().to_string();
    tokio::task::block_in_place(|| run("openai_retry.py", &server, &[&recording]));
}
