//! Songs as jobs: watched, cancelled, and gone on with after a restart.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{TOKENS, file, song};
use crate::support::{
    Server,
    native::{ask, content, with},
    tmpfs::Tmpfs,
    yue::Parts,
};

/// Stems that every song here has.
const STEMS: [&str; 2] = ["vocals", "mix"];

pub(super) fn long(more: Value) -> Value {
    with(song(json!({"stems": STEMS})), more)
}

pub(super) async fn accepted(server: &Server, song: &Value) -> String {
    let answer = server.post_json("/v1/jobs", song).await;
    let (status, job): (_, Value) = (answer.status(), answer.json().await.unwrap());
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Follows a job to its end. What was told of it, and the job.
pub(super) async fn followed(server: &Server, id: &str) -> (Vec<Value>, Value) {
    let text = server.get(&format!("/v1/jobs/{id}/events")).await.text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut events: Vec<Value> = lines.map(|json| serde_json::from_str(json).unwrap()).collect();
    let last = events.pop().unwrap();
    assert_eq!(last["type"], "end", "{last}");
    (events, last["job"].clone())
}

/// The sound of a job or of another answer, and that of its other stem.
pub(super) fn sounds(answer: &Value) -> [Vec<f32>; 2] {
    [&answer["audio"], &answer["stems"]["mix"]].map(|object| file(object).samples().to_vec())
}

/// Sections that a job has finished, as it tells.
pub(super) fn sections(told: &Value) -> u64 {
    told["progress"]["sections"]["done"].as_u64().unwrap_or(0)
}

/// Waits until a job has finished so many sections.
pub(super) async fn until_finished(server: &Server, id: &str, count: u64) {
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

#[tokio::test]
async fn what_a_song_takes_at_most_is_told_before_it_begins() {
    let parts = Parts::new();
    let server = parts.server().start();
    let asked = |more: Value| with(long(json!({"options": {"max_new_tokens": 100}})), more);
    let estimate = async |song: Value| {
        let answer = server.post_json("/v1/jobs", &song).await;
        answer.json::<Value>().await.unwrap()["estimate"].clone()
    };
    // A second and two stems of 16 bits for each section.
    let expected = json!({"sections": 3, "seconds": 3.0, "bytes": 3 * 2 * 2 * 44_100});
    assert_eq!(estimate(asked(json!({}))).await, expected);
    let fewer = asked(json!({"options": {"max_sections": 2}, "stems": "mix", "response_format": "mp3"}));
    assert_eq!(estimate(fewer).await, json!({"sections": 2, "seconds": 2.0, "bytes": 2 * 12_000}));
    let id = accepted(&server, &asked(json!({}))).await;
    let (events, job) = followed(&server, &id).await;
    assert_eq!(job["estimate"], expected, "{job}");
    let file = file(&job["result"]["audio"]);
    assert!(file.seconds() <= 3.0, "no song is longer than was told");
    let memory: Vec<_> = events.iter().filter_map(|event| event["progress"]["memory_bytes"].as_u64()).collect();
    let [first, second] = [&parts.model, &parts.stage2].map(position_bytes);
    // Half of what is read and sung of the three sections, and a block of each track.
    let least = first * 300 + second * 2 * 2703;
    assert!(memory.iter().all(|bytes| *bytes > least && *bytes < 4 * least), "{memory:?} beside {least}");
    assert!(!memory.is_empty());
}

/// Of keys and values of all layers, in f32.
fn position_bytes(stage: &TempDir) -> u64 {
    let config: Value = serde_json::from_slice(&std::fs::read(stage.path().join("config.json")).unwrap()).unwrap();
    let count = |name: &str| config[name].as_u64().unwrap_or_else(|| panic!("{name}: {config}"));
    2 * 4 * count("num_hidden_layers") * count("num_key_value_heads") * count("head_dim")
}

/// A disk for jobs; `None`, said on standard error, where this process may not mount.
fn disk(test: &str) -> Option<Tmpfs> {
    let disk = Tmpfs::new("6m");
    if disk.is_none() {
        eprintln!("SKIPPED {test}: mounting is refused here");
    }
    disk
}

#[tokio::test]
async fn a_song_that_its_disk_has_no_room_for_is_refused_before_it_begins() {
    let Some(disk) = disk("a_song_that_its_disk_has_no_room_for_is_refused_before_it_begins") else { return };
    let parts = Parts::new();
    let server = parts.server().env("SCONCE_JOBS__DIR", &disk.0.path().display().to_string()).start();
    // Three sounds of 18 s.
    let large = long(json!({"stems": ["mix", "vocals", "instrumental"], "options": {"max_new_tokens": 600}}));
    let answer = server.post_json("/v1/jobs", &large).await;
    let (status, refusal) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 429, "{refusal}");
    let said = refusal["error"]["message"].as_str().unwrap();
    let need = (3 * 18 * 2 * 44_100_u64).div_ceil(3) * 4;
    assert!(said.contains(&format!("the job takes up to {need} bytes in jobs.dir")), "{said}");
    assert!(said.contains("are free; fewer stems, another response_format"), "{said}");
    assert_eq!(server.get_json("/v1/jobs").await["jobs"], json!([]));
    let id =
        accepted(&server, &with(large, json!({"response_format": "mp3", "options": {"max_new_tokens": 60}}))).await;
    assert_eq!(followed(&server, &id).await.1["status"], "succeeded");
    let limited = parts.server().env("SCONCE_JOBS__MAX_BYTES", "100kB").start();
    let answer = limited.post_json("/v1/jobs", &long(json!({}))).await;
    let (status, refusal) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 413, "{refusal}");
    assert!(refusal.to_string().contains("jobs.max_bytes sets the limit"), "{refusal}");
}

