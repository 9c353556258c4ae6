//! Recordings as phones, telephones, old recorders and films have them: each is heard, with ffmpeg installed or without
//! where nothing needs it, and otherwise refused by name.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    recordings::words,
    support::{Server, checkout, recording},
};

const MODEL: &str = "whisper-nano.en";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const WORDS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];

/// Of the end of a name, and what makes such a file of our recording.
#[rustfmt::skip]
const FOREIGN: &[(&str, &str)] = &[
    ("ts", "-c:a aac -f mpegts"),
    ("mp2.ts", "-c:a mp2 -f mpegts"),
    ("mp2", "-c:a mp2"),
    ("wma", "-c:a wmav2"),
    ("six.m4a", "-ac 6 -c:a aac"),
    ("g722.wav", "-c:a g722"),
    ("ac3", "-c:a ac3"),
    ("alaw.mov", "-ar 8000 -c:a pcm_alaw"),
    ("ulaw.mkv", "-ar 8000 -c:a pcm_mulaw"),
    ("eac3", "-c:a eac3"),
    ("speex.ogg", "-c:a libspeex"),
    ("gsm.wav", "-ar 8000 -c:a libgsm_ms"),
    ("g726.wav", "-ar 8000 -c:a g726 -b:a 32k"),
    ("mpg", "-c:a mp2 -f mpeg"),
];

/// What is put into containers, each into each that takes it.
const CODECS: &[&str] = &[
    "aac",
    "ac3",
    "alac",
    "flac",
    "libmp3lame",
    "libopus",
    "libvorbis",
    "mp2",
    "pcm_alaw",
    "pcm_mulaw",
    "pcm_s16le",
    "wmav2",
];
const CONTAINERS: &[&str] = &[
    "3gp", "aiff", "asf", "au", "avi", "caf", "flac", "flv", "m4a", "mkv", "mov", "mp4", "mpg", "ogg", "ts", "w64",
    "wav", "webm",
];

/// What is decoded without another program.
#[rustfmt::skip]
const OWN: &[(&str, &str)] = &[
    ("au", "-c:a pcm_mulaw"),
    ("mp3.wav", "-c:a libmp3lame"),
    ("fast.m4a", "-ar 96000 -c:a aac"),
    ("inverted.wav", "-af pan=stereo|c0=c0|c1=-1*c0"),
    ("two.mkv", "-map 0:a -map 0:a -c:a:0 ac3 -c:a:1 aac"),
    ("silent_first.mp4", "-filter_complex [0:a]volume=0[q] -map [q] -map 0:a -c:a aac"),
    ("late.webm", "-af asetpts=PTS+1.5/TB -c:a libopus"),
];

/// Of these lists, how many any usual build of ffmpeg makes: fewer, and the test would be one of nothing.
const LEAST_FOREIGN: usize = 11;
const LEAST_OWN: usize = 6;
const LEAST_PAIRS: usize = 60;

/// What ffmpeg writes and does not read again through a pipe, or with other times.
const UNREADABLE: &[(&str, &str)] = &[("libvorbis", "avi"), ("mp2", "caf")];

/// Our recording in another form, if ffmpeg is installed and can make it.
fn made(name: &str, arguments: &str) -> Option<Vec<u8>> {
    made_of("", name, arguments)
}

/// The same; `before`: what is said of the recording itself.
fn made_of(before: &str, name: &str, arguments: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("x.{name}"));
    let made = Command::new("ffmpeg")
        .args(["-v", "fatal"])
        .args(before.split_whitespace())
        .arg("-i")
        .arg(checkout("assets/recordings").join(WAV))
        .args(arguments.split(' '))
        .arg(&file)
        .stdin(Stdio::null())
        .output();
    match made {
        Ok(output) if output.status.success() && is_readable(&file) => Some(std::fs::read(file).unwrap()),
        _ => {
            eprintln!("not made: {name}");
            None
        }
    }
}

/// ffmpeg also writes what it cannot read, or reads as something else: as other samples, or as too much of them.
fn is_readable(file: &std::path::Path) -> bool {
    let samples = ["-f", "s16le", "-ac", "1", "-ar", "16000", "-"];
    let read = Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(file).args(samples).output().unwrap();
    let seconds = read.stdout.len() as f64 / 32_000.0;
    read.stderr.is_empty() && (2.5..12.0).contains(&seconds)
}

