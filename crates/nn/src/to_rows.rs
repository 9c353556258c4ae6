//! From a device to the host.

use candle_core::{Result, Tensor};

/// The rows of `[rows, columns]` in single precision. Of a tensor that is the beginning of a larger one an accelerator sends no
/// more than that.
pub fn to_rows(x: &Tensor) -> Result<Vec<Vec<f32>>> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() && x.is_contiguous() {
        let columns = x.dim(1)?;
        return Ok(crate::gpu::to_host(x)?.chunks(columns.max(1)).map(<[f32]>::to_vec).collect());
    }
    x.to_vec2()
}