#[tokio::test]
async fn a_disk_that_fills_while_a_song_is_sung_leaves_nothing_by_half() {
    let Some(disk) = disk("a_disk_that_fills_while_a_song_is_sung_leaves_nothing_by_half") else { return };
    let parts = Parts::new();
    let server = parts.server().env("SCONCE_JOBS__DIR", &disk.0.path().display().to_string()).start();
    let stems = json!({"stems": ["mix", "vocals", "instrumental"], "options": {"max_new_tokens": 300}});
    let id = accepted(&server, &long(stems)).await;
    until_finished(&server, &id, 1).await;
    // Somebody else's, until nothing more can be written.
    let (ballast, path) = (disk.0.path().join("ballast"), format!("/v1/jobs/{id}"));
    assert!(std::fs::write(&ballast, vec![7; 8 << 20]).is_err());
    let waiting = loop {
        let job = server.get_json(&path).await;
        if job["reason"].is_string() {
            break job;
        }
        assert!(job["status"] == "queued" || job["status"] == "running", "{job}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!((&waiting["status"], waiting.get("result")), (&json!("queued"), None));
    assert!(waiting["reason"].as_str().unwrap().contains("could not be written down"), "{waiting}");
    for stem in ["", "?stem=mix", "?stem=instrumental"] {
        assert_eq!(server.get(&format!("{path}/audio{stem}")).await.status(), 404, "nothing of it is there");
    }
    let (status, alone) = ask(&server, &song(json!({}))).await;
    assert_eq!(status, 200, "the model lives: {alone}");
    assert_eq!(server.client.delete(server.url(&path)).send().await.unwrap().status(), 200);
    std::fs::remove_file(ballast).unwrap();
    let other = accepted(&server, &long(json!({}))).await;
    assert_eq!(followed(&server, &other).await.1["status"], "succeeded", "with room it goes on by itself");
}

#[tokio::test]
async fn what_cannot_be_sung_is_no_job() {
    let parts = Parts::new();
    let server = parts.server().start();
    for (more, said) in [
        (json!({"text": "Morning comes"}), "is in no section"),
        (json!({"text": "[yodel]\nla"}), "section 1 of the lyrics is [yodel]"),
        (json!({"text": "[verse]\nla\n\n".repeat(40)}), "the lyrics have 40 sections; 1 to 20 would be right"),
        (json!({"text": format!("[verse]\n{}", "la ".repeat(3000))}), "has 3000 words; at most 200 would be right"),
        (json!({"voice": "anna"}), "anna"),
        (json!({"voice": content(b"no sound")}), "a voice is named"),
    ] {
        let answer = server.post_json("/v1/jobs", &long(more)).await;
        let (status, refusal) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_client_error() && refusal.to_string().contains(said), "{said}: {status} {refusal}");
    }
    assert_eq!(server.get_json("/v1/jobs").await["jobs"], json!([]), "nothing of all that was taken");
}
