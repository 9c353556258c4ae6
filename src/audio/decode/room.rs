//! Who says how much may be decoded.

/// Asked with the bytes that the sound is to take in all; whether it may.
pub type Room<'a> = dyn FnMut(usize) -> bool + 'a;
