//! The official `openai` client for Python, unchanged.

use crate::support::{Server, checkout, hub::Hub, publish_nano, python};

/// Runs `tests/clients/<script>` against a server.
fn run(script: &str, server: &Server, argument: &str) {
    tokio::task::block_in_place(|| python::run(script, &[&server.url("/v1"), argument]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_transcribes_streams_lists_and_raises() {
    let server = Server::start();
    let recordings = checkout("assets/recordings").display().to_string();
    run("openai_client.py", &server, &recordings);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_comes_back_after_a_while_by_itself() {
    let hub = Hub::start();
    publish_nano(&hub, "acme/nano");
    hub.delay(std::time::Duration::from_millis(300));
    let builder = Server::builder().hub(&hub).env("MODEL_ID", "acme/nano");
    let server = builder.env("SCONCE_LIMITS__WAIT", "100ms").start();
    let recording = checkout("assets/recordings/turn-on-the-kitchen-lights.wav").display().to_string();
    run("openai_retry.py", &server, &recording);
}
