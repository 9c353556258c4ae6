//! Whether the files of a version are held in host memory.

use std::time::Instant;

use super::Stock;

/// The device whose memory is the host's.
pub(super) const HOST: &str = "cpu";

/// Whether the files of a version are held in host memory.
pub(super) enum Warmth<F> {
    Cold,
    /// They are to be, since it left its device then, if there is room.
    Due(Instant),
    /// They are being read.
    Warming(Instant),
    Warm(Instant, F),
}

// === impl Warmth ===

impl<F> Warmth<F> {
    /// Of a version that has left its device: where that is the host's memory, nothing is gained.
    pub fn of(stock: &Stock<F>, now: Instant) -> Self {
        if *stock.device == *HOST { Self::Cold } else { Self::Due(now) }
    }

    /// The files, if they are held; from now on whoever asked holds them.
    pub fn take(&mut self) -> Option<F> {
        match std::mem::replace(self, Self::Cold) {
            Self::Warm(_, files) => Some(files),
            Self::Cold | Self::Due(_) | Self::Warming(_) => None,
        }
    }

    pub fn is_cold(&self) -> bool {
        matches!(self, Self::Cold)
    }

    pub fn since(&self) -> Option<Instant> {
        match self {
            Self::Cold => None,
            Self::Due(since) | Self::Warming(since) | Self::Warm(since, _) => Some(*since),
        }
    }
}
