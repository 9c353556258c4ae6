//! Several requests at once: a block of sound for each at every step.

use std::hash::{BuildHasher, RandomState};

use super::{
    error::LarkError,
    utterance::Utterance,
    voice::{Manner, Voice},
};
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Model, Request, RequestError},
    speech::{SpeechEvent, SpeechSummary, Synthesize, VoiceInput},
};

/// The only voice.
pub const NAME: &str = "lark";
/// What is said before anybody asks.
const WARM_UP: &str = "Hello.";

/// The model.
pub struct Speaker {
    voice: Voice,
    max_batch: usize,
}

/// A request in hand.
struct Row<'a> {
    request: Request<Synthesize>,
    utterance: Utterance<'a>,
    rate: u32,
    seed: u64,
    samples: usize,
    /// All was said.
    done: bool,
}

// === impl Speaker ===

impl Speaker {
    pub fn new(voice: Voice, max_batch: usize) -> Self {
        Self { voice, max_batch }
    }

    fn speak(&self, batch: &mut Batch<'_, Synthesize>) -> Result<(), LarkError> {
        let mut rows: Vec<Row<'_>> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(self.begin(request)?);
            }
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            if rows.iter().any(|row| row.request.has_room()) {
                rows.iter_mut().try_for_each(Row::step)?;
                batch.step();
            } else {
                batch.park(rows.iter().map(|row| &row.request));
            }
        }
    }

    /// Answers at once what cannot be said.
    fn begin(&self, request: Request<Synthesize>) -> Result<Option<Row<'_>>, LarkError> {
        let seed = request.ask().options.seed.unwrap_or_else(|| RandomState::new().hash_one("seed"));
        if let Err(error) = check(request.ask()) {
            request.fail(error);
            return Ok(None);
        }
        let Synthesize { text, pronunciations, pitch, options, .. } = request.ask();
        let manner = Manner { speed: options.speed.unwrap_or(1.0), pitch: *pitch, seed };
        match self.voice.synthesize(text, pronunciations, manner) {
            Ok(utterance) => {
                let rate = self.voice.sample_rate() as u32;
                Ok(Some(Row { request, utterance, rate, seed, samples: 0, done: false }))
            }
            Err(error) => {
                request.fail(error.of_request()?);
                Ok(None)
            }
        }
    }
}

impl Model for Speaker {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        self.speak(requests).map_err(|error| Broken(error.into()))
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        let broken = |error: LarkError| Broken(error.into());
        let manner = Manner { speed: 1.0, pitch: 0.0, seed: 0 };
        self.voice
            .synthesize(WARM_UP, &[], manner)
            .map_err(broken)?
            .try_for_each(|block| block.map(drop))
            .map_err(broken)
    }
}

/// What this family does not follow is said, and never passed over.
fn check(asked: &Synthesize) -> Result<(), RequestError> {
    let invalid = |param, message| Err(RequestError::Invalid { param, message });
    let unsupported = |param, message: &str| Err(RequestError::Unsupported { param, message: message.to_owned() });
    let options = &asked.options;
    match &options.voice {
        None => {}
        Some(VoiceInput::Named(name)) if name == NAME => {}
        Some(VoiceInput::Named(name)) => {
            return invalid("voice", format!("there is no voice {name:?}; there is {NAME}"));
        }
        Some(VoiceInput::Reference(_) | VoiceInput::Blend(_) | VoiceInput::Cast(_)) => {
            return unsupported("voice", "this model speaks with its own voice only");
        }
    }
    match options.language.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("en" | "english") => {}
        Some(language) if language.starts_with("en-") => {}
        Some(language) => return unsupported("language", &format!("this model speaks English, not {language}")),
    }
    if let Some(unknown) = options.options.keys().next() {
        return invalid("options", format!("there is no option {unknown:?}; this model has none"));
    }
    Ok(())
}

// === impl Row ===

impl Row<'_> {
    /// A block, if somebody has room for it.
    fn step(&mut self) -> Result<(), LarkError> {
        if !self.request.has_room() {
            return Ok(());
        }
        match self.utterance.next().transpose()? {
            Some(block) => {
                self.samples += block.len();
                self.request.emit(SpeechEvent::Audio(Pcm::new(block, self.rate)));
            }
            None => self.done = true,
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.done || self.request.over().is_some()
    }

    fn end(self) {
        let seconds = self.samples as f64 / f64::from(self.rate);
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None => {
                let (seed, marks) = (Some(self.seed), self.utterance.into_marks());
                let summary = SpeechSummary { seconds, seed, marks, ..SpeechSummary::default() };
                self.request.finish(SpeechEvent::Done(summary));
            }
        }
    }
}
