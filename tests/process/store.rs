//! Several processes on one folder, and what may happen to one of them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    program::{Program, outcome, sconce},
    support::{
        checkout,
        files::Files,
        hub::{Hub, git, sha256},
        publish_nano,
        tmpfs::Tmpfs,
    },
};

const MODEL: &str = "acme/nano";
pub const WEIGHTS: &str = "model.safetensors";
pub const FILES: [&str; 5] =
    ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json", WEIGHTS];
const PATIENCE: Duration = Duration::from_secs(60);
/// Of the test that kills owners. The variable asks for more than a test run should take.
const ROUNDS: usize = 8;
const ROUNDS_VARIABLE: &str = "STORE_TEST_ROUNDS";

pub fn hub() -> Hub {
    let hub = Hub::start();
    publish_nano(&hub, MODEL);
    hub
}

pub fn pull(cache: &TempDir, hub: &Hub) -> Command {
    let mut command = sconce(cache);
    command.env("HF_ENDPOINT", hub.url()).env("MODEL_ID", MODEL).env("SCONCE_STORE__RESERVE", "1").arg("pull");
    command
}

pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub fn end(child: Child) -> (String, Option<i32>) {
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (String::from_utf8(stderr).unwrap(), status.code())
}

fn signal(child: &Child, signal: i32) {
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: a signal to a child that has not been waited for, so that its number is still its own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Waits until something is so.
#[expect(clippy::disallowed_methods, reason = "nothing wakes a test when another process writes a file")]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn repo(cache: &TempDir) -> PathBuf {
    cache.path().join("models--acme--nano")
}

/// The number of the process that holds the lease.
pub fn owner(cache: &TempDir) -> Option<u32> {
    let lease = fs::read(repo(cache).join(".sconce/lease.json")).ok()?;
    let lease: serde_json::Value = serde_json::from_slice(&lease).ok()?;
    u32::try_from(lease["owner"]["pid"].as_u64()?).ok()
}

/// Every file that can be seen is the whole file.
fn assert_nothing_half(cache: &TempDir, expected: &BTreeMap<String, Vec<u8>>) -> usize {
    let snapshots = fs::read_dir(repo(cache).join("snapshots")).into_iter().flatten().flatten();
    let mut seen = 0;
    for snapshot in snapshots {
        for (name, bytes) in expected {
            if let Ok(found) = fs::read(snapshot.path().join(name)) {
                assert!(found == *bytes, "{name} is visible with {} bytes of {}", found.len(), bytes.len());
                seen += 1;
            }
        }
    }
    seen
}

pub fn expected() -> BTreeMap<String, Vec<u8>> {
    let folder = checkout("assets/models/whisper-nano.en");
    FILES.iter().map(|file| ((*file).to_owned(), fs::read(folder.join(file)).unwrap())).collect()
}

/// One complete copy and nothing beside it.
pub fn assert_one_copy(cache: &TempDir, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(assert_nothing_half(cache, expected), FILES.len());
    let blobs = fs::read_dir(repo(cache).join("blobs")).unwrap().flatten();
    let mut blobs: Vec<String> = blobs.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut names: Vec<String> =
        expected.iter().map(|(name, bytes)| if name == WEIGHTS { sha256(bytes) } else { git(bytes) }).collect();
    blobs.sort();
    names.sort();
    assert_eq!(blobs, names);
    assert!(!repo(cache).join(".sconce/lease.json").exists());
}

#[test]
fn sixteen_processes_on_one_cold_folder_fetch_each_file_once() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    hub.delay(Duration::from_millis(20));
    let children: Vec<Child> = (0..16).map(|_| spawn(&mut pull(&cache, &hub))).collect();
    for child in children {
        let (stderr, code) = end(child);
        assert_eq!(code, Some(0), "{stderr}");
    }
    for file in FILES {
        assert_eq!(hub.downloads(file), 1, "{file}");
    }
    assert_one_copy(&cache, &expected());
}

