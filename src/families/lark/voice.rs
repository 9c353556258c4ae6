//! A loaded voice: text in, sound out.

use bytes::Bytes;

use super::{
    alphabet::Alphabet,
    config::{Config, Signal},
    error::{LONGEST_SENTENCE, LarkError, SPEEDS},
    frontend::{FrontEnd, Phrase, SpokenWord},
    hibari,
    letters::GraphemeToPhoneme,
    lexicon::Lexicon,
    net::LarkNet,
    networks::Networks,
    utterance::Utterance,
};
use crate::{
    nn::weights::Weights,
    speech::{Mark, MarkKind, Pronunciation},
};

/// A voice with its front end.
#[derive(Debug)]
pub struct Voice {
    pub(super) signal: Signal,
    pub(super) front: FrontEnd,
    pub(super) net: Networks,
}

/// How a sentence is said.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Times the voice's own.
    pub speed: f32,
    /// Semitones above the voice's own.
    pub pitch: f32,
    pub seed: u64,
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
        let alphabet = Alphabet::new(config.symbols.iter().copied().map(Some).collect(), &config.vowels)?;
        let front = FrontEnd::new(&config, alphabet, lexicon, letters)?;
        Ok(Self { signal: config.signal, front, net: Networks::Lark(Box::new(net)) })
    }

    /// Of the files that Hibari is published in.
    pub fn hibari(files: &hibari::Files) -> Result<Self, LarkError> {
        let (net, front) = (hibari::network(files)?, hibari::front_end(files)?);
        net.check_symbols(front.alphabet().len())?;
        Ok(Self { signal: net.signal().clone(), front, net: Networks::Hibari(Box::new(net)) })
    }

    /// In Hz.
    pub fn sample_rate(&self) -> usize {
        self.signal.sample_rate
    }

    /// Begins to say one sentence of normalised text. The same text and manner give the same sound.
    pub fn synthesize(
        &self,
        text: &str,
        pronunciations: &[Pronunciation],
        manner: Manner,
    ) -> Result<Utterance<'_>, LarkError> {
        let Manner { speed, pitch, seed } = manner;
        let phrase = self.front.read(text, pronunciations)?;
        if !SPEEDS.contains(&speed) {
            return Err(LarkError::Speed(speed));
        }
        match phrase.ids.len() {
            0 => return Err(LarkError::Nothing),
            length if length > LONGEST_SENTENCE => return Err(LarkError::TooLong(length)),
            _ => {}
        }
        let mut plan = self.net.plan(&phrase.ids, speed)?;
        // The spectrum stays as it is: the same mouth, at another pitch.
        plan.f0.iter_mut().for_each(|f0| *f0 *= (pitch / 12.0).exp2());
        let marks = self.marks(text, &phrase, &plan.lengths);
        Ok(Utterance::new(&self.net, plan, &self.signal, seed, marks))
    }

    /// Where the words lie.
    fn marks(&self, text: &str, phrase: &Phrase, lengths: &[usize]) -> Vec<Mark> {
        let signal = &self.signal;
        let step = (signal.frames_per_step * signal.hop) as f64 / signal.sample_rate as f64;
        let (mut ends, mut steps) = (vec![0.0], 0);
        ends.extend(lengths.iter().map(|length| {
            steps += length;
            steps as f64 * step
        }));
        let mark = |word: &SpokenWord| {
            let text = text.get(word.text.clone())?.to_owned();
            let (start, end) = (*ends.get(word.symbols.start)?, *ends.get(word.symbols.end)?);
            Some(Mark { kind: MarkKind::Word, text, start, end })
        };
        phrase.words.iter().filter_map(mark).collect()
    }
}
