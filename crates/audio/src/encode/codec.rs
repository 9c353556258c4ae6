//! What each format does, and what several of them need.

use super::format::EncodeError;

/// One format's encoder. Samples are interleaved whole frames within ±1, at a rate that the format can hold.
pub(super) trait Codec: Send {
    /// What comes before the first sample of a stream whose length is not known.
    fn start(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// What is held back, and the end of the stream.
    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    /// After the end, what a file has in the place of what [`start`](Self::start) gave, if that is something else.
    fn head(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The inverse of how decoders read 16 bits (`value / 32768`). The cast saturates, and takes NaN to 0.
pub(super) fn quantise(sample: f32) -> i16 {
    (sample * 32768.0).round() as i16
}
