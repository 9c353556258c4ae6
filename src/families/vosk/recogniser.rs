//! A loaded model at work: each request has a recognizer of its own, all of them share the model, and every step takes a
//! little of each one's sound.

use std::sync::Arc;

use rayon::prelude::*;

use super::{
    answer::{self, Place},
    api,
    options::{Able, RecognitionOptions},
};
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Input, Model, Request, RequestError},
    nn::Threads,
    speech::{Summary, Transcribe, TranscriptEvent},
};

/// Sound that a step takes, in seconds: as much as the library itself hears at once, so that who leaves is gone soon.
const STEP: f64 = 0.2;
/// The library takes samples as large as those of 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// A model, and what is known of it.
pub struct Recogniser {
    pub model: Arc<api::Model>,
    /// Hertz.
    pub rate: u32,
    pub language: Option<&'static str>,
    pub takes_grammars: bool,
    pub threads: Threads,
    pub max_batch: usize,
}

/// A request in hand.
struct Row {
    request: Request<Transcribe>,
    recognizer: api::Recognizer,
    rate: u32,
    wish: RecognitionOptions,
    language: String,
    /// What is to be heard next, and how much of it was; at first what the request began with.
    sound: Sound,
    /// Samples that were heard.
    heard: usize,
    segments: usize,
    /// What was told last of the stretch that is not over.
    partial: String,
    state: State,
}

/// ```text
/// Hearing ◄──► Waiting (for more sound, or for room) ; Hearing ──► Finished | Failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hearing,
    Waiting,
    Finished,
    Failed,
}

enum Sound {
    /// Of the request itself, from there on.
    Beginning(usize),
    /// Of what came later, from there on.
    Part(Pcm, usize),
    /// There is no more.
    Over,
}

// === impl Recogniser ===

impl Recogniser {
    fn begin(&self, request: Request<Transcribe>) -> Option<Row> {
        match self.row(&request) {
            Ok((recognizer, wish)) => {
                let language = request.ask().options.language.as_deref().and_then(crate::speech::languages::code);
                let language = self.language.or(language).unwrap_or_default().to_owned();
                Some(Row {
                    request,
                    recognizer,
                    rate: self.rate,
                    wish,
                    language,
                    sound: Sound::Beginning(0),
                    heard: 0,
                    segments: 0,
                    partial: String::new(),
                    state: State::Hearing,
                })
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    fn row(&self, request: &Request<Transcribe>) -> Result<(api::Recognizer, RecognitionOptions), RequestError> {
        let knows = |word: &str| self.model.knows(word);
        let able = Able { language: self.language, takes_grammars: self.takes_grammars, knows: &knows };
        let wish = RecognitionOptions::of(&request.ask().options, &able)?;
        let recognizer = api::Recognizer::new(&self.model, self.rate, &wish.hearing).map_err(|error| {
            tracing::warn!(request = %request.id, %error, "a request failed in the model");
            RequestError::Broken
        })?;
        Ok((recognizer, wish))
    }

    fn step(&self, rows: &mut [Row]) {
        match rows {
            [row] => row.step(),
            rows => self.threads.install(|| rows.par_iter_mut().for_each(Row::step)),
        }
    }
}

impl Model for Recogniser {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn transcribe(&mut self, batch: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit_live(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            rows.extend(newcomers.into_iter().filter_map(|request| self.begin(request)));
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            if rows.is_empty() {
                continue;
            }
            self.step(&mut rows);
            match rows.iter().all(|row| row.state == State::Waiting) {
                true => batch.park(rows.iter().map(|row| &row.request)),
                false => batch.step(),
            }
        }
    }

    /// Half a second of silence goes through all of the network.
    fn warm_up(&mut self) -> Result<(), Broken> {
        let silence = vec![0.0; self.rate as usize / 2];
        let hear = || {
            let mut recognizer = api::Recognizer::new(&self.model, self.rate, &api::Hearing::default())?;
            recognizer.accept(&silence)?;
            recognizer.last()
        };
        hear().map(drop).map_err(|error| Broken(error.into()))
    }
}

// === impl Row ===

impl Row {
    /// Hears a little, if there is something to hear and somebody to tell it.
    fn step(&mut self) {
        if matches!(self.state, State::Finished | State::Failed) {
            return;
        }
        self.state = State::Waiting;
        if !self.request.has_room() {
            return;
        }
        self.state = self.hear().unwrap_or_else(|error| {
            tracing::warn!(request = %self.request.id, %error, "a request failed in the model");
            State::Failed
        });
    }

    fn hear(&mut self) -> Result<State, HearingError> {
        match self.next() {
            Next::Samples(samples) => {
                self.heard += samples.len();
                if self.recognizer.accept(&samples)? {
                    let json = self.recognizer.result()?;
                    self.tell(&json)?;
                } else if !self.request.is_whole() {
                    self.tell_partial()?;
                }
                Ok(State::Hearing)
            }
            Next::Pending => Ok(State::Waiting),
            Next::End => {
                let json = self.recognizer.last()?;
                self.tell(&json)?;
                Ok(State::Finished)
            }
        }
    }

    /// What is to be heard in this step.
    fn next(&mut self) -> Next {
        let step = (f64::from(self.rate) * STEP) as usize;
        loop {
            let (samples, at) = match &mut self.sound {
                Sound::Beginning(at) => (self.request.ask().audio.samples(), at),
                Sound::Part(pcm, at) => (pcm.samples(), at),
                Sound::Over => return Next::End,
            };
            if *at < samples.len() {
                let piece = &samples[*at..(*at + step).min(samples.len())];
                *at += piece.len();
                return Next::Samples(piece.iter().map(|sample| sample * FULL_SCALE).collect());
            }
            match self.request.input() {
                Input::More(pcm) => self.sound = Sound::Part(pcm, 0),
                Input::Pending => return Next::Pending,
                Input::End => self.sound = Sound::Over,
            }
        }
    }

    /// A stretch is over.
    fn tell(&mut self, json: &str) -> Result<(), HearingError> {
        let place = Place { id: self.segments, end: self.seconds(), words: self.wish.words };
        self.partial.clear();
        if let Some(segment) = answer::segment(json, place)? {
            self.segments += 1;
            self.request.emit(TranscriptEvent::Segment(segment));
        }
        Ok(())
    }

    fn tell_partial(&mut self) -> Result<(), HearingError> {
        let text = answer::partial(&self.recognizer.partial()?)?;
        if text != self.partial {
            self.partial.clone_from(&text);
            self.request.emit(TranscriptEvent::Partial(text));
        }
        Ok(())
    }

    /// That were heard.
    fn seconds(&self) -> f64 {
        self.heard as f64 / f64::from(self.rate)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Failed) || self.request.over().is_some()
    }

    fn end(self) {
        match (self.request.over(), self.state) {
            (_, State::Finished) => {
                let (language, duration) = (self.language.clone(), self.seconds());
                self.request.finish(TranscriptEvent::Done(Summary { language, duration, tokens: 0 }));
            }
            (Some(error), _) => self.request.fail(error),
            (None, _) => self.request.fail(RequestError::Broken),
        }
    }
}

enum Next {
    Samples(Vec<f32>),
    Pending,
    End,
}

/// Why a request got no further.
#[derive(Debug, thiserror::Error)]
enum HearingError {
    #[error(transparent)]
    Library(#[from] api::Failed),
    #[error("libvosk answers what is no answer: {0}")]
    Answer(#[from] serde_json::Error),
}
