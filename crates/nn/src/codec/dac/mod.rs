//! DAC, the Descript Audio Codec (Kumar and others, arXiv 2306.06546), in the layout that `transformers` publishes it in
//! (`DacModel`).
//!
//! An encoder makes a vector of each frame of samples. A residual quantizer says it in codes: each book names what the
//! books before it left unsaid. A decoder makes samples of the sum of what the codes stand for.
//!
//! A sample depends on a few frames to either side only ([`Dac::reach`], from the sizes of the layers). So long sounds are
//! encoded in windows. Decoding goes further: each layer keeps the last steps that it was given and makes only new ones
//! ([`DacStream`]), so that a sound that comes frame by frame costs what it costs whole, and a whole one goes the same way, a
//! few frames at a time, which stay near the processor.
//!
//! Codes are always given frame by frame, `[frames, books]` row by row.

pub(super) mod codec;
mod config;
pub(super) mod decoder;
pub(super) mod encoder;
mod quantizer;
pub(super) mod residual;
pub(super) mod sizes;
mod stream;
mod tail;
#[cfg(test)]
mod tests;
pub(super) mod windows;

pub use self::{codec::Dac, config::DacConfig, stream::DacStream};