/// Wherever it hits: in a transfer, between a rename and the manifest, in the hand-over of the lease.
#[test]
fn an_owner_that_is_killed_is_succeeded_and_nothing_half_is_ever_seen() {
    #[expect(clippy::disallowed_methods, reason = "how long a test takes is no configuration of the server")]
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let expected = expected();
    let mut downloads = Vec::new();
    for round in 0..rounds {
        let (hub, cache) = (hub(), TempDir::new().unwrap());
        // So slow that the moments of the kills fall into all that an owner does.
        hub.throttle(16_000_000);
        let mut children: Vec<Child> = (0..4).map(|_| spawn(&mut pull(&cache, &hub))).collect();
        until("somebody takes the lease", || owner(&cache).is_some());
        let (moment, start) = (Duration::from_millis(rand_below(round, 400)), Instant::now());
        until("the moment comes", || {
            assert_nothing_half(&cache, &expected);
            start.elapsed() >= moment
        });
        let victim = owner(&cache).and_then(|pid| children.iter().position(|child| child.id() == pid));
        let killed = victim.map(|index| children.remove(index)).map(|mut child| {
            signal(&child, libc::SIGKILL);
            child.wait().unwrap();
        });
        for child in children {
            let (stderr, code) = end(child);
            assert_eq!(code, Some(0), "round {round}, killed after {moment:?}: {stderr}");
            assert_nothing_half(&cache, &expected);
        }
        assert_one_copy(&cache, &expected);
        downloads.push((killed.is_some(), moment, hub.downloads(WEIGHTS)));
        assert!(hub.downloads(WEIGHTS) <= 2, "once more than once at most: {downloads:?}");
    }
    assert!(downloads.iter().any(|(killed, ..)| *killed), "no kill hit an owner: {downloads:?}");
}

#[test]
fn a_pull_that_is_killed_is_gone_on_with() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    hub.stall_large();
    let mut child = spawn(&mut pull(&cache, &hub));
    let weights = expected()[WEIGHTS].len() as u64;
    let noted = || {
        let blobs = fs::read_dir(repo(&cache).join("blobs")).into_iter().flatten().flatten();
        let parts = blobs.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "part"));
        parts.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).max().unwrap_or(0)
    };
    until("half of it is there", || noted() >= weights / 2 - 100_000);
    // The journal is written twice a second.
    std::thread::park_timeout(Duration::from_millis(700));
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    hub.release();
    let before = hub.sent();
    let (stderr, code) = end(spawn(&mut pull(&cache, &hub)));
    assert_eq!(code, Some(0), "{stderr}");
    assert_one_copy(&cache, &expected());
    assert!(hub.sent() - before <= weights, "something was resumed");
}

#[test]
fn the_exit_code_tells_a_script_what_to_do() {
    let cache = TempDir::new().unwrap();
    let code = |hub: &Hub, change: &dyn for<'a> Fn(&'a mut Command) -> &'a mut Command| {
        let mut command = pull(&cache, hub);
        change(command.env("SCONCE_STORE__ATTEMPTS", "1"));
        let (_, stderr, code) = outcome(&mut command);
        (code, stderr)
    };
    let unknown = code(&Hub::start(), &|command| command);
    assert_eq!(unknown.0, 3, "{}", unknown.1);
    let gated = hub();
    gated.gate("hf_good");
    let refused = code(&gated, &|command| command);
    assert!(refused.0 == 4 && refused.1.contains("set HF_TOKEN"), "{}", refused.1);
    let down = code(&gated, &|command| command.env("HF_ENDPOINT", "http://127.0.0.1:1"));
    assert_eq!(down.0, 5, "{}", down.1);
    let full = code(&gated, &|command| command.env("HF_TOKEN", "hf_good").env("SCONCE_STORE__RESERVE", "900TB"));
    assert!(full.0 == 6 && full.1.contains("of disk"), "{}", full.1);
    let bytes: usize = expected().values().map(Vec::len).sum();
    let need = format!("needs {:.1} MB of disk", bytes as f64 / 1e6);
    assert!(full.1.contains(&need), "all that the model lacks is named, {need}: {}", full.1);
    assert_eq!(gated.downloads(WEIGHTS), 0, "before the first byte");
    let done = code(&gated, &|command| command.env("HF_TOKEN", "hf_good"));
    assert_eq!(done.0, 0, "{}", done.1);
}

