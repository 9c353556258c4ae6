//! How much is in a second.

/// Samples in a second of its sound.
pub const SAMPLE_RATE: usize = 24_000;

/// Mel frames in a second.
pub const FRAME_RATE: usize = 50;

/// Samples of a frame.
pub const FRAME: usize = SAMPLE_RATE / FRAME_RATE;
