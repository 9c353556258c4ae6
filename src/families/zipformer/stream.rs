//! Sound as it comes: to frames, and to chunks of them, each of which begins within the one before it.

use super::transducer::{Chunk, FRAMES, RATE};
use crate::audio::{Fbank, FbankStream};

/// Frames that wait for their chunk.
pub struct Chunks {
    frames: FbankStream,
    chunk: Chunk,
    bands: usize,
    waiting: Vec<f32>,
}

// === impl Chunks ===

impl Chunks {
    pub fn new(fbank: &Fbank, chunk: Chunk) -> Self {
        Self { frames: FbankStream::new(fbank), chunk, bands: fbank.bands(), waiting: Vec::new() }
    }

    pub fn push(&mut self, fbank: &Fbank, samples: &[f32]) {
        self.waiting.extend(self.frames.push(fbank, samples));
    }

    /// There is no more. Silence of the length of a chunk follows, so that all that was said is heard to its end.
    pub fn end(&mut self, fbank: &Fbank) {
        self.push(fbank, &vec![0.0; self.chunk.length * RATE as usize / FRAMES]);
        self.waiting.extend(self.frames.end(fbank));
    }

    /// The next one, if it is there whole.
    pub fn next(&mut self) -> Option<Vec<f32>> {
        let chunk = self.waiting.get(..self.chunk.length * self.bands)?.to_vec();
        self.waiting.drain(..self.chunk.hop * self.bands);
        Some(chunk)
    }
}
