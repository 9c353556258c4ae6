//! Memory that stays from one step to the next.

use candle_core::{CudaDevice, CudaStorage, DType, Result, Storage, Tensor, op::BackpropOp};

use super::number::{Number, with_type};

/// Tensors in the order in which a step asks for them.
#[derive(Debug)]
pub(super) struct Memory {
    device: CudaDevice,
    /// Rows of each.
    rows: usize,
    tensors: Vec<Tensor>,
    /// Of these.
    used: usize,
    /// So many are kept when a layer begins.
    kept: usize,
}

// === impl Memory ===

impl Memory {
    pub fn new(device: &CudaDevice, rows: usize) -> Self {
        Self { device: device.clone(), rows, tensors: Vec::new(), used: 0, kept: 0 }
    }

    /// A step begins.
    pub fn begin(&mut self) {
        (self.used, self.kept) = (0, 0);
    }

    /// What is there by now stays until the step is over.
    pub fn keep(&mut self) {
        self.kept = self.used;
    }

    /// What was taken since is not needed any more.
    pub fn forget(&mut self) {
        self.used = self.kept;
    }

    /// The next tensor, the first of its rows. It is taken when it is first asked for.
    pub fn take(&mut self, rows: usize, columns: usize, dtype: DType) -> Result<Tensor> {
        if self.used == self.tensors.len() {
            let tensor = with_type!(dtype, T => self.tensor::<T>(columns)).transpose()?;
            self.tensors.extend(tensor);
        }
        match self.tensors.get(self.used) {
            Some(next) if next.dim(1)? == columns && next.dtype() == dtype => {
                self.used += 1;
                next.narrow(0, 0, rows)
            }
            _ => candle_core::bail!("a step asks for {columns} columns of {dtype:?} where it did not before"),
        }
    }

    fn tensor<T: Number>(&self, columns: usize) -> Result<Tensor> {
        // SAFETY: whoever takes it writes its numbers before they are read.
        let numbers = unsafe { self.device.alloc::<T>(self.rows * columns) }?;
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(numbers, self.device.clone()));
        Ok(Tensor::from_storage(storage, (self.rows, columns), BackpropOp::none(), false))
    }
}
