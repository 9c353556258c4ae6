//! Neural audio codecs: sound to codes of a few books, frame by frame, and back.

mod dac;

pub use dac::{Dac, DacConfig, DacStream};
