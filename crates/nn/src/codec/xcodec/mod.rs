//! X-Codec (Ye and others, arXiv 2408.17175): a codec whose codes tell what is said as well as how it sounds. This is the one of
//! Higgs Audio v2, in the layout of `transformers` (`HiggsAudioV2TokenizerModel`) or in Boson's own, and the first one, of
//! 16 kHz, in the layout of `transformers` (`XcodecModel`) or in its own, which Boson took over.
//!
//! The encoder of a DAC hears the samples; HuBERT hears them at 16 kHz, and a few convolutions read the mean of its layers
//! (`semantic`). Both together are quantised, book after book, by distance (`quantizer`). The decoder of a DAC makes samples of
//! what the codes stand for ([`XCodecStream`] as they come).
//!
//! Codes are always given frame by frame, `[frames, books]` row by row.

mod codec;
mod config;
#[cfg(test)]
mod first_tests;
mod names;
mod quantizer;
mod semantic;
mod stream;
#[cfg(test)]
mod tests;

pub use self::{codec::XCodec, config::XCodecConfig, names::is_unneeded, stream::XCodecStream};
