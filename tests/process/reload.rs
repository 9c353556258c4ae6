//! SIGHUP.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{server::form, sound},
};

const FIRST: &str = "\
[log]
level = 'info'
[models.'whisper-nano.en']
aliases = ['ears']
warm_up = false
";

/// Another level, another limit, another alias, one more model; and one setting that cannot change.
const SECOND: &str = "\
[log]
level = 'debug'
[server]
workers = 3
[limits]
max_audio = '1s'
[models.'whisper-nano.en']
aliases = ['listener']
warm_up = false
[models.other]
source = 'embedded:whisper-nano.en'
";

async fn resolves(program: &Program, name: &str) -> bool {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(program.url(&format!("/v1/models/{name}"))).send().await.unwrap();
    answer.status() == 200
}

/// The status of an answer to so many seconds of silence.
async fn hear(program: &Program, seconds: f64) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = form(sound::silence(seconds), "whisper-nano.en", &[]);
    let answer = client.post(program.url("/v1/audio/transcriptions")).multipart(form).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn a_configuration_file_is_read_anew_or_left_alone() {
    let cache = TempDir::new().unwrap();
    let file = cache.path().join("sconce.toml");
    fs::write(&file, FIRST).unwrap();
    let mut program = Program::start(sconce(&cache).env("PORT", "0"));
    assert!(resolves(&program, "ears").await && !resolves(&program, "listener").await);
    assert!(!resolves(&program, "other").await);
    assert_eq!(hear(&program, 2.0).await, 200);

    fs::write(&file, SECOND).unwrap();
    program.hang_up();
    let waits: Value = program.line("these settings changed and need a restart");
    assert_eq!(waits["settings"], "server.workers");
    program.line("the configuration was read anew and applies");
    assert!(!resolves(&program, "ears").await && resolves(&program, "listener").await);
    // The log's level is another one, too.
    assert_eq!(program.line("answered")["path"], "/v1/models/ears");
    assert!(resolves(&program, "other").await);
    assert_eq!(hear(&program, 2.0).await, 413, "longer than may be heard now");

    fs::write(&file, "[memory]\nbudget = 'much'\n").unwrap();
    program.hang_up();
    let refusal = program.line("the configuration was read anew and is not right; nothing changes");
    assert!(refusal["reason"].as_str().unwrap().contains("sconce.toml:2"), "{refusal}");
    assert!(resolves(&program, "listener").await);
}
