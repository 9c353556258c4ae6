//! SIGHUP.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Program, sconce};

const FIRST: &str = "[log]\nlevel = 'info'\n[models.'whisper-nano.en']\naliases = ['ears']\nwarm_up = false\n";
const SECOND: &str = "[log]\nlevel = 'debug'\n[server]\nworkers = 3\n[models.'whisper-nano.en']\naliases = ['listener']\nwarm_up = false\n";

async fn resolves(program: &Program, name: &str) -> bool {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(program.url(&format!("/v1/models/{name}"))).send().await.unwrap();
    answer.status() == 200
}

#[tokio::test]
async fn a_configuration_file_is_read_anew_or_left_alone() {
    let cache = TempDir::new().unwrap();
    let file = cache.path().join("sconce.toml");
    fs::write(&file, FIRST).unwrap();
    let mut program = Program::start(sconce(&cache).env("PORT", "0"));
    assert!(resolves(&program, "ears").await && !resolves(&program, "listener").await);

    fs::write(&file, SECOND).unwrap();
    program.hang_up();
    let waits: Value = program.line("these settings changed and need a restart");
    assert_eq!(waits["settings"], "server.workers");
    program.line("the configuration was read anew and applies");
    assert!(!resolves(&program, "ears").await && resolves(&program, "listener").await);
    // The log's level is another one, too.
    assert_eq!(program.line("answered")["path"], "/v1/models/ears");

    fs::write(&file, "[memory]\nbudget = 'much'\n").unwrap();
    program.hang_up();
    let refusal = program.line("the configuration was read anew and is not right; nothing changes");
    assert!(refusal["reason"].as_str().unwrap().contains("sconce.toml:2"), "{refusal}");
    assert!(resolves(&program, "listener").await);
}
