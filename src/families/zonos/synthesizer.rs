//! Requests, and the networks that answer them: a column of codes for every text in hand, and sound as it becomes due.

use super::{
    error::ZonosError,
    net::{CodeModel, CodeRequest, ConditionRange, Conditions, FinishReason, SPEAKER},
    options::{Conditionable, SpeechOptions},
    prefix::Prefixes,
    text::FrontEnd,
    utterance::Utterance,
    voices::Voices,
};
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Model, Request, RequestError},
    nn::{Threads, codec::Dac},
    speech::{SpeechEvent, SpeechSummary, Synthesize, SynthesizeOptions},
};

/// What is said before anybody asks, and how little of it.
const WARM_UP: &str = "Hello.";
const WARM_UP_FRAMES: usize = 2;

/// The model.
pub struct Synthesizer {
    pub threads: Threads,
    pub codes: CodeModel,
    pub dac: Dac,
    pub voices: Voices,
    pub prefixes: Prefixes,
    pub front_end: FrontEnd,
    pub max_batch: usize,
}

/// A request in hand, and what becomes of it.
struct Row {
    request: Request<Synthesize>,
    utterance: Utterance,
    seed: u64,
    samples: usize,
    rate: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    /// All was said.
    Done,
    /// The network's numbers were none.
    Lost,
}

impl Conditionable for CodeModel {
    fn range(&self, condition: &str) -> Option<ConditionRange> {
        CodeModel::range(self, condition)
    }
}

// === impl Synthesizer ===

impl Synthesizer {
    /// Works on requests until nobody is left.
    fn work(&self, batch: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(self.begin(request)?);
            }
            let books = self.dac.books();
            rows.extract_if(.., |row| row.is_over()).for_each(|row| row.end(books));
            let mut going: Vec<_> = rows.iter_mut().filter(|row| row.request.has_room()).collect();
            if going.is_empty() {
                batch.park(rows.iter().map(|row| &row.request));
                continue;
            }
            self.threads.install(|| self.step(&mut going)).map_err(|error| Broken(error.into()))?;
            batch.step();
        }
    }

    /// A column for every text, and the sound of those for which it is time.
    fn step(&self, rows: &mut [&mut Row]) -> candle_core::Result<()> {
        let mut live: Vec<_> = rows.iter_mut().map(|row| &mut row.utterance.row).collect();
        self.codes.step(&mut live)?;
        for row in rows {
            match row.utterance.row.finish() {
                Some(FinishReason::Lost) => row.state = State::Lost,
                Some(FinishReason::Stopped | FinishReason::Full) => row.state = State::Done,
                None => {}
            }
            if row.state != State::Lost && row.utterance.is_due() {
                let sound = row.utterance.sound(&self.dac)?;
                row.emit(sound);
            }
        }
        Ok(())
    }

    /// Answers at once what cannot be done.
    fn begin(&self, request: Request<Synthesize>) -> Result<Option<Row>, Broken> {
        match self.threads.install(|| self.utterance(request.ask())) {
            Ok((utterance, seed)) => {
                let rate = self.dac.rate();
                Ok(Some(Row { request, utterance, seed, samples: 0, rate, state: State::Going }))
            }
            Err(error) => {
                request.fail(error.of_request()?);
                Ok(None)
            }
        }
    }

    /// Reads voice and text, and draws the first column. With the seed.
    fn utterance(&self, ask: &Synthesize) -> Result<(Utterance, u64), ZonosError> {
        let language = self.front_end.language(ask.options.language.as_deref())?;
        let options = SpeechOptions::new(&ask.options, language, &self.codes)?;
        let mut phonemes = self.front_end.phonemes(&ask.text, &ask.pronunciations, language)?;
        let mut conditions = Conditions { phonemes: phonemes.ids(), values: options.manner.clone() };
        if let Some(speaker) = self.voices.get(ask.options.voice.as_ref())? {
            conditions.values.insert(SPEAKER, speaker);
        }
        // What the model said before tells it more of the voice than what a caller gave at first.
        let (given, before) = match (&ask.before, &options.prefix) {
            (Some(tail), _) => {
                conditions.phonemes = phonemes.after(&tail.said).ids();
                (tail.codes.to_vec(), Vec::new())
            }
            (None, Some(prefix)) => {
                // Without what is said in it, the text begins with that.
                if let Some(words) = prefix.transcript() {
                    phonemes = phonemes.after(self.front_end.phonemes(words, &[], language)?.as_str());
                    conditions.phonemes = phonemes.ids();
                }
                let codes = self.prefixes.codes(prefix, &self.dac)?;
                (codes.clone(), codes)
            }
            (None, None) => (Vec::new(), Vec::new()),
        };
        let new_frames = options.new_frames(given.len() / self.codes.books());
        let (sampling, seed) = (options.sampling, options.seed);
        let request = CodeRequest { sampling, new_frames, seed, prefix: given };
        let row = self.codes.admit(&conditions, &request)?;
        let given = (&request.prefix[..], before);
        Ok((Utterance::new(row, &self.dac, phonemes, given, options.first_block)?, seed))
    }

    fn warm_up_alone(&self) -> Result<(), ZonosError> {
        let mut options = SynthesizeOptions { seed: Some(1), ..SynthesizeOptions::default() };
        options.options.insert("max_new_tokens".to_owned(), WARM_UP_FRAMES.into());
        let ask = Synthesize { text: WARM_UP.to_owned(), options, ..Synthesize::default() };
        let (mut utterance, _) = self.utterance(&ask)?;
        while !utterance.row.finished() {
            self.codes.step(&mut [&mut utterance.row])?;
        }
        utterance.sound(&self.dac)?;
        Ok(())
    }
}

impl Model for Synthesizer {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        self.work(requests)
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        self.threads.install(|| self.warm_up_alone()).map_err(|error| Broken(error.into()))
    }
}

// === impl Row ===

impl Row {
    fn emit(&mut self, sound: Vec<f32>) {
        if !sound.is_empty() {
            self.samples += sound.len();
            self.request.emit(SpeechEvent::Audio(Pcm::new(sound, self.rate)));
        }
    }

    fn is_over(&self) -> bool {
        self.state != State::Going || self.request.over().is_some()
    }

    fn end(self, books: usize) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if self.state == State::Lost => self.request.fail(RequestError::Broken),
            None => {
                let summary = SpeechSummary {
                    seconds: self.samples as f64 / f64::from(self.rate),
                    tokens: self.utterance.row.frames(),
                    seed: Some(self.seed),
                    tail: self.utterance.tail(books),
                    ..SpeechSummary::default()
                };
                self.request.finish(SpeechEvent::Done(summary));
            }
        }
    }
}
