//! Numbers as they lie in a file: read where they are, without a copy of the whole.

use half::{bf16, f16};
use rayon::prelude::*;

/// Little-endian numbers, wherever they begin in memory.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    F32(&'a [u8]),
    F16(&'a [u8]),
    Bf16(&'a [u8]),
}

/// A type that files hold.
pub(super) trait Stored: Copy + Send + Sync + 'static {
    const SIZE: usize;

    /// From the first bytes of a slice that has enough of them.
    fn read(bytes: &[u8]) -> Self;
    fn widen(self) -> f32;
}

/// Calls `$body` with `$bytes`, and `$type` as the type of the numbers in them.
macro_rules! with_numbers {
    ($numbers:expr, $type:ident, $bytes:ident => $body:expr) => {
        match $numbers {
            $crate::nn::numbers::Numbers::F32($bytes) => {
                type $type = f32;
                $body
            }
            $crate::nn::numbers::Numbers::F16($bytes) => {
                type $type = half::f16;
                $body
            }
            $crate::nn::numbers::Numbers::Bf16($bytes) => {
                type $type = half::bf16;
                $body
            }
        }
    };
}
pub(super) use with_numbers;

macro_rules! stored {
    ($($type:ty, $widen:expr;)*) => {
        $(impl Stored for $type {
            const SIZE: usize = size_of::<Self>();

            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                let mut number = [0; size_of::<Self>()];
                number.copy_from_slice(&bytes[..size_of::<Self>()]);
                Self::from_le_bytes(number)
            }

            #[inline(always)]
            fn widen(self) -> f32 {
                $widen(self)
            }
        })*
    };
}

stored! {
    f32, std::convert::identity;
    f16, f16::to_f32;
    bf16, bf16::to_f32;
}

// === impl Numbers ===

impl<'a> Numbers<'a> {
    /// Numbers of this program.
    #[cfg(target_endian = "little")]
    pub fn of(numbers: &'a [f32]) -> Self {
        // SAFETY: any four bytes of a number may be looked at as bytes.
        Self::F32(unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        with_numbers!(self, T, bytes => bytes.len() / T::SIZE)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<f32> {
        with_numbers!(self, T, bytes => {
            bytes.par_chunks_exact(T::SIZE).with_min_len(1 << 16).map(|number| T::read(number).widen()).collect()
        })
    }
}
