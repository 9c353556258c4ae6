//! Weights as candle's layers ask for them.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::{Init, var_builder::SimpleBackend};
use parking_lot::Mutex;

use super::spelling::Spelling;
use crate::{
    model::LoadError,
    nn::weights::{WeightData, Weights},
};

/// Hands out the tensors of a model by name. `VoxtralLlama::load` unwraps what it is given, so this never fails: the first
/// fault is remembered, and in the place of what is missing stands a zero in the right shape.
pub(super) struct WeightBackend<'a> {
    // Held for a look; layers are made one after the other.
    pub weights: &'a Mutex<Weights>,
    pub fault: &'a Mutex<Option<LoadError>>,
    pub spelling: Spelling,
}

// === impl WeightBackend ===

impl WeightBackend<'_> {
    fn take(&self, shape: &Shape, name: &str, dtype: DType, device: &Device) -> std::result::Result<Tensor, LoadError> {
        let mut weights = self.weights.lock();
        let data = weights.view(&self.spelling.stored(name), shape.dims())?;
        let (bytes, stored) = match &data {
            WeightData::F32(bytes) => (bytes, DType::F32),
            WeightData::F16(bytes) => (bytes, DType::F16),
            WeightData::Bf16(bytes) => (bytes, DType::BF16),
        };
        Ok(Tensor::from_raw_buffer(bytes, stored, shape.dims(), device)?.to_dtype(dtype)?)
    }
}

impl SimpleBackend for WeightBackend<'_> {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut fault = self.fault.lock();
        if fault.is_none() {
            match self.take(&shape, name, dtype, device) {
                Ok(tensor) => return Ok(tensor),
                Err(error) => *fault = Some(error),
            }
        }
        Tensor::zeros(1, dtype, &Device::Cpu)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("the tensor {name} was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.lock().has(&self.spelling.stored(name))
    }
}
