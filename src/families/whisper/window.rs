//! One window: its tokens, one after the other, tried again at higher temperatures until the text can be believed.
//! Knows no network: it says what to feed and is told the logits.

use rand::rngs::StdRng;

use super::{
    decoding_config::DecodingConfig,
    fallback::{Quality, compression_ratio},
    transcription_options::TranscriptionOptions,
};
use crate::nn::sampler::{probability, sample};

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
    attempt: Attempt,
}

/// One try at one temperature.
#[derive(Debug, Default)]
struct Attempt {
    /// Index of the temperature.
    number: usize,
    made: Vec<u32>,
    /// Of each that was made, and of the end.
    logprobs: Vec<f32>,
}

/// What is to be fed next: the decoder keeps its first `keep` tokens and takes `tokens` after them.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderInput {
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

/// The network gave numbers that are no distribution.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the logits are no distribution")]
pub struct NoDistribution;

// === impl Window ===

impl Window {
    /// `earlier` is text before this window, `opening` begins with the start token.
    pub fn new(decoding: &DecodingConfig, earlier: &[u32], opening: &[u32]) -> Self {
        let earlier = decoding.tokens.sot_prev.filter(|_| !earlier.is_empty()).map(|previous| (previous, earlier));
        let mut prompt = earlier.map_or_else(Vec::new, |(previous, text)| [&[previous], text].concat());
        let to_start = prompt.len() + 1;
        prompt.extend(opening);
        Self { prompt, to_start, fed: 0, no_speech_prob: 0.0, first: Vec::new(), attempt: Attempt::default() }
    }

    pub fn input(&self) -> DecoderInput {
        let prompt = self.prompt.len();
        match (self.fed, self.attempt.made.as_slice()) {
            (0, _) => DecoderInput { keep: 0, tokens: self.prompt[..self.to_start].to_vec() },
            (fed, _) if fed < prompt => DecoderInput { keep: fed, tokens: self.prompt[fed..].to_vec() },
            (_, [.., last]) => DecoderInput { keep: prompt + self.attempt.made.len() - 1, tokens: vec![*last] },
            (_, []) => DecoderInput { keep: prompt - 1, tokens: self.prompt[prompt - 1..].to_vec() },
        }
    }

    /// Takes the answer `[vocabulary]` to the last token of [`Self::input`]; gives what was said once that is clear.
    pub fn take_logits(
        &mut self,
        mut logits: Vec<f32>,
        decoding: &DecodingConfig,
        options: &TranscriptionOptions,
        rng: &mut StdRng,
    ) -> Result<Option<DecodeResult>, NoDistribution> {
        if !self.prompted(&logits, decoding) {
            return Ok(None);
        }
        while self.make(&mut logits, decoding, options, rng)? {
            let result = self.result(decoding, options);
            let is_last = self.attempt.number + 1 == options.temperatures.len();
            if is_last || options.thresholds.believable(&result.quality) {
                return Ok(Some(result));
            }
            self.attempt = Attempt { number: self.attempt.number + 1, ..Attempt::default() };
            logits.clone_from(&self.first);
        }
        Ok(None)
    }

    /// Goes through the prompt; whether `logits` are about what comes after it.
    fn prompted(&mut self, logits: &[f32], decoding: &DecodingConfig) -> bool {
        let prompt = self.prompt.len();
        if self.fed == prompt {
            return true;
        }
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

    /// One more token; whether it was the last.
    fn make(
        &mut self,
        logits: &mut [f32],
        decoding: &DecodingConfig,
        options: &TranscriptionOptions,
        rng: &mut StdRng,
    ) -> Result<bool, NoDistribution> {
        let attempt = &mut self.attempt;
        decoding.filters.apply(logits, &attempt.made, options.timestamps);
        let choice = sample(logits, options.temperatures[attempt.number], rng).ok_or(NoDistribution)?;
        attempt.logprobs.push(choice.logprob);
        if choice.token == decoding.tokens.eot {
            return Ok(true);
        }
        attempt.made.push(choice.token);
        let made = attempt.made.len();
        Ok(made >= decoding.max_new_tokens() || self.prompt.len() + made > decoding.context)
    }

    fn result(&mut self, decoding: &DecodingConfig, options: &TranscriptionOptions) -> DecodeResult {
        let attempt = &mut self.attempt;
        let text = decoding.tokens.text(&attempt.made);
        let quality = Quality {
            compression_ratio: compression_ratio(text.trim()),
            avg_logprob: attempt.logprobs.iter().sum::<f32>() / (attempt.made.len() + 1) as f32,
            no_speech_prob: self.no_speech_prob,
        };
        let temperature = options.temperatures[attempt.number];
        let (tokens, logprobs) = (std::mem::take(&mut attempt.made), std::mem::take(&mut attempt.logprobs));
        DecodeResult { tokens, logprobs, temperature, quality }
    }
}
