//! A switch, as it is followed in the log.

use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{checkout, recording, server::form},
};

#[tokio::test]
async fn each_step_of_a_switch_is_in_the_log() {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    let folder = format!("file:{}", checkout("assets/models/whisper-nano.en").display());
    command.env("PORT", "0").env("MODEL_ID", "whisper-nano.en").env("SCONCE_MEMORY__MAX_RESIDENT", "1");
    command.env("SCONCE_CONFIG", cache.path().join("sconce.toml"));
    std::fs::write(cache.path().join("sconce.toml"), format!("[models.\"acme/other\"]\nsource = \"{folder}\"\n"))
        .unwrap();
    let mut program = Program::start(&mut command);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for model in ["whisper-nano.en", "acme/other"] {
        let form = form(recording("turn-on-the-kitchen-lights.wav"), model, &[]);
        let answer = client.post(program.url("/v1/audio/transcriptions")).multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{model}: {}", answer.text().await.unwrap());
    }
    let (one, other) = ("sconce/whisper-nano.en", "acme/other");
    assert_eq!(program.line("ready")["model"], one);
    assert_eq!(program.line(&format!("switching from {one} to {other}"))["to"], other);
    let steps = [
        ("unloading", one),
        ("unloaded", one),
        ("loading", other),
        ("loaded", other),
        ("warm", other),
        ("ready", other),
    ];
    for (step, model) in steps {
        let line = program.line(step);
        assert_eq!(line["model"], model, "{step}");
        let timed = !matches!(step, "unloading" | "loading");
        assert!(!timed || line["seconds"].is_number(), "{line}");
    }
}
