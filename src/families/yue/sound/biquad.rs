//! Filters of second order, as `torchaudio.functional` has them.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// A filter of second order, without a memory of its own.
#[derive(Clone, Copy, Debug)]
pub struct Biquad {
    /// Of the last three samples in, and of the last two out.
    feed: [f64; 3],
    back: [f64; 2],
}

// === impl Biquad ===

impl Biquad {
    /// What lies below `cutoff`, in hertz.
    pub fn low_pass(cutoff: f64, rate: u32) -> Self {
        Self::of(cutoff, rate, |cosine| [(1.0 - cosine) / 2.0, 1.0 - cosine, (1.0 - cosine) / 2.0])
    }

    /// What lies above it.
    pub fn high_pass(cutoff: f64, rate: u32) -> Self {
        Self::of(cutoff, rate, |cosine| [(1.0 + cosine) / 2.0, -1.0 - cosine, (1.0 + cosine) / 2.0])
    }

    fn of(cutoff: f64, rate: u32, feed: impl FnOnce(f64) -> [f64; 3]) -> Self {
        let angle = TAU * cutoff / f64::from(rate);
        // The reference writes its quality as 0.707.
        let quality = (FRAC_1_SQRT_2 * 1000.0).floor() / 1000.0;
        let (cosine, alpha) = (angle.cos(), angle.sin() / 2.0 / quality);
        let first = 1.0 + alpha;
        Self { feed: feed(cosine).map(|x| x / first), back: [-2.0 * cosine / first, (1.0 - alpha) / first] }
    }

    /// All of a sound, within full scale as the reference keeps it; before it there is silence.
    pub fn filter(&self, samples: &[f32]) -> Vec<f32> {
        let ([b0, b1, b2], [a1, a2]) = (self.feed, self.back);
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        let step = |&sample: &f32| {
            let x = f64::from(sample);
            let y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2;
            (x2, x1, y2, y1) = (x1, x, y1, y);
            y.clamp(-1.0, 1.0) as f32
        };
        samples.iter().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loudness(samples: &[f32]) -> f32 {
        (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn a_filter_lets_its_side_through_and_half_of_the_power_at_its_edge() {
        let wave = |hertz: f32| -> Vec<f32> {
            (0..44_100).map(|at| (at as f32 / 44_100.0 * hertz * std::f32::consts::TAU).sin() * 0.5).collect()
        };
        let (low, high) = (Biquad::low_pass(5500.0, 44_100), Biquad::high_pass(5500.0, 44_100));
        for (hertz, below, above) in [(200.0, 1.0, 0.0), (5500.0, 0.707, 0.707), (18_000.0, 0.0, 1.0)] {
            let wave = wave(hertz);
            let of = |filter: Biquad| loudness(&filter.filter(&wave)) / loudness(&wave);
            assert!((of(low) - below).abs() < 0.02 && (of(high) - above).abs() < 0.02, "{hertz}");
        }
    }
}