#[test]
fn progress_is_told_off_a_terminal_unless_nobody_wants_it() {
    for (quiet, told) in [(&[][..], true), (&["--quiet"], false)] {
        let (hub, cache) = (hub(), TempDir::new().unwrap());
        hub.stall_large();
        let mut child = spawn(pull(&cache, &hub).args(quiet));
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        if told {
            // A slow machine tells of the look at its configuration as well, a download of some kB before.
            while !line.contains(" MB") && said.read_line(&mut line).unwrap() > 0 {}
        } else {
            until("it fetches", || hub.downloads(WEIGHTS) > 0);
        }
        hub.release();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert!(child.wait().unwrap().success(), "{rest}");
        let last = line.lines().last().unwrap_or_default();
        assert_eq!(last.starts_with("acme/nano: ") && last.contains(" %, ") && last.contains(" MB"), told, "{line}");
        assert!(told || rest.is_empty(), "{rest}");
    }
}

#[test]
fn a_server_logs_what_it_downloads() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", MODEL).env("LOAD_MODE", "startup");
    // A pause this short is no news.
    command.env("SCONCE_LOG__LEVEL", "info,sconce::store::retry=debug");
    hub.fail_on("/tree/", 1, 503, None);
    let mut program = Program::start(&mut command);
    let bytes: usize = expected().values().map(Vec::len).sum();
    // A look at its configuration is another download, before.
    let whole = |line: &serde_json::Value| line["bytes"] == bytes;
    while !program.heard.iter().any(|line| line["message"] == "downloaded" && whole(line)) {
        program.line("downloaded");
    }
    let lines: Vec<_> = program.heard.iter().filter(|line| whole(line)).collect();
    let [begins, ends] = lines[..] else { panic!("{lines:?}") };
    assert!(begins["message"] == "downloading" && begins["source"] == "hf://acme/nano@main", "{begins}");
    assert_eq!(begins["files"], FILES.len());
    assert!(ends["commit"] == hub.repo(MODEL).commit() && ends["seconds"].is_f64(), "{ends}");
    let of_store = |line: &&serde_json::Value| line["target"].as_str().unwrap().starts_with("sconce::store");
    let said: Vec<_> = program.heard.iter().filter(of_store).collect();
    assert!(said.iter().any(|line| line["message"] == "will try again"), "{said:?}");
    said.iter().for_each(|line| assert_eq!(line["model"], MODEL, "{line}"));
}

/// Another byte in the middle of the weights; their size stays.
fn damage(cache: &TempDir) {
    let blob = repo(cache).join("blobs").join(sha256(&expected()[WEIGHTS]));
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(blob, bytes).unwrap();
}

