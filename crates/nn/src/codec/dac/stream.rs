//! Sound of codes that still come.

use candle_core::Result;

use super::codec::Dac;

/// A sound whose codes come bit by bit: what is known of it, and how much of it was given out. What comes out is what
/// [`Dac::decode`] makes of all codes.
#[derive(Clone, Debug, Default)]
pub struct DacStream {
    /// The last frames, `[frames, books]`.
    codes: Vec<u32>,
    /// How many of these have sounded.
    sounded: usize,
}

// === impl DacStream ===

impl DacStream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds whole frames, and gives what no further one can change: it lags by the frames after a frame that it depends on
    /// ([`Dac::reach`]). Those before and after are decoded again with every call that gives anything, so that a call
    /// should bring several.
    ///
    /// # Errors
    /// As [`Dac::decode`]; the codes are not added then.
    pub fn push(&mut self, dac: &Dac, codes: &[u32]) -> Result<Vec<f32>> {
        dac.quantizer.frames(codes)?;
        self.codes.extend_from_slice(codes);
        let (before, after) = dac.reach();
        let end = self.frames(dac).saturating_sub(after);
        if end <= self.sounded {
            return Ok(Vec::new());
        }
        let sound = dac.decode_by(&self.codes, self.sounded..end, dac.window)?;
        let forgotten = end.saturating_sub(before);
        self.codes.drain(..forgotten * dac.books());
        self.sounded = end - forgotten;
        Ok(sound)
    }

    /// The rest of the sound, after the last frame.
    pub fn finish(self, dac: &Dac) -> Result<Vec<f32>> {
        dac.decode_by(&self.codes, self.sounded..self.frames(dac), dac.window)
    }

    fn frames(&self, dac: &Dac) -> usize {
        self.codes.len() / dac.books()
    }
}
