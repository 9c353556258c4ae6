//! A voice: a text becomes sentences, and each of them sound.

use super::{config::VoiceConfig, options::Manner, text::FrontEnd};
use crate::{
    audio::Pcm,
    families::onnx::{InputType, Network, Numbers, RunError, Says, Signature, Taken},
    model::{LoadError, RequestError},
    speech::{Synthesize, SynthesizeOptions},
};

/// What every export of Piper takes.
pub const SIGNATURE: Signature = Signature {
    inputs: &[
        Taken { names: &[SYMBOLS], types: &[InputType::I64, InputType::I32], required: true },
        Taken { names: &[LENGTHS], types: &[InputType::I64, InputType::I32], required: true },
        Taken { names: &[SCALES], types: &[InputType::F32], required: true },
        Taken { names: &[SPEAKER], types: &[InputType::I64, InputType::I32], required: false },
    ],
    states: false,
};
const SYMBOLS: &str = "input";
const LENGTHS: &str = "input_lengths";
const SCALES: &str = "scales";
const SPEAKER: &str = "sid";

/// Numbers that are drawn for a symbol, about: 192 for each of the frames that it lasts.
const NOISE: usize = 192 * 6;
/// Samples of a symbol, at most, at the usual pace: three seconds at 48 kHz, while most take a fiftieth of one.
const MOST_SAMPLES: usize = 3 * 48_000;
/// Below it a sound is silence.
const SILENT: f32 = 1e-8;

/// One model.
pub struct Voice {
    pub network: Network,
    pub front_end: FrontEnd,
}

/// As the network reads it, and how it is to be said.
pub struct Sentence {
    pub symbols: Vec<i64>,
    pub manner: Manner,
}

/// That a network of several speakers can be told which.
pub fn check(network: &Network, config: &VoiceConfig, file: &str) -> Result<(), LoadError> {
    match (network.takes(SPEAKER), config.num_speakers) {
        (false, 2..) => Err(LoadError::Malformed {
            file: file.to_owned(),
            reason: format!("num_speakers is {}, and it has no input {SPEAKER:?}", config.num_speakers),
        }),
        _ => Ok(()),
    }
}

impl Says for Voice {
    type Part = Sentence;

    fn parts(&self, asked: &Synthesize) -> Result<Vec<Sentence>, RequestError> {
        let manner = Manner::of(&asked.options, self.front_end.config())?;
        let sentences = self.front_end.read(&asked.text, &asked.pronunciations)?;
        // No sentence is to vary as another does.
        let seeds = (0..).map(|at| manner.seed.wrapping_add(at));
        let parts = sentences.into_iter().zip(seeds);
        Ok(parts.map(|(symbols, seed)| Sentence { symbols, manner: Manner { seed, ..manner } }).collect())
    }

    /// As loud as it can be, as the reference makes it.
    fn say(&mut self, Sentence { symbols, manner }: Sentence) -> Result<Pcm, RunError> {
        let count = symbols.len();
        let scales = vec![manner.noise_scale, manner.length_scale, manner.noise_w];
        let given = vec![
            (SYMBOLS, vec![1, count], Numbers::Integers(symbols)),
            (LENGTHS, vec![1], Numbers::Integers(vec![count as i64])),
            (SCALES, vec![scales.len()], Numbers::Floats(scales)),
            (SPEAKER, vec![1], Numbers::Integers(vec![manner.speaker])),
        ];
        let slower = manner.length_scale.max(1.0);
        let noise = (count * NOISE) as f32 * slower;
        let mut samples = self.network.run(given, manner.seed, noise as usize)?;
        if samples.len() as f32 > (count * MOST_SAMPLES) as f32 * slower {
            return Err(RunError::new("what it gives is much longer than its text"));
        }
        let loudest = samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
        let factor = if loudest < SILENT { 0.0 } else { 1.0 / loudest };
        samples.iter_mut().for_each(|sample| *sample *= factor);
        Ok(Pcm::new(samples, self.front_end.config().audio.sample_rate))
    }

    fn any_part(&self) -> Result<Sentence, RequestError> {
        let manner = Manner::of(&SynthesizeOptions::default(), self.front_end.config())?;
        Ok(Sentence { symbols: self.front_end.any_sentence(), manner })
    }
}