/// The state of the model, once it is as it should be.
async fn state(program: &Program, so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let start = Instant::now();
    loop {
        let status = client.get(program.url("/models/status")).send().await.unwrap();
        let status = status.json::<serde_json::Value>().await.unwrap()["models"][MODEL].take();
        if so(&status) {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "{status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_on_disk_is_known_before_anybody_asks_for_it() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    assert_eq!(outcome(&mut pull(&cache, &hub)).2, 0);
    let requests = hub.requests();
    let start = || {
        let mut command = sconce(&cache);
        Program::start(command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", MODEL))
    };
    let program = start();
    let status = state(&program, |status| status["fetched"] == true).await;
    assert_eq!(
        (&status["status"], status["revision"].as_str()),
        (&"not_loaded".into(), Some(&*hub.repo(MODEL).commit()))
    );
    assert_eq!(status["parts"]["model"]["from"], "cache", "{status}");
    assert_eq!(hub.requests(), requests, "nobody was asked");
    drop(program);

    fs::remove_file(repo(&cache).join("blobs").join(sha256(&expected()[WEIGHTS]))).unwrap();
    let program = start();
    let preset = "sconce/lark.en";
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let all = async || {
        client.get(program.url("/models/status")).send().await.unwrap().json::<serde_json::Value>().await.unwrap()
    };
    // They are looked at one after the other, so the one inside the program is known after this one.
    while all().await["models"][preset]["fetched"] != true {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    state(&program, |status| status["fetched"] == false).await;
}

#[tokio::test]
async fn a_load_that_verifies_finds_damage_and_has_it_fetched_again() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    assert_eq!(outcome(&mut pull(&cache, &hub)).2, 0);
    damage(&cache);
    let server = |offline: &str| {
        let mut command = sconce(&cache);
        command.env("PORT", "0").env("HF_ENDPOINT", hub.url()).env("MODEL_ID", MODEL).env("LOAD_MODE", "startup");
        Program::start(command.env("SCONCE_STORE__VERIFY", "load").env("SCONCE_STORE__OFFLINE", offline))
    };
    let mut program = server("false");
    let line = program.line("a file of the cache is damaged");
    assert_eq!((&line["model"], &line["file"]), (&MODEL.into(), &WEIGHTS.into()), "{line}");
    assert!(line["reason"].as_str().unwrap().contains("checksum"), "{line}");
    let failed = program.line("failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(
        reason.contains("model.safetensors of hf://acme/nano@main is damaged") && failed["permanent"] == false,
        "{failed}"
    );
    state(&program, |status| status["status"] == "ready").await;
    assert_eq!(hub.downloads(WEIGHTS), 2, "once more");
    assert!(repo(&cache).join(".sconce/quarantine").join(sha256(&expected()[WEIGHTS])).exists());
    assert_nothing_half(&cache, &expected());
    drop(program);

    damage(&cache);
    let program = server("true");
    let offline =
        |status: &serde_json::Value| status["error"]["message"].as_str().is_some_and(|why| why.contains("offline"));
    state(&program, offline).await;
    assert_eq!(hub.downloads(WEIGHTS), 2);
}

#[test]
fn a_pull_mends_what_verify_found_though_its_size_is_right() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    assert_eq!(outcome(&mut pull(&cache, &hub)).2, 0);
    damage(&cache);
    let (stdout, stderr, code) = outcome(sconce(&cache).arg("verify"));
    assert!(code == 1 && stdout.contains("damaged") && stderr.contains("`sconce pull`"), "{stdout}{stderr}");
    assert_eq!(outcome(&mut pull(&cache, &hub)).2, 0);
    assert_eq!(outcome(sconce(&cache).arg("verify")).2, 0, "mended");
    assert_eq!(hub.downloads(WEIGHTS), 2);
    assert_nothing_half(&cache, &expected());
}

#[test]
fn a_pull_that_is_interrupted_says_so_and_is_gone_on_with() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    hub.stall_large();
    let child = spawn(&mut pull(&cache, &hub));
    until("it begins", || hub.downloads(WEIGHTS) > 0);
    signal(&child, libc::SIGINT);
    let (stderr, code) = end(child);
    assert!(code == Some(130) && stderr.contains("goes on from here"), "{code:?} {stderr}");
    hub.release();
    let (stderr, code) = end(spawn(&mut pull(&cache, &hub)));
    assert_eq!(code, Some(0), "{stderr}");
    assert_one_copy(&cache, &expected());
}

#[test]
fn verify_looks_at_everything_on_disk() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    assert_eq!(outcome(&mut pull(&cache, &hub)).2, 0);
    publish_nano(&hub, "acme/other");
    assert_eq!(outcome(pull(&cache, &hub).env("MODEL_ID", "acme/other")).2, 0);
    let (stdout, stderr, code) = outcome(sconce(&cache).arg("verify"));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("acme/nano") && stdout.contains("acme/other"), "{stdout}");
    let blob = cache.path().join("models--acme--other/blobs").join(sha256(&expected()[WEIGHTS]));
    fs::write(blob, "half").unwrap();
    let (stdout, _, code) = outcome(sconce(&cache).arg("verify"));
    assert!(
        code == 1 && stdout.lines().any(|line| line.starts_with("damaged") && line.contains("acme/other")),
        "{stdout}"
    );
    let (stdout, _, code) = outcome(pull(&cache, &hub).env("MODEL_ID", "acme/other"));
    assert_eq!(code, 0, "{stdout}");
    assert_eq!(outcome(sconce(&cache).arg("verify")).2, 0, "fetched again");
}

