//! The beginning of a sound, which still echoes the voice that the model was prompted with.

use std::f32::consts::PI;

use super::rates::{FRAME_RATE, SAMPLE_RATE};

/// Samples that are muted, and then as many that fade in: 20 ms each.
const MUTED: usize = SAMPLE_RATE / FRAME_RATE;

/// Mutes the first 20 ms of a sound and fades in the next 20, as half a cosine. `first`: which sample of the sound
/// `samples` begin with.
pub fn fade_in(samples: &mut [f32], first: usize) {
    for (sample, at) in samples.iter_mut().zip(first..2 * MUTED) {
        *sample *= gain(at);
    }
}

fn gain(at: usize) -> f32 {
    match at.checked_sub(MUTED) {
        None => 0.0,
        Some(at) => 0.5 - 0.5 * (PI * at as f32 / (MUTED - 1) as f32).cos(),
    }
}
