//! Neural audio codecs: sound to codes of a few books, frame by frame, and back.

mod dac;
mod vocos;
mod xcodec;

pub use dac::{Dac, DacConfig, DacStream};
pub use vocos::Vocos;
pub use xcodec::{XCodec, XCodecConfig, XCodecStream, is_unneeded as is_unneeded_by_xcodec};
