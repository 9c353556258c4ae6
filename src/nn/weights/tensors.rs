//! The tensors of a model, read from safetensors by name.

use std::collections::BTreeMap;

use bytes::Bytes;
use safetensors::{Dtype, SafeTensors};

use super::data::WeightData;

/// What is wrong with the tensors.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error("{file} is not a safetensors file: {reason}")]
    File { file: String, reason: String },
    /// Reads well after the tensor's name.
    #[error("the tensor {tensor} {reason}")]
    Tensor { tensor: String, reason: String },
}

/// The tensors that nobody has taken yet.
pub struct Weights {
    tensors: BTreeMap<String, Stored>,
    prefix: &'static str,
}

/// A tensor, where it lies.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Bytes,
}

// === impl Weights ===

impl Weights {
    /// From files, given by name and content. A `prefix` that names may or may not have is left out from then on.
    pub fn open(files: &[(String, Bytes)], prefix: &'static str) -> Result<Self, WeightError> {
        let mut tensors = BTreeMap::new();
        for (file, bytes) in files {
            let content = SafeTensors::deserialize(bytes)
                .map_err(|error| WeightError::File { file: file.clone(), reason: error.to_string() })?;
            for (name, view) in content.tensors() {
                let (dtype, shape, bytes) = (view.dtype(), view.shape().to_vec(), bytes.slice_ref(view.data()));
                tensors.insert(name.strip_prefix(prefix).unwrap_or(&name).to_owned(), Stored { dtype, shape, bytes });
            }
        }
        Ok(Self { tensors, prefix })
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The numbers of a tensor of this shape, row by row.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.view(name, shape).map(|numbers| numbers.to_vec())
    }

    /// The same, where they lie.
    pub fn view(&mut self, name: &str, shape: &[usize]) -> Result<WeightData, WeightError> {
        let stored = self.tensors.remove(name).ok_or_else(|| self.fault(name, "is missing".to_owned()))?;
        if stored.shape != shape {
            return Err(self.fault(name, format!("has the shape {:?}, where {shape:?} is expected", stored.shape)));
        }
        match stored.dtype {
            Dtype::F32 => Ok(WeightData::F32(stored.bytes)),
            Dtype::F16 => Ok(WeightData::F16(stored.bytes)),
            Dtype::BF16 => Ok(WeightData::Bf16(stored.bytes)),
            other => {
                let reason = format!("is of type {other:?}, where F32, F16 or BF16 is expected");
                Err(self.fault(name, reason))
            }
        }
    }

    /// Leaves a tensor out of [`Self::finish`].
    pub fn ignore(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Every tensor must have been taken.
    pub fn finish(self) -> Result<(), WeightError> {
        match self.tensors.keys().next() {
            Some(name) => Err(self.fault(name, "is not part of such a model".to_owned())),
            None => Ok(()),
        }
    }

    /// How many numbers there are, and how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let numbers = |stored: &Stored| stored.shape.iter().product::<usize>();
        let add =
            |(count, bytes): (usize, usize), stored: &Stored| (count + numbers(stored), bytes + stored.bytes.len());
        self.tensors.values().fold((0, 0), add)
    }

    fn fault(&self, name: &str, reason: String) -> WeightError {
        WeightError::Tensor { tensor: format!("{}{name}", self.prefix), reason }
    }
}
