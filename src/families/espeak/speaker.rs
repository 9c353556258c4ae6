//! Several requests at once, each spoken by a process of its own.

use std::{
    sync::{Arc, mpsc::TryRecvError},
    time::{Duration, Instant},
};

use super::options::Manner;
use crate::{
    families::espeak_ng::{Piece, Utterance, written},
    model::{Batch, Broken, Model, ProgramFacts, Request, RequestError, Signal},
    speech::{SpeechEvent, SpeechSummary, Synthesize},
};

/// It makes a second of sound in a few milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// What is said before anybody asks.
const WARM_UP: &str = "Hello.";

/// The model.
pub struct Speaker {
    facts: ProgramFacts,
    max_batch: usize,
    /// For the next sound of a process.
    patience: Duration,
}

/// A request in hand.
struct Row {
    request: Request<Synthesize>,
    utterance: Utterance,
    /// When it last said something, or could not be listened to.
    heard: Instant,
    /// Seconds of sound, and how many there may be.
    seconds: f64,
    longest: f64,
    /// Set once it is over.
    outcome: Option<Outcome>,
}

/// How a request ended.
enum Outcome {
    Spoken,
    /// The program is at fault.
    Failed(String),
    /// The text is.
    Silent,
}

// === impl Speaker ===

impl Speaker {
    pub fn new(facts: ProgramFacts, max_batch: usize, patience: Duration) -> Self {
        Self { facts, max_batch, patience }
    }

    fn speak(&self, batch: &mut Batch<'_, Synthesize>) {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return;
            }
            rows.extend(newcomers.into_iter().filter_map(|request| self.begin(request, batch.signal())));
            // Every row, so no `any`, which would stop at the first.
            let moved = rows.iter_mut().filter_map(|row| row.step(self.patience)).count();
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            if moved > 0 {
                batch.step();
            } else {
                let silent = rows.iter().map(|row| row.heard + self.patience).min();
                batch.park_until(rows.iter().map(|row| &row.request), silent);
            }
        }
    }

    /// Answers at once what cannot be said.
    fn begin(&self, request: Request<Synthesize>, signal: Arc<Signal>) -> Option<Row> {
        match self.utterance(request.ask(), signal) {
            Ok((utterance, longest)) => {
                Some(Row { request, utterance, heard: Instant::now(), seconds: 0.0, longest, outcome: None })
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    /// And the seconds that it may take.
    fn utterance(&self, asked: &Synthesize, signal: Arc<Signal>) -> Result<(Utterance, f64), RequestError> {
        let (manner, text) = (Manner::of(asked, &self.facts)?, written(&asked.text));
        let longest = manner.longest(text.chars().count());
        let utterance = Utterance::start(&self.facts.path, &manner.arguments(), text, signal).map_err(|error| {
            tracing::warn!(%error, "espeak-ng could not be started");
            RequestError::Broken
        })?;
        Ok((utterance, longest))
    }
}

impl Model for Speaker {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        self.speak(requests);
        Ok(())
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        let asked = Synthesize { text: WARM_UP.to_owned(), ..Synthesize::default() };
        let (utterance, _) = self.utterance(&asked, Arc::default()).map_err(|error| Broken(error.into()))?;
        loop {
            match utterance.pieces.recv_timeout(self.patience) {
                Ok(Piece::Sound(_)) => {}
                Ok(Piece::End(Ok(()))) => return Ok(()),
                Ok(Piece::End(Err(reason))) => return Err(Broken(reason.into())),
                Err(_) => return Err(Broken("the program says nothing".into())),
            }
        }
    }
}

// === impl Row ===

impl Row {
    /// Takes a piece, if there is one and somebody has room for it.
    fn step(&mut self, patience: Duration) -> Option<()> {
        if !self.request.has_room() {
            self.heard = Instant::now();
            return None;
        }
        match self.utterance.pieces.try_recv() {
            Ok(Piece::Sound(pcm)) => {
                self.heard = Instant::now();
                self.seconds += pcm.seconds();
                match self.seconds > self.longest {
                    true => self.fail(format!("it found no end within {:.0} s of sound", self.longest)),
                    false => self.request.emit(SpeechEvent::Audio(pcm)),
                }
            }
            Ok(Piece::End(Ok(()))) => {
                self.outcome = Some(if self.seconds > 0.0 { Outcome::Spoken } else { Outcome::Silent });
            }
            Ok(Piece::End(Err(reason))) => self.fail(reason),
            Err(TryRecvError::Empty) if self.heard.elapsed() < patience => return None,
            Err(TryRecvError::Empty) => self.fail(format!("it said nothing for {} s", patience.as_secs_f32())),
            Err(TryRecvError::Disconnected) => self.fail("nobody listened to it".to_owned()),
        }
        Some(())
    }

    fn fail(&mut self, reason: String) {
        self.outcome = Some(Outcome::Failed(reason));
    }

    fn is_over(&self) -> bool {
        self.outcome.is_some() || self.request.over().is_some()
    }

    fn end(self) {
        let Self { request, seconds, outcome, .. } = self;
        match (request.over(), outcome) {
            (Some(error), _) => request.fail(error),
            (None, Some(Outcome::Spoken)) => {
                request.finish(SpeechEvent::Done(SpeechSummary { seconds, ..SpeechSummary::default() }));
            }
            (None, Some(Outcome::Silent)) => {
                let message = "nothing in the text can be said".to_owned();
                request.fail(RequestError::Invalid { param: "text", message });
            }
            (None, Some(Outcome::Failed(reason))) => {
                tracing::warn!(request = request.id, reason, "espeak-ng failed");
                request.fail(RequestError::Broken);
            }
            (None, None) => request.fail(RequestError::Broken),
        }
    }
}
