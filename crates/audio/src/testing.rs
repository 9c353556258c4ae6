//! What the tests of sound share: tones, and what can be measured of them.

use std::f64::consts::{PI, TAU};

/// A sine of so many hertz, `seconds` long.
pub fn tone(hertz: f64, amplitude: f64, rate: u32, seconds: f64) -> Vec<f32> {
    let samples = (seconds * f64::from(rate)).round() as usize;
    (0..samples).map(|n| (amplitude * (TAU * hertz * n as f64 / f64::from(rate)).sin()) as f32).collect()
}

/// Amplitude and delay in seconds (modulo one period) of the sine of this frequency in the signal.
pub fn sine_in(hertz: f64, samples: &[f32], rate: u32) -> (f64, f64) {
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let window = (PI * n as f64 / samples.len() as f64).sin().powi(2);
        let angle = TAU * hertz * n as f64 / f64::from(rate);
        re += window * f64::from(sample) * angle.cos();
        im += window * f64::from(sample) * angle.sin();
        weight += window;
    }
    (2.0 * re.hypot(im) / weight, -re.atan2(im) / (TAU * hertz))
}

pub fn rms(samples: &[f32]) -> f64 {
    (samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

/// xorshift64*: the same numbers on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as usize % sides
    }

    /// Between -1 and 1.
    pub fn noise(&mut self) -> f32 {
        self.roll(1 << 24) as f32 / (1 << 23) as f32 - 1.0
    }
}
