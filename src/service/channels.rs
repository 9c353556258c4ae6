//! What models make of the channels of one recording, or of its tracks, as one answer.

use std::collections::VecDeque;

use futures::future::select_all;

use super::{ServiceError, diarization::by_speaker, original::Original};
use crate::{
    model::{RequestError, Responses},
    speech::{Part, Parts, Piece, Segment, Summary, Task, Transcribe, TranscriptEvent, Warning},
};

/// The answers that make one: of a recording whose channels or tracks are heard separately, one for each; otherwise one.
pub(super) struct Answers<T: Task> {
    all: Vec<Channel<T>>,
    /// Segments that were handed on.
    segments: usize,
    /// A segment of which it is not known yet who says it.
    unsaid: Option<Segment>,
    /// The rest of one that several say.
    said: VecDeque<Segment>,
}

/// The answer for one of them.
struct Channel<T: Task> {
    responses: Responses<T>,
    original: Original,
    /// What came, and waits for what is earlier on other channels. All that is heard, at most, as in a whole answer.
    waiting: VecDeque<T::Piece>,
    over: bool,
}

// === impl Answers ===

impl<T: Task> Answers<T> {
    /// Of one request at least.
    pub fn new(answers: Vec<(Responses<T>, Original)>) -> Self {
        let channel = |(responses, original)| Channel { responses, original, waiting: VecDeque::new(), over: false };
        Self { all: answers.into_iter().map(channel).collect(), segments: 0, unsaid: None, said: VecDeque::new() }
    }

    /// How many there are, where they are told apart.
    pub fn parts(&self) -> Parts {
        let one = self.all.first().map_or(Part::WHOLE, |channel| channel.original.part);
        Parts::of(one, self.all.len())
    }

    /// Length of the recording.
    pub fn seconds(&self) -> f64 {
        self.all.iter().map(|channel| channel.original.seconds).fold(0.0, f64::max)
    }

    /// What was amiss with the recording.
    pub fn warnings(&self) -> &[Warning] {
        self.all.first().map(|channel| channel.original.warnings()).unwrap_or_default()
    }

    /// The next piece of an answer that is one.
    pub async fn only(&mut self) -> Result<T::Piece, RequestError> {
        match self.all.first_mut() {
            Some(channel) => channel.responses.next().await.unwrap_or(Err(RequestError::Gone)),
            None => Err(RequestError::Gone),
        }
    }
}

impl Answers<Transcribe> {
    /// The next piece, in order of time. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Result<TranscriptEvent, ServiceError> {
        loop {
            self.ask_who_says_it().await?;
            if let Some(segment) = self.said.pop_front() {
                return Ok(self.numbered(segment));
            }
            match self.in_turn() {
                Some(TranscriptEvent::Segment(segment)) => self.unsaid = Some(segment),
                Some(piece) => return Ok(piece),
                None => self.more().await?,
            }
        }
    }

    /// Where that is asked for, waits until it is known who speaks when.
    async fn ask_who_says_it(&mut self) -> Result<(), ServiceError> {
        if self.unsaid.is_none() {
            return Ok(());
        }
        let diarization = self.all.iter_mut().find_map(|channel| channel.original.diarization.as_mut());
        let turns = match diarization {
            Some(diarization) => Some(diarization.turns().await?),
            None => None,
        };
        let Some(segment) = self.unsaid.take() else { return Ok(()) };
        match turns {
            Some(turns) => self.said.extend(by_speaker(segment, turns)),
            None => self.said.push_back(segment),
        }
        Ok(())
    }

    /// Waits for a piece of any channel. Those that are ahead are read as well: a model that works on one channel at a time
    /// would otherwise wait for its reader, and never come to the next.
    async fn more(&mut self) -> Result<(), RequestError> {
        let open = self.all.iter_mut().filter(|channel| !channel.over);
        let pieces: Vec<_> =
            open.map(|channel| Box::pin(async move { (channel.responses.next().await, channel) })).collect();
        if pieces.is_empty() {
            return Err(RequestError::Gone);
        }
        let ((piece, channel), ..) = select_all(pieces).await;
        let piece = piece.unwrap_or(Err(RequestError::Gone))?;
        channel.over = piece.is_last();
        channel.waiting.push_back(channel.original.place(piece));
        Ok(())
    }

    /// What comes next, if every channel has said what it has next.
    fn in_turn(&mut self) -> Option<TranscriptEvent> {
        let heads: Option<Vec<_>> = self.all.iter().map(|channel| channel.waiting.front()).collect();
        let start = |event: &&TranscriptEvent| match event {
            TranscriptEvent::Segment(segment) => Some(segment.start),
            // Of a live recording, which is one answer.
            TranscriptEvent::Partial(_) => Some(f64::NEG_INFINITY),
            TranscriptEvent::Done(_) => None,
        };
        let starts = heads?.into_iter().enumerate().filter_map(|(at, event)| Some((at, start(&event)?)));
        match starts.min_by(|one, other| one.1.total_cmp(&other.1)) {
            Some((at, _)) => self.all[at].waiting.pop_front(),
            None => self.summary().map(TranscriptEvent::Done),
        }
    }

    /// Segments count through all channels, and all speakers.
    fn numbered(&mut self, segment: Segment) -> TranscriptEvent {
        self.segments += 1;
        let told_apart = self.all.len() > 1 || segment.speaker.is_some();
        let id = if told_apart { self.segments - 1 } else { segment.id };
        TranscriptEvent::Segment(Segment { id, ..segment })
    }

    /// Of all of them together, in the language in which most was said.
    fn summary(&mut self) -> Option<Summary> {
        let last = self.all.iter_mut().filter_map(|channel| match channel.waiting.pop_front() {
            Some(TranscriptEvent::Done(summary)) => Some(summary),
            _ => None,
        });
        last.reduce(|all, other| Summary {
            language: if other.tokens > all.tokens { other.language } else { all.language },
            duration: all.duration.max(other.duration),
            tokens: all.tokens + other.tokens,
        })
    }
}
