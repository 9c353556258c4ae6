//! The tensors of a model, read from safetensors by name.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::Numbers;

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
pub struct Weights<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    prefix: &'static str,
}

// === impl Weights ===

impl<'a> Weights<'a> {
    /// From files, given by name and content. A `prefix` that names may or may not have is left out from then on.
    pub fn open(files: &[(&str, &'a [u8])], prefix: &'static str) -> Result<Self, WeightError> {
        let mut tensors = BTreeMap::new();
        for (file, bytes) in files {
            let content = SafeTensors::deserialize(bytes)
                .map_err(|error| WeightError::File { file: (*file).to_owned(), reason: error.to_string() })?;
            for (name, view) in content.tensors() {
                tensors.insert(name.strip_prefix(prefix).unwrap_or(&name).to_owned(), view);
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
    pub fn view(&mut self, name: &str, shape: &[usize]) -> Result<Numbers<'a>, WeightError> {
        let view = self.tensors.remove(name).ok_or_else(|| self.fault(name, "is missing".to_owned()))?;
        if view.shape() != shape {
            return Err(self.fault(name, format!("has the shape {:?}, where {shape:?} is expected", view.shape())));
        }
        match view.dtype() {
            Dtype::F32 => Ok(Numbers::F32(view.data())),
            Dtype::F16 => Ok(Numbers::F16(view.data())),
            Dtype::BF16 => Ok(Numbers::Bf16(view.data())),
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
        let numbers = |view: &TensorView<'_>| view.shape().iter().product::<usize>();
        self.tensors.values().fold((0, 0), |(count, bytes), view| (count + numbers(view), bytes + view.data().len()))
    }

    fn fault(&self, name: &str, reason: String) -> WeightError {
        WeightError::Tensor { tensor: format!("{}{name}", self.prefix), reason }
    }
}