#[test]
fn a_disk_that_is_too_small_fills_up_or_cannot_be_written_is_named() {
    let weights = expected()[WEIGHTS].len();
    let size = (weights + 2_000_000).to_string();
    let Some(disk) = Tmpfs::new(&size) else {
        eprintln!("SKIPPED a_disk_that_is_too_small_fills_up_or_cannot_be_written_is_named: mounting is refused here");
        return;
    };
    let cache = &disk.0;
    let hub = hub();
    let filler = cache.path().join("filler");

    fs::write(&filler, vec![0; 1_900_000 + weights / 2]).unwrap();
    let (_, stderr, code) = outcome(&mut pull(cache, &hub));
    assert!(code == 6 && stderr.contains("of disk") && stderr.contains("HF_HUB_CACHE"), "too small: {stderr}");
    assert_eq!(hub.downloads(WEIGHTS), 0, "before the first byte");

    fs::remove_file(&filler).unwrap();
    hub.stall_large();
    let child = spawn(&mut pull(cache, &hub));
    until("half of it is there", || hub.sent() >= weights as u64 / 2);
    let fill = fs::File::create(&filler).unwrap();
    while (&fill).write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    drop(fill);
    hub.release();
    let (stderr, code) = end(child);
    assert!(code == Some(6) && stderr.contains("disk is full"), "fills up: {stderr}");

    fs::remove_file(&filler).unwrap();
    disk.remount("ro");
    let (_, stderr, code) = outcome(&mut pull(cache, &hub));
    assert!(code == 6 && stderr.contains("make it writable"), "read-only: {stderr}");

    disk.remount("rw");
    let (_, stderr, code) = outcome(&mut pull(cache, &hub));
    assert_eq!(code, 0, "{stderr}");
    assert_one_copy(cache, &expected());
}

/// A model in an archive that packs well, and so many empty files.
fn archive(zeros: usize, files: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    expected().iter().for_each(|(name, bytes)| add(name, bytes));
    add("zeros", &vec![0; zeros]);
    (0..files).for_each(|number| add(&format!("empty/{number}"), b""));
    tar.into_inner().unwrap().finish().unwrap()
}

/// Everything below a folder, by its name.
fn below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.flat_map(|entry| {
        let inside = if entry.path().is_dir() { below(&entry.path()) } else { Vec::new() };
        inside.into_iter().chain([entry.file_name().to_string_lossy().into_owned()])
    });
    names.collect()
}

