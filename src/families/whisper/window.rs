//! One window: its tokens, one after the other, tried again at higher temperatures until the text can be believed.
//! Knows no network: it says what to feed and what to choose after it, and is told what was chosen.

use rand::rngs::StdRng;

use super::{
    decoding_config::DecodingConfig,
    fallback::{Quality, compression_ratio},
    search::{NoDistribution, Search},
    transcription_options::TranscriptionOptions,
};
use crate::nn::sampler::{Choice, Chosen, Pick, SampledToken};

/// A window that is being decoded.
#[derive(Debug)]
pub struct Window {
    /// Earlier text, then the opening.
    prompt: Vec<u32>,
    /// How much of the prompt goes up to the start token, whose answer tells whether there is speech.
    to_start: usize,
    /// How much of the prompt was fed and answered.
    fed: usize,
    no_speech_prob: f32,
    /// Index of the temperature.
    attempt: usize,
    search: Search,
}

/// What one sequence of the decoder is fed next: it takes `tokens` after the first `keep` of what the sequence `from` held.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderInput {
    pub from: usize,
    pub keep: usize,
    pub tokens: Vec<u32>,
}

/// What was said in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeResult {
    /// Timestamps included, without the end.
    pub tokens: Vec<u32>,
    /// Of each token, and of the end if it was made.
    pub logprobs: Vec<f32>,
    pub temperature: f32,
    pub quality: Quality,
}

// === impl Window ===

impl Window {
    /// `earlier` is text before this window, `opening` begins with the start token.
    pub fn new(decoding: &DecodingConfig, options: &TranscriptionOptions, earlier: &[u32], opening: &[u32]) -> Self {
        let earlier = decoding.tokens.sot_prev.filter(|_| !earlier.is_empty()).map(|previous| (previous, earlier));
        let mut prompt = earlier.map_or_else(Vec::new, |(previous, text)| [&[previous], text].concat());
        let to_start = prompt.len() + 1;
        prompt.extend(opening);
        let search = Search::new(&options.search, options.temperatures[0]);
        Self { prompt, to_start, fed: 0, no_speech_prob: 0.0, attempt: 0, search }
    }

    /// Of each sequence that is followed; none where another try begins: with the answer to the whole prompt once more.
    pub fn inputs(&self) -> Vec<DecoderInput> {
        let prompt = self.prompt.len();
        let alone =
            |keep: usize, end: usize| vec![DecoderInput { from: 0, keep, tokens: self.prompt[keep..end].to_vec() }];
        match self.fed {
            0 => alone(0, self.to_start),
            fed if fed < prompt => alone(fed, prompt),
            _ => self
                .search
                .live()
                .iter()
                .filter_map(|hypothesis| {
                    let (last, before) = hypothesis.tokens.split_last()?;
                    Some(DecoderInput { from: hypothesis.from, keep: prompt + before.len(), tokens: vec![*last] })
                })
                .collect(),
        }
    }

    /// Whether the next answer is the one to the whole prompt, and another try may begin with it.
    pub fn begins(&self, options: &TranscriptionOptions) -> bool {
        self.fed < self.prompt.len() && self.next_fed() == self.prompt.len() && options.temperatures.len() > 1
    }

    /// What is to be chosen from the answers to [`Self::inputs`], of which the first is in row `first`.
    pub fn choices<'a>(
        &'a self,
        first: usize,
        decoding: &'a DecodingConfig,
        options: &TranscriptionOptions,
        rng: &mut StdRng,
    ) -> Vec<Choice<'a>> {
        let no_speech = self.asked(decoding).map(|token| Choice::new(first, Pick::Token(token)));
        let mut choices = Vec::from_iter(no_speech);
        if self.next_fed() == self.prompt.len() {
            let picks = self.search.picks(rng).into_iter().zip(self.search.live());
            choices.extend(picks.enumerate().map(|(at, (pick, hypothesis))| {
                let made = hypothesis.tokens.as_slice();
                let mut edits = decoding.filters.edits(made, options.timestamps);
                options.repetition.extend(&mut edits, made);
                Choice::new(first + at, pick).with_edits(edits)
            }));
        }
        choices
    }

    /// Takes what was chosen; gives what was said once that is clear.
    pub fn take(
        &mut self,
        chosen: impl IntoIterator<Item = Chosen>,
        decoding: &DecodingConfig,
        options: &TranscriptionOptions,
    ) -> Result<Option<DecodeResult>, NoDistribution> {
        let mut chosen = chosen.into_iter();
        if self.asked(decoding).is_some() {
            let likely = |sampled: Option<_>| sampled.map_or(0.0, |sampled: SampledToken| sampled.logprob.exp());
            self.no_speech_prob = chosen.next().flatten().map_or(f32::NAN, |chosen| likely(chosen.first().copied()));
        }
        self.fed = self.next_fed();
        if self.fed < self.prompt.len() {
            return Ok(None);
        }
        let longest = decoding.max_new_tokens().min((decoding.context + 1).saturating_sub(self.prompt.len()));
        if !self.search.take(chosen, decoding.tokens.eot, longest)? {
            return Ok(None);
        }
        let result = self.result(decoding, options);
        let is_last = self.attempt + 1 == options.temperatures.len();
        if is_last || options.thresholds.believable(&result.quality) {
            return Ok(Some(result));
        }
        self.attempt += 1;
        self.search = Search::new(&options.search, options.temperatures[self.attempt]);
        Ok(None)
    }

    /// How much of the prompt will have been fed with [`Self::inputs`].
    fn next_fed(&self) -> usize {
        if self.fed == 0 { self.to_start } else { self.prompt.len() }
    }

    /// The token whose probability is asked for: that there is no speech, after the start token.
    fn asked(&self, decoding: &DecodingConfig) -> Option<u32> {
        decoding.tokens.no_speech.filter(|_| self.fed == 0)
    }

    fn result(&mut self, decoding: &DecodingConfig, options: &TranscriptionOptions) -> DecodeResult {
        let temperature = self.search.temperature();
        let best = std::mem::replace(&mut self.search, Search::new(&options.search, temperature)).best();
        let text = decoding.tokens.text(&best.tokens);
        let quality = Quality {
            compression_ratio: compression_ratio(text.trim()),
            avg_logprob: best.logprob() / (best.tokens.len() + 1) as f32,
            no_speech_prob: self.no_speech_prob,
        };
        DecodeResult { tokens: best.tokens, logprobs: best.logprobs, temperature, quality }
    }
}
