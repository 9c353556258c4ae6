//! Recordings as phones, telephones, old recorders and films have them: each is heard, with ffmpeg installed or without
//! where nothing needs it, and otherwise refused by name.

use std::process::{Command, Stdio};

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

/// Our recording in another form, if ffmpeg is installed and can make it.
fn made(name: &str, arguments: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("x.{name}"));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(checkout("assets/recordings").join(WAV))
        .args(arguments.split(' '))
        .arg(&file)
        .stdin(Stdio::null())
        .status();
    match made {
        Ok(status) if status.success() => Some(std::fs::read(file).unwrap()),
        _ => {
            eprintln!("not made: {name}");
            None
        }
    }
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
    for (name, arguments) in OWN {
        if let Some(bytes) = made(name, arguments) {
            hears(&server, name, bytes).await;
        }
    }
    // A header that was never patched.
    let wav = recording(WAV);
    hears(&server, "data 0", [&wav[..4], &[36, 0, 0, 0], &wav[8..40], &[0; 4], &wav[44..]].concat()).await;
}

#[tokio::test]
async fn what_is_not_is_heard_by_ffmpeg() {
    let server = Server::start();
    for (name, arguments) in FOREIGN {
        if let Some(bytes) = made(name, arguments) {
            hears(&server, name, bytes).await;
        }
    }
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

/// A program that says that it is ffmpeg, writes down its number, and then does this.
fn pretender(folder: &std::path::Path, then: &str) -> String {
    use std::os::unix::fs::PermissionsExt;

    let (program, number) = (folder.join("ffmpeg"), folder.join("number"));
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -version ]; then echo ffmpeg version 0; exit; fi\necho $$ > {}\n{then}\n",
        number.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

/// Whether the pretender, and who it started, are gone; at the latest after five seconds.
async fn is_gone(folder: &std::path::Path) -> bool {
    let number = std::fs::read_to_string(folder.join("number")).unwrap();
    for _ in 0..50 {
        let alive = Command::new("/bin/sh").args(["-c", &format!("kill -0 -{}", number.trim())]).output().unwrap();
        if !alive.status.success() {
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
    for (then, status) in [(endless, 413), ("exec cat /dev/zero", 400), ("sleep 600 & sleep 600", 400), ("exit 1", 400)]
    {
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
    let server =
        Server::builder().env("SCONCE_AUDIO__FFMPEG", &pretender(folder.path(), "sleep 600 & sleep 600")).start();
    server.leave(server.transcribe(b"#!AMR\n".to_vec(), MODEL, &[])).await;
    assert!(is_gone(folder.path()).await);
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
