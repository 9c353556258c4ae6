//! An answer: as it stands in an envelope, and by itself.

use bytes::Bytes;
use serde_json::{Value, json};

use super::format::Format;
use crate::speech::{Segment, Timestamps, Transcript};

/// A whole answer.
pub(in crate::http) enum Prediction {
    Json(Value),
    Text(Format, String),
}

// === impl Prediction ===

impl Prediction {
    pub fn of_transcript(transcript: &Transcript, timestamps: Timestamps, format: Format) -> Self {
        match format {
            Format::Json => Self::Json(object(transcript, timestamps)),
            Format::Text => Self::Text(format, transcript.text()),
            Format::Srt => Self::Text(format, transcript.srt()),
            Format::Vtt => Self::Text(format, transcript.vtt()),
        }
    }

    /// As it stands in the envelope.
    pub fn into_json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Text(_, text) => Value::String(text),
        }
    }

    /// As it stands by itself: its media type, and its bytes.
    pub fn into_file(self) -> (&'static str, Bytes) {
        match self {
            Self::Json(value) => (Format::Json.media_type(), value.to_string().into()),
            Self::Text(format, text) => (format.media_type(), text.into()),
        }
    }
}

/// `{"text", "language", "duration", "model", "segments"?}`.
fn object(transcript: &Transcript, timestamps: Timestamps) -> Value {
    let mut prediction = json!({
        "text": transcript.text(),
        "language": transcript.summary.language,
        "duration": transcript.summary.duration,
        "model": transcript.model,
    });
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
    if timestamps == Timestamps::Word {
        value["words"] = json!(segment.words);
    }
    value
}
