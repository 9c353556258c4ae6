//! One sound of two: the low frequencies of one, as loud as in the other, and the high ones of that.

use super::biquad::Biquad;

/// Where low frequencies end, in hertz.
const CUTOFF: f64 = 5_500.0;
/// Of what is divided by.
const EPSILON: f64 = 1e-10;

/// `fine` with its low frequencies from `rough`, both of one rate; as long as the shorter of them. As in the reference how loud
/// they are is measured over all of the sound.
pub fn replace_low_band(rough: &[f32], fine: &[f32], rate: u32) -> Vec<f32> {
    let (low, high) = (Biquad::low_pass(CUTOFF, rate), Biquad::high_pass(CUTOFF, rate));
    let replaced = low.filter(rough);
    let scale = ((loudness(&low.filter(fine)) + EPSILON) / (loudness(&replaced) + EPSILON)) as f32;
    replaced.iter().zip(high.filter(fine)).map(|(low, high)| low * scale + high).collect()
}

/// The root of the mean square.
fn loudness(samples: &[f32]) -> f64 {
    let squares: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (squares / samples.len().max(1) as f64).sqrt()
}
