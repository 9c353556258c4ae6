//! Models from elsewhere than the hub, and the caches that they end in.

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    program::{Program, outcome, sconce},
    support::{
        checkout,
        files::{Files, sha256},
        hub::Hub,
        publish_nano,
    },
};

/// The embedded model in one file, with so many bytes more that nobody asks for.
fn zipped(filler: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for entry in fs::read_dir(checkout("assets/models/whisper-nano.en")).unwrap().flatten() {
        zip.start_file(format!("nano/{}", entry.file_name().to_string_lossy()), stored).unwrap();
        zip.write_all(&fs::read(entry.path()).unwrap()).unwrap();
    }
    zip.start_file("nano/filler.bin", stored).unwrap();
    zip.write_all(&vec![7; filler]).unwrap();
    zip.finish().unwrap().into_inner()
}

/// The configured model is on this machine, or can be had.
fn assert_pulled(command: &mut Command) {
    let (stdout, stderr, code) = outcome(command.arg("pull"));
    assert_eq!(code, 0, "{stdout}{stderr}");
}

/// Folders that an archive is being unpacked into, in the only repository of a cache.
fn unpacking(cache: &Path) -> Vec<PathBuf> {
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let inside = folders(cache).flat_map(|repo| folders(&repo.join(".sconce")).collect::<Vec<_>>());
    inside.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("unpacking"))).collect()
}

#[test]
fn an_archive_that_nobody_configured_is_pulled_and_served_offline() {
    let (files, cache) = (Files::start(), TempDir::new().unwrap());
    files.put("nano.zip", zipped(0));
    let source = format!("{}/nano.zip#sha256={}", files.url(), sha256(&files.get("nano.zip").unwrap().0));
    let (stdout, stderr, code) = outcome(sconce(&cache).args(["pull", &source]));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("nano "), "{stdout}");
    let before = files.requests();
    assert_pulled(sconce(&cache).env("MODEL_ID", &source));
    assert_pulled(sconce(&cache).env("AIP_STORAGE_URI", &source).arg("--offline"));
    assert_eq!(files.requests(), before, "pinned and complete: nobody is asked");
}

#[test]
fn vertex_gives_a_bucket() {
    let (files, cache) = (Files::start(), TempDir::new().unwrap());
    for entry in fs::read_dir(checkout("assets/models/whisper-nano.en")).unwrap().flatten() {
        files.put(&format!("models/v1/{}", entry.file_name().to_string_lossy()), fs::read(entry.path()).unwrap());
    }
    let vertex = || {
        let mut command = sconce(&cache);
        command.env("AIP_STORAGE_URI", "gs://models/v1").env("STORAGE_EMULATOR_HOST", files.host());
        command.env("SCONCE_REMOTE__GCS__ANONYMOUS", "true");
        command
    };
    assert_pulled(&mut vertex());
    assert_eq!(files.downloads("models/v1/README.md"), 0, "only what is needed");
    assert_pulled(vertex().arg("--offline"));
}

