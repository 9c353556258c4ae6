//! Another rate by a windowed sinc, as `torchaudio.functional.resample` has it where nothing else is said: networks that
//! resample inside of them were trained with this one, number by number.

use rayon::prelude::*;

/// Crossings of zero to either side.
const LOWPASS_WIDTH: f64 = 6.0;
/// Of the lower of the two Nyquist frequencies, where the filter begins.
const ROLLOFF: f64 = 0.99;

/// From one rate to another.
#[derive(Clone, Debug)]
pub struct SincResampler {
    /// Samples that come in while `phases` go out.
    stride: usize,
    /// Samples before the first that a stride is made of.
    before: usize,
    /// One filter for each sample that goes out in a stride.
    phases: Vec<Vec<f32>>,
}

// === impl SincResampler ===

impl SincResampler {
    /// Rates in hertz, at least 1.
    pub fn new(from: u32, to: u32) -> Self {
        let divisor = greatest_common_divisor(from.max(1), to.max(1));
        let (from, to) = ((from.max(1) / divisor) as usize, (to.max(1) / divisor) as usize);
        if from == to {
            return Self { stride: 1, before: 0, phases: vec![vec![1.0]] };
        }
        let base = from.min(to) as f64 * ROLLOFF;
        let before = reach(from, to);
        let phases = (0..to).map(|phase| filter(phase, (from, to), before, base)).collect();
        Self { stride: from, before, phases }
    }

    /// Numbers that the filters from one rate to another have.
    pub fn taps(from: u32, to: u32) -> usize {
        let divisor = greatest_common_divisor(from.max(1), to.max(1));
        let (from, to) = ((from.max(1) / divisor) as usize, (to.max(1) / divisor) as usize);
        to.saturating_mul(2 * reach(from, to) + from)
    }

    /// Samples that so many become.
    pub fn len(&self, samples: usize) -> usize {
        (samples * self.phases.len()).div_ceil(self.stride)
    }

    pub fn resample(&self, samples: &[f32]) -> Vec<f32> {
        let mut made = vec![0.0; self.len(samples.len())];
        let strides = made.par_chunks_mut(self.phases.len()).with_min_len(1 << 10).enumerate();
        strides.for_each(|(at, made)| {
            for (made, filter) in made.iter_mut().zip(&self.phases) {
                // The filter's first tap, which may lie before the first sample.
                let first = (at * self.stride) as isize - self.before as isize;
                let skipped = usize::try_from(-first).unwrap_or(0).min(filter.len());
                let heard = samples.get(usize::try_from(first).unwrap_or(0)..).unwrap_or_default();
                *made = filter[skipped..].iter().zip(heard).map(|(tap, sample)| tap * sample).sum();
            }
        });
        made
    }
}

/// Samples to either side that one depends on.
fn reach(from: usize, to: usize) -> usize {
    (LOWPASS_WIDTH * from as f64 / (from.min(to) as f64 * ROLLOFF)).ceil() as usize
}

/// Of the sample `phase` of those that go out in a stride.
fn filter(phase: usize, (from, to): (usize, usize), before: usize, base: f64) -> Vec<f32> {
    let tap = |at: usize| {
        let time = (at as f64 - before as f64) / from as f64 - phase as f64 / to as f64;
        let time = (time * base).clamp(-LOWPASS_WIDTH, LOWPASS_WIDTH);
        let window = (time * std::f64::consts::PI / LOWPASS_WIDTH / 2.0).cos().powi(2);
        let angle = time * std::f64::consts::PI;
        let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
        (sinc * window * base / from as f64) as f32
    };
    (0..2 * before + from).map(tap).collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_wave_stays_what_it_is() {
        let wave = |rate: f32, count: usize| -> Vec<f32> {
            (0..count).map(|at| (at as f32 / rate * 200.0 * std::f32::consts::TAU).sin()).collect()
        };
        for (from, to) in [(24_000, 16_000), (16_000, 24_000), (44_100, 16_000)] {
            let made = SincResampler::new(from, to).resample(&wave(from as f32, from as usize / 10));
            assert_eq!(made.len(), (to / 10) as usize);
            // Beyond the ends there are zeros, as in the reference.
            let (made, expected) = (&made[100..1000], &wave(to as f32, 1000)[100..]);
            let off = made.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 2e-3, "{from} to {to}: {off}");
        }
    }

    #[test]
    fn one_rate_is_a_copy_and_nothing_is_nothing() {
        assert_eq!(SincResampler::new(8, 8).resample(&[1.0, -2.0]), [1.0, -2.0]);
        assert!(SincResampler::new(24_000, 16_000).resample(&[]).is_empty());
        assert_eq!(SincResampler::new(24_000, 16_000).len(4), 3);
    }
}
