//! Memory that stays from one step to the next.

use candle_core::{CudaDevice, CudaStorage, DType, Result, Storage, Tensor, op::BackpropOp};

use super::number::{Number, with_type};

/// Tensors that a step takes, and whichever comes after takes again. The same step takes the same ones.
#[derive(Debug)]
pub(super) struct Memory {
    device: CudaDevice,
    /// Rows of each.
    rows: usize,
    tensors: Vec<Tensor>,
    /// Of these, in the order in which they were.
    taken: Vec<usize>,
    /// So many are kept when a layer begins.
    kept: usize,
}

// === impl Memory ===

impl Memory {
    pub fn new(device: &CudaDevice, rows: usize) -> Self {
        Self { device: device.clone(), rows, tensors: Vec::new(), taken: Vec::new(), kept: 0 }
    }

    /// A step begins.
    pub fn begin(&mut self) {
        self.taken.clear();
        self.kept = 0;
    }

    /// What is there by now stays until the step is over.
    pub fn keep(&mut self) {
        self.kept = self.taken.len();
    }

    /// What was taken since is not needed any more.
    pub fn forget(&mut self) {
        self.taken.truncate(self.kept);
    }

    /// One that nobody has, the first of its rows; of a size that was never asked for before there is a new one.
    pub fn take(&mut self, rows: usize, columns: usize, dtype: DType) -> Result<Tensor> {
        let fits = |tensor: &Tensor| tensor.dims()[1] == columns && tensor.dtype() == dtype;
        let free = (0..self.tensors.len()).find(|at| !self.taken.contains(at) && fits(&self.tensors[*at]));
        let place = match free {
            Some(place) => place,
            None => {
                let tensor = with_type!(dtype, T => self.tensor::<T>(columns)).transpose()?;
                let unknown = || candle_core::Error::msg(format!("a step does not compute in {dtype:?}"));
                self.tensors.push(tensor.ok_or_else(unknown)?);
                self.tensors.len() - 1
            }
        };
        self.taken.push(place);
        self.tensors[place].narrow(0, 0, rows)
    }

    fn tensor<T: Number>(&self, columns: usize) -> Result<Tensor> {
        // SAFETY: whoever takes it writes its numbers before they are read.
        let numbers = unsafe { self.device.alloc::<T>(self.rows * columns) }?;
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(numbers, self.device.clone()));
        Ok(Tensor::from_storage(storage, (self.rows, columns), BackpropOp::none(), false))
    }
}
