//! What is to be executed for a model, and what has to be pinned for it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use tempfile::TempDir;

use super::{Worker, kind::MARKER, plan::Plan};
use crate::{
    model::{Family, LoadError, Location, ModelFiles, Programs, WorkerChoice},
    speech::TaskKind,
};

const MANIFEST: &str = "protocol = 1\ncommand = [\"./run\"]\ntasks = [\"synthesize\"]\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if name.ends_with("run") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

fn files(folder: &Path) -> ModelFiles {
    let mut files = ModelFiles::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    files.insert("model", &name, Location::Disk(path));
                }
            }
        }
    }
    files
}

fn programs(worker: WorkerChoice) -> Programs {
    Programs { path: vec!["/usr/bin".into(), "/bin".into()], worker, ..Programs::default() }
}

fn refusal(files: &ModelFiles, worker: WorkerChoice) -> String {
    Worker.described("speaker", files, &programs(worker)).unwrap_err().to_string()
}

#[test]
fn nothing_is_executed_that_is_not_pinned() {
    let folder = folder(&[(MARKER, MANIFEST), ("run", "#!/bin/sh\n"), ("lib/b.py", "1"), ("__pycache__/b.pyc", "2")]);
    let files = files(folder.path());
    let refused = refusal(&files, WorkerChoice::default());
    assert!(refused.contains("lib/b.py, run, sconce-worker.toml") && !refused.contains("pyc"), "{refused}");
    assert!(refused.contains("`[models.\"speaker\"]` `worker_sha256 = \""), "{refused}");
    let told = refused.rsplit("worker_sha256 = \"").next().unwrap().split('"').next().unwrap().to_owned();

    let script = "sha256sum lib/b.py run sconce-worker.toml | sha256sum";
    let output = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
    let by_hand = String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(told, by_hand, "as `sha256sum` makes it");

    let pinned = WorkerChoice { sha256: Some(told), ..WorkerChoice::default() };
    let described = Worker.described("speaker", &files, &programs(pinned.clone())).unwrap().unwrap();
    assert_eq!((described.name(), described.tasks()), ("worker", &[TaskKind::Synthesize][..]));
    fs::write(folder.path().join("lib/b.py"), "other").unwrap();
    let refused = refusal(&files, pinned);
    assert!(refused.contains("is not what the configuration allows"), "{refused}");
}

#[test]
fn data_need_not_be_pinned() {
    let manifest = format!("{MANIFEST}data = [\"*.bin\"]\n");
    let folder = folder(&[(MARKER, &manifest), ("run", "#!/bin/sh\n"), ("weights.bin", "1")]);
    let hash = |files: &ModelFiles| refusal(files, WorkerChoice::default());
    let before = hash(&files(folder.path()));
    fs::write(folder.path().join("weights.bin"), "2").unwrap();
    assert_eq!(hash(&files(folder.path())), before);
    fs::write(folder.path().join("new.py"), "3").unwrap();
    assert_ne!(hash(&files(folder.path())), before, "what was not there before would be executed as well");
}

#[test]
fn a_command_of_the_configuration_runs_without_files_of_a_model() {
    let none = ModelFiles::default();
    let choice = |command: &[&str]| WorkerChoice {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        tasks: vec![TaskKind::Transcribe],
        ..WorkerChoice::default()
    };
    let plan = |worker: WorkerChoice| Plan::of("hearer", &none, &programs(worker));
    let system = plan(choice(&["sh", "-c", "exit"])).unwrap().unwrap();
    system.check().unwrap();
    assert!(plan(WorkerChoice::default()).unwrap().is_none(), "no program");

    let folder = folder(&[("run", "#!/bin/sh\n"), ("plain", "text")]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let own = plan(choice(&["sh", &path("plain")])).unwrap().unwrap();
    let refused = own.check().unwrap_err().to_string();
    assert!(refused.contains("nobody allowed: plain;") && !refused.contains(&path("plain")), "{refused}");
    let error = |worker| plan(worker).unwrap_err().to_string();
    assert!(error(choice(&[&path("plain")])).contains("its program plain is not executable; `chmod +x`"));
    assert!(error(choice(&[&path("nothing")])).contains("its program nothing is not there"));
    assert!(error(choice(&["no-such-program"])).contains("no-such-program, which is not on this machine; install it"));
    let mute = WorkerChoice { tasks: Vec::new(), ..choice(&["sh"]) };
    assert!(error(mute).contains("nothing says what it does: worker_tasks in `[models.\"hearer\"]`"));
}

#[test]
fn what_is_wrong_with_the_file_is_said() {
    for (text, part) in [
        ("command = [\"sh\"]\ntasks = [\"sing\"]", "\"sing\" is no task"),
        ("tasks = [\"convert\"]", "it names no command"),
        ("comand = [\"sh\"]", "unknown field `comand`"),
        ("\u{0}", "is not what it should be"),
    ] {
        let folder = folder(&[(MARKER, text)]);
        let refused = refusal(&files(folder.path()), WorkerChoice::default());
        assert!(refused.contains(part), "{text:?}: {refused}");
    }
    let folder = folder(&[(MARKER, &"#".repeat(70_000))]);
    let error = Worker.described("speaker", &files(folder.path()), &programs(WorkerChoice::default())).unwrap_err();
    assert!(matches!(error, LoadError::Malformed { .. }), "{error}");
}