fn has_ffmpeg() -> bool {
    Command::new("ffmpeg").arg("-version").output().is_ok()
}

async fn hears(server: &Server, name: &str, bytes: Vec<u8>) {
    let answer = server.transcribe(bytes, MODEL, &[]).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(words(body["text"].as_str().unwrap_or_else(|| panic!("{name}: {status} {body}"))), WORDS, "{name}");
}

#[tokio::test]
async fn what_is_decoded_here_needs_no_other_program() {
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start();
    let mut heard = 0;
    for (name, arguments) in OWN {
        if let Some(bytes) = made(name, arguments) {
            hears(&server, name, bytes).await;
            heard += 1;
        }
    }
    assert!(heard >= LEAST_OWN || !has_ffmpeg(), "{heard} kinds were made and heard");
    // A header that was never patched.
    let wav = recording(WAV);
    hears(&server, "data 0", [&wav[..4], &[36, 0, 0, 0], &wav[8..40], &[0; 4], &wav[44..]].concat()).await;
}

#[tokio::test]
async fn what_is_not_is_heard_by_ffmpeg() {
    let server = Server::start();
    let mut heard = 0;
    for (name, arguments) in FOREIGN {
        if let Some(bytes) = made(name, arguments) {
            hears(&server, name, bytes).await;
            heard += 1;
        }
    }
    assert!(heard >= LEAST_FOREIGN || !has_ffmpeg(), "{heard} kinds were made and heard");
}

/// Every codec in every container: heard with ffmpeg, and without it heard or refused with the remedy.
#[tokio::test]
async fn whatever_ffmpeg_can_make_is_heard() {
    let (with, without) = (Server::start(), Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start());
    let (mut heard, mut refused, mut wrong) = (0, 0, Vec::new());
    for (codec, container) in CODECS.iter().flat_map(|codec| CONTAINERS.iter().map(move |container| (codec, container)))
    {
        if UNREADABLE.contains(&(*codec, *container)) {
            continue;
        }
        let rate = if *container == "flv" { "-ar 44100" } else { "-ar 48000" };
        let Some(bytes) = made(container, &format!("{rate} -c:a {codec} -strict -2")) else { continue };
        for (server, has_ffmpeg) in [(&with, true), (&without, false)] {
            let body: Value = server.transcribe(bytes.clone(), MODEL, &[]).await.json().await.unwrap();
            let (text, error) = (body["text"].as_str(), body["error"]["message"].as_str());
            match (text, error) {
                (Some(text), _) if words(text) == WORDS => heard += 1,
                (_, Some(error)) if !has_ffmpeg && error.contains("audio.ffmpeg") => refused += 1,
                _ => wrong.push(format!("{codec} in {container}, ffmpeg: {has_ffmpeg}: {body}")),
            }
        }
    }
    eprintln!("{heard} were heard, {refused} refused without ffmpeg");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        heard > 2 * refused && heard + refused >= 2 * LEAST_PAIRS || !has_ffmpeg(),
        "{heard} heard, {refused} refused"
    );
}

/// When the words begin, in seconds.
async fn beginnings(server: &Server, name: &str, bytes: Vec<u8>) -> Vec<f64> {
    let fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let body: Value = server.transcribe(bytes, MODEL, &fields).await.json().await.unwrap();
    let list = body["words"].as_array().unwrap_or_else(|| panic!("{name}: {body}"));
    list.iter().map(|word| word["start"].as_f64().unwrap()).collect()
}

