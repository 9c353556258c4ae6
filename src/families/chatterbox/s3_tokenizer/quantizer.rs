//! From states to tokens: finite scalar quantization (Mentzer et al., arXiv 2309.15505) to three levels a number.

use candle_core::{DType, Result, Tensor};

use crate::nn::{
    Epilogue, Linear,
    weights::{Loaded, Loader, WeightError},
};

/// Values of a digit.
const LEVELS: u32 = 3;
/// Digits that fit into a token.
const MOST_DIGITS: usize = 20;
/// What keeps a number from the very edge before it is rounded.
const WITHIN: f32 = 0.999;

#[derive(Debug)]
pub struct Quantizer {
    project_down: Linear,
    tokens: u32,
}

// === impl Quantizer ===

impl Quantizer {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Self> {
        let layer = format!("{name}._codebook.project_down");
        let tensor = format!("{layer}.weight");
        let [digits, _] = loader.weights.sizes(&tensor)?;
        if digits > MOST_DIGITS {
            let reason = format!("makes {digits} digits, of which {MOST_DIGITS} fit into a token");
            return Err(WeightError::Tensor { tensor, reason }.into());
        }
        Ok(Self { project_down: loader.linear(&layer, width, digits)?, tokens: LEVELS.pow(digits as u32) })
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// `[tokens, width]`
    pub fn quantize(&self, states: &Tensor) -> Result<Vec<u32>> {
        let numbers = self.project_down.forward(states, Epilogue::None)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        Ok(numbers.iter().map(|digits| token(digits)).collect())
    }
}

/// The first number is the lowest digit.
fn token(numbers: &[f32]) -> u32 {
    let digit = |number: &f32| ((number.tanh() * WITHIN).round_ties_even() + 1.0) as u32;
    numbers.iter().rev().fold(0, |token, number| token * LEVELS + digit(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_the_lowest_digit() {
        assert_eq!(token(&[-9.0, -9.0, -9.0]), 0);
        assert_eq!(token(&[9.0, 0.1, -9.0]), 2 + 3);
        assert_eq!(token(&[0.0, -9.0, 9.0]), 1 + 18);
        assert_eq!(token(&[9.0; 8]), 6560);
        assert_eq!(token(&[9.0; MOST_DIGITS]), 3u32.pow(20) - 1);
    }
}
