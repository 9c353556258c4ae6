//! Models that are programs, beside a server that is a process of its own: what is left when that one is killed, and what
//! commands say of them.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    program::{Program, outcome, sconce},
    support::{checkout, worker::Worker},
};

async fn say(program: &Program, model: &str, text: &str) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = json!({"model": model, "input": text, "voice": "alloy"});
    client.post(program.url("/v1/audio/speech")).json(&request).send().await.unwrap()
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_nothing_behind() {
    let worker = Worker::new("faulty.py", &[], &["synthesize"]);
    let cache = TempDir::new().unwrap();
    for isolation in ["auto", "off"] {
        let mut command = sconce(&cache);
        command.env("PORT", "0").env("PATH", "/usr/bin:/bin").env("SCONCE_RETRY__FIRST_DELAY", "10ms");
        command.envs(worker.settings("faulty"));
        let program = Program::start(command.env("SCONCE_WORKERS__ISOLATION", isolation));
        assert_eq!(say(&program, "faulty", "fine.").await.status(), 200);
        // With children that left its group, and one that is in the middle of a job.
        let (_, _) = tokio::join!(say(&program, "faulty", "fork now."), tokio::time::sleep(Duration::from_millis(10)));
        let mut answer = say(&program, "faulty", "fine.").await;
        while [500, 503].contains(&answer.status().as_u16()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = say(&program, "faulty", "fine.").await;
        }
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        assert!(!worker.processes().is_empty());
        // SAFETY: a signal to a child of this test.
        unsafe { libc::kill(i32::try_from(program.id()).unwrap(), libc::SIGKILL) };
        worker.assert_gone();
    }
}

/// The same program where nobody may have processes of their own: within users of its own, where that has a limit.
fn confined(command: &Command) -> Command {
    let mut confined = Command::new("unshare");
    confined.args(["-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_pid_namespaces && exec \"$0\" \"$@\""]);
    confined.arg(command.get_program()).args(command.get_args()).env_clear();
    confined.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    confined.current_dir(command.get_current_dir().unwrap());
    confined
}

fn can_be_confined() -> bool {
    let mut nothing = Command::new("true");
    nothing.current_dir("/").env("PATH", "/usr/bin:/bin");
    let can = confined(&nothing).output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("NOT RUN: this system lets nobody have users of its own");
    }
    can
}

#[tokio::test]
async fn where_no_program_can_be_put_apart_it_is_told_or_refused() {
    if !can_be_confined() {
        return;
    }
    let worker = Worker::example("echo");
    let cache = TempDir::new().unwrap();
    // One that comes is waited for, however slow the machine; one that does not come fails again and again.
    for (isolation, wait) in [("auto", "60s"), ("required", "2s")] {
        let mut command = sconce(&cache);
        command.env("PORT", "0").env("PATH", "/usr/bin:/bin").env("SCONCE_LIMITS__WAIT", wait);
        command.envs(worker.settings("echo")).env("SCONCE_WORKERS__ISOLATION", isolation);
        let mut program = Program::start(&mut confined(&command));
        let status = say(&program, "echo", "fine.").await.status().as_u16();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let told: Value = client.get(program.url("/models/status")).send().await.unwrap().json().await.unwrap();
        let model = &told["models"]["echo"];
        match isolation {
            "auto" => assert_eq!((status, &model["process"]["apart"]), (200, &json!(["privileges"])), "{model}"),
            _ => {
                let reason = model["error"]["message"].as_str().unwrap_or_default();
                assert!(status == 503 && reason.contains("it could not be put apart"), "{status} {model}");
                program.terminate();
                let rest = program.last_words();
                let log = format!("{:?} {rest}", program.heard);
                assert!(log.contains("this system does not let a program be put apart"), "{log}");
            }
        }
        drop(program);
        worker.assert_gone();
    }
}

