//! Jobs and the life of the process.

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    program::{Program, outcome, sconce},
    support::{recording, sound},
};

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn post(program: &Program, wav: Vec<u8>) -> String {
    let request = client().post(program.url("/v1/jobs")).header("content-type", "audio/wav");
    let job: Value = request.body(wav).send().await.unwrap().json().await.unwrap();
    job["id"].as_str().unwrap().to_owned()
}

/// The job, when it has ended.
async fn ended(program: &Program, id: &str) -> Value {
    let events = client().get(program.url(&format!("/v1/jobs/{id}/events"))).send().await.unwrap();
    let text = events.text().await.unwrap();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["job"].clone()
}

async fn until_running(program: &Program, id: &str) {
    while client().get(program.url(&format!("/v1/jobs/{id}"))).send().await.unwrap().json::<Value>().await.unwrap()
        ["progress"]
        .is_null()
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn jobs_survive_a_kill_and_a_stop() {
    let (cache, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let start = || {
        let mut command = sconce(&cache);
        // Slow, so that the long job outlives each of them on any machine.
        command.env("SCONCE_RUNTIME__THREADS", "1").env("SCONCE_SERVER__DRAIN", "100ms");
        Program::start(command.env("PORT", "0").env("SCONCE_JOBS__DIR", dir.path()))
    };
    let program = start();
    let long = post(&program, sound::babble(900.0)).await;
    let waiting = post(&program, recording("turn-on-the-kitchen-lights.wav")).await;
    until_running(&program, &long).await;
    drop(program); // SIGKILL

    let mut program = start();
    until_running(&program, &long).await;
    program.terminate();
    program.line("jobs wait for the next start");
    assert_eq!(program.ended().code(), Some(0));

    let program = start();
    let cancelled = client().delete(program.url(&format!("/v1/jobs/{long}"))).send().await.unwrap();
    assert_eq!(cancelled.status(), 200);
    let job = ended(&program, &waiting).await;
    assert!(job["result"]["text"].as_str().unwrap().to_lowercase().contains("kitchen"), "{job}");
}

#[test]
fn two_servers_do_not_share_a_folder_of_jobs() {
    let (cache, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut command = sconce(&cache);
    let command = command.env("PORT", "0").env("SCONCE_JOBS__DIR", dir.path());
    let _first = Program::start(command);
    let (_, stderr, code) = outcome(command);
    assert_eq!(code, 1);
    assert!(stderr.contains("another process keeps its jobs"), "{stderr}");
}
