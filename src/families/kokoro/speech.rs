//! What is said at once: a style, and the sound that the network makes of it.

use super::{
    options::Manner,
    text::FrontEnd,
    voices::{STYLE, Voices},
};
use crate::{
    audio::Pcm,
    families::onnx::{InputType, Network, Numbers, RunError, Says, Signature, Taken},
    model::RequestError,
    speech::{Synthesize, SynthesizeOptions},
};

/// What the exports of Kokoro take; they call the first differently.
pub const SIGNATURE: Signature = Signature {
    inputs: &[
        Taken { names: &[SYMBOLS, "tokens"], types: &[InputType::I64, InputType::I32], required: true },
        Taken { names: &[TOLD, "ref_s"], types: &[InputType::F32], required: true },
        Taken { names: &[SPEED], types: &[InputType::F32, InputType::I64, InputType::I32], required: true },
    ],
    states: false,
};
const SYMBOLS: &str = "input_ids";
const TOLD: &str = "style";
const SPEED: &str = "speed";
/// Hertz.
pub const RATE: u32 = 24_000;
/// Numbers that are drawn for a symbol, about: nine harmonics of a tenth of a second.
const NOISE: usize = 9 * RATE as usize / 10;
/// Samples of a symbol, at most, at the usual speed.
const MOST_SAMPLES: usize = 3 * RATE as usize;
/// Pads at the ends.
const PADS: usize = 2;

/// One model.
pub struct Speech {
    pub network: Network,
    pub front_end: FrontEnd,
    pub voices: Voices,
}

/// As the network reads it, and how it is to be said.
pub struct Part {
    symbols: Vec<i64>,
    style: Vec<f32>,
    speed: f32,
    seed: u64,
}

impl Says for Speech {
    type Part = Part;

    fn parts(&self, asked: &Synthesize) -> Result<Vec<Part>, RequestError> {
        let manner = Manner::of(&asked.options, &self.voices)?;
        if self.network.kind(SPEED) != Some(InputType::F32) && manner.speed.fract() != 0.0 {
            let message = format!("the speed {} is no whole number, and this export takes no others", manner.speed);
            return Err(RequestError::Invalid { param: "speed", message });
        }
        let parts = self.front_end.read(&asked.text, &asked.pronunciations, manner.language)?;
        Ok((0..).zip(parts).map(|(at, symbols)| part(symbols, &manner, at)).collect())
    }

    fn say(&mut self, Part { symbols, style, speed, seed }: Part) -> Result<Pcm, RunError> {
        let count = symbols.len();
        let given = vec![
            (SYMBOLS, vec![1, count], Numbers::Integers(symbols)),
            (TOLD, vec![1, STYLE], Numbers::Floats(style)),
            (SPEED, vec![1], Numbers::Floats(vec![speed])),
        ];
        let samples = self.network.run(given, seed, count * NOISE)?;
        match samples.len() as f32 * speed > (count * MOST_SAMPLES) as f32 {
            true => Err(RunError::new("what it gives is much longer than its text")),
            false => Ok(Pcm::new(samples, RATE)),
        }
    }

    fn any_part(&self) -> Result<Part, RequestError> {
        let manner = Manner::of(&SynthesizeOptions::default(), &self.voices)?;
        Ok(part(self.front_end.any_part(), &manner, 0))
    }
}

/// The style is that of so many symbols.
fn part(symbols: Vec<i64>, manner: &Manner, at: u64) -> Part {
    let style = manner.voice.style(symbols.len().saturating_sub(PADS)).to_vec();
    Part { symbols, style, speed: manner.speed, seed: manner.seed.wrapping_add(at) }
}
