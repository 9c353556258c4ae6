//! Rotary positions (Su et al., arXiv 2104.09864).

use std::f32::consts::PI;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::{context::ComputeContext, cpu::matrix::with_rows};

/// Rows that one task takes.
const BLOCK_ROWS: usize = 16;

/// How fast each pair of numbers of a head turns from one position to the next.
#[derive(Debug)]
pub struct Rope {
    /// Radians per position; one for each pair.
    frequencies: Vec<f32>,
    pairing: Pairing,
    context: ComputeContext,
}

/// Slows down the low frequencies, so that a model that was trained on short contexts works on long ones (Llama 3.1).
/// Waves shorter than `trained / high` stay as they are, those longer than `trained / low` become `factor` times as long,
/// and between the two it goes over smoothly.
#[derive(Clone, Copy, Debug)]
pub struct LongContext {
    pub factor: f32,
    pub low: f32,
    pub high: f32,
    /// Positions of the short contexts.
    pub trained: f32,
}

/// Which numbers of a head are a pair. Models of either kind have weights that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// One of the first half and one of the second, as GPT-NeoX and Llama have it.
    Halves,
    /// Neighbours, as GPT-J has it.
    Neighbours,
}

/// The turns of some rows.
#[derive(Debug)]
pub struct Rotation {
    head_dim: usize,
    pairing: Pairing,
    turns: Turns,
}

#[derive(Debug)]
enum Turns {
    /// `(cosine, sine)`, `[rows, pairs]`
    Kernel(Vec<(f32, f32)>),
    /// `[rows, 1, pairs]` each.
    Plain { cosines: Tensor, sines: Tensor },
}

// === impl Rope ===

impl Rope {
    /// `head_dim`: even. `theta`: the base of the wavelengths. Of halves, unless [`Self::paired`] says otherwise.
    pub fn new(head_dim: usize, theta: f32, long: Option<LongContext>, context: &ComputeContext) -> Self {
        let frequency = |pair: usize| 1.0 / theta.powf((2 * pair) as f32 / head_dim as f32);
        let stretch = |frequency| long.map_or(frequency, |long| long.stretch(frequency));
        let frequencies = (0..head_dim / 2).map(frequency).map(stretch).collect();
        Self { frequencies, pairing: Pairing::Halves, context: context.clone() }
    }

    pub fn paired(self, pairing: Pairing) -> Self {
        Self { pairing, ..self }
    }

    /// How fast each pair turns, and which numbers are one, for a step.
    #[cfg(feature = "cuda")]
    pub fn frequencies(&self) -> (&[f32], Pairing) {
        (&self.frequencies, self.pairing)
    }

    /// For rows at these positions.
    pub fn at(&self, positions: &[u32]) -> Result<Rotation> {
        // The angle in f32, as in references: at high positions its rounding is what a model was trained with.
        let turn = |angle: f32| (f64::from(angle).cos() as f32, f64::from(angle).sin() as f32);
        let of_row = |&position: &u32| self.frequencies.iter().map(move |frequency| turn(position as f32 * frequency));
        let turns = positions.iter().flat_map(of_row).collect::<Vec<_>>();
        let turns = match self.context.kernels {
            Some(_) => Turns::Kernel(turns),
            None => self.plain(positions.len(), turns)?,
        };
        Ok(Rotation { head_dim: 2 * self.frequencies.len(), pairing: self.pairing, turns })
    }

    fn plain(&self, rows: usize, turns: Vec<(f32, f32)>) -> Result<Turns> {
        let (cosines, sines) = turns.into_iter().unzip();
        let tensor = |numbers| self.context.tensor(numbers, &[rows, 1, self.frequencies.len()]);
        Ok(Turns::Plain { cosines: tensor(cosines)?, sines: tensor(sines)? })
    }
}

// === impl LongContext ===

