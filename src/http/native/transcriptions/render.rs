//! A transcript in OpenAI's shapes.

use actix_web::HttpResponse;

use super::{
    bodies::{Event, PlacedWord, Transcription, Usage, VerboseTranscription},
    form::Format,
};
use crate::speech::{Logprob, RunningText, TranscribeMode, Transcript, TranscriptEvent, Warning, languages};

/// Writes a stream of events; keeps what the last one repeats whole.
pub(super) struct EventWriter {
    text: RunningText,
    logprobs: Option<Vec<Logprob>>,
    /// Those of the answer, if they are told apart.
    channels: Option<usize>,
}

/// The whole answer.
pub(super) fn whole(transcript: Transcript, format: Format, mode: TranscribeMode) -> HttpResponse {
    let text = |media_type: &str, text: String| HttpResponse::Ok().content_type(media_type).body(text);
    match format {
        Format::Text => text("text/plain; charset=utf-8", transcript.text() + "\n"),
        Format::Srt => text("application/x-subrip; charset=utf-8", transcript.srt()),
        Format::Vtt => text("text/vtt; charset=utf-8", transcript.vtt()),
        Format::Tsv => text("text/tab-separated-values; charset=utf-8", transcript.tsv()),
        Format::Json { logprobs } | Format::Stream { logprobs } => HttpResponse::Ok().json(Transcription {
            text: transcript.text(),
            logprobs: logprobs.then(|| transcript.logprobs().cloned().collect()),
            usage: Usage::of(transcript.seconds()),
            warnings: transcript.warnings,
        }),
        Format::Verbose { segments, words } => HttpResponse::Ok().json(verbose(transcript, mode, segments, words)),
    }
}

fn verbose(transcript: Transcript, mode: TranscribeMode, segments: bool, words: bool) -> VerboseTranscription {
    VerboseTranscription {
        task: mode,
        duration: transcript.summary.duration,
        channels: transcript.channels,
        text: transcript.text(),
        words: words.then(|| transcript.words().into_iter().map(PlacedWord::of).collect()),
        usage: Usage::of(transcript.seconds()),
        segments: segments.then_some(transcript.segments),
        warnings: transcript.warnings,
        language: languages::name(&transcript.summary.language).to_owned(),
    }
}

// === impl EventWriter ===

impl EventWriter {
    pub fn new(logprobs: bool, channels: Option<usize>) -> Self {
        Self { text: RunningText::default(), logprobs: logprobs.then(Vec::new), channels }
    }

    /// `warnings` are told with the last one. What may still change is not told.
    pub fn event(&mut self, piece: TranscriptEvent, warnings: &[Warning]) -> Option<Event> {
        Some(match piece {
            TranscriptEvent::Partial(_) => return None,
            TranscriptEvent::Segment(segment) => {
                let delta = self.text.push(&segment).to_owned();
                let logprobs = self.logprobs.as_mut().map(|all| {
                    all.extend_from_slice(&segment.logprobs);
                    segment.logprobs
                });
                Event::Delta { delta, channel: segment.channel, logprobs }
            }
            TranscriptEvent::Done(summary) => Event::Done {
                text: self.text.whole().to_owned(),
                logprobs: self.logprobs.take(),
                usage: Usage::of(summary.duration * self.channels.unwrap_or(1) as f64),
                warnings: warnings.to_vec(),
            },
        })
    }
}
