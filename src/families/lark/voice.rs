//! A loaded voice: text in, sound out.

use bytes::Bytes;

use super::{
    config::Config,
    error::{LONGEST_SENTENCE, LarkError, SPEEDS},
    frontend::FrontEnd,
    letters::GraphemeToPhoneme,
    lexicon::Lexicon,
    net::LarkNet,
    utterance::Utterance,
};
use crate::nn::weights::Weights;

/// A voice with its front end.
#[derive(Debug)]
pub struct Voice {
    pub(super) config: Config,
    pub(super) front: FrontEnd,
    pub(super) net: LarkNet,
}

// === impl Voice ===

impl Voice {
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
