//! What `config.json` says of a codec.

use serde::Deserialize;

use super::{
    sizes::{MOST_HOP, Sizes, Stage, widest},
    windows::{WINDOW, frames_at_once},
};
use crate::weights::WeightError;

/// The rates that a codec may have, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

/// Activations that are there at once, each as large as the widest: what a layer is given and makes, what is added to it,
/// and the frames of a convolution side by side.
const LIVE: u64 = 5;
/// What is around a window, in frames, on the safe side.
const AROUND: usize = 64;

/// `config.json` of a `DacModel`. What is not there is as in `transformers`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct DacConfig {
    /// Samples per second.
    pub sampling_rate: u32,
    pub encoder_hidden_size: usize,
    pub downsampling_ratios: Vec<usize>,
    pub decoder_hidden_size: usize,
    pub n_codebooks: usize,
    pub codebook_size: usize,
    pub codebook_dim: usize,
}

// === impl DacConfig ===

impl Default for DacConfig {
    fn default() -> Self {
        Self {
            sampling_rate: 16_000,
            encoder_hidden_size: 64,
            downsampling_ratios: vec![2, 4, 8, 8],
            decoder_hidden_size: 1536,
            n_codebooks: 9,
            codebook_size: 1024,
            codebook_dim: 8,
        }
    }
}

impl DacConfig {
    /// Bytes that a pass of encoder or decoder works with, beside the weights, at most.
    pub fn working_bytes(&self) -> u64 {
        let down = self.downsampling_ratios.iter().rev().enumerate();
        let stages = self.downsampling_ratios.len();
        let down = down.map(|(at, &rate)| (rate, times_two(self.encoder_hidden_size, stages - 1 - at)));
        let up = self.downsampling_ratios.iter().rev().enumerate();
        let up = up.map(|(at, &rate)| (rate, self.decoder_hidden_size.checked_shr(at as u32 + 1).unwrap_or(0)));
        let widest = widest(down).max(widest(up));
        let numbers = frames_at_once(widest, WINDOW).saturating_add(AROUND).saturating_mul(widest) as u64;
        numbers.saturating_mul(LIVE * size_of::<f32>() as u64)
    }

    /// What no codec is like, whatever its tensors are.
    pub(super) fn check(&self) -> Result<(), WeightError> {
        if !RATES.contains(&self.sampling_rate) {
            let (least, most) = (RATES.start(), RATES.end());
            return Err(fault(format!("sampling_rate is {}, where {least} to {most} is expected", self.sampling_rate)));
        }
        let hop = self.downsampling_ratios.iter().try_fold(1usize, |hop, &rate| hop.checked_mul(rate));
        if hop.is_none_or(|hop| hop == 0 || hop > MOST_HOP) {
            let ratios = &self.downsampling_ratios;
            return Err(fault(format!("downsampling_ratios is {ratios:?}, which must multiply to {MOST_HOP} at most")));
        }
        Ok(())
    }

    /// Whether the tensors say the same.
    pub(super) fn agree(&self, sizes: &Sizes) -> Result<(), WeightError> {
        let layers = &sizes.layers;
        let rates = |stages: &[Stage]| stages.iter().map(|stage| stage.rate).collect::<Vec<_>>();
        let up: Vec<_> = self.downsampling_ratios.iter().rev().copied().collect();
        let lists = [
            ("downsampling_ratios", self.downsampling_ratios.clone(), rates(&layers.down)),
            ("downsampling_ratios, from the last on,", up, rates(&layers.up)),
            ("encoder_hidden_size", vec![self.encoder_hidden_size], vec![layers.down[0].depth]),
            ("decoder_hidden_size", vec![self.decoder_hidden_size], vec![layers.up[0].depth]),
            ("n_codebooks", vec![self.n_codebooks], vec![sizes.books]),
            ("codebook_size", vec![self.codebook_size], vec![sizes.codes]),
            ("codebook_dim", vec![self.codebook_dim], vec![sizes.code_width]),
        ];
        match lists.into_iter().find(|(_, said, found)| said != found) {
            Some((name, said, found)) => Err(fault(format!("{name} is {said:?}, where the tensors have {found:?}"))),
            None => Ok(()),
        }
    }
}

fn times_two(number: usize, times: usize) -> usize {
    let power = u32::try_from(times).ok().and_then(|times| 1usize.checked_shl(times)).unwrap_or(usize::MAX);
    number.saturating_mul(power)
}

fn fault(reason: String) -> WeightError {
    WeightError::File { file: "config.json".to_owned(), reason }
}
