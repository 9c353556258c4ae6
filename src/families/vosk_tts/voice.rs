//! A voice: a text becomes sentences, and each of them sound.

use super::{
    bert::Bert,
    options::Manner,
    text::{FrontEnd, Utterance},
};
use crate::{
    audio::Pcm,
    families::onnx::{InputType, Network, Numbers, RunError, Says, Signature, Taken},
    model::RequestError,
    speech::{Synthesize, SynthesizeOptions},
};

/// What every export takes.
pub const SIGNATURE: Signature = Signature {
    inputs: &[
        Taken { names: &[SYMBOLS], types: &[InputType::I64, InputType::I32], required: true },
        Taken { names: &[LENGTHS], types: &[InputType::I64, InputType::I32], required: true },
        Taken { names: &[SCALES], types: &[InputType::F32], required: true },
        Taken { names: &[SPEAKER], types: &[InputType::I64, InputType::I32], required: false },
        Taken { names: &[BERT], types: &[InputType::F32], required: false },
    ],
    states: false,
};
const SYMBOLS: &str = "input";
const LENGTHS: &str = "input_lengths";
const SCALES: &str = "scales";
pub const SPEAKER: &str = "sid";
pub const BERT: &str = "bert";

/// Numbers that are drawn for a symbol, about: 192 for each of the frames that it lasts.
const NOISE: usize = 192 * 6;
/// Samples of a symbol, at most, at the usual pace: three seconds at 48 kHz, while most take a fiftieth of one.
const MOST_SAMPLES: usize = 3 * 48_000;

/// One model.
pub struct Voice {
    pub network: Network,
    /// Of a network that takes what it says.
    pub bert: Option<Bert>,
    pub front_end: FrontEnd,
}

/// As the network reads it, and how it is to be said.
pub struct Sentence {
    pub utterance: Utterance,
    pub manner: Manner,
}

impl Voice {
    /// `[1, width, symbols]`, one row a number of the vectors.
    fn meaning(&mut self, utterance: &Utterance) -> Result<Option<(usize, Vec<f32>)>, RunError> {
        let Some(bert) = &mut self.bert else { return Ok(None) };
        let streams = utterance.streams() > 1;
        let (vectors, width) = bert.vectors(&utterance.text, &utterance.places, streams)?;
        let count = utterance.places.len();
        let number = |at: usize| vectors[at % count * width + at / count];
        Ok(Some((width, (0..width * count).map(number).collect())))
    }
}

impl Says for Voice {
    type Part = Sentence;

    fn parts(&self, asked: &Synthesize) -> Result<Vec<Sentence>, RequestError> {
        let manner = Manner::of(&asked.options, &self.front_end.config)?;
        let utterances = self.front_end.read(&asked.text, self.bert.is_some())?;
        // No sentence is to vary as another does.
        let seeds = (0..).map(|at| manner.seed.wrapping_add(at));
        let parts = utterances.into_iter().zip(seeds);
        Ok(parts.map(|(utterance, seed)| Sentence { utterance, manner: Manner { seed, ..manner } }).collect())
    }

    fn say(&mut self, Sentence { utterance, manner }: Sentence) -> Result<Pcm, RunError> {
        let meaning = self.meaning(&utterance)?;
        let (count, streams) = (utterance.places.len(), utterance.streams());
        let shape = if streams > 1 { vec![1, streams, count] } else { vec![1, count] };
        let scales = vec![manner.noise_level, 1.0 / manner.speech_rate, manner.duration_noise_level];
        let mut given = vec![
            (SYMBOLS, shape, Numbers::Integers(utterance.ids.concat())),
            (LENGTHS, vec![1], Numbers::Integers(vec![count as i64])),
            (SCALES, vec![scales.len()], Numbers::Floats(scales)),
            (SPEAKER, vec![1], Numbers::Integers(vec![manner.speaker])),
        ];
        given.extend(meaning.map(|(width, numbers)| (BERT, vec![1, width, count], Numbers::Floats(numbers))));
        let slower = (1.0 / manner.speech_rate).max(1.0);
        let mut samples = self.network.run(given, manner.seed, ((count * NOISE) as f32 * slower) as usize)?;
        if samples.len() as f32 > (count * MOST_SAMPLES) as f32 * slower {
            return Err(RunError::new("what it gives is much longer than its text"));
        }
        let config = &self.front_end.config;
        samples.iter_mut().for_each(|sample| *sample = (*sample * config.inference.scale).clamp(-1.0, 1.0));
        Ok(Pcm::new(samples, config.sample_rate()))
    }

    fn any_part(&self) -> Result<Sentence, RequestError> {
        let manner = Manner::of(&SynthesizeOptions::default(), &self.front_end.config)?;
        Ok(Sentence { utterance: self.front_end.any_utterance(self.bert.is_some()), manner })
    }
}
