//! One request from its first window to its last: where to listen, which language, what is a segment, what comes next.
//! Knows no network: it says what it needs and is told the answer.

mod draft;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand::{SeedableRng, rngs::StdRng};

use super::{
    decoding_config::DecodingConfig,
    history::History,
    search::NoDistribution,
    segments::FRAMES_PER_STEP,
    transcription_options::TranscriptionOptions,
    window::{DecodeResult, DecoderInput, Window},
    words::{self, Attention},
};
use crate::{
    model::RequestError,
    nn::sampler::{Choice, Chosen, LogitEdits, Pick},
    speech::{Segment, Summary, Transcribe},
};
use draft::Draft;

/// Shorter sound is not worth a window, in frames of 10 ms.
const SHORTEST: usize = 10;

/// Of a recording in which there was nothing to tell a language by (ISO 639-2).
const UNDETERMINED: &str = "und";

/// A request that is being answered.
pub struct Transcription {
    decoding: Arc<DecodingConfig>,
    options: TranscriptionOptions,
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
/// Encoding ──► Detecting ──► Decoding ──► Aligning ──► Encoding … Done
///     └──────────────────────►┘  └────────────────────►┘
/// ```
enum State {
    /// The window is to be encoded.
    Encoding,
    /// The language is asked for.
    Detecting,
    Decoding(Window),
    /// Segments wait for their words.
    Aligning(Draft),
    Done,
}

/// What the network is to do for a transcription next.
#[derive(Debug, PartialEq)]
pub enum NextStep {
    /// So many frames of the window from this one on, encoded; then [`Transcription::encoded`].
    Encode { seek: usize, frames: usize },
    /// The logits after these tokens, of one sequence or several, and [`Transcription::choices`] from them; then
    /// [`Transcription::take`]. Of no sequence: those after the prompt once more.
    Decode(Vec<DecoderInput>),
    /// Where the decoder looks while it writes these tokens; then [`Transcription::align`].
    Align(Vec<u32>),
    /// It is over.
    Done,
}

// === impl Transcription ===

impl Transcription {
    pub fn new(decoding: Arc<DecodingConfig>, ask: &Transcribe) -> Result<Self, RequestError> {
        let options = TranscriptionOptions::new(ask, &decoding)?;
        let mut transcription = Self {
            rng: StdRng::seed_from_u64(options.seed),
            history: History::new(options.prompt.clone(), options.condition_on_previous_text),
            language: options.language,
            decoding,
            options,
            seek: 0,
            segments: 0,
            tokens: 0,
            last_speech: 0.0,
            state: State::Done,
        };
        transcription.seek_to(0);
        Ok(transcription)
    }

    pub fn next_step(&self) -> NextStep {
        match &self.state {
            State::Encoding => NextStep::Encode { seek: self.seek, frames: self.encoded_frames() },
            State::Detecting => {
                NextStep::Decode(vec![DecoderInput { from: 0, keep: 0, tokens: vec![self.decoding.tokens.sot] }])
            }
            State::Decoding(window) => NextStep::Decode(window.inputs()),
            State::Aligning(draft) => NextStep::Align(self.spelled(draft)),
            State::Done => NextStep::Done,
        }
    }

    /// The window was encoded.
    pub fn encoded(&mut self) {
        self.state = match self.language {
            Some(language) => State::Decoding(self.window(language)),
            None => State::Detecting,
        };
    }

    /// The window is not worth encoding.
    pub fn pass_window(&mut self) {
        self.seek_to(self.seek + self.frames());
    }

    /// Whether the logits that come next are needed again, where another try begins.
    pub fn begins(&self) -> bool {
        matches!(&self.state, State::Decoding(window) if window.begins(&self.options))
    }

    /// What is to be chosen from the logits of its sequences, of which the first is in row `first`.
    pub fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        match &self.state {
            State::Detecting => vec![self.any_language(first)],
            State::Decoding(window) => window.choices(first, &self.decoding, &self.options, &mut self.rng),
            State::Encoding | State::Aligning(_) | State::Done => Vec::new(),
        }
    }

    /// Takes what was chosen; gives the segments that are final.
    pub fn take(&mut self, chosen: impl IntoIterator<Item = Chosen>) -> Result<Vec<Segment>, NoDistribution> {
        match &mut self.state {
            State::Detecting => {
                let language = self.detected(chosen).ok_or(NoDistribution)?;
                self.language = Some(language);
                self.state = State::Decoding(self.window(language));
                Ok(Vec::new())
            }
            State::Decoding(window) => {
                let result = window.take(chosen, &self.decoding, &self.options)?;
                Ok(result.map_or_else(Vec::new, |result| self.draft(result)))
            }
            State::Encoding | State::Aligning(_) | State::Done => Ok(Vec::new()),
        }
    }

    /// Takes attention over the tokens that were asked for, and the probability of each but the first; gives the
    /// segments that are final.
    pub fn align(&mut self, attention: Attention<'_>, next: &[f32]) -> Vec<Segment> {
        let State::Aligning(mut draft) = std::mem::replace(&mut self.state, State::Done) else { return Vec::new() };
        let opening = self.sot_sequence().len();
        let starts = words::token_starts(attention, TranscriptionOptions::positions(self.frames()), opening);
        let probabilities = next.get(opening..opening + draft.text.len()).unwrap_or_default();
        let language = self.language.unwrap_or_default();
        let timings = words::timings(&self.decoding.tokens, language, &draft.text, &starts, probabilities);
        draft.place(timings, self.offset(), self.last_speech);
        self.conclude(draft)
    }

