//! Songs as jobs: watched, cancelled, and gone on with after a restart.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{TOKENS, file, song};
use crate::support::{
    Server,
    native::{ask, with},
    yue::Parts,
};

/// Stems that every song here has.
const STEMS: [&str; 2] = ["vocals", "mix"];

fn long(more: Value) -> Value {
    with(song(json!({"stems": STEMS})), more)
}

async fn accepted(server: &Server, song: &Value) -> String {
    let answer = server.post_json("/v1/jobs", song).await;
    let (status, job): (_, Value) = (answer.status(), answer.json().await.unwrap());
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Follows a job to its end. What was told of it, and the job.
async fn followed(server: &Server, id: &str) -> (Vec<Value>, Value) {
    let text = server.get(&format!("/v1/jobs/{id}/events")).await.text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut events: Vec<Value> = lines.map(|json| serde_json::from_str(json).unwrap()).collect();
    let last = events.pop().unwrap();
    assert_eq!(last["type"], "end", "{last}");
    (events, last["job"].clone())
}

/// The sound of a job or of another answer, and that of its other stem.
fn sounds(answer: &Value) -> [Vec<f32>; 2] {
    [&answer["audio"], &answer["stems"]["mix"]].map(|object| file(object).samples().to_vec())
}

/// Sections that a job has finished, as it tells.
fn sections(told: &Value) -> u64 {
    told["progress"]["sections"]["done"].as_u64().unwrap_or(0)
}

/// Waits until a job has finished so many sections.
async fn until_finished(server: &Server, id: &str, count: u64) {
    loop {
        let job = server.get_json(&format!("/v1/jobs/{id}")).await;
        assert!(job["status"] == "queued" || job["status"] == "running", "{job}");
        if sections(&job) >= count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_song_is_watched_section_by_section() {
    let parts = Parts::new();
    let server = parts.server().start();
    let (status, alone) = ask(&server, &long(json!({}))).await;
    assert_eq!(status, 200, "{alone}");
    let id = accepted(&server, &long(json!({}))).await;
    let (events, job) = followed(&server, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(sounds(&job["result"]) == sounds(&alone), "a job sings what a request sings");
    let told: Vec<_> = events.iter().filter(|event| event["type"] == "progress").collect();
    let done: Vec<_> = told.iter().map(|event| sections(event)).collect();
    assert!(done.is_sorted() && done.contains(&3), "{done:?}");
    assert!(told.iter().all(|event| event["progress"]["sections"]["of"] == 3), "{told:?}");
    let seconds = |event: &Value| event["progress"]["seconds"].as_f64().unwrap();
    assert!(told.is_sorted_by_key(|event| seconds(event)) && seconds(told.last().unwrap()) > 0.5, "{told:?}");
    assert!(told.iter().any(|event| event["progress"]["eta_seconds"].as_f64().is_some()), "{told:?}");
}

#[tokio::test]
async fn a_song_goes_on_after_a_restart_with_the_same_samples() {
    let (parts, folder) = (Parts::new(), TempDir::new().unwrap());
    let dir = folder.path().display().to_string();
    let server = || parts.server().env("SCONCE_JOBS__DIR", &dir).env("SCONCE_SERVER__DRAIN", "1ms").start();
    // Long enough to be in the middle of it when the server stops.
    let text = "[verse]\nMorning comes over the river\n\n".repeat(6);
    let song = long(json!({"text": text, "options": {"max_new_tokens": 4 * TOKENS}}));
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
    let told: Vec<_> = events.iter().filter(|event| event["type"] == "progress").collect();
    assert!(told.iter().any(|event| sections(event) > 2), "{told:?}");
    let tokens = |answer: &Value| answer["tokens"].clone();
    assert_eq!(tokens(&job["result"]), tokens(&whole));
}

#[tokio::test]
async fn a_song_is_cancelled_in_its_midst() {
    let parts = Parts::new();
    let server = parts.server().start();
    let text = "[verse]\nMorning comes over the river\n\n".repeat(20);
    let id = accepted(&server, &long(json!({"text": text, "options": {"max_new_tokens": 600}}))).await;
    until_finished(&server, &id, 1).await;
    let answer = server.client.delete(server.url(&format!("/v1/jobs/{id}"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (status, next) = ask(&server, &song(json!({}))).await;
    assert_eq!(status, 200, "the next has the model: {next}");
}
