//! One try at a window at one temperature: a text, or several that are followed side by side, of which the best is kept.
//! Rules of openai-whisper, `decoding.py`; the length penalty is CTranslate2's.

#[cfg(test)]
mod tests;

use rand::{Rng, rngs::StdRng};

use crate::nn::sampler::{Chosen, Pick, SampledToken};

/// How texts are looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOptions {
    /// Texts that are followed side by side at temperature 0; 1 takes the likeliest token each time.
    pub beam_size: usize,
    /// Finished texts after which a beam stops, as a multiple of its size.
    pub patience: f32,
    /// Texts that are drawn at temperatures above 0.
    pub best_of: usize,
    /// The log-probability of a text is divided by its length to this power before texts are compared.
    pub length_penalty: f32,
}

/// One try.
#[derive(Debug)]
pub struct Search {
    temperature: f32,
    /// Followed at once.
    width: usize,
    /// Finished texts of a beam after which it stops.
    enough: usize,
    length_penalty: f32,
    live: Vec<Hypothesis>,
    finished: Vec<Hypothesis>,
}

/// What may have been said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// Timestamps included, without the end.
    pub tokens: Vec<u32>,
    /// Of each token, and of the end if it was made.
    pub logprobs: Vec<f32>,
    /// The sequence, of those before the last tokens, that it continues.
    pub from: usize,
}

/// The network gave numbers that are no distribution.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the logits are no distribution")]
pub struct NoDistribution;

// === impl SearchOptions ===

impl SearchOptions {
    /// Sequences that are followed at once, at most.
    pub fn width(&self) -> usize {
        self.beam_size.max(self.best_of)
    }
}

// === impl Search ===

impl Search {
    pub fn new(options: &SearchOptions, temperature: f32) -> Self {
        let width = if temperature > 0.0 { options.best_of } else { options.beam_size };
        let enough = (width as f32 * options.patience).round_ties_even().max(1.0) as usize;
        // The first logits are those of one sequence, whatever is made of them.
        let live = vec![Hypothesis::default()];
        Self { temperature, width, enough, length_penalty: options.length_penalty, live, finished: Vec::new() }
    }

    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// What is followed.
    pub fn live(&self) -> &[Hypothesis] {
        &self.live
    }

    /// What is to be chosen after each of [`Self::live`].
    pub fn picks(&self, rng: &mut StdRng) -> Vec<Pick> {
        // All that are drawn begin with the same logits.
        let first = self.live.len() == 1 && self.live[0].tokens.is_empty();
        let times = if first { self.width } else { 1 };
        let pick = |_: &Hypothesis| match self.temperature {
            temperature if temperature > 0.0 => {
                Pick::Drawn { temperature, at: (0..times).map(|_| rng.random()).collect() }
            }
            _ if self.width == 1 => Pick::Likeliest(1),
            _ => Pick::Likeliest(self.width + 1),
        };
        self.live.iter().map(pick).collect()
    }

    /// Takes what was chosen after each of [`Self::live`]. Whether the try is over; it is when texts have `longest` tokens.
    pub fn take(
        &mut self,
        chosen: impl IntoIterator<Item = Chosen>,
        end: u32,
        longest: usize,
    ) -> Result<bool, NoDistribution> {
        let before = std::mem::take(&mut self.live);
        let chosen = chosen.into_iter().collect::<Option<Vec<_>>>().ok_or(NoDistribution)?;
        if self.is_beam() {
            self.extend_beam(&before, chosen, end);
        } else {
            self.extend_each(&before, chosen, end);
        }
        let long = self.live.first().is_some_and(|hypothesis| hypothesis.tokens.len() >= longest);
        Ok(self.live.is_empty() || long || self.is_beam() && self.finished.len() >= self.enough)
    }

    /// The best of those that were finished, and of the others where too few were.
    pub fn best(mut self) -> Hypothesis {
        if self.finished.len() < self.width {
            self.live.sort_by(|a, b| b.logprob().total_cmp(&a.logprob()));
            let missing = self.width - self.finished.len();
            self.finished.extend(self.live.drain(..).take(missing));
        }
        // The first of equals, as in the reference.
        let best = self.finished.into_iter().enumerate().max_by(|(at, a), (other, b)| {
            a.score(self.length_penalty).total_cmp(&b.score(self.length_penalty)).then(other.cmp(at))
        });
        best.map(|(_, hypothesis)| hypothesis).unwrap_or_default()
    }

    fn is_beam(&self) -> bool {
        self.temperature == 0.0 && self.width > 1
    }

    /// One more token of each, or several first ones.
    fn extend_each(&mut self, before: &[Hypothesis], chosen: Vec<Vec<SampledToken>>, end: u32) {
        for (at, (hypothesis, chosen)) in before.iter().zip(chosen).enumerate() {
            for choice in chosen {
                self.keep(hypothesis.followed_by(at, choice, end), choice.token == end);
            }
        }
    }

    /// The likeliest continuations of all, as many as the beam is wide.
    fn extend_beam(&mut self, before: &[Hypothesis], chosen: Vec<Vec<SampledToken>>, end: u32) {
        let mut candidates = Vec::with_capacity(before.len() * (self.width + 1));
        for (at, (hypothesis, chosen)) in before.iter().zip(chosen).enumerate() {
            let so_far = hypothesis.logprob();
            candidates.extend(chosen.into_iter().map(|choice| (so_far + choice.logprob, at, choice)));
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, at, choice) in candidates {
            if self.live.len() == self.width {
                break;
            }
            let is_end = choice.token == end;
            if !is_end || self.finished.len() < self.enough {
                self.keep(before[at].followed_by(at, choice, end), is_end);
            }
        }
    }

    fn keep(&mut self, hypothesis: Hypothesis, finished: bool) {
        if finished { &mut self.finished } else { &mut self.live }.push(hypothesis);
    }
}

// === impl Hypothesis ===

impl Hypothesis {
    pub fn logprob(&self) -> f32 {
        self.logprobs.iter().sum()
    }

    fn score(&self, length_penalty: f32) -> f32 {
        self.logprob() / (self.tokens.len().max(1) as f32).powf(length_penalty)
    }

    fn followed_by(&self, at: usize, choice: SampledToken, end: u32) -> Self {
        let mut next = Self { from: at, ..self.clone() };
        next.logprobs.push(choice.logprob);
        if choice.token != end {
            next.tokens.push(choice.token);
        }
        next
    }
}
