//! T3: text tokens and a voice in, speech tokens out.
//!
//! A decoder-only transformer reads the voice, the text and a start token, and writes speech tokens (25 a second) one by
//! one. The backbone is a Llama, or the GPT-2 of Turbo and Nano; the tensors tell which, and how large.
//!
//! [`T3`] is weights only. What belongs to a request is a [`T3Row`]: it comes from [`T3::admit`], any number of rows take a
//! [`T3::step`] together, and a row leaves when it is dropped.

mod backbone;
mod conditioning;
mod gpt2;
mod heads;
mod net;
mod perceiver;
mod prompt;
mod row;
mod sampling;
#[cfg(feature = "cuda")]
mod step;
#[cfg(test)]
mod tests;

pub use conditioning::T3Conditioning;
pub use net::{T3, T3Error, T3Ids, T3Request};
pub use row::{FinishReason, T3Row};
pub use sampling::SamplingOptions;

/// Whether the matrix of such a name may be quantised: that of a layer, and of no table.
pub fn is_quantized(tensor: &str) -> bool {
    ["cond_enc.", "tfmr.layers.", "tfmr.h.", "speech_head."].iter().any(|of| tensor.contains(of))
}
