//! The choosing, on the CPU or on a GPU.

use candle_core::{DType, Device, Result, Storage, Tensor};
use parking_lot::Mutex;

use super::choice::{Choice, Chosen};

/// Chooses tokens where their logits are. A model has one: what it works on is kept for the next time.
#[derive(Debug, Default)]
pub struct Chooser {
    // Locks of a section without waiting, and of one thread: that of the model.
    scores: Mutex<Vec<f32>>,
    #[cfg(feature = "cuda")]
    gpu: Mutex<crate::gpu::Workspace>,
}

// === impl Chooser ===

impl Chooser {
    /// For each of `choices`, from `logits` `[rows, vocabulary]`. Of those on an NVIDIA GPU only what was chosen comes to the host.
    pub fn choose(&self, logits: &Tensor, choices: &[Choice<'_>]) -> Result<Vec<Chosen>> {
        let (rows, vocabulary) = logits.dims2()?;
        if let Some(choice) = choices.iter().find(|choice| choice.rows().any(|row| row >= rows)) {
            candle_core::bail!("a choice from row {} of {rows}, with {:?}", choice.row, choice.guidance);
        }
        if choices.is_empty() {
            return Ok(Vec::new());
        }
        #[cfg(feature = "cuda")]
        if let Some(chosen) = self.gpu.lock().choose(logits, choices)? {
            return Ok(chosen);
        }
        let logits = logits.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous()?;
        let (storage, layout) = logits.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { candle_core::bail!("logits did not come to the host") };
        let logits = &storage.as_slice::<f32>()?[layout.start_offset()..];
        let row = |row: usize| &logits[row * vocabulary..(row + 1) * vocabulary];
        let mut scores = self.scores.lock();
        Ok(choices.iter().map(|choice| choice.choose(row, &mut scores)).collect())
    }
}
