//! An answer: as it stands in an envelope, and by itself.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::format::TextFormat;
use crate::{
    audio::AudioFormat,
    service::{MemoryShare, OutOfMemory},
    speech::{ModelName, Segment, SpeechSummary, Timestamps, Transcript},
};

/// A whole answer.
pub(in crate::http) enum Prediction {
    Json(Value),
    Text(TextFormat, String),
    Sound(Box<Sound>),
}

/// Sound that was made.
pub(in crate::http) struct Sound {
    /// `None`: they were sent while they were made.
    pub file: Option<SoundFile>,
    pub format: AudioFormat,
    /// Whether a file was asked for, and not an object that holds it.
    pub as_file: bool,
    /// Of the file, in hertz.
    pub sample_rate: Option<u32>,
    pub model: ModelName,
    /// What marks it, where something does.
    pub watermark: Option<&'static str>,
    pub summary: SpeechSummary,
    /// Fields that the model does not follow.
    pub ignored: Vec<&'static str>,
}

/// A file in memory that is counted.
pub(in crate::http) struct SoundFile {
    pub bytes: Vec<u8>,
    share: MemoryShare,
}

/// What a byte of sound takes until it is sent: itself, its base64, and the text that holds that.
const COPIES: usize = 4;

// === impl SoundFile ===

impl SoundFile {
    pub fn new(share: MemoryShare) -> Self {
        Self { bytes: Vec::new(), share }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        self.share.resize((self.bytes.len() + bytes.len()).saturating_mul(COPIES))?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

// === impl Prediction ===

impl Prediction {
    pub fn of_transcript(transcript: &Transcript, timestamps: Timestamps, format: TextFormat) -> Self {
        match format {
            TextFormat::Json => Self::Json(object(transcript, timestamps)),
            TextFormat::Text => Self::Text(format, transcript.text()),
            TextFormat::Srt => Self::Text(format, transcript.srt()),
            TextFormat::Vtt => Self::Text(format, transcript.vtt()),
        }
    }

    /// As it stands in the envelope.
    pub fn into_json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Text(_, text) => Value::String(text),
            Self::Sound(sound) => sound.object(),
        }
    }

    /// As it stands by itself: its media type, and its bytes.
    pub fn into_body(self) -> (&'static str, Bytes) {
        match self {
            Self::Sound(sound) if !sound.as_file => (TextFormat::Json.media_type(), sound.object().to_string().into()),
            whole => whole.into_file(),
        }
    }

    /// As it is written elsewhere: its media type, and its bytes.
    pub fn into_file(self) -> (&'static str, Bytes) {
        match self {
            Self::Json(value) => (TextFormat::Json.media_type(), value.to_string().into()),
            Self::Text(format, text) => (format.media_type(), text.into()),
            Self::Sound(sound) => {
                let hold = |SoundFile { bytes, share }: SoundFile| share.hold(bytes);
                (sound.format.media_type(), sound.file.map(hold).unwrap_or_default())
            }
        }
    }
}

// === impl Sound ===

impl Sound {
    /// `{"audio": {"content"?, "mime_type", "sample_rate", "duration"}, "model", "watermark"?, "seed"?, "marks"?,
    /// "ignored"?}`.
    fn object(&self) -> Value {
        let SpeechSummary { seconds, seed, marks, .. } = &self.summary;
        let (mime_type, rate) = (self.format.media_type(), self.sample_rate);
        let mut audio = json!({"mime_type": mime_type, "sample_rate": rate, "duration": seconds});
        if let Some(file) = &self.file {
            audio["content"] = BASE64_STANDARD.encode(&file.bytes).into();
        }
        let mut prediction = json!({"audio": audio, "model": self.model});
        if let Some(watermark) = self.watermark {
            prediction["watermark"] = watermark.into();
        }
        if let Some(seed) = seed {
            prediction["seed"] = json!(seed);
        }
        if !marks.is_empty() {
            prediction["marks"] = json!(marks);
        }
        if !self.ignored.is_empty() {
            prediction["ignored"] = json!(self.ignored);
        }
        prediction
    }
}

/// `{"text", "language", "duration", "model", "channels"?, "warnings"?, "segments"?}`.
fn object(transcript: &Transcript, timestamps: Timestamps) -> Value {
    let mut prediction = json!({
        "text": transcript.text(),
        "language": transcript.summary.language,
        "duration": transcript.summary.duration,
        "model": transcript.model,
    });
    if let Some(channels) = transcript.channels {
        prediction["channels"] = channels.into();
    }
    if !transcript.warnings.is_empty() {
        prediction["warnings"] = json!(transcript.warnings);
    }
    if timestamps != Timestamps::None {
        prediction["segments"] = segments(transcript, timestamps);
    }
    prediction
}

/// `[{"start", "end", "text", …}]`, as finely as was asked for.
pub(in crate::http) fn segments(transcript: &Transcript, timestamps: Timestamps) -> Value {
    match timestamps {
        Timestamps::None => json!([]),
        _ => transcript.segments.iter().map(|one| segment(one, timestamps)).collect(),
    }
}

/// One of them; with its words if they were asked for.
pub(super) fn segment(segment: &Segment, timestamps: Timestamps) -> Value {
    let mut value = json!({
        "start": segment.start,
        "end": segment.end,
        "text": segment.text.trim(),
        "avg_logprob": segment.avg_logprob,
        "no_speech_prob": segment.no_speech_prob,
    });
    if let Some(channel) = segment.channel {
        value["channel"] = channel.into();
    }
    if let Some(speaker) = &segment.speaker {
        value["speaker"] = speaker.as_str().into();
    }
    if timestamps == Timestamps::Word {
        value["words"] = json!(segment.words);
    }
    if !segment.alternatives.is_empty() {
        value["alternatives"] = json!(segment.alternatives);
    }
    value
}
