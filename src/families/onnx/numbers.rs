//! What networks are given, and why one could not be computed.

use ort::{session::SessionInputValue, value::Tensor};

use super::header::InputType;

/// Characters of what the library says.
const SAID: usize = 300;

/// What an input is given, row by row.
pub enum Numbers {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

/// The library could not compute it.
#[derive(Debug, thiserror::Error)]
#[error("ONNX Runtime failed: {0}")]
pub struct RunError(String);

// === impl Numbers ===

impl Numbers {
    pub(super) fn tensor(self, shape: Vec<usize>, kind: InputType) -> Result<SessionInputValue<'static>, RunError> {
        Ok(match (kind, self) {
            (InputType::F32, Self::Floats(numbers)) => Tensor::from_array((shape, numbers))?.into(),
            (InputType::F32, Self::Integers(numbers)) => {
                Tensor::from_array((shape, numbers.iter().map(|&number| number as f32).collect::<Vec<f32>>()))?.into()
            }
            (InputType::I64, numbers) => Tensor::from_array((shape, numbers.whole()))?.into(),
            (InputType::I32, numbers) => {
                let numbers: Vec<i32> = numbers.whole().iter().map(|&number| number as i32).collect();
                Tensor::from_array((shape, numbers))?.into()
            }
        })
    }

    fn whole(self) -> Vec<i64> {
        match self {
            Self::Floats(numbers) => numbers.iter().map(|number| number.round() as i64).collect(),
            Self::Integers(numbers) => numbers,
        }
    }
}

// === impl RunError ===

impl RunError {
    pub fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<ort::Error> for RunError {
    fn from(error: ort::Error) -> Self {
        Self(said(&error))
    }
}

/// The first line of what the library says, without what it says of its own sources.
pub fn said(error: &ort::Error) -> String {
    let message = error.message();
    message.lines().next().unwrap_or_default().chars().take(SAID).collect()
}
