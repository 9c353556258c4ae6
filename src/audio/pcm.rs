//! Samples in memory.

use std::time::Duration;

/// Mono samples at a known rate. Shape `[samples]`, nominal range -1 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Pcm {
    samples: Vec<f32>,
    rate: u32,
}

impl Pcm {
    /// `rate` is in hertz and is never 0.
    pub fn new(samples: Vec<f32>, rate: u32) -> Self {
        assert!(rate > 0, "a sample rate is at least 1 Hz");
        Self { samples, rate }
    }

    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds())
    }
}
