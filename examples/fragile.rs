//! A server with a kind of models of its own, which has a bug: it panics when it is given silence.
//!
//! It shows what a family is, and how a program serves one that is not in `sconce::families`. And it is for a drill: that
//! a panic harms one request and no other, and that somebody hears of it.
//!
//! ```sh
//! mkdir -p /tmp/fragile && echo '{"model_type":"fragile"}' > /tmp/fragile/config.json
//! MODEL_ID=fragile SCONCE_MODELS__FRAGILE__SOURCE=file:/tmp/fragile cargo run --release --example fragile
//! ```

use std::process::ExitCode;

use sconce::{
    audio::Pcm,
    families::whisper::Whisper,
    model::{Batch, Broken, Family, LoadError, Model, ModelFiles, Placement, Preset},
    speech::{Part, Segment, Summary, TaskKind, Transcribe, TranscriptEvent},
};

const FAMILIES: &[&dyn Family] = &[&Whisper, &Fragile];

/// A model that says how loud a recording is. Its `config.json` is all there is of it.
struct Fragile;

struct Loaded;

impl Family for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn presets(&self) -> &'static [Preset] {
        &[]
    }

    fn recognises(&self, config: &serde_json::Value) -> bool {
        config["model_type"] == "fragile"
    }

    fn files(&self, _part: &str, _listing: &[String]) -> Result<Vec<String>, LoadError> {
        Ok(vec!["config.json".to_owned()])
    }

    fn footprint(&self, _files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        Ok(0)
    }

    fn load(&self, _files: &ModelFiles, _place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        Ok(Box::new(Loaded))
    }
}

impl Model for Loaded {
    fn transcribe(&mut self, requests: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        while let Some(mut request) = requests.admit(1).pop() {
            let audio = &request.ask().audio;
            let (text, duration) = (format!(" {} decibels", loudness(audio)), audio.seconds());
            request.emit(TranscriptEvent::Segment(segment(text, duration)));
            request.finish(TranscriptEvent::Done(Summary { language: "en".to_owned(), duration, tokens: 0 }));
        }
        Ok(())
    }
}

/// The peak in decibels of full scale: 0 or less.
fn loudness(audio: &Pcm) -> i32 {
    let peak = audio.samples().iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    assert!(peak > 0.0, "nobody thought of silence");
    (20.0 * peak.min(1.0).log10()).round() as i32
}

fn segment(text: String, end: f64) -> Segment {
    Segment {
        id: 0,
        seek: 0,
        start: 0.0,
        end,
        text,
        tokens: Vec::new(),
        temperature: 0.0,
        avg_logprob: 0.0,
        compression_ratio: 1.0,
        no_speech_prob: 0.0,
        part: Part::WHOLE,
        speaker: None,
        words: Vec::new(),
        logprobs: Vec::new(),
        alternatives: Vec::new(),
    }
}

fn main() -> ExitCode {
    sconce::cli::serving(FAMILIES)
}
