//! Films that were cut by their edit list: what is heard is what a player plays, and when it plays it.

use std::process::{Command, Stdio};

use sconce::audio::{Pcm, decode, encode_wav};
use serde_json::Value;

use crate::{
    recordings::words,
    support::{
        Server,
        film::{Edit, Film},
        recording,
    },
};

const MODEL: &str = "whisper-nano.en";
const WORDS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];
const RATE: u32 = 16_000;

/// Samples of a recording as a WAV file has them.
fn said(file: &str) -> Vec<i16> {
    let decoded = decode(&recording(file), None, RATE, std::time::Duration::from_secs(60)).unwrap();
    decoded.pcm.samples().iter().map(|sample| (sample * 32_767.0) as i16).collect()
}

/// The sentence, three seconds of something else, and the sentence.
fn track() -> (Vec<i16>, u32) {
    let (lights, other) = (said("turn-on-the-kitchen-lights.wav"), said("what-is-the-weather.mp3"));
    ([&lights[..], &other[..48_000], &lights].concat(), lights.len() as u32)
}

/// The samples that a player plays.
fn played(samples: &[i16], edits: &[Edit]) -> Vec<i16> {
    let piece = |(milliseconds, start): &Edit| {
        let length = *milliseconds as usize * 16;
        start.map_or(vec![0; length], |start| samples[start as usize..][..length].to_vec())
    };
    edits.iter().flat_map(piece).collect()
}

async fn answer(server: &Server, file: Vec<u8>) -> (u16, Value) {
    let fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let answer = server.transcribe(file, MODEL, &fields).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What is heard, and when each sentence begins.
fn heard(body: &Value) -> (Vec<String>, Vec<f64>) {
    let text = words(body["text"].as_str().unwrap_or_else(|| panic!("{body}")));
    let begin = body["words"].as_array().unwrap().iter().step_by(5).map(|word| word["start"].as_f64().unwrap());
    (text, begin.collect())
}

#[tokio::test]
async fn the_words_are_those_that_a_player_plays_and_when() {
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start();
    let (samples, lights) = track();
    let second = lights + 48_000;
    for (what, edits) in [
        ("what lies between is dropped", &[(2_700, Some(0)), (4_000, None), (2_700, Some(second))][..]),
        ("the first is repeated", &[(500, None), (2_700, Some(0)), (5_000, None), (2_700, Some(0))]),
        ("the second comes first", &[(2_700, Some(second)), (4_500, None), (2_700, Some(0))]),
        ("only the second is left", &[(1_500, None), (2_700, Some(second))]),
    ] {
        let film = Film { rate: RATE, samples: &samples, edits };
        let right: Vec<f32> = played(&samples, edits).iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let (_, right) = answer(&server, encode_wav(&Pcm::new(right, RATE))).await;
        let (right, times) = heard(&right);
        assert_eq!(right, WORDS.repeat(edits.iter().filter(|(_, start)| start.is_some()).count()), "{what}");
        for file in [film.bytes(), film.bytes_with_index_last()] {
            let (status, body) = answer(&server, file).await;
            let (text, found) = heard(&body);
            assert_eq!((status, text, body.get("warnings")), (200, right.clone(), None), "{what}");
            let near = found.iter().zip(&times).all(|(one, other)| (one - other).abs() < 0.1);
            assert!(near && found.len() == times.len(), "{what}: {found:?}, where {times:?} is right");
        }
    }
}

/// ffmpeg reads such lists, too, to whole packets, and without silence between two parts: where it is installed, the same words
/// are heard at the same times.
#[tokio::test]
async fn ffmpeg_plays_the_same() {
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start();
    let (samples, lights) = track();
    let second = lights + 48_000;
    for edits in [&[(2_700, Some(0)), (2_700, Some(second))][..], &[(2_700, Some(second)), (2_700, Some(0))]] {
        let folder = tempfile::tempdir().unwrap();
        let (file, wav) = (folder.path().join("x.mov"), folder.path().join("x.wav"));
        let film = Film { rate: RATE, samples: &samples, edits }.bytes();
        std::fs::write(&file, &film).unwrap();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(&file).args(["-af", "aresample=async=1:first_pts=0"]).arg(&wav);
        let Ok(output) = ffmpeg.stdin(Stdio::null()).output() else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = heard(&answer(&server, std::fs::read(wav).unwrap()).await.1);
        let ours = heard(&answer(&server, film).await.1);
        let near = ours.1.iter().zip(&theirs.1).all(|(one, other)| (one - other).abs() < 0.15);
        assert!(ours.0 == theirs.0 && near, "{edits:?}: {ours:?} and by ffmpeg {theirs:?}");
    }
}

/// A list may ask for more than anybody hears.
#[tokio::test]
async fn lists_that_blow_up_are_refused_by_name() {
    let server = Server::builder().env("SCONCE_LIMITS__MAX_AUDIO", "60s").start();
    let (samples, _) = track();
    let many = [(1, Some(0)), (1, Some(8_000))].repeat(50_000);
    let again = [(2_000, Some(0)), (2_000, Some(1))].repeat(100);
    for (edits, status, told) in [
        (&many[..], 400, "an edit list of 100000 edits; 4096 at most"),
        (&again, 413, "longer than 60 s"),
        (&[(u32::MAX, None), (1_000, Some(0))], 413, "longer than 60 s"),
        (&[(u32::MAX, Some(0)), (1_000, Some(0))], 413, "longer than 60 s"),
    ] {
        let (found, body) = answer(&server, Film { rate: RATE, samples: &samples, edits }.bytes()).await;
        let message = body["error"]["message"].as_str().unwrap_or_else(|| panic!("{body}"));
        assert!(found == status && message.contains(told), "{found} {message}");
    }
}
