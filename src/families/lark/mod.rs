//! Lark: a small voice that makes a sentence in one pass. Symbols become lengths, pitch and the bands of a spectrum by
//! ConvNeXt networks, and those become sound by a pulse train, noise and an inverse short-time Fourier transform.
//!
//! `training/lark/` is the reference and the recipe; its weights are inside this program.

mod alphabet;
mod config;
mod convnext;
mod dense;
mod frontend;
mod istft;
mod letters;
mod lexicon;
mod net;
mod utterance;
mod vocoder;

use bytes::Bytes;

use crate::nn::{WeightError, Weights};

pub use alphabet::Alphabet;
pub use config::Config;
pub use frontend::FrontEnd;
pub use letters::GraphemeToPhoneme;
pub use lexicon::Lexicon;
pub use net::{LarkNet, Plan};
pub use utterance::Utterance;

/// Symbols in one sentence, at most: about half a minute.
pub const LONGEST_SENTENCE: usize = 512;

/// How fast a voice can speak, as a multiple of its own speed.
pub const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// What can be wrong with a voice, or with what it is to say.
#[derive(Debug, thiserror::Error)]
pub enum LarkError {
    #[error("config.json: {0}")]
    Config(String),
    #[error("the lexicon: {0}")]
    Lexicon(String),
    #[error("there is no symbol {0:?} in the alphabet of this voice")]
    Symbol(char),
    #[error("a sentence of {0} sounds is too long; at most {LONGEST_SENTENCE} are spoken in one go")]
    TooLong(usize),
    #[error("nothing in the text can be said")]
    Nothing,
    #[error("the speed {0} is out of range; {low} to {high} are possible", low = SPEEDS.start(), high = SPEEDS.end())]
    Speed(f32),
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

/// A voice with its front end.
#[derive(Debug)]
pub struct Lark {
    config: Config,
    front: FrontEnd,
    net: LarkNet,
}

// === impl Lark ===

impl Lark {
    /// From the contents of `config.json`, `model.safetensors` and `lexicon.bin`.
    pub fn load(config: &[u8], weights: Bytes, lexicon: &[u8]) -> Result<Self, LarkError> {
        let config = Config::from_slice(config)?;
        let mut weights = Weights::open(&[("model.safetensors".to_owned(), weights)], "")?;
        let net = LarkNet::load(&mut weights, &config)?;
        let letters = GraphemeToPhoneme::load(&mut weights, &config)?;
        let lexicon = Lexicon::open(lexicon, config.symbols.len())?;
        let front = FrontEnd::new(&config, lexicon, letters)?;
        Ok(Self { config, front, net })
    }

    /// In Hz.
    pub fn sample_rate(&self) -> usize {
        self.config.signal.sample_rate
    }

    pub fn front_end(&self) -> &FrontEnd {
        &self.front
    }

    /// Begins to say one sentence of normalised text. The same text, speed and seed give the same sound.
    pub fn synthesize(&self, text: &str, speed: f32, seed: u64) -> Result<Utterance<'_>, LarkError> {
        self.synthesize_symbols(&self.front.ids(text)?, speed, seed)
    }

    /// The same for symbols, with silence at both ends.
    pub fn synthesize_symbols(&self, ids: &[u8], speed: f32, seed: u64) -> Result<Utterance<'_>, LarkError> {
        if !SPEEDS.contains(&speed) {
            return Err(LarkError::Speed(speed));
        }
        match ids.len() {
            0 => return Err(LarkError::Nothing),
            length if length > LONGEST_SENTENCE => return Err(LarkError::TooLong(length)),
            _ => {}
        }
        let plan = self.net.plan(ids, speed)?;
        Ok(Utterance::new(&self.net, plan, &self.config.signal, seed))
    }
}

#[cfg(test)]
mod tests;
