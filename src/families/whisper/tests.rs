//! The shipped model hears the shipped recordings.

mod candle;
mod reference;

use std::{fs, path::PathBuf, time::Duration};

use candle_core::Device;
use serde::Deserialize;

use super::{Whisper, transcription_options::SAMPLE_RATE};
use crate::{
    audio::{Pcm, decode},
    model::{Admission, Backing, Batch, Family, Location, Model, ModelFiles, Placement, Precision, Request, request},
    speech::{Segment, Timestamps, Transcribe, TranscribeOptions, TranscriptEvent},
};

const PART: &str = "model";

/// A line of `recordings.json`.
#[derive(Deserialize)]
struct Recording {
    file: String,
    text: String,
    segments: Vec<Spoken>,
}

#[derive(Deserialize)]
struct Spoken {
    start: f64,
    end: f64,
}

struct NobodyElse;

impl Admission<Transcribe> for NobodyElse {
    fn next(&mut self) -> Option<Request<Transcribe>> {
        None
    }

    fn step(&mut self) {}
}

fn assets(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

fn recordings() -> Vec<Recording> {
    serde_json::from_slice(&fs::read(assets("recordings/recordings.json")).unwrap()).unwrap()
}

fn sound(recording: &Recording) -> Pcm {
    let bytes = fs::read(assets("recordings").join(&recording.file)).unwrap();
    decode(&bytes, Some(&recording.file), SAMPLE_RATE, Duration::from_secs(60)).unwrap().pcm
}

fn nano_files() -> ModelFiles {
    let names =
        ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"];
    let mut files = ModelFiles::default();
    for name in names {
        files.insert(PART, name, Location::Disk(assets("models/whisper-nano.en").join(name)));
    }
    files
}

fn place() -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads: 2,
        max_batch: 8,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    }
}

fn nano() -> Box<dyn Model> {
    Whisper.load(&nano_files(), &place()).unwrap()
}

fn ask(audio: Pcm, timestamps: Timestamps) -> Transcribe {
    Transcribe { audio, options: TranscribeOptions { timestamps, ..TranscribeOptions::default() } }
}

/// All at once.
fn heard(model: &mut dyn Model, asks: Vec<Transcribe>) -> Vec<Vec<Segment>> {
    let (jobs, answers): (Vec<_>, Vec<_>) = asks.into_iter().map(|ask| request("test".to_owned(), ask, None)).unzip();
    model.transcribe(&mut Batch::new(jobs, &mut NobodyElse)).unwrap();
    let segments = |mut answers: crate::model::Responses<Transcribe>| {
        let mut segments = Vec::new();
        while let Some(piece) = answers.blocking_next() {
            if let TranscriptEvent::Segment(segment) = piece.unwrap() {
                segments.push(segment);
            }
        }
        segments
    };
    answers.into_iter().map(segments).collect()
}

fn text(segments: &[Segment]) -> String {
    segments.iter().map(|segment| segment.text.as_str()).collect::<String>().trim().to_owned()
}

/// Words to insert, delete or replace, over the words there should be.
fn word_error_rate(pairs: &[(String, String)]) -> f64 {
    let errors: usize = pairs.iter().map(|(heard, said)| distance(heard, said)).sum();
    errors as f64 / pairs.iter().map(|(_, said)| said.split(' ').count()).sum::<usize>() as f64
}

fn distance(heard: &str, said: &str) -> usize {
    let said: Vec<&str> = said.split_whitespace().collect();
    let mut row: Vec<usize> = (0..=said.len()).collect();
    for (index, word) in heard.split_whitespace().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..said.len() {
            let replaced = diagonal + usize::from(said[column] != word);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[said.len()]
}

#[test]
fn the_shipped_recordings_are_understood() {
    let (mut model, recordings) = (nano(), recordings());
    for timestamps in [Timestamps::None, Timestamps::Segment, Timestamps::Word] {
        let asks = recordings.iter().map(|recording| ask(sound(recording), timestamps)).collect();
        let texts = heard(&mut *model, asks).iter().map(|segments| text(segments)).collect::<Vec<_>>();
        let pairs: Vec<_> = texts.into_iter().zip(recordings.iter().map(|recording| recording.text.clone())).collect();
        let rate = word_error_rate(&pairs);
        assert!(rate < 0.05, "{rate} {pairs:#?}");
    }
}

#[test]
fn weights_of_eight_bits_hear_the_same_words() {
    let texts = |dtype| {
        let mut model = Whisper.load(&nano_files(), &Placement { dtype, ..place() }).unwrap();
        let asks = recordings().iter().map(|recording| ask(sound(recording), Timestamps::Segment)).collect();
        heard(&mut *model, asks).iter().map(|segments| text(segments)).collect::<Vec<_>>()
    };
    let exact = texts(Precision::F32);
    assert!(exact.iter().all(|text| !text.is_empty()));
    assert_eq!(texts(Precision::Q8), exact);
}

#[test]
fn words_lie_where_they_were_said() {
    let (mut model, recordings) = (nano(), recordings());
    let asks = recordings.iter().map(|recording| ask(sound(recording), Timestamps::Word)).collect();
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for (recording, segments) in recordings.iter().zip(heard(&mut *model, asks)) {
        let words: Vec<_> = segments.iter().flat_map(|segment| &segment.words).collect();
        assert!(words.is_sorted_by(|a, b| a.end <= b.start + 1e-9), "{words:?}");
        let (first, last) = (words.first().unwrap(), words.last().unwrap());
        starts.push((first.start - recording.segments[0].start, &recording.file));
        ends.push((last.end - recording.segments.last().unwrap().end, &recording.file));
    }
    // Seconds. The first word is taken to begin with the window, as far as a typical word reaches: openai-whisper's way.
    assert!(starts.iter().all(|(seconds, _)| seconds.abs() < 1.0), "{starts:#?}");
    assert!(ends.iter().all(|(seconds, _)| seconds.abs() < 1.0), "{ends:#?}");
}

#[test]
fn a_long_recording_is_heard_window_after_window() {
    let (mut model, recordings) = (nano(), recordings());
    let all: Vec<f32> = recordings.iter().flat_map(|recording| sound(recording).samples().to_vec()).collect();
    let seconds = all.len() as f64 / f64::from(SAMPLE_RATE);
    let said = recordings.iter().map(|recording| recording.text.as_str()).collect::<Vec<_>>().join(" ");
    for timestamps in [Timestamps::None, Timestamps::Segment, Timestamps::Word] {
        let segments = heard(&mut *model, vec![ask(Pcm::new(all.clone(), SAMPLE_RATE), timestamps)]).remove(0);
        let rate = word_error_rate(&[(text(&segments), said.clone())]);
        assert!(rate < 0.1, "{rate} {segments:#?}");
        assert!(segments.is_sorted_by(|a, b| a.end <= b.start + 1e-9) && segments.last().unwrap().end <= seconds);
        assert!(segments.iter().map(|segment| segment.seek).collect::<std::collections::BTreeSet<_>>().len() > 2);
    }
}
