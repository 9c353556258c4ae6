//! What is in the log, and what is not.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::recording,
};

const WAV: &str = "turn-on-the-kitchen-lights.wav";

/// Files that begin like sound and are none.
fn spoiled() -> Vec<Vec<u8>> {
    let beginnings: [&[u8]; 7] = [
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"fLaC",
        b"OggS\0\x02",
        b"ID3\x04\0\0\0\0\0\x7f",
        b"\xff\xfb\x90\x64",
        b"\0\0\0\x20ftypM4A ",
        b"\x1aE\xdf\xa3",
    ];
    let junk: Vec<u8> = (0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut all: Vec<Vec<u8>> = beginnings.map(|beginning| [beginning, &junk].concat()).into();
    all.extend([b"junk".to_vec(), recording(WAV)[..40].to_vec()]);
    all
}

#[tokio::test]
async fn what_callers_do_wrong_is_told_to_them_and_not_in_the_log() {
    let cache = TempDir::new().unwrap();
    // What is no HTTP is given up soon.
    let mut program = Program::start(sconce(&cache).env("PORT", "0").env("SCONCE_SERVER__HEAD_TIMEOUT", "1s"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str, kind: &str, body: Vec<u8>| {
        client.post(program.url(path)).header(CONTENT_TYPE, kind).body(body).send()
    };
    for body in spoiled() {
        let answer = post("/predict", "audio/wav", body).await.unwrap();
        assert!(answer.status().is_client_error() || answer.status() == 200, "{}", answer.status());
    }
    let unknown = json!({"instances": [{"audio": ""}], "parameters": {"model": "nobody"}}).to_string();
    assert_eq!(post("/predict", "application/json", unknown.into()).await.unwrap().status(), 404);
    assert_eq!(post("/predict", "application/json", b"{".to_vec()).await.unwrap().status(), 400);
    assert_eq!(post("/nowhere", "audio/wav", Vec::new()).await.unwrap().status(), 404);
    for junk in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &[0; 4096],
        b"GET / HTTP/9\r\n\r\n",
    ] {
        speak(&program.address, junk);
    }
    program.terminate();
    program.line("stopped");
    let serious = |line: &&Value| line["level"] != "INFO";
    let serious: Vec<_> = program.heard.iter().filter(serious).map(|line| &line["message"]).collect();
    assert!(serious.is_empty(), "{serious:?}");
}

/// Says what is not HTTP, and listens until the connection is closed.
fn speak(address: &str, junk: &[u8]) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // It may be closed before all of it is sent.
    let _ = connection.write_all(junk);
    let _ = connection.read_to_end(&mut Vec::new());
}
