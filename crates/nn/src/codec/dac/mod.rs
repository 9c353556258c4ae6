//! DAC, the Descript Audio Codec (Kumar and others, arXiv 2306.06546), in the layout that `transformers` publishes it in
//! (`DacModel`).
//!
//! An encoder makes a vector of each frame of samples. A residual quantizer says it in codes: each book names what the
//! books before it left unsaid. A decoder makes samples of the sum of what the codes stand for.
//!
//! A sample depends on a few frames to either side only ([`Dac::reach`], from the sizes of the layers). So long sounds are
//! encoded and decoded in windows, and a sound that still grows as its codes come ([`DacStream`]), with the same result as
//! in one go.
//!
//! Codes are always given frame by frame, `[frames, books]` row by row.

mod codec;
mod config;
mod decoder;
mod encoder;
mod quantizer;
mod residual;
mod sizes;
mod stream;
#[cfg(test)]
mod tests;
mod windows;

pub use self::{codec::Dac, config::DacConfig, stream::DacStream};
