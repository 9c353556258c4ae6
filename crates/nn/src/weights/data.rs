//! Numbers as they lie in a file, or in memory like it.

use std::ops::Range;

use bytes::Bytes;
use candle_core::DType;
use rayon::prelude::*;

use crate::cpu::{bytes::bytes_of, element::Element};

/// Little-endian numbers, wherever they begin in memory. They are shared, not copied: a clone keeps a mapped file mapped.
#[derive(Clone, Debug)]
pub enum WeightData {
    F32(Bytes),
    F16(Bytes),
    Bf16(Bytes),
}

/// Calls `$body` with `$bytes`, and `$type` as the type of the numbers in them.
macro_rules! with_data {
    ($numbers:expr, $type:ident, $bytes:ident => $body:expr) => {
        match $numbers {
            $crate::weights::data::WeightData::F32($bytes) => {
                type $type = f32;
                $body
            }
            $crate::weights::data::WeightData::F16($bytes) => {
                type $type = half::f16;
                $body
            }
            $crate::weights::data::WeightData::Bf16($bytes) => {
                type $type = half::bf16;
                $body
            }
        }
    };
}
pub(crate) use with_data;

// === impl WeightData ===

#[cfg(target_endian = "little")]
impl From<Vec<f32>> for WeightData {
    fn from(numbers: Vec<f32>) -> Self {
        Self::F32(bytes_of(numbers))
    }
}

impl WeightData {
    /// How many there are.
    pub fn len(&self) -> usize {
        with_data!(self, T, bytes => bytes.len() / size_of::<T>())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As they lie there.
    pub fn bytes(&self) -> &Bytes {
        let (Self::F32(bytes) | Self::F16(bytes) | Self::Bf16(bytes)) = self;
        bytes
    }

    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F16(_) => DType::F16,
            Self::Bf16(_) => DType::BF16,
        }
    }

    /// Some of them, where they lie.
    pub fn part(&self, numbers: Range<usize>) -> Self {
        let part = |bytes: &Bytes, size: usize| bytes.slice(numbers.start * size..numbers.end * size);
        match self {
            Self::F32(bytes) => Self::F32(part(bytes, size_of::<f32>())),
            Self::F16(bytes) => Self::F16(part(bytes, size_of::<half::f16>())),
            Self::Bf16(bytes) => Self::Bf16(part(bytes, size_of::<half::bf16>())),
        }
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<f32> {
        with_data!(self, T, bytes => {
            bytes.par_chunks_exact(size_of::<T>()).with_min_len(1 << 16).map(|bytes| T::from_le_slice(bytes).to_f32()).collect()
        })
    }
}
