//! Requests, and the networks that answer them: a step of T3 for every text in hand, and sound as it becomes due.

use std::sync::Arc;

use super::{
    converter::Conversion,
    decoder::{Decoder, Part, S3Gen},
    error::ChatterboxError,
    front_end::FrontEnd,
    options::{ConversionOptions, Defaults, MAX_NEW_TOKENS, SpeechOptions},
    prompt_mel::RATE,
    t3::{FinishReason, T3, T3Conditioning, T3Request, T3Row},
    utterance::{Ending, Utterance},
    voices::{Voice, Voices},
};
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Model, Request, RequestError},
    nn::Threads,
    speech::{Convert, SpeechEvent, SpeechSummary, Synthesize, SynthesizeOptions, Task},
};

/// What is said before anybody asks, and how little of it.
const WARM_UP: &str = "Hello.";
const WARM_UP_TOKENS: usize = 4;

/// The model.
pub struct Speaker {
    pub threads: Threads,
    pub s3gen: S3Gen,
    pub voices: Voices,
    /// `None`: it only converts.
    pub speech: Option<Speech>,
    pub defaults: Defaults,
    pub max_batch: usize,
}

/// What makes speech tokens of a text.
pub struct Speech {
    pub t3: T3,
    pub front_end: FrontEnd,
    pub ending: Ending,
}

/// A request in hand, and what becomes of it.
struct Row<T: Task, W> {
    request: Request<T>,
    work: W,
    seed: u64,
    tokens: usize,
    samples: usize,
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

// === impl Speaker ===

impl Speaker {
    /// Works on requests until nobody is left: `begin` makes work of one, `step` does some for those whose reader has room.
    fn work<T: Task<Piece = SpeechEvent>, W: Send>(
        &self,
        batch: &mut Batch<'_, T>,
        begin: impl Fn(&T) -> Result<(W, u64), ChatterboxError>,
        step: impl Fn(&mut [&mut Row<T, W>]) -> candle_core::Result<()>,
    ) -> Result<(), Broken> {
        let mut rows: Vec<Row<T, W>> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(Row::begin(request, &begin)?);
            }
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            let mut going: Vec<_> = rows.iter_mut().filter(|row| row.request.has_room()).collect();
            if going.is_empty() {
                batch.park(rows.iter().map(|row| &row.request));
                continue;
            }
            step(&mut going).map_err(|error| Broken(error.into()))?;
            batch.step();
        }
    }

    /// A token for every text, and the sound of those for which it is time.
    fn speak(&self, speech: &Speech, rows: &mut [&mut Row<Synthesize, Utterance>]) -> candle_core::Result<()> {
        let mut live: Vec<_> = rows.iter_mut().map(|row| &mut row.work.row).collect();
        self.threads.install(|| speech.t3.step(&mut live))?;
        for row in rows {
            row.tokens = row.work.row.tokens().len();
            match row.work.row.finish() {
                Some(FinishReason::Lost) => row.state = State::Lost,
                Some(FinishReason::Stopped | FinishReason::Full) => row.state = State::Done,
                None => {}
            }
            if row.state != State::Lost && row.work.is_due() {
                row.sound(&self.threads, |work, stop| work.sound(&self.s3gen, stop))?;
            }
        }
        Ok(())
    }

    /// A window of every recording.
    fn convert_window(&self, rows: &mut [&mut Row<Convert, Conversion>]) -> candle_core::Result<()> {
        let tokenizer = &self.voices.listener.tokenizer;
        for row in rows {
            row.sound(&self.threads, |work, stop| work.sound(tokenizer, &self.s3gen, stop))?;
            row.state = if row.work.is_done() { State::Done } else { State::Going };
        }
        Ok(())
    }

    /// Reads voice and text. With the seed.
    fn utterance(&self, speech: &Speech, ask: &Synthesize) -> Result<(Utterance, u64), ChatterboxError> {
        let asked = &ask.options;
        let options = SpeechOptions::new(asked, &self.defaults)?;
        let text = speech.front_end.encode(&ask.text, asked.language.as_deref())?;
        self.threads.install(|| {
            let voice = self.voices.get(asked.voice.as_ref())?;
            let row = speech.admit(&voice, &text, &options)?;
            let codes = speech.t3.ids().codes;
            Ok((Utterance::new(row, &self.s3gen, voice, &options, codes, speech.ending), options.seed))
        })
    }

    fn conversion(&self, ask: &Convert) -> Result<(Conversion, u64), ChatterboxError> {
        let options = ConversionOptions::new(&ask.options, &self.defaults)?;
        self.threads.install(|| {
            let voice = self.voices.get(ask.options.voice.as_ref())?;
            let samples = self.voices.source(&ask.audio)?;
            Ok((Conversion::new(samples, &self.s3gen, voice, &options), options.seed))
        })
    }
}