/// A track that begins late, and one with a hole: the words are where the container says, as if silence were there.
#[tokio::test]
async fn the_time_of_a_container_counts() {
    let (with, without) = (Server::start(), Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start());
    let (late, film) = ("-itsoffset 1.5", "-filter_complex color=s=16x16:r=5:d=5[v] -map [v] -map 0:a");
    let twice = "-stream_loop 1";
    let hole = r"-af asetpts=PTS+gte(T\,2.7)*5/TB";
    let (Some(begins_late), Some(has_hole)) = (
        made("wav", "-af adelay=1500"),
        made_of(
            twice,
            "wav",
            r"-filter_complex [0:a]asplit[a][b];[b]atrim=0:2.72,adelay=0[x];[a]atrim=2.72,asetpts=PTS-STARTPTS,adelay=5000[y];[x][y]concat=v=0:a=1",
        ),
    ) else {
        return;
    };
    let expected = [beginnings(&without, "late", begins_late).await, beginnings(&without, "hole", has_hole).await];
    assert_eq!([expected[0].len(), expected[1].len()], [5, 10], "{expected:?}");
    for (name, codec, own) in [
        ("mp4", "-c:a aac", true),
        ("mov", "-c:a aac", true),
        ("mkv", "-c:a aac", true),
        ("webm", "-c:a libopus -c:v libvpx", true),
        ("alac.mov", "-c:a alac", false),
        ("ac3.mkv", "-c:a ac3", false),
        ("mp2.mkv", "-c:a mp2", false),
        // A transport stream counts from anywhere: from its film on, as the others.
        ("aac.ts", "-c:a aac", false),
        ("mp2.ts", "-c:a mp2", false),
    ] {
        for (at, before, filter) in [(0, late, film), (1, twice, hole)] {
            let Some(bytes) = made_of(before, name, format!("{filter} {codec}").trim()) else { continue };
            for server in [&with, &without].into_iter().take(if own { 2 } else { 1 }) {
                let found = beginnings(server, name, bytes.clone()).await;
                // Of each sentence the beginning: words within it also move with the codec.
                let begin = |words: &[f64]| words.iter().copied().step_by(5).collect::<Vec<_>>();
                let pairs = begin(&found).into_iter().zip(begin(&expected[at]));
                let near = found.len() == expected[at].len()
                    && pairs.into_iter().all(|(found, right)| (found - right).abs() < 0.1);
                assert!(near, "{name}, {}: {found:?}, where {:?} is right", ["late", "hole"][at], expected[at]);
            }
        }
    }
}

/// Where that is asked for, times count from the first sample, and a hole takes none.
#[tokio::test]
async fn times_may_count_from_the_sound() {
    let (container, sound) = (Server::start(), Server::builder().env("SCONCE_TIMESTAMPS__ORIGIN", "sound").start());
    let (late, film) = ("-itsoffset 1.5", "-filter_complex color=s=16x16:r=5:d=5[v] -map [v] -map 0:a");
    let (twice, hole) = ("-stream_loop 1", r"-af asetpts=PTS+gte(T\,2.7)*5/TB");
    for (name, codec) in [("mp4", "-c:a aac"), ("mkv", "-c:a libopus"), ("ac3.mkv", "-c:a ac3")] {
        for (before, filter, silence) in [(late, film, 1.5), (twice, hole, 5.0)] {
            let Some(bytes) = made_of(before, name, &format!("{filter} {codec}")) else { continue };
            let [longer, shorter] = [seconds(&container, bytes.clone()).await, seconds(&sound, bytes).await];
            assert!(
                (longer - shorter - silence).abs() < 0.15,
                "{name}: {longer} s and {shorter} s, {silence} s are silent"
            );
        }
    }
}

/// How long a recording is.
async fn seconds(server: &Server, bytes: Vec<u8>) -> f64 {
    let fields = [("response_format", "verbose_json")];
    let body: Value = server.transcribe(bytes, MODEL, &fields).await.json().await.unwrap();
    body["duration"].as_f64().unwrap_or_else(|| panic!("{body}"))
}

/// A thousand recordings at once that only another program reads: as many run as there are places, and each is answered.
#[tokio::test]
async fn a_thousand_at_once_start_no_thousand_programs() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let then = format!("echo begins >> {0}; cat > /dev/null; echo ends >> {0}; exit 1", log.display());
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), &then)).start();
    let asked = (0..1000).map(|_| async {
        let answer = server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    });
    for (status, body) in futures::future::join_all(asked).await {
        assert!([400, 429, 503].contains(&status), "{status} {body}");
    }
    let (mut running, mut most) = (0_usize, 0);
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        running = if line == "begins" { running + 1 } else { running - 1 };
        most = most.max(running);
    }
    let places = std::thread::available_parallelism().unwrap().get();
    assert!((1..=places).contains(&most), "{most} ran at once, on {places} cores");
    assert_eq!(running, 0);
    hears(&server, "afterwards", recording(WAV)).await;
}

#[tokio::test]
async fn without_ffmpeg_the_format_and_the_remedy_are_named() {
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start();
    for (name, arguments, format) in [
        ("ts", "-c:a aac -f mpegts", "an MPEG transport stream"),
        ("wma", "-c:a wmav2", "Windows Media"),
        ("g722.wav", "-c:a g722", "G.722"),
        ("mp2", "-c:a mp2", "layer 2"),
    ] {
        let Some(bytes) = made(name, arguments) else { continue };
        let answer = server.transcribe(bytes, MODEL, &[]).await;
        assert_eq!(answer.status(), 400, "{name}");
        let body: Value = answer.json().await.unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(format) && message.contains("audio.ffmpeg"), "{name}: {message}");
    }
}

