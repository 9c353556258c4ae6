//! What `nn` finds wrong with a model's weights, as the contract says it.

use crate::{
    model::LoadError,
    nn::weights::{LayerError, WeightError},
};

impl From<WeightError> for LoadError {
    fn from(error: WeightError) -> Self {
        match error {
            WeightError::File { file, reason } => Self::Malformed { file, reason },
            WeightError::Tensor { tensor, reason } => Self::Tensor { tensor, reason },
        }
    }
}

impl From<LayerError> for LoadError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Weights(error) => error.into(),
            LayerError::Device(error) => Self::Device(error),
        }
    }
}
