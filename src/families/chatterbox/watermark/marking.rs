//! A sound that is being marked, while it is made.

use std::sync::Arc;

use candle_core::Result;

use super::{
    encoder::{self, Encoder},
    spectrum::{Frame, HALF, HOP, WINDOW},
};
use crate::audio::{
    Fourier, InverseStft,
    stft::{hann, mirror},
};

/// Samples to either side that a marked sample depends on, at 24 kHz: 214 ms.
pub const REACH: usize = 2 * HALF + encoder::REACH * HOP;

/// Frames that have less than this of the loudest one's levels stay as they are.
const QUIET: f32 = 0.05;

/// A sound that is being marked. It keeps what [`REACH`] spans, and never more of the sound.
pub struct Marking {
    encoder: Arc<Encoder>,
    fourier: Fourier,
    window: Vec<f32>,
    inverse: InverseStft,
    /// What is still heard or was not given away, and the number of its first sample.
    samples: Vec<f32>,
    first_sample: usize,
    given: usize,
    /// What the network still looks at, and the number of the first frame.
    frames: Vec<Frame>,
    first_frame: usize,
    marked: usize,
    /// Of the levels of a frame together, the most so far. The reference knows the most of the whole sound: this differs where
    /// a frame of all but digital silence comes before the first sound, and by nothing that is heard.
    loudest: f32,
}

// === impl Marking ===

impl Marking {
    pub fn new(encoder: Arc<Encoder>) -> Self {
        Self {
            encoder,
            fourier: Fourier::new(WINDOW),
            window: hann(WINDOW),
            inverse: InverseStft::new(WINDOW, HOP),
            samples: Vec::with_capacity(REACH),
            first_sample: 0,
            given: 0,
            frames: Vec::new(),
            first_frame: 0,
            marked: 0,
            loudest: 0.0,
        }
    }

    /// Takes what follows, and gives what is certain of the marked sound: all but the last [`REACH`] samples, and those
    /// too when it is the `last`.
    pub fn push(&mut self, samples: &[f32], last: bool) -> Result<Vec<f32>> {
        self.samples.extend_from_slice(samples);
        self.hear(last);
        let mut added = Vec::new();
        self.mark(last, &mut added)?;
        if last {
            self.inverse.finish(&mut added);
        }
        let certain = &self.samples[self.given - self.first_sample..];
        let given: Vec<f32> = certain.iter().zip(&added).map(|(sample, added)| sample + added).collect();
        self.given += given.len();
        self.forget();
        Ok(given)
    }

    /// Samples and frames that it keeps.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.samples.len(), self.frames.len())
    }

    /// Samples so far.
    fn length(&self) -> usize {
        self.first_sample + self.samples.len()
    }

    /// Frames so far.
    fn heard(&self) -> usize {
        self.first_frame + self.frames.len()
    }

    /// Adds the spectra of the frames whose samples are all there. The last ones hear the end's mirror image.
    fn hear(&mut self, last: bool) {
        let length = self.length();
        let frames = match last {
            true if length > 0 => 1 + length / HOP,
            _ => length.saturating_sub(HALF).div_ceil(HOP),
        };
        let bins = self.encoder.bins();
        for frame in self.heard()..frames {
            let Self { fourier, window, samples, first_sample, .. } = self;
            let at = |n: usize| mirror((frame * HOP + n) as isize - HALF as isize, length) - *first_sample;
            let spectrum = fourier.spectrum(|real| {
                real.iter_mut().zip(&*window).enumerate().for_each(|(n, (x, weight))| *x = samples[at(n)] * weight);
            });
            let frame = Frame::new(spectrum, bins);
            self.loudest = self.loudest.max(frame.total);
            self.frames.push(frame);
        }
    }

    /// What is to be added to the samples, as far as the network saw what is around them.
    fn mark(&mut self, last: bool, added: &mut Vec<f32>) -> Result<()> {
        let until = if last { self.heard() } else { self.heard().saturating_sub(encoder::REACH) };
        if until <= self.marked {
            return Ok(());
        }
        let levels = self.frames.iter().flat_map(|frame| &frame.levels).copied().collect();
        let changes = self.encoder.forward(levels)?;
        let changes = changes.chunks_exact(self.encoder.bins());
        let new = self.marked - self.first_frame..until - self.first_frame;
        for (frame, changes) in self.frames.iter().zip(changes).take(new.end).skip(new.start) {
            let quiet = frame.total <= self.loudest * QUIET;
            let samples = self.fourier.samples(|spectrum| {
                spectrum.fill(0.0.into());
                let bins = spectrum.iter_mut().zip(frame.added(changes)).filter(|_| !quiet);
                bins.for_each(|(bin, added)| *bin = added);
            });
            self.inverse.push(samples, added);
        }
        self.marked = until;
        Ok(())
    }

    /// Lets go of what no later frame needs.
    fn forget(&mut self) {
        let frame = self.marked.saturating_sub(encoder::REACH);
        self.frames.drain(..frame - self.first_frame);
        self.first_frame = frame;
        // One more, which the mirror image of the end may show.
        let sample = self.given.min((self.heard() * HOP).saturating_sub(HALF + 1));
        self.samples.drain(..sample - self.first_sample);
        self.first_sample = sample;
    }
}
