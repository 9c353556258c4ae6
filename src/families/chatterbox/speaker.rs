//! Requests, and the networks that answer them: a step of T3 for every text in hand, and sound as it becomes due.

use super::{
    converter::Conversion,
    decoder::{Decoder, Part, S3Gen},
    error::ChatterboxError,
    front_end::FrontEnd,
    options::{ConversionOptions, Defaults, SpeechOptions},
    prompt_mel::RATE,
    t3::{T3, T3Conditioning},
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
    done: bool,
}

// === impl Speaker ===

impl Speaker {
    fn speak(&self, speech: &Speech, batch: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        let mut rows: Vec<Row<Synthesize, Utterance>> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(Row::begin(request, |ask| self.utterance(speech, ask))?);
            }
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            if rows.iter().all(|row| !row.request.has_room()) {
                batch.park(rows.iter().map(|row| &row.request));
                continue;
            }
            self.step(speech, &mut rows)?;
            batch.step();
        }
    }

    /// A token for every text whose reader has room, and the sound of those for which it is time.
    fn step(&self, speech: &Speech, rows: &mut [Row<Synthesize, Utterance>]) -> Result<(), Broken> {
        let broken = |error: candle_core::Error| Broken(error.into());
        let mut going: Vec<_> = rows.iter_mut().filter(|row| row.request.has_room()).collect();
        let mut live: Vec<_> = going.iter_mut().map(|row| &mut row.work.row).collect();
        self.threads.install(|| speech.t3.step(&mut live)).map_err(broken)?;
        for row in going {
            row.tokens = row.work.row.tokens().len();
            if row.work.is_due() && !row.work.is_lost() {
                let last = row.work.row.finished();
                row.sound(&self.threads, |work, stop| work.sound(&self.s3gen, stop)).map_err(broken)?;
                row.done = last;
            }
        }
        Ok(())
    }

    fn convert_all(&self, batch: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        let mut rows: Vec<Row<Convert, Conversion>> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(Row::begin(request, |ask| self.conversion(ask))?);
            }
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            if rows.iter().all(|row| !row.request.has_room()) {
                batch.park(rows.iter().map(|row| &row.request));
                continue;
            }
            for row in rows.iter_mut().filter(|row| row.request.has_room()) {
                let sound = row
                    .sound(&self.threads, |work, stop| work.sound(&self.voices.listener.tokenizer, &self.s3gen, stop));
                sound.map_err(|error| Broken(error.into()))?;
                row.done = row.work.is_done();
            }
            batch.step();
        }
    }

    /// Reads voice and text. With the seed.
    fn utterance(&self, speech: &Speech, ask: &Synthesize) -> Result<(Utterance, u64), ChatterboxError> {
        let asked = &ask.options;
        let options = SpeechOptions::new(asked, &self.defaults)?;
        let text = speech.front_end.encode(&ask.text, asked.language.as_deref())?;
        self.threads.install(|| {
            let voice = self.voices.get(asked.voice.as_ref())?;
            let conditioning = conditioning(&voice, &options)?;
            let row = speech.t3.admit(&speech.t3.voice(&conditioning)?, &text, &options.t3)?;
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

/// What T3 is told of a voice.
fn conditioning(voice: &Voice, options: &SpeechOptions) -> Result<T3Conditioning, RequestError> {
    let Some(prompt) = &voice.t3 else {
        let message = "this voice can be converted to and cannot speak; give a recording".to_owned();
        return Err(RequestError::Unsupported { param: "voice", message });
    };
    let (speaker, prompt) = (prompt.voice.clone(), prompt.tokens.clone());
    Ok(T3Conditioning { speaker, prompt, exaggeration: options.exaggeration })
}

impl Model for Speaker {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        match &self.speech {
            Some(speech) => self.speak(speech, requests),
            None => {
                requests.refuse();
                Ok(())
            }
        }
    }

    fn convert(&mut self, requests: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        self.convert_all(requests)
    }

    /// In its own voice; of a model that has none, the first request pays.
    fn warm_up(&mut self) -> Result<(), Broken> {
        let broken = |error: ChatterboxError| Broken(error.into());
        let (Some(voice), never) = (self.voices.own.clone(), || false) else { return Ok(()) };
        let mut options =
            SpeechOptions::new(&SynthesizeOptions::default(), &self.defaults).map_err(|e| broken(e.into()))?;
        (options.t3.max_new_tokens, options.flow.steps) = (WARM_UP_TOKENS, 1);
        if let (Some(speech), Ok(conditioning)) = (&self.speech, conditioning(&voice, &options)) {
            let text = speech.front_end.encode(WARM_UP, None).map_err(broken)?;
            let spoken = self.threads.install(|| -> Result<(), ChatterboxError> {
                let mut row = speech.t3.admit(&speech.t3.voice(&conditioning)?, &text, &options.t3)?;
                Ok(speech.t3.step(&mut [&mut row])?)
            });
            spoken.map_err(broken)?;
        }
        let tokens: Vec<u32> = voice.flow.prompt_tokens.iter().take(WARM_UP_TOKENS).copied().collect();
        let mut decoder = Decoder::new(&self.s3gen, voice, options.flow, options.seed);
        let part = Part { tokens: &tokens, first: 0, last: true };
        let spoken = self.threads.install(|| decoder.extend(&self.s3gen, part, &never));
        spoken.map_err(|error| broken(error.into()))?;
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
            Ok((work, seed)) => Ok(Some(Self { request, work, seed, tokens: 0, samples: 0, done: false })),
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

    fn end(self) {
        let seconds = self.samples as f64 / f64::from(RATE);
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if !self.done => self.request.fail(RequestError::Broken),
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

/// What is over: all was said, nobody waits, or the network lost its way.
trait IsOver {
    fn is_over(&self) -> bool;
}

impl IsOver for Row<Synthesize, Utterance> {
    fn is_over(&self) -> bool {
        self.done || self.work.is_lost() || self.request.over().is_some()
    }
}

impl IsOver for Row<Convert, Conversion> {
    fn is_over(&self) -> bool {
        self.done || self.request.over().is_some()
    }
}