// === impl Speech ===

impl Speech {
    /// Reads voice and text, and speaks the first token.
    fn admit(&self, voice: &Voice, text: &[u32], options: &SpeechOptions) -> Result<T3Row, ChatterboxError> {
        let Some(prompt) = &voice.t3 else {
            let message = "this voice can be converted to and cannot speak; give a recording".to_owned();
            return Err(RequestError::Unsupported { param: "voice", message }.into());
        };
        let (speaker, prompt) = (prompt.voice.clone(), prompt.tokens.clone());
        let voice = self.t3.voice(&T3Conditioning { speaker, prompt, exaggeration: options.exaggeration })?;
        let room = self.t3.room(&voice, text.len())?;
        let max_new_tokens = options.max_new_tokens.unwrap_or(MAX_NEW_TOKENS.min(room).max(1));
        let request = T3Request { sampling: options.sampling, max_new_tokens, seed: options.seed };
        Ok(self.t3.admit(&voice, text, &request)?)
    }
}

impl Model for Speaker {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        match &self.speech {
            Some(speech) => self.work(requests, |ask| self.utterance(speech, ask), |rows| self.speak(speech, rows)),
            None => {
                requests.refuse();
                Ok(())
            }
        }
    }

    fn convert(&mut self, requests: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        self.work(requests, |ask| self.conversion(ask), |rows| self.convert_window(rows))
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    /// In its own voice; of a model that has none, the first request pays.
    fn warm_up(&mut self) -> Result<(), Broken> {
        match self.voices.own.clone() {
            Some(voice) => self.threads.install(|| self.warm_up_in(voice)).map_err(|error| Broken(error.into())),
            None => Ok(()),
        }
    }
}

impl Speaker {
    fn warm_up_in(&self, voice: Arc<Voice>) -> Result<(), ChatterboxError> {
        let mut options = SpeechOptions::new(&SynthesizeOptions::default(), &self.defaults)?;
        (options.max_new_tokens, options.flow.steps) = (Some(WARM_UP_TOKENS), 1);
        if let Some(speech) = self.speech.as_ref().filter(|_| voice.t3.is_some()) {
            let mut row = speech.admit(&voice, &speech.front_end.encode(WARM_UP, None)?, &options)?;
            speech.t3.step(&mut [&mut row])?;
        }
        let tokens: Vec<u32> = voice.flow.prompt_tokens.iter().take(WARM_UP_TOKENS).copied().collect();
        let mut decoder = Decoder::new(&self.s3gen, voice, options.flow, options.seed);
        decoder.extend(&self.s3gen, Part { tokens: &tokens, first: 0, last: true }, &|| false)?;
        Ok(())
    }
}

// === impl Row ===

impl<T: Task<Piece = SpeechEvent>, W: Send> Row<T, W> {
    /// Answers at once what cannot be done.
    fn begin(
        request: Request<T>,
        work: impl FnOnce(&T) -> Result<(W, u64), ChatterboxError>,
    ) -> Result<Option<Self>, Broken> {
        match work(request.ask()) {
            Ok((work, seed)) => Ok(Some(Self { request, work, seed, tokens: 0, samples: 0, state: State::Going })),
            Err(error) => {
                request.fail(error.of_request()?);
                Ok(None)
            }
        }
    }

    /// Gives away what `make` makes; it is told whether anybody still listens.
    fn sound(
        &mut self,
        threads: &Threads,
        make: impl FnOnce(&mut W, &dyn Fn() -> bool) -> candle_core::Result<Option<Vec<f32>>> + Send,
    ) -> candle_core::Result<()>
    where
        Request<T>: Sync,
    {
        let (request, work) = (&self.request, &mut self.work);
        let sound = threads.install(|| make(work, &|| request.over().is_some()))?;
        if let Some(sound) = sound.filter(|sound| !sound.is_empty()) {
            self.samples += sound.len();
            self.request.emit(SpeechEvent::Audio(Pcm::new(sound, RATE)));
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.state != State::Going || self.request.over().is_some()
    }

    fn end(self) {
        let seconds = self.samples as f64 / f64::from(RATE);
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if self.state == State::Lost => self.request.fail(RequestError::Broken),
            None => {
                let (tokens, seed) = (self.tokens, Some(self.seed));
                self.request.finish(SpeechEvent::Done(SpeechSummary {
                    seconds,
                    tokens,
                    seed,
                    ..SpeechSummary::default()
                }));
            }
        }
    }
}