impl LongContext {
    fn stretch(&self, frequency: f32) -> f32 {
        let waves = self.trained * frequency / (2.0 * PI);
        let kept = ((waves - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        (1.0 - kept) * frequency / self.factor + kept * frequency
    }
}

// === impl Rotation ===

impl Rotation {
    /// `[rows, heads * head_dim]`
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let heads = width / self.head_dim;
        match &self.turns {
            Turns::Plain { cosines, sines } => {
                let x = x.reshape((rows, heads, 1, self.head_dim))?.contiguous()?;
                match self.pairing {
                    Pairing::Halves => candle_nn::rotary_emb::rope(&x, cosines, sines)?.reshape((rows, width)),
                    Pairing::Neighbours => candle_nn::rotary_emb::rope_i(&x, cosines, sines)?.reshape((rows, width)),
                }
            }
            Turns::Kernel(turns) => {
                let mut out = vec![0.0; rows * width];
                let pairs = self.head_dim / 2;
                if turns.len() != rows * pairs || !width.is_multiple_of(self.head_dim) {
                    candle_core::bail!("{rows} rows of {width} do not match {} turns", turns.len());
                }
                let turn = match self.pairing {
                    Pairing::Halves => turn_halves,
                    Pairing::Neighbours => turn_neighbours,
                };
                with_rows(x, |x| {
                    let by_row = out.par_chunks_exact_mut(width).with_min_len(BLOCK_ROWS).enumerate();
                    by_row.for_each(|(row, out)| turn(x.row(row, width), &turns[row * pairs..][..pairs], out));
                })?;
                Tensor::from_vec(out, (rows, width), x.device())
            }
        }
    }
}

/// Every head of one row.
fn turn_halves(row: &[f32], turns: &[(f32, f32)], out: &mut [f32]) {
    let pairs = turns.len();
    for (head, out) in row.chunks_exact(2 * pairs).zip(out.chunks_exact_mut(2 * pairs)) {
        let ((first, second), (to_first, to_second)) = (head.split_at(pairs), out.split_at_mut(pairs));
        for (at, (cosine, sine)) in turns.iter().enumerate() {
            to_first[at] = first[at] * cosine - second[at] * sine;
            to_second[at] = second[at] * cosine + first[at] * sine;
        }
    }
}

/// The same where neighbours are pairs.
fn turn_neighbours(row: &[f32], turns: &[(f32, f32)], out: &mut [f32]) {
    let pairs = turns.len();
    for (head, out) in row.chunks_exact(2 * pairs).zip(out.chunks_exact_mut(2 * pairs)) {
        let pairs = head.as_chunks::<2>().0.iter().zip(out.as_chunks_mut::<2>().0);
        for (([first, second], to), (cosine, sine)) in pairs.zip(turns) {
            *to = [first * cosine - second * sine, second * cosine + first * sine];
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    const LONG: LongContext = LongContext { factor: 8.0, low: 1.0, high: 4.0, trained: 8192.0 };

    fn contexts() -> [ComputeContext; 2] {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        [ComputeContext { kernels: None, ..context.clone() }, context]
    }

    #[test]
    fn each_pair_turns_by_its_own_angle() -> Result<()> {
        for context in contexts() {
            let rope = Rope::new(4, 100.0, None, &context);
            // Two heads, at position 3: pairs turn by 3 and by 0.3.
            let x = Tensor::new(&[[1f32, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0]], &Device::Cpu)?;
            let found = rope.at(&[3])?.apply(&x)?.to_vec2::<f32>()?.concat();
            let (fast, slow) = (3f32.sin_cos(), 0.3f32.sin_cos());
            let expected = [fast.1, slow.1, fast.0, slow.0, -2.0 * fast.0, -2.0 * slow.0, 2.0 * fast.1, 2.0 * slow.1];
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn neighbours_turn_as_halves_do_in_another_order() -> Result<()> {
        for context in contexts() {
            let x = Tensor::arange(0f32, 24.0, &Device::Cpu)?.reshape((2, 12))?;
            // Of each head of six: the first and the fourth number become neighbours, and so on.
            let order = Tensor::new(&[0u32, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11], &Device::Cpu)?;
            let rope = |pairing| Rope::new(6, 1e4, None, &context).paired(pairing).at(&[3, 70]);
            let halves = rope(Pairing::Halves)?.apply(&x)?.index_select(&order, 1)?;
            let neighbours = rope(Pairing::Neighbours)?.apply(&x.index_select(&order, 1)?)?;
            assert_eq!(halves.to_vec2::<f32>()?, neighbours.to_vec2::<f32>()?);
        }
        Ok(())
    }

    #[test]
    fn rows_have_positions_of_their_own() -> Result<()> {
        for context in contexts() {
            let rope = Rope::new(8, 5e5, Some(LONG), &context);
            let x = Tensor::arange(0f32, 16.0, &Device::Cpu)?.reshape((2, 8))?;
            let both = rope.at(&[7, 900])?.apply(&x)?;
            let second = rope.at(&[900])?.apply(&x.narrow(0, 1, 1)?)?;
            assert_eq!(both.to_vec2::<f32>()?[1], second.to_vec2::<f32>()?[0]);
        }
        Ok(())
    }

    #[test]
    fn only_long_waves_are_made_longer() {
        let short = 2.0 * PI / 2000.0;
        let long = 2.0 * PI / 9000.0;
        assert_eq!(LONG.stretch(short), short);
        assert_eq!(LONG.stretch(long), long / 8.0);
        // A wave of 4096 positions goes twice into what was trained: a third of the way from 1 to 4.
        let between = 2.0 * PI / 4096.0;
        let expected = between * (2.0 / 3.0 / 8.0 + 1.0 / 3.0);
        assert!((LONG.stretch(between) / expected - 1.0).abs() < 1e-5);
    }
}