/// Lists of other files are no recordings: nothing that they name is opened.
#[tokio::test]
async fn a_list_opens_nothing() {
    let server = Server::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = checkout("assets/recordings").join(WAV).display().to_string();
    for list in [
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.7,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"),
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.7,\nfile://{path}\n#EXT-X-ENDLIST\n"),
        format!("ffconcat version 1.0\nfile '{path}'\n"),
        format!("ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.wav'\n"),
    ] {
        assert_eq!(server.transcribe(list.clone().into_bytes(), MODEL, &[]).await.status(), 400, "{list}");
    }
    let knocked = tokio::time::timeout(std::time::Duration::from_millis(100), listener.accept()).await;
    assert!(knocked.is_err(), "somebody called");
}

#[tokio::test]
async fn more_sound_than_is_taken_is_refused_from_ffmpeg_too() {
    let Some(bytes) = made("mp2", "-c:a mp2") else { return };
    let server = Server::builder().env("SCONCE_LIMITS__MAX_AUDIO", "2s").start();
    assert_eq!(server.transcribe(bytes, MODEL, &[]).await.status(), 413);
}

/// A program that says that it is ffmpeg, and then does this; `$sleep` sleeps and can be told from others.
fn pretender(folder: &Path, then: &str) -> String {
    let program = folder.join("ffmpeg");
    std::os::unix::fs::symlink("/bin/sleep", folder.join("sleep")).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -version ]; then echo ffmpeg version 0; exit; fi\nsleep={}\n{then}\n",
        folder.join("sleep").display()
    );
    std::fs::write(&program, script).unwrap();
    // Whatever user it is to be.
    for path in [folder, &program] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    program.display().to_string()
}

/// How many processes there are of the pretender, of its guard, and of all that it began.
fn left(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap().as_bytes();
    let names = |line: &[u8]| line.windows(folder.len()).any(|part| part == folder);
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.filter(|process| std::fs::read(process.path().join("cmdline")).is_ok_and(|line| names(&line))).count()
}

/// Whether nothing of the pretender is left; at the latest after five seconds.
async fn is_gone(folder: &Path) -> bool {
    for _ in 0..50 {
        if left(folder) == 0 {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn a_program_without_an_end_is_ended() {
    // The header of Sun's format, and then silence without an end.
    let endless = r"printf '.snd\0\0\0\030\377\377\377\377\0\0\0\006\0\0\076\200\0\0\0\001'; exec cat /dev/zero";
    for (then, status) in [
        (endless, 413),
        ("exec cat /dev/zero", 400),
        ("$sleep 600 & $sleep 600", 400),
        ("setsid $sleep 600 & exit 1", 400),
        ("setsid sh -c \"trap '' TERM HUP; $sleep 600 & $sleep 600\" & $sleep 600", 400),
        ("exit 1", 400),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::builder()
            .env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), then))
            .env("SCONCE_AUDIO__FFMPEG_TIME_LIMIT", "1s")
            .env("SCONCE_LIMITS__MAX_AUDIO", "10s")
            .start();
        assert_eq!(server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await.status(), status, "{then}");
        assert!(is_gone(folder.path()).await, "{then}");
    }
}

#[tokio::test]
async fn the_program_ends_when_the_client_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let then = "setsid $sleep 600 & $sleep 600";
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), then)).start();
    server.leave(server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[])).await;
    assert!(is_gone(folder.path()).await);
}

/// Whether this system lets a program have a network, and users, of its own.
fn may_be_put_apart(test: &str) -> bool {
    let mut tried = Command::new(env!("CARGO_BIN_EXE_sconce"));
    tried.args(["__guard", "outer", "required", "alone", "any", "true"]);
    let may =
        tried.output().is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("network processes users"));
    if !may {
        eprintln!("NOT RUN {test}: this system lets no program be put apart");
    }
    may
}

