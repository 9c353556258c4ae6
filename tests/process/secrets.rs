//! What nobody may read anywhere: every setting that holds a secret gets a canary, and every output is searched for it.

use std::fs;

use reqwest::{Client, Method};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    program::{Program, outcome, sconce},
    support::{recording, server::form},
};

/// Stands in every secret.
const CANARY: &str = "c4nary";
const WAV: &str = "turn-on-the-kitchen-lights.wav";

/// Nobody listens on port 1, so that every address here fails and is told.
const VARIABLES: &[(&str, &str)] = &[
    ("HF_ENDPOINT", "http://user:c4nary-hub@127.0.0.1:1,http://c4nary-mirror@localhost:1/x?token=c4nary-query"),
    ("HF_TOKEN", "c4nary-token"),
    ("AWS_ENDPOINT_URL", "http://user:c4nary-s3@127.0.0.1:1"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "c4nary-secret-key"),
    ("AWS_SESSION_TOKEN", "c4nary-session"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:c4nary-traces@127.0.0.1:1"),
    ("SCONCE_JOBS__WEBHOOK_SECRET", "c4nary-webhook"),
    ("SCONCE_ACCESS__KEYS", "c4nary-key"),
    ("SCONCE_ACCESS__ADMIN_KEYS", "c4nary-admin"),
    ("SCONCE_HTTP__ADMIN", "true"),
    ("SCONCE_STORE__ATTEMPTS", "1"),
    ("SCONCE_LIMITS__WAIT", "400ms"),
    ("LOG_LEVEL", "debug"),
];

const MODELS: &str = "
[models.hub]
source = \"hf://acme/tiny\"
[models.signed]
source = \"https://127.0.0.1:1/model.zip?X-Signature=c4nary-signature\"
[models.bucket]
source = \"s3://models/whisper\"
";

fn configured(cache: &TempDir) -> std::process::Command {
    let file = cache.path().join("sconce.toml");
    fs::write(&file, MODELS).unwrap();
    let mut command = sconce(cache);
    command.envs(VARIABLES.iter().copied()).env("SCONCE_CONFIG", file);
    command
}

fn assert_clean(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} shows a secret:\n{text}");
}

#[test]
fn no_command_shows_a_secret() {
    let cache = TempDir::new().unwrap();
    for arguments in [&["check-config"][..], &["models"], &["pull", "hub"], &["pull", "signed"], &["pull", "bucket"]] {
        let (stdout, stderr, _) = outcome(configured(&cache).args(arguments));
        assert!(stdout.len() + stderr.len() > 0, "{arguments:?} says nothing");
        assert_clean(&format!("{arguments:?}"), &format!("{stdout}{stderr}"));
    }
    for (name, value) in [
        ("HF_ENDPOINT", "ftp://user:c4nary@mirror"),
        ("HF_ENDPOINT", "user:c4nary@mirror"),
        ("HF_ENDPOINT", "http://user:c4n/c4nary@mirror"),
        ("SCONCE_MODELS__SIGNED__SOURCE", "ftp://user:c4nary@host/x.zip"),
        ("SCONCE_MODELS__SIGNED__SOURCE", "https://user:c4nary@host/x.zip?sig=c4nary"),
        ("SCONCE_ACCESS__KEYS", "c4nary ü"),
    ] {
        let (stdout, stderr, _) = outcome(configured(&cache).env(name, value).arg("check-config"));
        assert_clean(&format!("{name}={value}"), &format!("{stdout}{stderr}"));
    }
}

#[tokio::test]
async fn no_answer_and_no_log_line_shows_a_secret() {
    let cache = TempDir::new().unwrap();
    let mut program = Program::start(configured(&cache).env("PORT", "0"));
    let client = Client::builder().no_proxy().build().unwrap();
    let send = async |method: Method, path: &str, body: serde_json::Value| {
        let request = client.request(method, program.url(path)).bearer_auth("c4nary-admin").json(&body);
        let answer = request.send().await.unwrap();
        let text = format!("{:?} {}", answer.headers().clone(), answer.text().await.unwrap());
        assert_clean(path, &text);
        text
    };
    for model in ["hub", "signed", "bucket"] {
        let body = json!({"models": [model], "wait": 5});
        let loaded = send(Method::POST, "/download-models", body).await;
        assert!(loaded.contains("127.0.0.1") || loaded.contains("s3://models"), "nothing failed: {loaded}");
        let asked = client.post(program.url("/v1/audio/transcriptions")).bearer_auth("c4nary-key");
        let answer = asked.multipart(form(recording(WAV), model, &[])).send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert_clean("a transcription", &answer.text().await.unwrap());
        send(Method::POST, &format!("/v2/repository/models/{model}/load"), json!({})).await;
    }
    let job = json!({"audio": "AAAA", "model": "hub", "webhook": {"url": "https://user:pw@127.0.0.1:1/hook"}});
    send(Method::POST, "/v1/jobs", job).await;
    for path in ["/health", "/models/status", "/v1/models", "/metrics", "/v1/jobs", "/v2", "/openapi.json", "/nowhere"]
    {
        send(Method::GET, path, json!({})).await;
    }
    program.terminate();
    program.line("stopped");
    assert!(program.heard.len() > 5);
    program.heard.iter().for_each(|line| assert_clean("the log", &line.to_string()));
}
