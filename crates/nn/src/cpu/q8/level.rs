//! How this processor multiplies bytes.

use super::super::detect::{Instructions, SimdLevel};

/// Instructions that this processor has. Only [`ByteLevel::available`] makes one, so whoever holds one may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteLevel(ByteInstructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteInstructions {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

// === impl ByteLevel ===

impl ByteLevel {
    /// The fastest that belongs to a level.
    pub fn of(level: SimdLevel) -> Self {
        Self::available(level).last().unwrap_or(Self(ByteInstructions::Plain))
    }

    /// All that belong to a level and are here, slowest first.
    #[cfg(target_arch = "x86_64")]
    pub fn available(level: SimdLevel) -> impl Iterator<Item = Self> {
        let [avx2, avx512] = [Instructions::Avx2, Instructions::Avx512].map(|least| level.instructions() >= least);
        let all = [
            (ByteInstructions::Plain, true),
            (ByteInstructions::Avx2, avx2),
            (ByteInstructions::AvxVnni, avx2 && is_x86_feature_detected!("avxvnni")),
            (ByteInstructions::Avx512Vnni, avx512 && is_x86_feature_detected!("avx512vnni")),
        ];
        all.into_iter().filter(|(_, here)| *here).map(|(instructions, _)| Self(instructions))
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn available(_level: SimdLevel) -> impl Iterator<Item = Self> {
        [Self(ByteInstructions::Plain)].into_iter()
    }

    pub fn instructions(self) -> ByteInstructions {
        self.0
    }
}