/// Its own network has no way to anybody, and without one of its own it would get through.
#[tokio::test]
async fn the_program_has_no_network() {
    if !may_be_put_apart("the_program_has_no_network") {
        return;
    }
    for (isolation, gets_through) in [("auto", false), ("off", true)] {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let then = format!("exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && echo hello >&3'");
        let server = Server::builder()
            .env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), &then))
            .env("SCONCE_WORKERS__ISOLATION", isolation)
            .start();
        assert_eq!(server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await.status(), 400);
        // It is over, so that whoever called has called.
        assert_eq!(listener.accept().is_ok(), gets_through, "{isolation}");
    }
}

/// Where it may have users of its own: elsewhere the system's bound, or that of the container, is the only one.
#[tokio::test]
async fn the_program_begins_only_so_many_others() {
    if !may_be_put_apart("the_program_begins_only_so_many_others") {
        return;
    }
    let (folder, guards) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (begun, guard) = (folder.path().join("begun"), guards.path().join("sconce"));
    std::fs::write(&begun, "").unwrap();
    // No user but the superuser is bounded, and each may run this guard and count here.
    std::fs::hard_link(env!("CARGO_BIN_EXE_sconce"), &guard)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_sconce"), &guard).map(drop))
        .unwrap();
    std::fs::set_permissions(guards.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&begun, Permissions::from_mode(0o666)).unwrap();
    let then = format!(
        "n=0; while [ $n -lt 500 ]; do n=$((n + 1)); setsid $sleep 600 & echo >> {}; done; wait",
        begun.display()
    );
    let mut builder = Server::builder()
        .env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), &then))
        .env("SCONCE_AUDIO__FFMPEG_TIME_LIMIT", "5s")
        .env("SCONCE_WORKERS__GUARD", guard.to_str().unwrap());
    if rustix::process::geteuid().is_root() {
        builder = builder.env("SCONCE_WORKERS__USER", "65534:65534");
    }
    let server = builder.start();
    assert_eq!(server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await.status(), 400);
    assert!(is_gone(folder.path()).await);
    let begun = std::fs::read_to_string(&begun).unwrap().lines().count();
    assert!((1..64).contains(&begun), "{begun} at once");
}

#[tokio::test]
async fn without_a_guard_the_program_ends_with_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::builder()
        .env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), "$sleep 600 & $sleep 600"))
        .env("SCONCE_AUDIO__FFMPEG_TIME_LIMIT", "1s")
        .env("SCONCE_WORKERS__GUARD", "off")
        .start();
    assert_eq!(server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await.status(), 400);
    assert!(is_gone(folder.path()).await);
}

#[tokio::test]
async fn a_guard_that_does_not_run_is_as_no_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::builder()
        .env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), "exit 1"))
        .env("SCONCE_WORKERS__GUARD", "/bin/false")
        .start();
    let answer: Value = server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await.json().await.unwrap();
    assert!(answer["error"]["message"].as_str().unwrap().contains("audio.ffmpeg"), "{answer}");
}

#[tokio::test]
async fn the_program_is_started_once_for_each_recording() {
    let Some(bytes) = made("mp2", "-c:a mp2") else { return };
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("starts");
    let counted = format!("echo >> {}; exec ffmpeg \"$@\"", starts.display());
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), &counted)).start();
    for times in 1..=2 {
        hears(&server, "mp2", bytes.clone()).await;
        assert_eq!(std::fs::read_to_string(&starts).unwrap().lines().count(), times);
    }
    let none = server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[]).await;
    assert_eq!((none.status().as_u16(), std::fs::read_to_string(&starts).unwrap().lines().count()), (400, 3));
}

#[tokio::test]
async fn damage_that_ffmpeg_finds_is_told() {
    let Some(whole) = made("mp2", "-c:a mp2") else { return };
    let server = Server::start();
    let damaged = {
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 300].fill(0x55);
        bytes
    };
    for (bytes, code) in [(whole, None), (damaged, Some("damaged"))] {
        let answer = server.transcribe(bytes, MODEL, &[]).await;
        let told = answer.headers().get("x-sconce-warnings").map(|codes| codes.to_str().unwrap().to_owned());
        assert_eq!((answer.status().as_u16(), told.as_deref()), (200, code));
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["warnings"][0]["code"].as_str(), code, "{body}");
        let message = body["warnings"][0]["message"].as_str().unwrap_or_default();
        assert!(code.is_none() || message.contains("Header missing") && !message.contains("0x"), "{message}");
    }
    assert_eq!(server.metric("sconce_recording_warnings_total", &[("code", "damaged")]).await, 1.0);
}
