//! A transcript as a prediction, or as text.

use serde_json::{Value, json};

use super::request::Format;
use crate::speech::{Segment, Timestamps, Transcript};

/// `{"text", "language", "duration", "model", "segments"?}`.
pub(in crate::http) fn prediction(heard: &Transcript, timestamps: Timestamps) -> Value {
    let mut prediction = json!({
        "text": heard.text(),
        "language": heard.summary.language,
        "duration": heard.summary.duration,
        "model": heard.model,
    });
    if timestamps != Timestamps::None {
        prediction["segments"] = segments(heard, timestamps);
    }
    prediction
}

/// `[{"start", "end", "text", …}]`, as finely as was asked for.
pub(in crate::http) fn segments(heard: &Transcript, timestamps: Timestamps) -> Value {
    match timestamps {
        Timestamps::None => json!([]),
        _ => heard.segments.iter().map(|one| segment(one, timestamps)).collect(),
    }
}

/// One of them; with its words if they were asked for.
pub(in crate::http) fn segment(segment: &Segment, timestamps: Timestamps) -> Value {
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

pub(in crate::http) fn text(heard: &Transcript, format: Format) -> String {
    match format {
        Format::Json | Format::Text => heard.text(),
        Format::Srt => heard.srt(),
        Format::Vtt => heard.vtt(),
    }
}

pub(super) fn extension(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Text => "txt",
        Format::Srt => "srt",
        Format::Vtt => "vtt",
    }
}

pub(super) fn media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Text => "text/plain; charset=utf-8",
        Format::Srt => "application/x-subrip; charset=utf-8",
        Format::Vtt => "text/vtt; charset=utf-8",
    }
}
