//! A transcript in OpenAI's shapes.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::Format;
use crate::speech::{Goal, Heard, Transcript};

/// The whole answer.
pub(super) fn whole(heard: &Transcript, format: Format, goal: Goal) -> HttpResponse {
    let text = |media_type: &str, text: String| HttpResponse::Ok().content_type(media_type).body(text);
    match format {
        Format::Text => text("text/plain; charset=utf-8", heard.text() + "\n"),
        Format::Srt => text("application/x-subrip; charset=utf-8", heard.srt()),
        Format::Vtt => text("text/vtt; charset=utf-8", heard.vtt()),
        Format::Json | Format::Stream => {
            HttpResponse::Ok().json(json!({"text": heard.text(), "usage": usage(heard.summary.duration)}))
        }
        Format::Verbose { segments, words } => HttpResponse::Ok().json(verbose(heard, goal, segments, words)),
    }
}

fn verbose(heard: &Transcript, goal: Goal, segments: bool, words: bool) -> Value {
    let mut value = json!({
        "task": goal,
        "language": heard.summary.language,
        "duration": heard.summary.duration,
        "text": heard.text(),
    });
    if segments {
        value["segments"] = json!(heard.segments);
    }
    if words {
        value["words"] =
            heard.words().map(|word| json!({"word": word.word.trim(), "start": word.start, "end": word.end})).collect();
    }
    value["usage"] = usage(heard.summary.duration);
    value
}

/// Billed by whole seconds, as OpenAI does it for Whisper.
fn usage(seconds: f64) -> Value {
    json!({"type": "duration", "seconds": seconds.ceil() as u64})
}

/// A piece as an event; `text` gathers what the last event repeats whole.
pub(super) fn event(piece: &Heard, text: &mut String) -> Value {
    match piece {
        Heard::Segment(segment) => {
            let delta = if text.is_empty() { segment.text.trim_start() } else { &segment.text };
            text.push_str(delta);
            json!({"type": "transcript.text.delta", "delta": delta})
        }
        Heard::Done(summary) => {
            json!({"type": "transcript.text.done", "text": text.trim_end(), "usage": usage(summary.duration)})
        }
    }
}
