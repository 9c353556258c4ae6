//! What a log-mel spectrum is made with.

/// What a log-mel spectrum is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MelSpec {
    /// Samples per second.
    pub rate: u32,
    /// Samples in a window.
    pub n_fft: usize,
    /// Samples between frames.
    pub hop: usize,
    /// Mel bands.
    pub bands: usize,
    /// Lowest frequency in hertz.
    pub fmin: f64,
    /// Highest frequency in hertz.
    pub fmax: f64,
}

// === impl MelSpec ===

impl MelSpec {
    /// Whisper's recipe; 80 bands, or 128 from large-v3 on.
    pub const fn whisper(bands: usize) -> Self {
        Self { rate: 16_000, n_fft: 400, hop: 160, bands, fmin: 0.0, fmax: 8_000.0 }
    }
}
