//! A limiter that looks ahead.

use std::{collections::VecDeque, f64::consts::PI};

/// Milliseconds that it looks ahead: long enough that the gain moves without being heard, too short to be a delay.
const AHEAD: usize = 5;
/// Points between two samples that a peak is looked for at, and samples on either side that decide about them: four
/// times oversampling with 12 taps, as in BS.1770, annex 2.
const POINTS: usize = 4;
const SIDE: usize = 6;

/// Turns down what would pass the ceiling, smoothly, before it comes. It holds back `AHEAD`, and half a filter.
pub(super) struct Limiter {
    ceiling: f32,
    channels: usize,
    /// Frames of the look-ahead.
    ahead: usize,
    filter: [[f32; 2 * SIDE]; POINTS],
    /// The last frames that came, for the filter.
    recent: VecDeque<f32>,
    /// Frames that wait for their gain.
    waiting: VecDeque<f32>,
    /// The gain that each of the next `ahead + 1` frames needs by itself.
    needed: VecDeque<f32>,
    /// The least gain over the look-ahead, for the last `ahead + 1` frames, and their sum; empty at the start.
    least: VecDeque<f32>,
    sum: f64,
}

// === impl Limiter ===

impl Limiter {
    pub fn new(rate: u32, channels: usize, ceiling: f32) -> Self {
        let ahead = (rate as usize * AHEAD / 1000).max(1);
        Self {
            ceiling,
            channels,
            ahead,
            filter: std::array::from_fn(|point| std::array::from_fn(|tap| tap_of(point, tap))),
            recent: VecDeque::from(vec![0.0; 2 * SIDE * channels]),
            waiting: VecDeque::new(),
            needed: VecDeque::new(),
            least: VecDeque::new(),
            sum: 0.0,
        }
    }

    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        for frame in samples.chunks_exact(self.channels) {
            self.waiting.extend(frame);
            self.recent.drain(..self.channels);
            self.recent.extend(frame);
            self.needed.push_back((self.ceiling / self.peak()).min(1.0));
            if self.needed.len() > SIDE + self.ahead {
                self.give(out);
            }
        }
    }

    /// Gives what waits; after it nothing is pushed.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let end = out.len() + self.waiting.len();
        let silence = vec![0.0; self.channels];
        while out.len() < end {
            self.push(&silence, out);
        }
    }

    /// The highest point of any channel between the two samples in the middle of the filter.
    fn peak(&self) -> f32 {
        let mut highest = f32::MIN_POSITIVE;
        for channel in 0..self.channels {
            for filter in &self.filter {
                let taps = self.recent.iter().skip(channel).step_by(self.channels);
                let value: f32 = taps.zip(filter).map(|(sample, weight)| sample * weight).sum();
                highest = highest.max(value.abs());
            }
        }
        highest
    }

    /// One frame, with the mean of the least gains around it: each of those knows of the peak, so their mean does.
    fn give(&mut self, out: &mut Vec<f32>) {
        let least = self.needed.iter().copied().fold(1.0, f32::min);
        self.needed.pop_front();
        if self.least.is_empty() {
            // As if it had always been so: a peak at the very start was not seen coming.
            self.least.resize(self.ahead + 1, least);
            self.sum = f64::from(least) * (self.ahead + 1) as f64;
        }
        self.least.push_back(least);
        self.sum += f64::from(least) - f64::from(self.least.pop_front().unwrap_or(1.0));
        let gain = (self.sum / (self.ahead + 1) as f64) as f32;
        let frame = self.waiting.drain(..self.channels);
        out.extend(frame.map(|sample| (sample * gain).clamp(-1.0, 1.0)));
    }
}

/// A windowed sinc that reads the signal `point / POINTS` of a sample after the middle.
fn tap_of(point: usize, tap: usize) -> f32 {
    let at = tap as f64 - (SIDE - 1) as f64 - point as f64 / POINTS as f64;
    let sinc = if at == 0.0 { 1.0 } else { (PI * at).sin() / (PI * at) };
    let window = (PI * at / (2.0 * (SIDE as f64 + 0.5))).cos().powi(2);
    (sinc * window) as f32
}
