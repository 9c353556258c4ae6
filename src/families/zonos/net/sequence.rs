//! What a sequence remembers, in every layer.

use candle_core::Result;

use crate::nn::{Mamba2State, attention::KvCache};

/// One sequence as the backbone remembers it.
#[derive(Debug)]
pub struct Sequence {
    /// One a layer.
    pub layers: Vec<LayerState>,
    /// Positions so far.
    pub len: usize,
}

/// Of one layer.
#[derive(Debug)]
pub enum LayerState {
    Attention(KvCache),
    StateSpace(Mamba2State),
}

// === impl Sequence ===

impl Sequence {
    /// Of a layer that attends.
    pub fn cache(&self, layer: usize) -> Result<&KvCache> {
        match self.layers.get(layer) {
            Some(LayerState::Attention(cache)) => Ok(cache),
            _ => candle_core::bail!("layer {layer} of the sequence does not attend"),
        }
    }

    /// The same, to add to it.
    pub fn cache_mut(&mut self, layer: usize) -> Result<&mut KvCache> {
        match self.layers.get_mut(layer) {
            Some(LayerState::Attention(cache)) => Ok(cache),
            _ => candle_core::bail!("layer {layer} of the sequence does not attend"),
        }
    }

    /// Of a state-space layer.
    pub fn state_mut(&mut self, layer: usize) -> Result<&mut Mamba2State> {
        match self.layers.get_mut(layer) {
            Some(LayerState::StateSpace(state)) => Ok(state),
            _ => candle_core::bail!("layer {layer} of the sequence has no state"),
        }
    }
}
