//! Kaldi's filter banks of sound that comes piece by piece, with a frame around every hop from its first sample to its
//! last: `snip_edges=false`.

use crate::fbank::Fbank;

/// Frames as sound comes. Beyond its ends a recording goes on as its own mirror image.
pub struct FbankStream {
    /// What a frame reaches before the hop that it is of.
    reach: usize,
    window: usize,
    hop: usize,
    /// Of the sound, mirror image before it included; from the first sample of the next frame on.
    waiting: Vec<f32>,
    begun: bool,
    /// Samples that came, and frames that were given.
    samples: usize,
    frames: usize,
}

// === impl FbankStream ===

impl FbankStream {
    pub fn new(fbank: &Fbank) -> Self {
        let (window, hop) = fbank.window_and_hop();
        let reach = (window - hop) / 2;
        Self { reach, window, hop, waiting: Vec::new(), begun: false, samples: 0, frames: 0 }
    }

    /// The frames that are whole with these samples, `[frames, bands]`.
    pub fn push(&mut self, fbank: &Fbank, samples: &[f32]) -> Vec<f32> {
        self.samples += samples.len();
        self.waiting.extend(samples);
        if !self.begun && self.waiting.len() >= self.reach {
            self.begin();
        }
        if self.begun { self.take(fbank) } else { Vec::new() }
    }

    /// The frames that are left. There is no more sound.
    pub fn end(&mut self, fbank: &Fbank) -> Vec<f32> {
        if self.samples == 0 {
            return Vec::new();
        }
        if !self.begun {
            self.begin();
        }
        let wanted = (self.samples + self.hop / 2) / self.hop;
        let missing = wanted.saturating_sub(self.frames);
        let needed = missing.saturating_sub(1) * self.hop + if missing > 0 { self.window } else { 0 };
        // The mirror image of what is shorter than that is mirrored again.
        while self.waiting.len() < needed {
            let image: Vec<f32> = self.waiting.iter().rev().take(needed - self.waiting.len()).copied().collect();
            self.waiting.extend(image);
        }
        self.waiting.truncate(needed);
        self.take(fbank)
    }

    /// Puts the mirror image before what came.
    fn begin(&mut self) {
        self.begun = true;
        let length = self.waiting.len();
        let sample = |before: usize| {
            let place = before % (2 * length);
            self.waiting[if place < length { place } else { 2 * length - 1 - place }]
        };
        let image: Vec<f32> = (0..self.reach).rev().map(sample).collect();
        self.waiting.splice(0..0, image);
    }

    fn take(&mut self, fbank: &Fbank) -> Vec<f32> {
        let values = fbank.compute(&self.waiting);
        let frames = fbank.frames(self.waiting.len());
        self.frames += frames;
        self.waiting.drain(..frames * self.hop);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    const BANDS: usize = 16;

    fn noise(samples: usize) -> Vec<f32> {
        let mut dice = Dice(3);
        (0..samples).map(|_| dice.noise()).collect()
    }

    fn whole(fbank: &Fbank, samples: &[f32]) -> Vec<f32> {
        let mut stream = FbankStream::new(fbank);
        [stream.push(fbank, samples), stream.end(fbank)].concat()
    }

    /// Kaldi: `(samples + hop / 2) / hop` frames, the first of which begins 120 samples before the sound at 16 kHz.
    #[test]
    fn there_is_a_frame_around_every_hop() {
        let fbank = Fbank::new(16_000, BANDS);
        for (samples, frames) in [(0, 0), (79, 0), (80, 1), (239, 1), (240, 2), (1000, 6), (16_000, 100)] {
            assert_eq!(whole(&fbank, &noise(samples)).len(), frames * BANDS, "{samples}");
        }
    }

    #[test]
    fn the_ends_are_mirrored() {
        let (fbank, sound) = (Fbank::new(16_000, BANDS), noise(1000));
        let before = sound[..120].iter().rev();
        let mirrored: Vec<f32> = before.chain(&sound).chain(sound[800..].iter().rev()).copied().collect();
        let expected = fbank.compute(&mirrored[..6 * 160 - 160 + 400]);
        assert_eq!(whole(&fbank, &sound), expected);
    }

    #[test]
    fn pieces_of_any_length_give_the_same() {
        let (fbank, sound) = (Fbank::new(16_000, BANDS), noise(5000));
        let expected = whole(&fbank, &sound);
        for piece in [1, 7, 119, 120, 121, 399, 400, 1600, 4999] {
            let mut stream = FbankStream::new(&fbank);
            let mut found: Vec<f32> = sound.chunks(piece).flat_map(|piece| stream.push(&fbank, piece)).collect();
            found.extend(stream.end(&fbank));
            assert_eq!(found, expected, "{piece}");
        }
    }
}
