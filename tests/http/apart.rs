//! How far models that are programs are from the machine, the network and the server.

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use sconce::audio::Pcm;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    support::{Server, worker::Worker},
    workers::{heard, process, refused, say},
};

#[tokio::test]
async fn a_program_is_apart_from_the_network_and_learns_no_secret() {
    let worker = Worker::new("caller.py", &[], &["synthesize"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("number {}", listener.local_addr().unwrap().port());
    let fields = json!({"input": text, "normalize": false});
    let crossings = |pcm: &Pcm| pcm.samples().windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    let hertz = async |server: &Server| {
        let answer = say(server, "caller", fields.clone()).await;
        assert_eq!(answer.status(), 200);
        let pcm = heard(&answer.bytes().await.unwrap());
        crossings(&pcm) as f64 / pcm.seconds()
    };
    let server = worker.of(Server::builder(), "caller").env("SCONCE_MODELS__CALLER__WORKER_NETWORK", "true").start();
    let free = hertz(&server).await;
    assert!((free - 200.0).abs() < 40.0, "it is allowed to: {free}");
    let server = worker.of(Server::builder(), "caller").start();
    let apart = hertz(&server).await;
    let said = process(&server, "caller").await["apart"].clone();
    match said.as_array().unwrap().contains(&json!("network")) {
        true => assert!((apart - 2000.0).abs() < 400.0, "{apart} {said}"),
        false => eprintln!("NOT RUN: this system lets nobody have a network of its own ({said})"),
    }
    assert!(said.as_array().unwrap().contains(&json!("privileges")), "{said}");
}

/// What a program finds that it may do, how far it is said to be apart, and the user that it is outside of its namespaces.
async fn probed(settings: &[(&str, &str)]) -> (Value, Vec<String>, String) {
    let worker = Worker::new("prober.py", &[], &["synthesize"]);
    let guards = TempDir::new().unwrap();
    let guard = guards.path().join("sconce");
    std::fs::hard_link(env!("CARGO_BIN_EXE_sconce"), &guard)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_sconce"), &guard).map(drop))
        .unwrap();
    // Whatever user it is, it may read its files and run its guard.
    for folder in [worker.path(), guards.path()] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let builder = worker.of(Server::builder(), "prober").env("SCONCE_MODELS__PROBER__WORKER_ENV", "PROBED");
    let builder = builder.env("PROBED", "yes").env("SCONCE_WORKERS__GUARD", guard.to_str().unwrap());
    let server = settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value)).start();
    let text = format!("number {}", std::process::id());
    let (status, message) = refused(say(&server, "prober", json!({"input": text, "normalize": false})).await).await;
    assert_eq!(status, 400, "{message}");
    let told = serde_json::from_str(&message[message.find('{').unwrap()..=message.rfind('}').unwrap()]).unwrap();
    let apart = process(&server, "prober").await["apart"].clone();
    let pids = worker.processes();
    let about = std::fs::read_to_string(format!("/proc/{}/status", pids.last().unwrap())).unwrap();
    let user = about.lines().find(|line| line.starts_with("Uid:")).unwrap().split_whitespace().nth(1).unwrap();
    server.stop();
    worker.assert_gone();
    (told, serde_json::from_value(apart).unwrap(), user.to_owned())
}

#[tokio::test]
async fn a_program_apart_can_do_nothing_to_its_server() {
    let (told, apart, _) = probed(&[]).await;
    assert!(told["no_new_privileges"] == "1" && told["root"] != json!(true), "{told}");
    let environment = told["environment"].to_string();
    assert!(environment.contains("PROBED") && !environment.contains("SCONCE_"), "{environment}");
    let is = |what: &str| apart.iter().any(|apart| apart == what);
    if is("network") {
        assert!(told["interfaces"] == json!(["lo"]) || told["interfaces"] == json!([]), "{told}");
    }
    if is("processes") {
        assert!(told["pid"].as_u64().unwrap() < 10 && told["signal"] != json!(true), "{told}");
    }
    if is("users") {
        assert_eq!(told["rights"], 0, "{told}");
        assert!(told["secrets"] != json!(true) && told["memory"] != json!(true), "{told}");
    } else {
        eprintln!("NOT RUN: this system lets nobody have users of its own ({apart:?})");
    }
}

#[tokio::test]
async fn isolation_may_be_required_or_off() {
    let (told, apart, _) = probed(&[("SCONCE_WORKERS__ISOLATION", "off")]).await;
    assert_eq!(apart, ["privileges"]);
    assert_eq!((&told["signal"], &told["no_new_privileges"]), (&json!(true), &json!("1")), "{told}");
    let (_, apart, _) = probed(&[]).await;
    if apart.iter().any(|apart| apart == "users") {
        let (_, required, _) = probed(&[("SCONCE_WORKERS__ISOLATION", "required")]).await;
        assert_eq!(required, ["network", "processes", "users", "privileges"]);
    }
}

/// Where the tests run as the superuser.
#[tokio::test]
async fn a_program_may_be_another_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN: only the superuser may make a program another user");
        return;
    }
    for isolation in ["auto", "off"] {
        let settings = [("SCONCE_WORKERS__USER", "65533:65532"), ("SCONCE_WORKERS__ISOLATION", isolation)];
        let (told, apart, user) = probed(&settings).await;
        assert_eq!(user, "65533", "{isolation}: outside");
        assert_eq!((&told["user"], &told["rights"]), (&json!(65533), &json!(0)), "{isolation}: {told}");
        assert!(told["groups"].as_array().unwrap().iter().all(|group| *group != 0), "{isolation}: {told}");
        for forbidden in ["secrets", "memory", "root", "write", "signal"] {
            assert!(told[forbidden] != json!(true), "{isolation}, {forbidden}: {told}");
        }
        assert!(apart.iter().any(|apart| apart == "privileges"));
    }
}