#[test]
fn a_disk_that_an_archive_does_not_fit_on_is_named_and_left_clean() {
    let (zeros, files) = (30_000_000, 200);
    let packed = archive(zeros, files);
    let Some(disk) = Tmpfs::new(&format!("{},nr_inodes=100", 2 * packed.len() + zeros / 2)) else {
        eprintln!("SKIPPED a_disk_that_an_archive_does_not_fit_on_is_named_and_left_clean: mounting is refused here");
        return;
    };
    let (cache, server) = (&disk.0, Files::start());
    server.put("nano.tar.gz", packed.clone());
    let source = format!("{}/nano.tar.gz#sha256={}", server.url(), sha256(&packed));
    let pull = || {
        let mut command = sconce(cache);
        outcome(command.env("SCONCE_STORE__RESERVE", "1").args(["pull", &source]))
    };
    let assert_clean = || {
        let left = below(cache.path());
        let seen = |name: &str| left.iter().any(|known| known.starts_with(name));
        assert!(seen(&sha256(&packed)), "the archive stays for the next try: {left:?}");
        assert!(!seen("unpacking") && !seen("zeros") && !seen("empty"), "{left:?}");
    };

    let (_, stderr, code) = pull();
    assert!(
        code == 6 && stderr.contains("of disk, and the model cache has") && stderr.contains("HF_HUB_CACHE"),
        "{stderr}"
    );
    assert_clean();

    disk.remount("size=200m");
    let (_, stderr, code) = pull();
    assert!(code == 6 && stderr.contains("its disk is full; free space"), "no room for so many files: {stderr}");
    assert_clean();

    disk.remount("nr_inodes=1000");
    let before = server.downloads("nano.tar.gz");
    let (_, stderr, code) = pull();
    assert_eq!(code, 0, "{stderr}");
    assert!(server.downloads("nano.tar.gz") <= before + 1, "only asked about: the archive itself was whole");
}

/// A proxy that writes down what it is asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Sends every plain request to `target`, and refuses tunnels.
    fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        // Ends with the process of the test: it waits for connections and nothing else.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (target, seen) = (target.clone(), seen.clone());
                std::thread::spawn(move || drop(forward(stream, &target, &seen)));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn forward(client: TcpStream, target: &str, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut first, mut head) = (String::new(), String::new());
    reader.read_line(&mut first)?;
    seen.lock().unwrap().push(first.trim().to_owned());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if !line.to_lowercase().starts_with("connection") {
            head.push_str(&line);
        }
    }
    let mut client = client;
    let words: Vec<&str> = first.split_whitespace().collect();
    let Some(path) =
        words.get(1).and_then(|url| url.strip_prefix("http://")).and_then(|rest| rest.find('/').map(|at| &rest[at..]))
    else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut server = TcpStream::connect(target)?;
    write!(server, "{} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n", words[0])?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    // One request per connection: the answer says so, as the server does.
    client.write_all(&answer)
}

#[test]
fn proxies_are_those_of_the_environment() {
    let (hub, cache) = (hub(), TempDir::new().unwrap());
    let proxy = Proxy::start(hub.url().trim_start_matches("http://").to_owned());
    let through = |command: &mut Command| {
        command.env("HTTP_PROXY", format!("http://{}", proxy.address));
        command.env("HTTPS_PROXY", format!("http://{}", proxy.address)).env("NO_PROXY", "localhost");
        command.env("SCONCE_STORE__ATTEMPTS", "1");
    };
    let mut command = pull(&cache, &hub);
    through(command.env("HF_ENDPOINT", "http://hub.invalid"));
    let (_, stderr, code) = outcome(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let asked = proxy.asked();
    assert!(asked.iter().any(|line| line.contains("http://hub.invalid/api/models/acme/nano")), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("/storage/")), "NO_PROXY: {asked:?}");

    let mut command = pull(&cache, &hub);
    through(command.env("HF_ENDPOINT", "https://hub.invalid").env("MODEL_ID", "acme/other"));
    let (_, stderr, code) = outcome(&mut command);
    assert_eq!(code, 5, "{stderr}");
    assert!(proxy.asked().iter().any(|line| line.starts_with("CONNECT hub.invalid:443")), "{:?}", proxy.asked());
}

/// The same in every run of the same round.
fn rand_below(round: usize, bound: u64) -> u64 {
    let mixed = (round as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) % bound
}
