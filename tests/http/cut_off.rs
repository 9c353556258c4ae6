//! Recordings that break off, in every format: heard as far as they go, and the answer says so.

use std::process::{Command, Stdio};

use sconce::audio::{AudioFormat, decode, encode};
use serde_json::Value;

use crate::{
    recordings::words,
    support::{Server, checkout, film::Film, recording},
};

const MODEL: &str = "whisper-nano.en";
const WAV: &str = "turn-on-the-kitchen-lights.wav";
/// What is said in the first 60 % of it, at least.
const BEGIN: [&str; 3] = ["turn", "on", "the"];

/// Of the name, and what makes such a file, where ffmpeg is installed.
#[rustfmt::skip]
const MADE: &[(&str, &str)] = &[
    ("vorbis.ogg", "-c:a libvorbis -page_duration 200000"),
    ("opus.webm", "-c:a libopus"),
    ("vorbis.webm", "-c:a libvorbis"),
    ("live.webm", "-c:a libopus -f webm -live 1"),
    ("aac.mkv", "-c:a aac"),
    ("faststart.m4a", "-c:a aac -movflags +faststart"),
    ("fragmented.mp4", "-c:a aac -movflags empty_moov+default_base_moof -frag_duration 200000"),
    ("alac.m4a", "-c:a alac -movflags +faststart"),
    ("film.mp4", "-filter_complex color=s=16x16:r=25:d=3[v] -map [v] -map 0:a -c:v mpeg4 -c:a aac -movflags +faststart"),
];

fn made(name: &str, arguments: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "fatal", "-i"]).arg(checkout("assets/recordings").join(WAV));
    let made = ffmpeg.args(arguments.split(' ')).arg(&file).stdin(Stdio::null()).status();
    made.is_ok_and(|status| status.success()).then(|| std::fs::read(file).unwrap())
}

fn samples() -> Vec<i16> {
    recording(WAV)[44..].chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect()
}

/// The recording in every format that needs no other program to be made, and in those of ffmpeg.
fn files() -> Vec<(String, Vec<u8>)> {
    let pcm = decode(&recording(WAV), None, 16_000, std::time::Duration::from_secs(60)).unwrap().pcm;
    let own = [AudioFormat::Flac, AudioFormat::Mp3, AudioFormat::Opus, AudioFormat::Aac, AudioFormat::Wav];
    let own = own.map(|format| (format!("{format:?}"), encode(&pcm, format).unwrap()));
    let film = Film { rate: 16_000, samples: &samples(), edits: &[] }.bytes();
    let made = MADE.iter().filter_map(|(name, arguments)| Some((name.to_string(), made(name, arguments)?)));
    let files: Vec<_> = own.into_iter().chain([("pcm.mov".to_owned(), film)]).chain(made).collect();
    let has_ffmpeg = Command::new("ffmpeg").arg("-version").output().is_ok();
    assert_eq!(files.len(), if has_ffmpeg { 6 + MADE.len() } else { 6 });
    files
}

fn warned(answer: &reqwest::Response) -> Option<String> {
    answer.headers().get("x-sconce-warnings").map(|codes| codes.to_str().unwrap().to_owned())
}

/// With ffmpeg and without it the same: what our decoders hear is not given to it.
#[tokio::test]
async fn every_format_is_heard_as_far_as_it_goes() {
    let (with, without) = (Server::start(), Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start());
    let mut told = 0.0;
    for (name, whole) in files() {
        let cut = whole[..whole.len() * 6 / 10].to_vec();
        for server in [&with, &without] {
            let fields = [("response_format", "verbose_json")];
            let answer = server.transcribe(whole.clone(), MODEL, &fields).await;
            assert_eq!((answer.status().as_u16(), warned(&answer)), (200, None), "{name}");
            let body: Value = answer.json().await.unwrap();
            let most = body["duration"].as_f64().unwrap();
            let answer = server.transcribe(cut.clone(), MODEL, &fields).await;
            assert_eq!((answer.status().as_u16(), warned(&answer).as_deref()), (200, Some("truncated")), "{name}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["warnings"][0]["code"], "truncated", "{name}: {body}");
            let (text, seconds) = (words(body["text"].as_str().unwrap()), body["duration"].as_f64().unwrap());
            assert!(text.starts_with(&BEGIN.map(str::to_owned)), "{name}: {body}");
            assert!((1.2..most - 0.3).contains(&seconds), "{name}: {seconds} of {most} s");
        }
        let answer = without.transcribe(cut, MODEL, &[("response_format", "srt")]).await;
        assert_eq!((answer.status().as_u16(), warned(&answer).as_deref()), (200, Some("truncated")), "{name}");
        told += 1.0;
    }
    let counted =
        async |server: &Server| server.metric("sconce_recording_warnings_total", &[("code", "truncated")]).await;
    assert_eq!((counted(&with).await, counted(&without).await), (told, 2.0 * told));
}

/// Without its index nothing of an MP4 can be read, by another program neither: none is named.
#[tokio::test]
async fn a_film_that_breaks_off_before_its_index_is_refused_with_what_would_help() {
    let (with, without) = (Server::start(), Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start());
    let film = Film { rate: 16_000, samples: &samples(), edits: &[] }.bytes_with_index_last();
    let other = made("last.m4a", "-c:a aac");
    for file in [Some(film), other].into_iter().flatten() {
        let mut told = Vec::new();
        for server in [&with, &without] {
            let answer = server.transcribe(file[..file.len() * 6 / 10].to_vec(), MODEL, &[]).await;
            assert_eq!(answer.status(), 400);
            let body: Value = answer.json().await.unwrap();
            let message = body["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("before its index (the moov box of MP4)"), "{message}");
            assert!(message.contains("send all of the file") && !message.contains("ffmpeg"), "{message}");
            told.push(message);
        }
        assert_eq!(told[0], told[1]);
    }
}
