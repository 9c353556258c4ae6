//! The way of requests through a model that says texts in codes: a column of codes for every text in hand, and sound as it
//! becomes due.

use super::speech_error::SpeechError;
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Request, RequestError},
    nn::Threads,
    speech::{SpeechEvent, SpeechSummary, Synthesize, SynthesizeOptions},
};

/// What is said before anybody asks, and how little of it.
const WARM_UP: &str = "Hello.";
const WARM_UP_FRAMES: usize = 2;

/// Why a text will get no more codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model said that it is done.
    Stopped,
    /// As many frames as were allowed.
    Full,
    /// The network's numbers were no distribution to draw from.
    Lost,
}

/// A text that is being said.
pub trait CodeUtterance {
    fn finish(&self) -> Option<FinishReason>;

    /// Whether there are codes to make sound of.
    fn is_due(&self) -> bool;
}

/// Networks that say texts in codes.
pub trait CodeSpeaker: Sync {
    type Utterance: CodeUtterance + Send;

    fn threads(&self) -> &Threads;

    /// Requests that it works on at once.
    fn max_batch(&self) -> usize;

    /// Of the sound, in hertz.
    fn rate(&self) -> u32;

    /// Reads what is asked, and draws the first column.
    fn begin(&self, ask: &Synthesize) -> Result<Self::Utterance, SpeechError>;

    /// A column more of each that is not finished.
    fn step(&self, utterances: &mut [&mut Self::Utterance]) -> candle_core::Result<()>;

    /// The sound of the frames that came since; all that is left if there will be no more.
    fn sound(&self, utterance: &mut Self::Utterance) -> candle_core::Result<Vec<f32>>;

    /// What is told of a text that was said, without how long it is.
    fn summary(&self, utterance: Self::Utterance) -> SpeechSummary;
}

/// A request in hand, and what becomes of it.
struct Row<U> {
    request: Request<Synthesize>,
    utterance: U,
    samples: usize,
    rate: u32,
    /// Its sound is whole.
    done: bool,
}

/// Works on requests until nobody is left.
pub fn work<S: CodeSpeaker>(speaker: &S, batch: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
    let mut rows: Vec<Row<S::Utterance>> = Vec::new();
    loop {
        let newcomers = batch.admit(speaker.max_batch().saturating_sub(rows.len()));
        if rows.is_empty() && newcomers.is_empty() {
            return Ok(());
        }
        for request in newcomers {
            rows.extend(begin(speaker, request)?);
        }
        rows.extract_if(.., |row| row.is_over()).for_each(|row| row.end(speaker));
        let mut going: Vec<_> = rows.iter_mut().filter(|row| row.request.has_room()).collect();
        if going.is_empty() {
            batch.park(rows.iter().map(|row| &row.request));
            continue;
        }
        speaker.threads().install(|| step(speaker, &mut going)).map_err(|error| Broken(error.into()))?;
        batch.step();
    }
}

/// Answers at once what cannot be done.
fn begin<S: CodeSpeaker>(speaker: &S, request: Request<Synthesize>) -> Result<Option<Row<S::Utterance>>, Broken> {
    match speaker.threads().install(|| speaker.begin(request.ask())) {
        Ok(utterance) => Ok(Some(Row { request, utterance, samples: 0, rate: speaker.rate(), done: false })),
        Err(error) => {
            request.fail(error.of_request()?);
            Ok(None)
        }
    }
}

/// A column for every text, and the sound of those for which it is time.
fn step<S: CodeSpeaker>(speaker: &S, rows: &mut [&mut Row<S::Utterance>]) -> candle_core::Result<()> {
    let mut live: Vec<_> = rows.iter_mut().map(|row| &mut row.utterance).collect();
    speaker.step(&mut live)?;
    for row in rows {
        if row.utterance.is_due() && row.utterance.finish() != Some(FinishReason::Lost) {
            let sound = speaker.sound(&mut row.utterance)?;
            row.emit(sound);
        }
        row.done = row.utterance.finish().is_some();
    }
    Ok(())
}

/// A short text as a whole, so that the first request is as fast as the second.
pub fn warm_up<S: CodeSpeaker>(speaker: &S) -> Result<(), Broken> {
    let say = || {
        let mut options = SynthesizeOptions { seed: Some(1), ..SynthesizeOptions::default() };
        options.options.insert("max_new_tokens".to_owned(), WARM_UP_FRAMES.into());
        let ask = Synthesize { text: WARM_UP.to_owned(), options, ..Synthesize::default() };
        let mut utterance = speaker.begin(&ask)?;
        while utterance.finish().is_none() {
            speaker.step(&mut [&mut utterance])?;
        }
        speaker.sound(&mut utterance)?;
        Ok::<_, SpeechError>(())
    };
    speaker.threads().install(say).map_err(|error| Broken(error.into()))
}

// === impl Row ===

impl<U: CodeUtterance> Row<U> {
    fn emit(&mut self, sound: Vec<f32>) {
        if !sound.is_empty() {
            self.samples += sound.len();
            self.request.emit(SpeechEvent::Audio(Pcm::new(sound, self.rate)));
        }
    }

    fn is_over(&self) -> bool {
        self.done || self.request.over().is_some()
    }

    fn end(self, speaker: &impl CodeSpeaker<Utterance = U>) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if self.utterance.finish() == Some(FinishReason::Lost) => self.request.fail(RequestError::Broken),
            None => {
                let seconds = self.samples as f64 / f64::from(self.rate);
                let summary = SpeechSummary { seconds, ..speaker.summary(self.utterance) };
                self.request.finish(SpeechEvent::Done(summary));
            }
        }
    }
}
