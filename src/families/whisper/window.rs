//! One window: its tokens, one after the other, tried again at higher temperatures until the text can be believed.
//! Knows no network: it says what to feed and is told the logits.

use rand::rngs::StdRng;

use super::{
    decoding_config::DecodingConfig,
    fallback::{Quality, compression_ratio},
    search::{NoDistribution, Search},
    transcription_options::TranscriptionOptions,
};
use crate::nn::sampler::probability;

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
    /// The answer to the whole prompt, kept for the next try.
    first: Vec<f32>,
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
        Self { prompt, to_start, fed: 0, no_speech_prob: 0.0, first: Vec::new(), attempt: 0, search }
    }

    /// Of each sequence that is followed.
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

    /// Takes the answers `[vocabulary]` to the last tokens of [`Self::inputs`]; gives what was said once that is clear.
    pub fn take_logits(
        &mut self,
        mut logits: Vec<Vec<f32>>,
        decoding: &DecodingConfig,
        options: &TranscriptionOptions,
        rng: &mut StdRng,
    ) -> Result<Option<DecodeResult>, NoDistribution> {
        if !self.prompted(&logits, decoding) {
            return Ok(None);
        }
        let rules = |logits: &mut [f32], made: &[u32]| {
            options.repetition.apply(logits, made);
            decoding.filters.apply(logits, made, options.timestamps);
        };
        let longest = decoding.max_new_tokens().min((decoding.context + 1).saturating_sub(self.prompt.len()));
        while self.search.take_logits(logits, rules, decoding.tokens.eot, longest, rng)? {
            let result = self.result(decoding, options);
            let is_last = self.attempt + 1 == options.temperatures.len();
            if is_last || options.thresholds.believable(&result.quality) {
                return Ok(Some(result));
            }
            self.attempt += 1;
            self.search = Search::new(&options.search, options.temperatures[self.attempt]);
            logits = vec![self.first.clone()];
        }
        Ok(None)
    }

    /// Goes through the prompt; whether `logits` are about what comes after it.
    fn prompted(&mut self, logits: &[Vec<f32>], decoding: &DecodingConfig) -> bool {
        let prompt = self.prompt.len();
        if self.fed == prompt {
            return true;
        }
        let logits = logits.first().map(Vec::as_slice).unwrap_or_default();
        if self.fed == 0 {
            self.no_speech_prob = decoding.tokens.no_speech.map_or(0.0, |id| probability(logits, id));
            self.fed = self.to_start;
        } else {
            self.fed = prompt;
        }
        if self.fed == prompt {
            self.first = logits.to_vec();
        }
        self.fed == prompt
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
