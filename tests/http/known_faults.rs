//! The files on which servers for speech fell short, as `docs/AUDIO.md` lists them: each is heard, with ffmpeg installed or
//! without where nothing needs it, and otherwise refused as that list says.

use serde_json::Value;

use crate::{
    recordings::words,
    support::{Server, checkout, fixture, recording},
};

const MODEL: &str = "whisper-nano.en";
const DOCS: &str = include_str!("../../docs/AUDIO.md");
const WAV: &str = "turn-on-the-kitchen-lights.wav";
const WORDS: [&str; 5] = ["turn", "on", "the", "kitchen", "lights"];
/// The kinds of faults that are made here; the others are files.
const MADE: [&str; 11] = [
    "h_riff36_data0.wav",
    "h_riff_ok_data0.wav",
    "h_riff_ok_dataF.wav",
    "zero_size.wav",
    "h_list_not_in_riff.wav",
    "h_rf64.wav",
    "aiff_long.aiff",
    "aiff_ff.aiff",
    "caf_live.caf",
    "inverted.wav",
    "h_au_live.au",
];

/// A file, and what becomes of it without ffmpeg.
struct Case {
    file: String,
    outcome: String,
}

/// The list of the documentation.
fn cases() -> Vec<Case> {
    let list = DOCS.split_once("| file | what it is | without ffmpeg |").expect("the list is there").1;
    let rows = list.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        Case { file: cells[0].trim_matches('`').to_owned(), outcome: cells[2].to_owned() }
    })
    .collect()
}

/// The sound of our recording, without a header.
fn sound() -> Vec<u8> {
    recording(WAV)[44..].to_vec()
}

fn big_endian(sound: &[u8]) -> Vec<u8> {
    sound.chunks_exact(2).flat_map(|sample| [sample[1], sample[0]]).collect()
}

fn wave(riff: u32, between: &[u8], channels: u16, length: u32, sound: &[u8]) -> Vec<u8> {
    let format = [&1u16.to_le_bytes()[..], &channels.to_le_bytes(), &16_000u32.to_le_bytes()].concat();
    let frame = 2 * channels;
    let rest = [&(16_000 * u32::from(frame)).to_le_bytes()[..], &frame.to_le_bytes(), &16u16.to_le_bytes()].concat();
    let head = [b"RIFF", &riff.to_le_bytes()[..], b"WAVE", between, b"fmt \x10\0\0\0", &format, &rest].concat();
    [&head[..], b"data", &length.to_le_bytes(), sound].concat()
}

/// Of the form RF64, whose length is in a chunk of its own.
fn rf64(length: u64) -> Vec<u8> {
    let sound = sound();
    let sizes = [&(sound.len() as u64 + 72).to_le_bytes()[..], &length.to_le_bytes(), &[0; 12]].concat();
    let between = [b"ds64\x1C\0\0\0", &sizes[..]].concat();
    let whole = wave(u32::MAX, &between, 1, u32::MAX, &sound);
    [b"RF64", &whole[4..]].concat()
}

fn aiff(form: u32, length: u32) -> Vec<u8> {
    let sound = big_endian(&sound());
    let common =
        [&b"\0\x01"[..], &(sound.len() as u32 / 2).to_be_bytes(), b"\0\x10\x40\x0C\xFA\0\0\0\0\0\0\0"].concat();
    let head = [b"FORM", &form.to_be_bytes()[..], b"AIFFCOMM\0\0\0\x12", &common, b"SSND"].concat();
    [&head[..], &length.to_be_bytes(), &[0; 8], &sound].concat()
}

