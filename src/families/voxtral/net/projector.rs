//! From what was heard to what stands in the place of tokens.

use candle_core::{Result, Tensor};

use super::{super::config::Config, spelling::Spelling};
use crate::nn::{
    Epilogue, Linear,
    weights::{Bias, Loaded, Loader},
};

/// Two layers with the exact GELU between them.
pub(super) struct Projector {
    first: Linear,
    second: Linear,
}

// === impl Projector ===

impl Projector {
    pub fn load(loader: &mut Loader<'_>, spelling: Spelling, config: &Config) -> Loaded<Self> {
        let (depth, width) = (config.audio_config.intermediate_size, config.text_config.hidden_size);
        let mut layer = |name: &str, depth: usize| {
            let name = spelling.stored(&format!("multi_modal_projector.{name}"));
            loader.linear_with(&name, depth, width, Bias::Absent)
        };
        Ok(Self { first: layer("linear_1", depth)?, second: layer("linear_2", width)? })
    }

    /// `[tokens, positions of each side by side]` → `[tokens, width]`
    pub fn forward(&self, heard: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(heard, Epilogue::Gelu)?, Epilogue::None)
    }
}
