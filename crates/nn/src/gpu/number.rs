//! Numbers that the kernels know, and where those of a tensor lie.

use candle_core::{
    DType, Result, Storage, Tensor, WithDType,
    cuda_backend::{
        CudaDType,
        cudarc::driver::{CudaView, DevicePtr, DeviceRepr},
    },
};
use half::{bf16, f16};

/// A type that the kernels know.
pub(super) trait Number: CudaDType + DeviceRepr + WithDType {
    /// What the names of its kernels end in.
    const NAME: &'static str;
}

impl Number for f32 {
    const NAME: &'static str = "f32";
}

impl Number for f16 {
    const NAME: &'static str = "f16";
}

impl Number for bf16 {
    const NAME: &'static str = "bf16";
}

/// Runs `$body` with `$type` as the type of numbers; `None` where the kernels do not know it.
macro_rules! with_type {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $type = f32;
                Some($body)
            }
            candle_core::DType::F16 => {
                type $type = half::f16;
                Some($body)
            }
            candle_core::DType::BF16 => {
                type $type = half::bf16;
                Some($body)
            }
            _ => None,
        }
    };
}
pub(super) use with_type;

/// The name of a kernel for numbers of a type that the kernels know.
pub(super) fn kernel_of(kernel: &str, dtype: DType) -> Result<String> {
    match with_type!(dtype, T => T::NAME) {
        Some(name) => Ok(format!("{kernel}_{name}")),
        None => candle_core::bail!("there is no kernel {kernel} for {dtype:?}"),
    }
}

/// Looks at the numbers of a tensor from its first one on.
pub(super) fn with_numbers<T: Number, R>(
    tensor: &Tensor,
    look: impl FnOnce(CudaView<'_, T>) -> Result<R>,
) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { candle_core::bail!("a tensor is not on the GPU") };
    look(storage.as_cuda_slice::<T>()?.slice(layout.start_offset()..))
}

/// The numbers of a contiguous tensor, and no others of its memory.
pub(crate) fn to_host(tensor: &Tensor) -> Result<Vec<f32>> {
    with_numbers::<f32, _>(tensor, |numbers| {
        tensor.device().as_cuda_device()?.clone_dtoh(&numbers.slice(..tensor.elem_count()))
    })
}

/// Where a tensor's first number is on its device.
pub(super) fn address(tensor: &Tensor) -> Result<u64> {
    match with_type!(tensor.dtype(), T => address_of::<T>(tensor)) {
        Some(address) => address,
        None => candle_core::bail!("the kernels do not know {:?}", tensor.dtype()),
    }
}

fn address_of<T: Number>(tensor: &Tensor) -> Result<u64> {
    with_numbers::<T, _>(tensor, |numbers| {
        let stream = tensor.device().as_cuda_device()?.cuda_stream();
        let (address, _use) = numbers.device_ptr(&stream);
        Ok(address)
    })
}
