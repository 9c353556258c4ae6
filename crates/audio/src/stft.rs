//! Short-time Fourier transform: sound to power over frequency and time.
//!
//! Conventions are those of `torch.stft(center=True, pad_mode="reflect")` and `librosa.stft`: frame `t` is centred on
//! sample `t × hop`, and what lies beyond the ends is the mirror image of what lies inside. How much of that image there
//! is can be said ([`Stft::with_lead`]), for those who pad by themselves and then transform with `center=False`.

use std::{f64::consts::PI, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// How many frames a block holds: one cache line of f32, one AVX-512 register.
pub const LANES: usize = 16;

/// A planned transform with a periodic Hann window. Holds no signal: share it.
pub struct Stft {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    hop: usize,
    /// Samples of the mirror image before the first sample and after the last.
    lead: usize,
}

/// The power of up to [`LANES`] frames that follow each other: row `bin` holds the frames of that frequency.
pub struct Block<'a> {
    /// Index of the first frame.
    pub first: usize,
    /// Frames that count, 1 to [`LANES`]; lanes beyond are 0.
    pub frames: usize,
    /// `[n_fft / 2 + 1]` rows of power (squared magnitude).
    pub power: &'a [[f32; LANES]],
}

// === impl Stft ===

impl Stft {
    /// `n_fft` is both the length of the window and of the transform, in samples; `hop` is the distance between
    /// frames. Both are at least 1.
    pub fn new(n_fft: usize, hop: usize) -> Self {
        assert!(n_fft > 0 && hop > 0, "a window and a hop have at least one sample");
        Self { fft: RealFftPlanner::new().plan_fft_forward(n_fft), window: hann(n_fft), hop, lead: n_fft / 2 }
    }

    /// The same, but the first frame begins `lead` samples before the first sample, and no frame ends more than that after
    /// the last.
    pub fn with_lead(self, lead: usize) -> Self {
        Self { lead, ..self }
    }

    /// The same, but what is heard of a frame are so many samples in its middle, where the others count for nothing.
    pub fn with_window(mut self, length: usize) -> Self {
        let n_fft = self.window.len();
        assert!((1..=n_fft).contains(&length), "a window is as long as a frame at most");
        let before = (n_fft - length) / 2;
        self.window.fill(0.0);
        self.window[before..before + length].copy_from_slice(&hann(length));
        self
    }

    /// Frequency bins, from 0 to half of the sample rate.
    pub fn bins(&self) -> usize {
        self.window.len() / 2 + 1
    }

    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Samples that a frame hears to either side of its middle.
    pub fn reach(&self) -> usize {
        self.window.len().div_ceil(2)
    }

    /// Frames that this many samples give.
    pub fn frames(&self, samples: usize) -> usize {
        match (samples + 2 * self.lead).checked_sub(self.window.len()) {
            Some(room) if samples > 0 => 1 + room / self.hop,
            _ => 0,
        }
    }

    /// The power spectra of the first `frames` frames (at most [`frames`](Self::frames)), block by block, in order.
    pub fn power(&self, samples: &[f32], frames: usize, mut each: impl FnMut(Block<'_>)) {
        let frames = frames.min(self.frames(samples.len()));
        let (head, tail) = self.edges(samples);
        let mut workspace = Workspace::of(self);
        for first in (0..frames).step_by(LANES) {
            let count = LANES.min(frames - first);
            for lane in 0..count {
                let start = (first + lane) * self.hop;
                workspace.transform(self, self.window_at(start, &head, samples, &tail), lane);
            }
            workspace.clear_lanes(count);
            each(Block { first, frames: count, power: &workspace.power });
        }
    }

    /// Copies of the two ends with their mirror images outside, long enough that every window lies whole in one of
    /// `head`, the samples, and `tail`.
    fn edges(&self, samples: &[f32]) -> (Edge, Edge) {
        let (window, lead) = (self.window.len(), self.lead);
        let mirrored = |start: usize, end: usize| Edge {
            start,
            samples: (start..end).map(|i| samples[mirror(i as isize - lead as isize, samples.len())]).collect(),
        };
        if samples.is_empty() {
            return (Edge::default(), Edge::default());
        }
        let last = (samples.len() + lead).saturating_sub(window);
        (mirrored(0, lead + window), mirrored(last, samples.len() + 2 * lead))
    }

    /// A window of the padded signal from `start` on, without a copy.
    fn window_at<'a>(&self, start: usize, head: &'a Edge, samples: &'a [f32], tail: &'a Edge) -> &'a [f32] {
        let length = self.window.len();
        head.get(start, length)
            .or_else(|| start.checked_sub(self.lead).and_then(|from| samples.get(from..from + length)))
            .or_else(|| tail.get(start, length))
            .expect("the edges cover what the samples do not")
    }
}

/// A stretch of the padded signal; `start` counts from the first sample of the padding.
#[derive(Default)]
struct Edge {
    start: usize,
    samples: Vec<f32>,
}

impl Edge {
    fn get(&self, start: usize, length: usize) -> Option<&[f32]> {
        let from = start.checked_sub(self.start)?;
        self.samples.get(from..from + length)
    }
}

/// The index of the sample whose mirror image is at `index` of `length` samples, at least one; the end samples themselves are
/// not repeated.
pub fn mirror(index: isize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let folded = index.rem_euclid(period as isize) as usize;
    folded.min(period - folded)
}

