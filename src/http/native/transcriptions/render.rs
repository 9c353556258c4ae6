//! A transcript in OpenAI's shapes.

use actix_web::HttpResponse;

use super::{
    bodies::{DiarizedSegment, DiarizedTranscription, Event, PlacedWord, Transcription, Usage, VerboseTranscription},
    form::Format,
};
use crate::speech::{Logprob, Parts, RunningText, TranscribeMode, Transcript, TranscriptEvent, Warning, languages};

/// Writes a stream of events; keeps what the last one repeats whole.
pub(super) struct EventWriter {
    text: RunningText,
    logprobs: Option<Vec<Logprob>>,
    diarized: bool,
    /// Those of the answer that are told apart.
    parts: Parts,
}

/// The whole answer.
pub(super) fn whole(transcript: Transcript, format: Format, mode: TranscribeMode) -> HttpResponse {
    let text = |media_type: &str, text: String| HttpResponse::Ok().content_type(media_type).body(text);
    match format {
        Format::Text => text("text/plain; charset=utf-8", transcript.text() + "\n"),
        Format::Srt => text("application/x-subrip; charset=utf-8", transcript.srt()),
        Format::Vtt => text("text/vtt; charset=utf-8", transcript.vtt()),
        Format::Tsv => text("text/tab-separated-values; charset=utf-8", transcript.tsv()),
        Format::Diarized => HttpResponse::Ok().json(diarized(transcript, mode)),
        Format::Json { logprobs } | Format::Stream { logprobs, .. } => HttpResponse::Ok().json(Transcription {
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
        parts: transcript.parts,
        text: transcript.text(),
        words: words.then(|| transcript.words().into_iter().map(PlacedWord::of).collect()),
        usage: Usage::of(transcript.seconds()),
        segments: segments.then_some(transcript.segments),
        warnings: transcript.warnings,
        language: languages::name(&transcript.summary.language).to_owned(),
    }
}

fn diarized(transcript: Transcript, mode: TranscribeMode) -> DiarizedTranscription {
    DiarizedTranscription {
        task: mode,
        duration: transcript.summary.duration,
        text: transcript.text(),
        segments: transcript.segments.iter().map(DiarizedSegment::of).collect(),
        usage: Usage::of(transcript.seconds()),
        warnings: transcript.warnings,
    }
}

// === impl EventWriter ===

impl EventWriter {
    /// `diarized`: with an event for each segment.
    pub fn new(logprobs: bool, diarized: bool, parts: Parts) -> Self {
        Self { text: RunningText::default(), logprobs: logprobs.then(Vec::new), diarized, parts }
    }

    /// `warnings` are told with the last one. What may still change is not told.
    pub fn events(&mut self, piece: TranscriptEvent, warnings: &[Warning]) -> Vec<Event> {
        match piece {
            TranscriptEvent::Partial(_) => Vec::new(),
            TranscriptEvent::Segment(segment) => {
                let delta = self.text.push(&segment).to_owned();
                let whole = self.diarized.then(|| DiarizedSegment::of(&segment));
                let logprobs = self.logprobs.as_mut().map(|all| {
                    all.extend_from_slice(&segment.logprobs);
                    segment.logprobs
                });
                let segment_id = whole.as_ref().map(|segment| segment.id.clone());
                let delta = Event::Delta { delta, part: segment.part, logprobs, segment_id };
                std::iter::once(delta).chain(whole.map(Event::Segment)).collect()
            }
            TranscriptEvent::Done(summary) => vec![Event::Done {
                text: self.text.whole().to_owned(),
                logprobs: self.logprobs.take(),
                usage: Usage::of(summary.duration * self.parts.count() as f64),
                warnings: warnings.to_vec(),
            }],
        }
    }
}
