//! One request from its first window to its last: where to listen, which language, what is a segment, what comes next.
//! Knows no network: it says what it needs and is told the answer.

mod draft;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand::{SeedableRng, rngs::StdRng};

use super::{
    history::History,
    recipe::Recipe,
    request::WhisperRequest,
    sampling::likeliest,
    window::{Feed, NoDistribution, Said, Window},
    words::{self, Attention},
};
use crate::{
    model::RequestError,
    speech::{Segment, Summary, Transcribe},
};
use draft::Draft;

/// Shorter sound is not worth a window, in frames of 10 ms.
const SHORTEST: usize = 10;

/// Of a recording in which there was nothing to tell a language by (ISO 639-2).
const UNDETERMINED: &str = "und";

/// A request that is being answered.
pub struct Transcription {
    recipe: Arc<Recipe>,
    request: WhisperRequest,
    rng: StdRng,
    history: History,
    language: Option<&'static str>,
    /// Where the window starts, in frames of 10 ms.
    seek: usize,
    /// Segments given out.
    segments: usize,
    /// Tokens made.
    tokens: usize,
    /// The end of the last word, in seconds.
    last_speech: f64,
    state: State,
}

/// ```text
/// Listening ──► Detecting ──► Decoding ──► Aligning ──► Listening … Over
///     └───────────────────────►┘  └─────────────────────►┘
/// ```
enum State {
    /// The window is to be encoded.
    Listening,
    /// The language is asked for.
    Detecting,
    Decoding(Window),
    /// Segments wait for their words.
    Aligning(Draft),
    Over,
}

/// What a transcription needs to go on.
#[derive(Debug, PartialEq)]
pub enum Need {
    /// The window from this frame on, encoded; then [`Transcription::listened`].
    Window { seek: usize },
    /// The logits after these tokens; then [`Transcription::hear`].
    Logits(Feed),
    /// Where the decoder looks while it writes these tokens; then [`Transcription::align`].
    Alignment(Vec<u32>),
    /// It is over.
    Nothing,
}

// === impl Transcription ===

impl Transcription {
    pub fn new(recipe: Arc<Recipe>, ask: &Transcribe) -> Result<Self, RequestError> {
        let request = WhisperRequest::new(ask, &recipe)?;
        let mut transcription = Self {
            rng: StdRng::seed_from_u64(request.seed),
            history: History::new(request.prompt.clone(), request.carries_on),
            language: request.language,
            recipe,
            request,
            seek: 0,
            segments: 0,
            tokens: 0,
            last_speech: 0.0,
            state: State::Over,
        };
        transcription.listen_at(0);
        Ok(transcription)
    }

    pub fn need(&self) -> Need {
        match &self.state {
            State::Listening => Need::Window { seek: self.seek },
            State::Detecting => Need::Logits(Feed { keep: 0, tokens: vec![self.recipe.tokens.start] }),
            State::Decoding(window) => Need::Logits(window.feed()),
            State::Aligning(draft) => Need::Alignment(self.spelled(draft)),
            State::Over => Need::Nothing,
        }
    }

    /// The window was encoded.
    pub fn listened(&mut self) {
        self.state = match self.language {
            Some(language) => State::Decoding(self.window(language)),
            None => State::Detecting,
        };
    }

    /// Takes logits `[vocabulary]`; gives the segments that are final.
    pub fn hear(&mut self, logits: Vec<f32>) -> Result<Vec<Segment>, NoDistribution> {
        match &mut self.state {
            State::Detecting => {
                let language = self.detect(&logits);
                self.language = Some(language);
                self.state = State::Decoding(self.window(language));
                Ok(Vec::new())
            }
            State::Decoding(window) => {
                let said = window.hear(logits, &self.recipe, &self.request, &mut self.rng)?;
                Ok(said.map_or_else(Vec::new, |said| self.draft(said)))
            }
            State::Listening | State::Aligning(_) | State::Over => Ok(Vec::new()),
        }
    }

    /// Takes attention over the tokens that were asked for, and the probability of each but the first; gives the
    /// segments that are final.
    pub fn align(&mut self, attention: Attention<'_>, next: &[f32]) -> Vec<Segment> {
        let State::Aligning(mut draft) = std::mem::replace(&mut self.state, State::Over) else { return Vec::new() };
        let opening = self.opening().len();
        let starts = words::token_starts(attention, WhisperRequest::positions(self.frames()), opening);
        let probabilities = next.get(opening..opening + draft.text.len()).unwrap_or_default();
        let language = self.language.unwrap_or_default();
        let timings = words::timings(&self.recipe.tokens, language, &draft.text, &starts, probabilities);
        draft.place(timings, self.offset(), self.last_speech);
        self.conclude(draft)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn summary(&self) -> Summary {
        let language = self.language.unwrap_or(UNDETERMINED).to_owned();
        Summary { language, duration: self.request.duration, tokens: self.tokens }
    }

    /// Frames of sound in the window.
    fn frames(&self) -> usize {
        self.recipe.window.min(self.request.frames - self.seek)
    }

    /// Where the window starts, in seconds.
    fn offset(&self) -> f64 {
        self.seek as f64 / 100.0
    }

    fn listen_at(&mut self, seek: usize) {
        self.seek = seek.min(self.request.frames);
        let left = self.request.frames - self.seek;
        self.state = if left < SHORTEST { State::Over } else { State::Listening };
    }

    fn window(&self, language: &'static str) -> Window {
        let mut opening = self.recipe.tokens.opening(language, self.request.goal);
        if !self.request.timed {
            opening.push(self.recipe.tokens.no_times);
        }
        Window::new(&self.recipe, self.history.last(self.recipe.prompt_room()), &opening)
    }

    fn opening(&self) -> Vec<u32> {
        self.recipe.tokens.opening(self.language.unwrap_or_default(), self.request.goal)
    }

    /// The likeliest of the languages.
    fn detect(&self, logits: &[f32]) -> &'static str {
        let languages = self.recipe.tokens.languages();
        let logits: Vec<f32> = languages.iter().map(|(_, id)| logits[*id as usize]).collect();
        languages[likeliest(&logits)].0
    }

    fn draft(&mut self, said: Said) -> Vec<Segment> {
        self.tokens += said.tokens.len();
        if self.request.thresholds.silent(&said.quality) {
            self.listen_at(self.seek + self.frames());
            return Vec::new();
        }
        let draft = Draft::new(said, &self.recipe, self.seek, self.frames(), self.request.logprobs);
        if self.request.words && !draft.text.is_empty() {
            self.state = State::Aligning(draft);
            return Vec::new();
        }
        self.conclude(draft)
    }

    /// What the decoder wrote, as it would write it at once and without times.
    fn spelled(&self, draft: &Draft) -> Vec<u32> {
        let tokens = &self.recipe.tokens;
        [&self.opening()[..], &[tokens.no_times], &draft.text, &[tokens.end]].concat()
    }

    fn conclude(&mut self, draft: Draft) -> Vec<Segment> {
        let next = draft.next(self.request.words);
        self.last_speech = draft.end().unwrap_or(self.last_speech);
        let temperature = draft.temperature;
        let segments = draft.finish(self.segments, self.request.duration);
        let tokens = segments.iter().flat_map(|segment| segment.tokens.iter().copied());
        self.history.extend(tokens.filter(|id| self.recipe.remembers(*id)), temperature);
        self.segments += segments.len();
        self.listen_at(next);
        segments
    }
}
