//! Several requests at once, said part by part: a part of each at every step.

use std::collections::VecDeque;

use super::numbers::RunError;
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Model, Request, RequestError},
    speech::{SpeechEvent, SpeechSummary, Synthesize},
};

/// What says a text in parts, each of which is computed at once.
pub trait Says: Send {
    /// With how it is to be said.
    type Part: Send;

    /// The parts of a text, in order.
    fn parts(&self, asked: &Synthesize) -> Result<Vec<Self::Part>, RequestError>;

    fn say(&mut self, part: Self::Part) -> Result<Pcm, RunError>;

    /// Something short, for a first try.
    fn any_part(&self) -> Result<Self::Part, RequestError>;
}

/// A model that does.
pub struct Speaker<V> {
    pub voice: V,
    pub max_batch: usize,
}

/// A request in hand.
struct Row<P> {
    request: Request<Synthesize>,
    /// What is still to be said.
    parts: VecDeque<P>,
    seconds: f64,
    failed: bool,
}

// === impl Speaker ===

impl<V: Says> Speaker<V> {
    fn speak(&mut self, batch: &mut Batch<'_, Synthesize>) {
        let mut rows: Vec<Row<V::Part>> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return;
            }
            rows.extend(newcomers.into_iter().filter_map(|request| self.begin(request)));
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            let mut moved = false;
            for row in rows.iter_mut().filter(|row| row.request.has_room()) {
                row.step(&mut self.voice);
                moved = true;
                // A part takes long enough to count by itself.
                batch.step();
            }
            if !moved {
                batch.park(rows.iter().map(|row| &row.request));
            }
        }
    }

    /// Answers at once what cannot be said.
    fn begin(&self, request: Request<Synthesize>) -> Option<Row<V::Part>> {
        match self.voice.parts(request.ask()) {
            Ok(parts) => Some(Row { request, parts: parts.into(), seconds: 0.0, failed: false }),
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }
}

impl<V: Says> Model for Speaker<V> {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        self.speak(requests);
        Ok(())
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        let part = self.voice.any_part().map_err(|error| Broken(error.into()))?;
        self.voice.say(part).map(drop).map_err(|error| Broken(error.into()))
    }
}

// === impl Row ===

impl<P> Row<P> {
    fn step(&mut self, voice: &mut impl Says<Part = P>) {
        let Some(part) = self.parts.pop_front() else { return };
        match voice.say(part) {
            Ok(pcm) => {
                self.seconds += pcm.seconds();
                self.request.emit(SpeechEvent::Audio(pcm));
            }
            // The network keeps nothing from one part to the next: what failed is this one.
            Err(error) => {
                tracing::warn!(request = self.request.id, %error, "a part of a text was not said");
                self.failed = true;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.failed || self.parts.is_empty() || self.request.over().is_some()
    }

    fn end(self) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if self.failed => self.request.fail(RequestError::Broken),
            None => {
                let summary = SpeechSummary { seconds: self.seconds, ..SpeechSummary::default() };
                self.request.finish(SpeechEvent::Done(summary));
            }
        }
    }
}
