//! An answer: as it stands in an envelope, and by itself.

use std::borrow::Cow;

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
    /// What it is called, where it was asked for by its name.
    pub stem: Option<String>,
    /// The other sounds that were asked for, by name.
    pub stems: Vec<(&'static str, SoundFile)>,
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
    /// As they came, so that who listens meanwhile shares them.
    blocks: Vec<Bytes>,
    length: usize,
    share: MemoryShare,
}

/// What a byte of sound takes until it is sent: itself, its base64, and the text that holds that.
const COPIES: usize = 4;

// === impl SoundFile ===

impl SoundFile {
    pub fn new(share: MemoryShare) -> Self {
        Self { blocks: Vec::new(), length: 0, share }
    }

    pub fn push(&mut self, bytes: Bytes) -> Result<(), OutOfMemory> {
        self.share.resize((self.length + bytes.len()).saturating_mul(COPIES))?;
        self.length += bytes.len();
        self.blocks.push(bytes);
        Ok(())
    }

    /// All of it is there, and `complete` makes a file of it.
    pub fn complete(&mut self, complete: impl FnOnce(&mut Vec<u8>)) {
        let mut file = Vec::with_capacity(self.length);
        self.blocks.drain(..).for_each(|block| file.extend_from_slice(&block));
        complete(&mut file);
        self.length = file.len();
        self.blocks.push(file.into());
    }

    /// What is there, in one piece.
    fn bytes(&self) -> Cow<'_, [u8]> {
        match &*self.blocks {
            [] => Cow::Borrowed(&[]),
            [whole] => Cow::Borrowed(whole),
            blocks => blocks.concat().into(),
        }
    }

    fn into_bytes(self) -> Bytes {
        let bytes = self.bytes().into_owned();
        self.share.hold(bytes)
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
            // Several files are no body.
            Self::Sound(sound) if !sound.as_file || !sound.stems.is_empty() => {
                (TextFormat::Json.media_type(), sound.object().to_string().into())
            }
            whole => whole.into_file(),
        }
    }

    /// The files of the other sounds that were asked for, by name, which are then no part of it any more.
    pub fn take_stems(&mut self) -> Vec<(&'static str, &'static str, Bytes)> {
        let Self::Sound(sound) = self else { return Vec::new() };
        let media_type = sound.format.media_type();
        std::mem::take(&mut sound.stems).into_iter().map(|(name, file)| (name, media_type, file.into_bytes())).collect()
    }

    /// As it is written elsewhere: its media type, and its bytes.
    pub fn into_file(self) -> (&'static str, Bytes) {
        match self {
            Self::Json(value) => (TextFormat::Json.media_type(), value.to_string().into()),
            Self::Text(format, text) => (format.media_type(), text.into()),
            Self::Sound(sound) => {
                (sound.format.media_type(), sound.file.map(SoundFile::into_bytes).unwrap_or_default())
            }
        }
    }
}

// === impl Sound ===

impl Sound {
    /// `{"audio": {"content"?, "mime_type", "sample_rate", "duration"}, "model", "watermark"?, "seed"?, "marks"?,
    /// "ignored"?, "stems"?}`, where `stems` has an object like `audio` for each name.
    fn object(&self) -> Value {
        let SpeechSummary { seed, marks, .. } = &self.summary;
        let mut prediction = json!({"audio": self.audio(self.file.as_ref()), "model": self.model});
        if let Some(stem) = &self.stem {
            prediction["audio"]["stem"] = stem.as_str().into();
        }
        if !self.stems.is_empty() {
            let stem = |(name, file): &(&'static str, SoundFile)| ((*name).to_owned(), self.audio(Some(file)));
            prediction["stems"] = Value::Object(self.stems.iter().map(stem).collect());
        }
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

    fn audio(&self, file: Option<&SoundFile>) -> Value {
        let (mime_type, rate) = (self.format.media_type(), self.sample_rate);
        let mut audio = json!({"mime_type": mime_type, "sample_rate": rate, "duration": self.summary.seconds});
        if let Some(file) = file {
            audio["content"] = BASE64_STANDARD.encode(&*file.bytes()).into();
        }
        audio
    }
}

/// `{"text", "language", "duration", "model", "channels"?, "tracks"?, "warnings"?, "segments"?}`.
fn object(transcript: &Transcript, timestamps: Timestamps) -> Value {
    let mut prediction = json!({
        "text": transcript.text(),
        "language": transcript.summary.language,
        "duration": transcript.summary.duration,
        "model": transcript.model,
    });
    for (name, number) in transcript.parts.fields() {
        prediction[name] = number.into();
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
    for (name, number) in segment.part.fields() {
        value[name] = number.into();
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