    /// Sequences that it follows at once, at most.
    pub fn width(&self) -> usize {
        self.options.search.width()
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub fn summary(&self) -> Summary {
        let language = self.language.unwrap_or(UNDETERMINED).to_owned();
        Summary { language, duration: self.options.duration, tokens: self.tokens }
    }

    /// Frames of sound in the window.
    fn frames(&self) -> usize {
        self.decoding.window.min(self.options.frames - self.seek)
    }

    /// Frames of the window that the encoder sees, silence behind its sound included.
    fn encoded_frames(&self) -> usize {
        match self.options.audio_ctx {
            0 => self.decoding.window,
            least => least
                .max(self.frames().div_ceil(FRAMES_PER_STEP))
                .saturating_mul(FRAMES_PER_STEP)
                .min(self.decoding.window),
        }
    }

    /// Where the window starts, in seconds.
    fn offset(&self) -> f64 {
        self.seek as f64 / 100.0
    }

    fn seek_to(&mut self, seek: usize) {
        self.seek = seek.min(self.options.frames);
        let left = self.options.frames - self.seek;
        self.state = if left < SHORTEST { State::Done } else { State::Encoding };
    }

    fn window(&self, language: &'static str) -> Window {
        let mut opening = self.decoding.tokens.sot_sequence(language, self.options.mode);
        if !self.options.timestamps {
            opening.push(self.decoding.tokens.no_timestamps);
        }
        let room = self.decoding.max_prompt_tokens();
        let hotwords = &self.options.hotwords[..self.options.hotwords.len().min(room)];
        let earlier = [hotwords, self.history.last(room - hotwords.len())].concat();
        Window::new(&self.decoding, &self.options, &earlier, &opening)
    }

    fn sot_sequence(&self) -> Vec<u32> {
        self.decoding.tokens.sot_sequence(self.language.unwrap_or_default(), self.options.mode)
    }

    /// The likeliest of the languages, from the logits in a row.
    fn any_language(&self, row: usize) -> Choice<'static> {
        let mut ids: Vec<u32> = self.decoding.tokens.languages().iter().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        let starts = [0].into_iter().chain(ids.iter().map(|id| id + 1));
        let ends = ids.iter().copied().chain([u32::MAX]);
        let masked_ranges = starts.zip(ends).map(|(start, end)| start..end).filter(|ids| !ids.is_empty()).collect();
        Choice::new(row, Pick::Likeliest(1)).with_edits(LogitEdits { masked_ranges, ..LogitEdits::default() })
    }

    fn detected(&self, chosen: impl IntoIterator<Item = Chosen>) -> Option<&'static str> {
        let sampled = chosen.into_iter().next().flatten()?;
        let id = sampled.first()?.token;
        self.decoding.tokens.languages().iter().find(|(_, known)| *known == id).map(|(language, _)| *language)
    }

    fn draft(&mut self, result: DecodeResult) -> Vec<Segment> {
        self.tokens += result.tokens.len();
        if self.options.thresholds.silent(&result.quality) {
            self.pass_window();
            return Vec::new();
        }
        let draft = Draft::new(result, &self.decoding, self.seek, self.frames(), self.options.logprobs);
        if self.by_words() && !draft.text.is_empty() {
            self.state = State::Aligning(draft);
            return Vec::new();
        }
        self.conclude(draft)
    }

    /// What the decoder wrote, as it would write it at once and without times.
    fn spelled(&self, draft: &Draft) -> Vec<u32> {
        let tokens = &self.decoding.tokens;
        [&self.sot_sequence()[..], &[tokens.no_timestamps], &draft.text, &[tokens.eot]].concat()
    }

    /// Whether words are timed, for the caller or to find out what is no speech.
    fn by_words(&self) -> bool {
        self.options.word_timestamps || self.options.silence.is_some()
    }

    /// Leaves out what is no speech; where the next window starts, in frames, if that has to do with it.
    fn doubt(&self, draft: &mut Draft) -> Option<usize> {
        let window = (self.offset(), (self.seek + self.decoding.window) as f64 / 100.0);
        let sound_end = (self.seek + self.frames()) as f64 / 100.0;
        let verdict = draft.judge(window, sound_end, self.options.duration, self.last_speech, self.options.silence?);
        draft.keep(verdict.kept);
        verdict.next.map(|seconds| (seconds * 100.0).round() as usize)
    }

    fn conclude(&mut self, mut draft: Draft) -> Vec<Segment> {
        let without = draft.next(self.by_words());
        let next = self.doubt(&mut draft).unwrap_or(without);
        self.last_speech = draft.end().unwrap_or(self.last_speech);
        let temperature = draft.temperature;
        let mut segments = draft.finish(self.segments);
        if !self.options.word_timestamps {
            segments.iter_mut().for_each(|segment| segment.words.clear());
        }
        let tokens = segments.iter().flat_map(|segment| segment.tokens.iter().copied());
        self.history.extend(tokens.filter(|id| self.decoding.keeps_in_prompt(*id)), temperature);
        self.segments += segments.len();
        self.seek_to(next);
        segments
    }
}
