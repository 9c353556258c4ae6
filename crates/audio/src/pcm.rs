//! Samples in memory.

use std::{borrow::Cow, time::Duration};

/// -80 dB of full scale.
const SILENT: f32 = 1e-4;

/// Samples at a known rate, interleaved. Shape `[frames, channels]`, nominal range -1 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Pcm {
    samples: Vec<f32>,
    rate: u32,
    channels: usize,
}

impl Pcm {
    /// One channel. `rate` is in hertz and is never 0.
    pub fn new(samples: Vec<f32>, rate: u32) -> Self {
        Self::interleaved(samples, rate, 1)
    }

    /// Several channels, frame by frame. Neither `rate` nor `channels` is ever 0; what is no whole frame at the end is
    /// left out.
    pub fn interleaved(mut samples: Vec<f32>, rate: u32, channels: usize) -> Self {
        assert!(rate > 0, "a sample rate is at least 1 Hz");
        assert!(channels > 0, "sound has at least one channel");
        samples.truncate(samples.len() / channels * channels);
        Self { samples, rate, channels }
    }

    /// Blocks of one rate and as many channels, one after another. `None` without any.
    pub fn joined(blocks: &[Self]) -> Option<Self> {
        let first = blocks.first()?;
        let samples = blocks.iter().flat_map(Self::samples).copied().collect();
        Some(Self::interleaved(samples, first.rate, first.channels()))
    }

    /// Of all channels, frame by frame.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// Frames per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples of each channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// The mean of the channels. Shape `[frames]`.
    pub fn mono(&self) -> Cow<'_, [f32]> {
        if self.channels == 1 {
            return Cow::Borrowed(&self.samples);
        }
        let share = 1.0 / self.channels as f32;
        self.samples.chunks_exact(self.channels).map(|frame| frame.iter().sum::<f32>() * share).collect()
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames() as f64 / f64::from(self.rate)
    }

    /// Adds a sound of the same rate and as many channels, from the start on; the longer one goes on alone.
    pub fn add(&mut self, mut other: Self) {
        debug_assert!((self.rate, self.channels) == (other.rate, other.channels), "of one shape");
        if other.samples.len() > self.samples.len() {
            std::mem::swap(&mut self.samples, &mut other.samples);
        }
        self.samples.iter_mut().zip(&other.samples).for_each(|(sum, sample)| *sum += sample);
    }

    /// Multiplies every sample.
    pub fn scale(&mut self, gain: f32) {
        self.samples.iter_mut().for_each(|sample| *sample *= gain);
    }

    /// Whether this is not what somebody recorded: nothing in it is as loud as -80 dB of full scale.
    pub fn is_silent(&self) -> bool {
        self.samples.iter().all(|sample| sample.abs() < SILENT)
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds())
    }
}

/// Samples of 16 bits, little-endian, from -1 to 1. Half a sample at the end is left out.
pub fn samples_of_pcm16(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0)
}

/// What is not a finite number is silence.
pub(super) fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_frames() {
        let stereo = Pcm::interleaved(vec![0.5; 2 * 8_000 + 1], 16_000, 2);
        assert_eq!((stereo.frames(), stereo.channels(), stereo.samples().len()), (8_000, 2, 16_000));
        assert_eq!(stereo.duration(), Duration::from_millis(500));
        assert_eq!(Pcm::new(vec![0.0; 8_000], 16_000).duration(), Duration::from_millis(500));
    }

    #[test]
    fn samples_are_what_the_bytes_say() {
        let bytes = [0x00, 0x80, 0xff, 0x7f, 0x00, 0x40, 0x01];
        assert_eq!(samples_of_pcm16(&bytes).collect::<Vec<_>>(), [-1.0, 32_767.0 / 32_768.0, 0.5]);
    }

    #[test]
    fn mono_is_the_mean() {
        let stereo = Pcm::interleaved(vec![1.0, 0.0, -0.5, -0.5], 8_000, 2);
        assert_eq!(*stereo.mono(), [0.5, -0.5]);
        assert_eq!(*Pcm::new(vec![0.25], 8_000).mono(), [0.25]);
    }
}