fn caf(length: i64) -> Vec<u8> {
    let format = [0x6C70_636D, 2, 2, 1, 1, 16u32].map(u32::to_be_bytes).concat();
    let head = [b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20", &16_000f64.to_be_bytes()[..], &format, b"data"].concat();
    [&head[..], &length.to_be_bytes(), &[0; 4], &sound()].concat()
}

fn au(length: u32) -> Vec<u8> {
    let fields = [24, length, 3, 16_000, 1].map(u32::to_be_bytes).concat();
    [b".snd", &fields[..], &big_endian(&sound())].concat()
}

fn bytes(file: &str) -> Vec<u8> {
    let sound = sound();
    let length = sound.len() as u32;
    match file {
        "h_riff36_data0.wav" => wave(36, b"", 1, 0, &sound),
        "h_riff_ok_data0.wav" => wave(length + 36, b"", 1, 0, &sound),
        "h_riff_ok_dataF.wav" => wave(length + 36, b"", 1, u32::MAX, &sound),
        "zero_size.wav" => wave(0, b"", 1, 0, &sound),
        "h_list_not_in_riff.wav" => wave(length + 36, b"LIST\x10\0\0\0INFOISFT\x04\0\0\0abc\0", 1, length, &sound),
        "h_rf64.wav" => rf64(u64::from(length)),
        "aiff_long.aiff" => aiff(length + 1_046, length + 8),
        "aiff_ff.aiff" => aiff(u32::MAX, length + 8),
        "caf_live.caf" => caf(-1),
        "h_au_live.au" => au(u32::MAX),
        "inverted.wav" => {
            let sample = |sample: &[u8]| i16::from_le_bytes([sample[0], sample[1]]);
            let sides = |sample: i16| [sample.to_le_bytes(), sample.saturating_neg().to_le_bytes()].concat();
            let both: Vec<u8> = sound.chunks_exact(2).map(sample).flat_map(sides).collect();
            wave(2 * length + 36, b"", 2, 2 * length, &both)
        }
        file => std::fs::read(fixture("recordings").join(file)).unwrap_or_else(|error| panic!("{file}: {error}")),
    }
}

/// The answer, and the codes of its warnings.
async fn answer(server: &Server, bytes: Vec<u8>) -> (u16, Value) {
    let fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let answer = server.transcribe(bytes, MODEL, &fields).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// When the first word of each sentence begins, in seconds, if the sentence is all that was heard and nothing was amiss.
fn beginnings(body: &Value, times: usize) -> Option<Vec<f64>> {
    let text = words(body["text"].as_str()?);
    let begin = body["words"].as_array()?.iter().step_by(5).map(|word| word["start"].as_f64().unwrap()).collect();
    (text == WORDS.repeat(times) && body.get("warnings").is_none()).then_some(begin)
}

/// What is not as the list says, of one server. `first`: when the first word of the recording begins.
async fn wrong(server: &Server, has_ffmpeg: bool, case: &Case, first: f64) -> Option<String> {
    let Case { file, outcome } = case;
    let (status, body) = answer(server, bytes(file)).await;
    let begin = |times| beginnings(&body, times).filter(|_| status == 200);
    let near = |found: &[f64], right: &[f64]| found.iter().zip(right).all(|(one, other)| (one - other).abs() < 0.1);
    let is_right = match outcome.as_str() {
        "heard" => begin(1).is_some(),
        "heard, from 1.5 s on" => begin(1).is_some_and(|found| near(&found, &[first + 1.5])),
        "heard, twice" => begin(2).is_some(),
        "heard, twice, 5 s apart" => begin(2).is_some_and(|found| near(&found, &[first, first + 7.72])),
        _ if has_ffmpeg => begin(1).is_some(),
        refused => {
            let why = refused.strip_prefix("refused: ").unwrap_or_else(|| panic!("{file}: {refused}"));
            let told = "the audio is of a kind that is not supported: ";
            let message = format!("{told}{why}; audio.ffmpeg is off, which reads more formats");
            status == 400 && body["error"]["message"] == message.as_str() && body["error"]["param"] == "audio"
        }
    };
    (!is_right).then(|| format!("{file}, ffmpeg: {has_ffmpeg}: {outcome:?} is said, and it is {status} {body}"))
}

#[tokio::test]
async fn every_file_of_the_list_is_heard_or_refused_as_it_says() {
    let cases = cases();
    let listed: Vec<_> = cases.iter().map(|case| case.file.as_str()).collect();
    for file in std::fs::read_dir(checkout("tests/fixtures/recordings")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(listed.contains(&name.as_str()), "{name} is not in docs/AUDIO.md");
    }
    assert!(MADE.iter().all(|name| listed.contains(name)), "{listed:?}");
    let (with, without) = (Server::start(), Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start());
    let has_ffmpeg = std::process::Command::new("ffmpeg").arg("-version").output().is_ok();
    let first = beginnings(&answer(&without, recording(WAV)).await.1, 1).unwrap()[0];
    let mut faults = Vec::new();
    for case in &cases {
        faults.extend(wrong(&without, false, case, first).await);
        if has_ffmpeg {
            faults.extend(wrong(&with, true, case, first).await);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Lengths that are wrong by some bytes, as of a recorder that counts its header, or that were never written.
#[tokio::test]
async fn headers_that_lie_are_heard_without_a_word() {
    let server = Server::builder().env("SCONCE_AUDIO__FFMPEG", "off").start();
    let length = sound().len() as u32;
    for lie in [length - 36, length + 1, length + 8, length + 44, 0, u32::MAX] {
        let unknown = matches!(lie, 0 | u32::MAX);
        for (kind, file) in [
            ("WAV", wave(lie.wrapping_add(36), b"", 1, lie, &sound())),
            ("RF64", rf64(if lie == u32::MAX { u64::MAX } else { lie.into() })),
            ("AIFF", aiff(lie.wrapping_add(46), lie.saturating_add(if unknown { 0 } else { 8 }))),
            ("CAF", caf(if unknown { -1 } else { i64::from(lie) + 4 })),
            ("AU", au(lie)),
        ] {
            let (status, body) = answer(&server, file).await;
            assert!(status == 200 && beginnings(&body, 1).is_some(), "{kind}, {lie}: {body}");
        }
    }
}
