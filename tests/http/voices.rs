//! `/v1/audio/voices`.

use reqwest::{Response, multipart};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, recording, sound};

const SAMPLE: &str = "good-morning.flac";

fn server(folder: &TempDir) -> Server {
    Server::builder().env("SCONCE_VOICES__DIR", &folder.path().join("voices").display().to_string()).start()
}

async fn add(server: &Server, name: &str, sample: Vec<u8>) -> Response {
    let part = multipart::Part::bytes(sample).file_name("sample");
    let form = multipart::Form::new().part("audio_sample", part).text("name", name.to_owned());
    server.client.post(server.url("/v1/audio/voices")).multipart(form).send().await.unwrap()
}

/// The recordings in the list, without the voices that models have themselves.
async fn listed(server: &Server) -> Value {
    let mut list = server.get_json("/v1/audio/voices").await;
    let all: Vec<Value> = list["data"].as_array().unwrap().iter().map(|voice| voice["id"].clone()).collect();
    let named: Vec<Value> = list["voices"].as_array().unwrap().iter().map(|voice| voice["id"].clone()).collect();
    assert_eq!(all, named);
    list.as_object_mut().unwrap().remove("voices");
    list["data"].as_array_mut().unwrap().retain(|voice| voice["origin"] == "folder");
    list
}

async fn remove(server: &Server, name: &str) -> Response {
    server.client.delete(server.url(&format!("/v1/audio/voices/{name}"))).send().await.unwrap()
}

async fn problem(answer: Response) -> (u16, Value, String) {
    let status = answer.status().as_u16();
    let mut body: Value = answer.json().await.unwrap();
    (status, body["error"]["param"].take(), body["error"]["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_voice_comes_and_goes_and_outlives_the_server() {
    let folder = TempDir::new().unwrap();
    let first = server(&folder);
    assert_eq!(listed(&first).await, json!({"object": "list", "data": []}));
    let added: Value = add(&first, "anna", recording(SAMPLE)).await.json().await.unwrap();
    assert_eq!((&added["id"], &added["object"]), (&json!("anna"), &json!("audio.voice")), "{added}");
    assert!((added["duration"].as_f64().unwrap() - 12.9).abs() < 1.0 && added["created_at"].as_u64().unwrap() > 0);
    assert_eq!(added["sample_rate"], 16_000);
    assert_eq!(std::fs::read(folder.path().join("voices/anna.flac")).unwrap(), recording(SAMPLE));
    first.stop();
    let second = server(&folder);
    assert_eq!(listed(&second).await["data"], json!([added]));
    let removed: Value = remove(&second, "anna").await.json().await.unwrap();
    assert_eq!(removed, json!({"id": "anna", "object": "audio.voice.deleted", "deleted": true}));
    assert_eq!(remove(&second, "anna").await.status(), 404);
    assert_eq!(listed(&second).await["data"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_voice_is_said() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("beside.wav"), recording("turn-on-the-kitchen-lights.wav")).unwrap();
    let server = server(&folder);
    assert_eq!(add(&server, "anna", recording(SAMPLE)).await.status(), 200);
    for (name, sample, param, part) in [
        ("../anna", recording(SAMPLE), "name", "letters"),
        ("", recording(SAMPLE), "name", "missing"),
        ("anna", recording(SAMPLE), "name", "already"),
        ("ben", b"no sound at all, however long".to_vec(), "audio_sample", "known format"),
        ("ben", sound::silence(3.0), "audio_sample", "silent"),
        ("ben", sound::babble(0.5), "audio_sample", "1 to 60 s"),
        ("ben", sound::babble(61.0), "audio_sample", "60 s"),
    ] {
        let (status, field, message) = problem(add(&server, name, sample).await).await;
        assert_eq!((status, field), (400, json!(param)), "{message}");
        assert!(message.contains(part) && !message.contains(&*folder.path().to_string_lossy()), "{message}");
    }
    for name in ["nobody", "..%2Fbeside", "%2Fetc%2Fpasswd", "anna.flac"] {
        assert_eq!(remove(&server, name).await.status(), 404, "{name}");
    }
    assert!(folder.path().join("beside.wav").exists());
    for (form, param) in [
        (multipart::Form::new().text("name", "ben"), "audio_sample"),
        (multipart::Form::new().text("name", "ben").text("type", "prompt").text("prompt", "old and wise"), "type"),
    ] {
        let answer = server.client.post(server.url("/v1/audio/voices")).multipart(form).send().await.unwrap();
        let (status, field, message) = problem(answer).await;
        assert_eq!((status, field), (400, json!(param)), "{message}");
    }
    assert_eq!(server.post_json("/v1/audio/voices", &json!({"name": "ben"})).await.status(), 415);
}

#[tokio::test]
async fn voices_are_added_and_removed_only_where_that_is_open() {
    let folder = TempDir::new().unwrap();
    let nowhere = Server::start();
    let (status, _, message) = problem(add(&nowhere, "anna", recording(SAMPLE)).await).await;
    assert_eq!((status, message.contains("voices.dir")), (403, true), "{message}");
    assert_eq!(listed(&nowhere).await["data"], json!([]));
    let dir = folder.path().display().to_string();
    let closed = Server::builder().env("SCONCE_VOICES__DIR", &dir).env("SCONCE_HTTP__ADMIN", "false").start();
    std::fs::write(folder.path().join("ben.flac"), recording(SAMPLE)).unwrap();
    for answer in [add(&closed, "anna", recording(SAMPLE)).await, remove(&closed, "ben").await] {
        let (status, _, message) = problem(answer).await;
        assert_eq!((status, message.contains("http.admin")), (403, true), "{message}");
    }
    assert_eq!(listed(&closed).await["data"][0]["id"], "ben");
}

#[tokio::test]
async fn the_voices_of_models_are_listed_with_who_has_them() {
    let list = Server::start().get_json("/v1/audio/voices").await;
    let lark = json!({
        "id": "lark",
        "object": "audio.voice",
        "name": "lark",
        "origin": "model",
        "type": "model",
        "model": "sconce/lark.en",
        "languages": ["en"],
        "sample_rate": 24_000,
    });
    let named = json!({"id": "lark", "name": "lark"});
    assert_eq!(list, json!({"object": "list", "data": [lark], "voices": [named]}));
}