/// Periodic Hann window: `sin²(πn / N)`.
pub fn hann(length: usize) -> Vec<f32> {
    (0..length).map(|n| (PI * n as f64 / length as f64).sin().powi(2) as f32).collect()
}

// === impl Workspace ===

struct Workspace {
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<[f32; LANES]>,
}

impl Workspace {
    fn of(stft: &Stft) -> Self {
        Self {
            windowed: stft.fft.make_input_vec(),
            spectrum: stft.fft.make_output_vec(),
            scratch: stft.fft.make_scratch_vec(),
            power: vec![[0.0; LANES]; stft.bins()],
        }
    }

    fn transform(&mut self, stft: &Stft, samples: &[f32], lane: usize) {
        // Recordings are padded with silence to the length of a window: most frames of a short one are nothing.
        if samples.iter().all(|&sample| sample == 0.0) {
            self.power.iter_mut().for_each(|row| row[lane] = 0.0);
            return;
        }
        for ((windowed, sample), weight) in self.windowed.iter_mut().zip(samples).zip(&stft.window) {
            *windowed = sample * weight;
        }
        stft.fft
            .process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers were made by this transform");
        for (row, bin) in self.power.iter_mut().zip(&self.spectrum) {
            row[lane] = bin.norm_sqr();
        }
    }

    fn clear_lanes(&mut self, from: usize) {
        for row in &mut self.power {
            row[from..].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in f64.
    fn reference(samples: &[f32], (n_fft, hop, lead): (usize, usize, usize), frame: usize, bin: usize) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for n in 0..n_fft {
            let index = (frame * hop + n) as isize - lead as isize;
            let value = f64::from(samples[mirror(index, samples.len())]) * (PI * n as f64 / n_fft as f64).sin().powi(2);
            let angle = -2.0 * PI * (bin * n) as f64 / n_fft as f64;
            re += value * angle.cos();
            im += value * angle.sin();
        }
        re * re + im * im
    }

    fn spectra(stft: &Stft, samples: &[f32]) -> Vec<Vec<f32>> {
        let mut frames = Vec::new();
        stft.power(samples, usize::MAX, |block| {
            assert_eq!(block.first, frames.len());
            for lane in 0..block.frames {
                frames.push(block.power.iter().map(|row| row[lane]).collect());
            }
        });
        frames
    }

    fn samples(length: usize) -> Vec<f32> {
        (0..length).map(|i| ((i * i * 37 % 101) as f32 / 50.0) - 1.0).collect()
    }

    fn assert_defined(stft: &Stft, samples: &[f32], frames: usize, lead: usize) {
        let found = spectra(stft, samples);
        assert_eq!(found.len(), frames, "{} samples", samples.len());
        for (t, frame) in found.iter().enumerate() {
            for (bin, &power) in frame.iter().enumerate() {
                let expected = reference(samples, (16, 5, lead), t, bin);
                let length = samples.len();
                assert!((f64::from(power) - expected).abs() < 1e-4, "{length} {t} {bin}: {power} {expected}");
            }
        }
    }

    #[test]
    fn every_frame_is_the_definition_for_every_length() {
        for length in [1, 2, 3, 7, 15, 16, 17, 31, 40, 64, 101, 333] {
            assert_defined(&Stft::new(16, 5), &samples(length), 1 + length / 5, 8);
        }
    }

    #[test]
    fn frames_begin_as_far_ahead_as_wanted() {
        for (length, frames) in [(5, 0), (6, 1), (10, 1), (11, 2), (15, 2), (16, 3), (333, 66)] {
            assert_defined(&Stft::new(16, 5).with_lead(5), &samples(length), frames, 5);
        }
        assert_defined(&Stft::new(16, 5).with_lead(0), &samples(47), 7, 0);
        assert_defined(&Stft::new(16, 5).with_lead(20), &samples(47), 15, 20);
    }

    #[test]
    fn a_shorter_window_stands_in_the_middle_of_a_frame() {
        let (sound, stft) = (samples(64), Stft::new(16, 5).with_window(10));
        let found = spectra(&stft, &sound);
        for (frame, bin) in [(0, 3), (5, 0), (12, 8)] {
            // Of the ten samples around the middle of a frame, in f64.
            let (mut re, mut im) = (0.0, 0.0);
            for n in 0..10 {
                let index = (frame * 5 + n) as isize - 5;
                let weight = (PI * n as f64 / 10.0).sin().powi(2);
                let (sin, cos) = (-2.0 * PI * (bin * n) as f64 / 16.0).sin_cos();
                let value = f64::from(sound[mirror(index, sound.len())]) * weight;
                (re, im) = (re + value * cos, im + value * sin);
            }
            let expected: f64 = re * re + im * im;
            assert!((f64::from(found[frame][bin]) - expected).abs() < 1e-4, "{frame} {bin}");
        }
    }

    #[test]
    fn no_samples_give_no_frames() {
        assert!(spectra(&Stft::new(16, 5), &[]).is_empty());
    }

    #[test]
    fn silence_has_no_power() {
        let frames = spectra(&Stft::new(400, 160), &[0.0; 16_000]);
        assert_eq!(frames.len(), 101);
        assert!(frames.iter().flatten().all(|&power| power == 0.0));
    }

    #[test]
    fn the_mirror_does_not_repeat_the_ends() {
        let folded: Vec<_> = (-4..8).map(|index| mirror(index, 4)).collect();
        assert_eq!(folded, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
    }
}