#[test]
fn the_web_is_spoken_to_over_tls() {
    let (files, certificate) = Files::start_tls();
    let cache = TempDir::new().unwrap();
    let trusted = cache.path().join("trusted.pem");
    fs::write(&trusted, certificate).unwrap();
    files.put("nano.zip", zipped(0));
    let pull = || {
        let mut command = sconce(&cache);
        command.env("SCONCE_STORE__ATTEMPTS", "1").args(["pull", &format!("{}/nano.zip", files.url())]);
        command
    };
    let (_, stderr, code) = outcome(&mut pull());
    assert_eq!(code, 5, "a certificate that nobody knows: {stderr}");
    let (_, stderr, code) = outcome(pull().env("SSL_CERT_FILE", &trusted));
    assert_eq!(code, 0, "{stderr}");
    let before = files.downloads("nano.zip");
    let (_, stderr, code) = outcome(pull().env("SSL_CERT_FILE", &trusted));
    assert_eq!((code, files.downloads("nano.zip")), (0, before + 1), "one small call: {stderr}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "nothing wakes a test when another process makes a folder")]
fn a_process_that_is_killed_while_it_unpacks_leaves_nothing_that_counts() {
    let (files, cache) = (Files::start(), TempDir::new().unwrap());
    files.put("nano.zip", zipped(48 << 20));
    let source = format!("{}/nano.zip#sha256={}", files.url(), sha256(&files.get("nano.zip").unwrap().0));
    let start = Instant::now();
    let killed = loop {
        let mut child =
            sconce(&cache).args(["pull", &source]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while unpacking(cache.path()).is_empty() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if !unpacking(cache.path()).is_empty() {
            break true;
        }
        // It was quicker than this test.
        assert!(start.elapsed() < Duration::from_secs(60), "it was never caught while it unpacked");
        outcome(sconce(&cache).args(["cache", "rm", &source]));
    };
    assert!(killed);
    let (_, stderr, code) = outcome(sconce(&cache).args(["pull", "--offline", &source]));
    assert!(code != 0 && stderr.contains("not on this machine"), "{stderr}");
    let before = files.downloads("nano.zip");
    let (_, stderr, code) = outcome(sconce(&cache).args(["pull", &source]));
    assert_eq!(code, 0, "{stderr}");
    assert!(files.downloads("nano.zip") <= before + 1, "the archive itself was whole");
    assert_pulled(sconce(&cache).env("MODEL_ID", &source).arg("--offline"));
}

#[test]
fn the_cache_is_listed_and_cleared() {
    let (hub, cache) = (Hub::start(), TempDir::new().unwrap());
    publish_nano(&hub, "acme/nano");
    let run = |arguments: &[&str]| outcome(sconce(&cache).env("HF_ENDPOINT", hub.url()).args(arguments));
    assert!(run(&["cache", "ls"]).0.contains("0 B in all"), "{:?}", run(&["cache", "ls"]));
    let (_, stderr, code) = run(&["pull", "acme/nano"]);
    assert_eq!(code, 0, "{stderr}");
    let list = run(&["cache", "ls"]).0;
    assert!(list.contains("acme/nano") && list.contains("(main)") && list.contains("s ago"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&run(&["cache", "ls", "--json"]).0).unwrap();
    let (commit, bytes) = (hub.repo("acme/nano").commit(), json[0]["bytes"].as_u64().unwrap());
    assert_eq!((json[0]["commits"][0]["commit"].as_str(), bytes > 100_000), (Some(commit.as_str()), true));

    let (_, stderr, code) = run(&["cache", "rm", "acme/other"]);
    assert!(code == 1 && stderr.contains("acme/other is not in the cache"), "{stderr}");
    let dry: serde_json::Value =
        serde_json::from_str(&run(&["cache", "rm", "acme/nano", "--dry-run", "--json"]).0).unwrap();
    assert!(dry["bytes"].as_u64() == Some(bytes) && run(&["cache", "ls"]).0.contains(&commit[..12]), "{dry}");
    let (stdout, stderr, code) = run(&["cache", "rm", &format!("hf://acme/nano@{commit}")]);
    assert!(code == 0 && stdout.contains(&format!("removed acme/nano@{commit}")), "{stdout}{stderr}");
    assert!(run(&["cache", "ls"]).0.contains("0 B in all"));
}

#[test]
fn what_a_server_has_loaded_is_not_cleared() {
    let (hub, cache) = (Hub::start(), TempDir::new().unwrap());
    publish_nano(&hub, "acme/nano");
    let run = |arguments: &[&str]| outcome(sconce(&cache).env("HF_ENDPOINT", hub.url()).args(arguments));
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", "acme/nano").env("LOAD_MODE", "startup");
    let program = Program::start(&mut command);
    let ready = || run(&["cache", "ls"]).0.contains("in use");
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", run(&["cache", "ls"]).0);
    }
    let (_, stderr, code) = run(&["cache", "rm", "acme/nano"]);
    assert!(code == 1 && stderr.contains("is in use; unload it first"), "{stderr}");
    let mut collect = sconce(&cache);
    let (stdout, stderr, code) = outcome(collect.env("SCONCE_STORE__QUOTA", "1000").args(["cache", "gc"]));
    assert!(code == 0 && stdout.contains("removed 0 B"), "{stdout}{stderr}");
    drop(program);
    let (stdout, stderr, code) = run(&["cache", "rm", "acme/nano"]);
    assert!(code == 0 && stdout.contains("removed acme/nano@"), "killed, and known to be: {stdout}{stderr}");
}
