//! A transcript in OpenAI's shapes.

use actix_web::HttpResponse;

use super::{
    bodies::{Event, PlacedWord, Transcription, Usage, VerboseTranscription},
    form::Format,
};
use crate::speech::{Logprob, TranscribeMode, Transcript, TranscriptEvent};

/// A stream of events on its way: what the last one repeats whole.
pub(super) struct Telling {
    text: String,
    logprobs: Option<Vec<Logprob>>,
}

/// The whole answer.
pub(super) fn whole(heard: Transcript, format: Format, goal: TranscribeMode) -> HttpResponse {
    let text = |media_type: &str, text: String| HttpResponse::Ok().content_type(media_type).body(text);
    match format {
        Format::Text => text("text/plain; charset=utf-8", heard.text() + "\n"),
        Format::Srt => text("application/x-subrip; charset=utf-8", heard.srt()),
        Format::Vtt => text("text/vtt; charset=utf-8", heard.vtt()),
        Format::Json { logprobs } | Format::Stream { logprobs } => HttpResponse::Ok().json(Transcription {
            text: heard.text(),
            logprobs: logprobs.then(|| heard.logprobs().cloned().collect()),
            usage: Usage::of(heard.summary.duration),
        }),
        Format::Verbose { segments, words } => HttpResponse::Ok().json(verbose(heard, goal, segments, words)),
    }
}

fn verbose(heard: Transcript, goal: TranscribeMode, segments: bool, words: bool) -> VerboseTranscription {
    VerboseTranscription {
        task: goal,
        duration: heard.summary.duration,
        text: heard.text(),
        words: words.then(|| heard.words().map(PlacedWord::of).collect()),
        segments: segments.then_some(heard.segments),
        usage: Usage::of(heard.summary.duration),
        language: heard.summary.language,
    }
}

// === impl Telling ===

impl Telling {
    pub fn new(logprobs: bool) -> Self {
        Self { text: String::new(), logprobs: logprobs.then(Vec::new) }
    }

    pub fn event(&mut self, piece: TranscriptEvent) -> Event {
        match piece {
            TranscriptEvent::Segment(segment) => {
                let delta = if self.text.is_empty() { segment.text.trim_start().to_owned() } else { segment.text };
                self.text.push_str(&delta);
                let logprobs = self.logprobs.as_mut().map(|all| {
                    all.extend_from_slice(&segment.logprobs);
                    segment.logprobs
                });
                Event::Delta { delta, logprobs }
            }
            TranscriptEvent::Done(summary) => Event::Done {
                text: self.text.trim_end().to_owned(),
                logprobs: self.logprobs.take(),
                usage: Usage::of(summary.duration),
            },
        }
    }
}