#[test]
fn where_ffmpeg_cannot_be_put_apart_it_is_said_once_or_it_is_not_used() {
    use std::os::unix::fs::PermissionsExt;

    if !can_be_confined() {
        return;
    }
    let cache = TempDir::new().unwrap();
    let ffmpeg = cache.path().join("ffmpeg");
    std::fs::write(&ffmpeg, "#!/bin/sh\necho ffmpeg version 0\n").unwrap();
    std::fs::set_permissions(&ffmpeg, std::fs::Permissions::from_mode(0o755)).unwrap();
    let alone = "this system lets no program be put apart: only its list of protocols keeps ffmpeg from the network";
    for (isolation, message) in [("auto", alone), ("required", "audio.ffmpeg does not run, or is not ffmpeg")] {
        let mut command = sconce(&cache);
        command.env("PORT", "0").env("PATH", "/usr/bin:/bin").env("SCONCE_AUDIO__FFMPEG", &ffmpeg);
        let mut program = Program::start(&mut confined(command.env("SCONCE_WORKERS__ISOLATION", isolation)));
        let said = |program: &Program| program.heard.iter().filter(|line| line["message"] == message).count();
        if said(&program) == 0 {
            program.line(message);
        }
        program.terminate();
        program.line("stopped");
        assert_eq!(said(&program), 1, "{:?}", program.heard);
        let reason = program.heard.iter().find_map(|line| line["reason"].as_str()).unwrap_or_default();
        let refused = reason.contains("this system does not let a program be put apart");
        assert_eq!(refused, isolation == "required", "{reason}");
    }
}

#[test]
fn commands_say_what_is_missing_and_how_to_get_it() {
    let worker = Worker::example("echo");
    let cache = TempDir::new().unwrap();
    let command = |arguments: &[&str], path: &str| {
        let mut command = sconce(&cache);
        command.args(arguments).env("PATH", path);
        command.env("SCONCE_MODELS__ECHO__SOURCE", format!("file:{}", worker.path().display()));
        command
    };
    let pin = format!("worker_sha256 = \"{}\"", worker.sha256());
    let (_, said, code) = outcome(&mut command(&["check-config"], "/usr/bin:/bin"));
    assert!(code == 0 && said.contains("echo cannot be served here") && said.contains(&pin), "{code} {said}");
    let (said, _, _) = outcome(&mut command(&["models"], "/usr/bin:/bin"));
    assert!(said.contains("unsupported [") && said.contains("] it would execute") && said.contains(&pin), "{said}");
    let (said, _, _) = outcome(&mut command(&["models"], "/nowhere"));
    assert!(said.contains("it is run by the program python3, which is not on this machine; install it"), "{said}");
    let (said, error, code) =
        outcome(command(&["models"], "/usr/bin:/bin").env("SCONCE_MODELS__ECHO__WORKER_SHA256", worker.sha256()));
    let line = said.lines().find(|line| line.starts_with("echo")).unwrap_or_default();
    assert!(code == 0 && line.contains("worker") && line.contains("here"), "{line} {error}");
}

/// The three set-ups of an assistant, with models that are at hand in the place of theirs.
#[tokio::test]
async fn the_set_ups_of_an_assistant_load_what_they_say() {
    let worker = Worker::example("echo");
    let cache = TempDir::new().unwrap();
    for (name, hears, speaks) in [
        ("minimal", "not_loaded", "not_loaded"),
        ("performance", "ready", "ready"),
        ("selective", "ready", "not_loaded"),
    ] {
        let text = std::fs::read_to_string(checkout("examples/assistant").join(format!("{name}.toml"))).unwrap();
        let text = text
            .replace("openai/whisper-base", "whisper-nano.en")
            .replace("file:/models/silero", &format!("file:{}", worker.path().display()))
            .replace(&"0".repeat(64), &worker.sha256());
        let path = cache.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        let mut command = sconce(&cache);
        command.env("PORT", "0").env("PATH", "/usr/bin:/bin").env("SCONCE_CONFIG", &path);
        let (_, said, code) =
            outcome(sconce(&cache).arg("check-config").env("PATH", "/usr/bin:/bin").env("SCONCE_CONFIG", &path));
        assert_eq!(code, 0, "{name}: {said}");
        let program = Program::start(&mut command);
        let status = async || -> Value {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client.get(program.url("/models/status")).send().await.unwrap().json().await.unwrap()
        };
        let of = |status: &Value, model: &str| status["models"][model]["status"].as_str().unwrap().to_owned();
        let mut now = status().await;
        for _ in 0..400 {
            if of(&now, "sconce/whisper-nano.en") == hears && of(&now, "silero") == speaks {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            now = status().await;
        }
        assert_eq!(of(&now, "sconce/whisper-nano.en"), hears, "{name}");
        assert_eq!(of(&now, "silero"), speaks, "{name}");
        let answer = say(&program, "silero", "hello").await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await.unwrap());
    }
}
