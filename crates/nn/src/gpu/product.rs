//! Products of matrices into memory that is there already.

use std::{ffi::c_void, sync::Arc};

use candle_core::{
    CudaDevice, DType, Result, Tensor,
    cuda_backend::{
        CudaError, WrapErr,
        cudarc::{
            cublas::{CudaBlas, result, sys},
            driver::{CudaSlice, CudaStream, DevicePtr},
        },
    },
};

use super::number::address;

/// Bytes that cuBLAS works in, which it would else take at every product that is recorded. It prefers ways that do with what
/// there is.
const WORKSPACE: usize = 8 << 20;

/// cuBLAS, with memory of its own.
pub(super) struct Products {
    blas: CudaBlas,
    workspace: CudaSlice<u8>,
}

// === impl Products ===

impl Products {
    pub fn new(device: &CudaDevice) -> Result<Self> {
        // SAFETY: only cuBLAS reads it, what it wrote there itself.
        let workspace = unsafe { device.alloc::<u8>(WORKSPACE) }?;
        Ok(Self { blas: CudaBlas::new(device.cuda_stream()).w()?, workspace })
    }

    /// From now on products go to this stream.
    pub fn go_to(&self, stream: &Arc<CudaStream>) -> Result<()> {
        let (workspace, _use) = self.workspace.device_ptr(stream);
        // SAFETY: the handle lives as long as this, the workspace as well; all that is ever done with both is in order, on the
        // stream of the device or recorded to be done there.
        unsafe {
            result::set_stream(*self.blas.handle(), stream.cu_stream().cast()).w()?;
            sys::cublasSetWorkspace_v2(*self.blas.handle(), workspace as *mut c_void, WORKSPACE).result().w()
        }
    }

    /// `out [rows, columns]` becomes `x [rows, depth]` times the transposed `weight [columns, depth]`, in sums of single precision.
    pub fn multiply(&self, x: &Tensor, weight: &Tensor, out: &Tensor) -> Result<()> {
        let ((rows, depth), (columns, of_weight)) = (x.dims2()?, weight.dims2()?);
        let packed = x.is_contiguous() && weight.is_contiguous() && out.is_contiguous();
        if !packed || depth != of_weight || out.dims() != [rows, columns] || x.dtype() != weight.dtype() {
            candle_core::bail!("{:?} times {:?} is not {:?}", x.shape(), weight.shape(), out.shape());
        }
        let (one, zero) = (1f32, 0f32);
        let (read, written) = (number(x.dtype())?, number(out.dtype())?);
        // By columns, as cuBLAS has them, everything is transposed.
        let (m, n, k) = (columns as i32, rows as i32, depth as i32);
        // SAFETY: the tensors are of these sizes and types, and live until all that uses them is in the stream.
        let done = unsafe {
            result::gemm_ex(
                *self.blas.handle(),
                sys::cublasOperation_t::CUBLAS_OP_T,
                sys::cublasOperation_t::CUBLAS_OP_N,
                m,
                n,
                k,
                (&raw const one).cast(),
                address(weight)? as *const c_void,
                read,
                k,
                address(x)? as *const c_void,
                read,
                k,
                (&raw const zero).cast(),
                address(out)? as *mut c_void,
                written,
                m,
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        };
        done.map_err(CudaError::from).w()
    }
}

fn number(dtype: DType) -> Result<sys::cudaDataType> {
    match dtype {
        DType::F32 => Ok(sys::cudaDataType::CUDA_R_32F),
        DType::F16 => Ok(sys::cudaDataType::CUDA_R_16F),
        DType::BF16 => Ok(sys::cudaDataType::CUDA_R_16BF),
        other => candle_core::bail!("there is no product of {other:?}"),
    }
}
