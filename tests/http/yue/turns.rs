//! Stages that take turns: the same songs in less memory.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    jobs::{accepted, followed, long, sections, sounds, until_finished},
    song,
};
use crate::support::{
    Server,
    native::ask,
    yue::{MODEL, Parts},
};

/// What the model is counted with together and in turns, as its refusal tells.
async fn footprints(parts: &Parts) -> [u64; 2] {
    let server = parts.server().env("SCONCE_MEMORY__BUDGET", "1").start();
    let (status, refusal) = ask(&server, &song(json!({}))).await;
    assert_eq!(status, 507, "{refusal}");
    let said = refusal["error"]["message"].as_str().unwrap();
    let numbers: Vec<u64> =
        said.split(|letter: char| !letter.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect();
    let [together, in_turns, budget] = numbers[..] else { panic!("{said}") };
    assert!(said.contains("where its parts take turns") && budget == 1, "{said}");
    [together, in_turns]
}

/// With so many bytes for all models.
fn within(parts: &Parts, bytes: u64) -> crate::support::ServerBuilder {
    parts.server().env("SCONCE_MEMORY__BUDGET", &bytes.to_string())
}

async fn residency(server: &Server) -> (Value, u64) {
    let status = server.get_json("/models/status").await["models"][MODEL].clone();
    assert_eq!(status["status"], "ready", "{status}");
    (status["residency"].clone(), status["footprint_bytes"].as_u64().unwrap())
}

#[tokio::test]
async fn what_does_not_fit_together_sings_the_same_in_turns() {
    let parts = Parts::new();
    let [together, in_turns] = footprints(&parts).await;
    assert!(in_turns < together);
    let mut sung = Vec::new();
    for (budget, expected) in
        [(together, ("together", together)), (together - 1, ("in_turns", in_turns)), (in_turns, ("in_turns", in_turns))]
    {
        let server = within(&parts, budget).start();
        let (status, answer) = ask(&server, &long(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        let (way, bytes) = residency(&server).await;
        assert_eq!((way.as_str().unwrap(), bytes), expected);
        sung.push(sounds(&answer));
    }
    assert!(sung.iter().all(|song| *song == sung[0]), "to the last sample");
    let server = within(&parts, in_turns - 1).start();
    assert_eq!(ask(&server, &song(json!({}))).await.0, 507);
}

#[tokio::test]
async fn songs_in_company_take_turns_as_well() {
    let parts = Parts::new();
    let [_, in_turns] = footprints(&parts).await;
    let alone = parts.server().start();
    let server = within(&parts, in_turns).start();
    let asked: Vec<_> = (0..3).map(|seed| long(json!({"seed": seed}))).collect();
    let mut expected = Vec::new();
    for song in &asked {
        expected.push(sounds(&ask(&alone, song).await.1));
    }
    let together = futures::future::join_all(asked.iter().map(|song| ask(&server, song))).await;
    let found: Vec<_> = together.iter().map(|(_, answer)| sounds(answer)).collect();
    assert!(found == expected);
}

#[tokio::test]
async fn in_turns_a_job_tells_how_far_it_is_and_goes_on_after_a_restart() {
    let (parts, folder) = (Parts::new(), TempDir::new().unwrap());
    let [_, in_turns] = footprints(&parts).await;
    let dir = folder.path().display().to_string();
    let server = || within(&parts, in_turns).env("SCONCE_JOBS__DIR", &dir).env("SCONCE_SERVER__DRAIN", "1ms").start();
    let text = "[verse]\nMorning comes over the river\n\n".repeat(6);
    let song = long(json!({"text": text, "options": {"max_new_tokens": 240}}));
    let first = server();
    let (status, whole) = ask(&first, &song).await;
    assert_eq!(status, 200, "{whole}");
    let id = accepted(&first, &song).await;
    until_finished(&first, &id, 2).await;
    first.stop();
    let second = server();
    let (events, job) = followed(&second, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(sounds(&job["result"]) == sounds(&whole), "the same samples with and without a restart");
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "progress").map(sections).collect();
    assert!(done.is_sorted() && done.iter().any(|done| *done > 2), "{done:?}");
}

#[tokio::test]
async fn in_turns_a_song_is_cancelled_in_its_midst() {
    let parts = Parts::new();
    let [_, in_turns] = footprints(&parts).await;
    let server = within(&parts, in_turns).start();
    let text = "[verse]\nMorning comes over the river\n\n".repeat(20);
    let id = accepted(&server, &long(json!({"text": text, "options": {"max_new_tokens": 600}}))).await;
    until_finished(&server, &id, 1).await;
    // The sound of the first block of six seconds, which is whole after the second section.
    let so_far = loop {
        let answer = server.get(&format!("/v1/jobs/{id}/audio")).await;
        if answer.status() == 200 {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert_eq!(so_far.headers()["x-sconce-complete"], "false");
    let answer = server.client.delete(server.url(&format!("/v1/jobs/{id}"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (status, next) = ask(&server, &song(json!({}))).await;
    assert_eq!(status, 200, "the next has the model: {next}");
}
