//! One step of a decoder: what a token of every row asks of a device, in memory that stays from step to step.

use std::sync::Arc;

use candle_core::{
    CudaDevice, DType, Result, Tensor,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaFunction, CudaStream, LaunchConfig, PushKernelArg},
    },
};

use super::{
    decode::{CacheSizes, MODULE, THREADS, compiled},
    division::Attention,
    frequencies::{Frequencies, Turns},
    memory::Memory,
    number::{address, kernel_of},
    product::Products,
    table::{CacheGroup, StateGroup},
};
use crate::activation::Gelu;

/// A step that is being asked for. The same step of as many rows asks for the same launches, with the same arguments: what differs
/// lies in a [table](super::StepTable). Nothing but what is here may be asked of the device in between: it would not be repeated.
pub struct Step<'a> {
    pub(super) device: &'a CudaDevice,
    /// On which it is done, or recorded.
    pub(super) stream: &'a Arc<CudaStream>,
    pub(super) products: &'a Products,
    /// Where the table is on the device.
    pub(super) table: u64,
    pub(super) groups: &'a [CacheGroup],
    pub(super) states: &'a [StateGroup],
    pub(super) rows: usize,
    /// Tokens of each.
    pub(super) each: usize,
    /// Memory of this and all other steps, each for as many rows as there may be.
    pub(super) memory: &'a mut Memory,
}

/// What goes past the layers of a decoder, and what the next of them takes of it: `[rows, width]` each.
#[derive(Debug)]
pub struct Residual {
    sum: Tensor,
    pub normed: Tensor,
}

/// The numbers of a norm: of layers if there is a `shift`, else by the root of the mean square.
#[derive(Clone, Copy, Debug)]
pub struct NormWeights<'a> {
    pub weight: &'a Tensor,
    pub shift: Option<&'a Tensor>,
    pub epsilon: f32,
}

// === impl Step ===

impl Step<'_> {
    /// The tokens of the rows by `tokens [vocabulary, width]`, summed and scaled, with their positions by `positions [positions, width]`, if
    /// such are learnt.
    pub fn embed(
        &mut self,
        tokens: &Tensor,
        scale: f32,
        positions: Option<&Tensor>,
        norm: NormWeights<'_>,
    ) -> Result<Residual> {
        let (width, dtype) = (tokens.dim(1)?, tokens.dtype());
        if let Some(positions) = positions {
            check(&[positions], &[positions.dim(0)?, width], dtype)?;
        }
        check(&norm.all(), &[width], dtype)?;
        let x = Residual {
            sum: self.memory.take(self.rows, width, dtype)?,
            normed: self.memory.take(self.rows, width, dtype)?,
        };
        self.memory.keep();
        let kernel = self.kernel("embed", dtype)?;
        let (tokens, positions) = (address(tokens)?, address_or_null(positions)?);
        let ([sum, normed], [weight, shift]) = (x.addresses()?, norm.addresses()?);
        let (width, each) = (width as u32, self.each as u32);
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&self.table).arg(&each).arg(&tokens).arg(&positions).arg(&sum).arg(&normed).arg(&weight).arg(&shift);
        launch.arg(&width).arg(&scale).arg(&norm.epsilon);
        // SAFETY: the arguments are those of `embed`; whoever made the table has seen that the tokens and positions are there.
        unsafe { launch.launch(by_row(self.rows)) }.w()?;
        Ok(x)
    }

    /// What layers wrote, but for what goes past them, is not needed any more.
    pub fn begin_layer(&mut self) {
        self.memory.forget();
    }

    /// `x [rows, depth]` by `weight [columns, depth]`, without any bias. `[rows, columns]`
    pub fn product(&mut self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        self.product_in(x, weight, weight.dtype())
    }

    /// The same in single precision.
    pub fn logits(&mut self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        self.product_in(x, weight, DType::F32)
    }

    fn product_in(&mut self, x: &Tensor, weight: &Tensor, dtype: DType) -> Result<Tensor> {
        let out = self.memory.take(self.rows, weight.dim(0)?, dtype)?;
        self.products.multiply(x, weight, &out)?;
        Ok(out)
    }

    /// Appends a position to each row's cache of a group: `keys` and `values` are parts of wider rows, to which theirs of `biases`
    /// is added. Keys are turned by the position, if there are `frequencies`.
    pub fn extend(
        &mut self,
        group: usize,
        [keys, values]: [&Tensor; 2],
        biases: [Option<&Tensor>; 2],
        frequencies: Option<&Frequencies>,
    ) -> Result<()> {
        let CacheGroup { sizes, offset, .. } = self.group(group)?;
        let width = sizes.heads * sizes.head_dim;
        let stride = keys.stride()[0];
        let alike =
            keys.dims() == [self.rows, width] && values.dims() == keys.dims() && values.stride() == keys.stride();
        if !alike || keys.stride()[1] != 1 || values.dtype() != keys.dtype() {
            candle_core::bail!(
                "keys of {:?} and values of {:?} are not those of {sizes:?}",
                keys.shape(),
                values.shape()
            );
        }
        check(&biases.into_iter().flatten().collect::<Vec<_>>(), &[width], keys.dtype())?;
        let kernel = self.kernel("extend_step", keys.dtype())?;
        let (key_bias, value_bias) = (address_or_null(biases[0])?, address_or_null(biases[1])?);
        let frequencies = turns(frequencies, sizes)?;
        let (keys, values, caches) = (address(keys)?, address(values)?, self.table + offset);
        let (width, size, stride) = (width as u32, sizes.head_dim as u32, stride as u32);
        let scale = 1.0 / (sizes.head_dim as f32).sqrt();
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&keys).arg(&values).arg(&key_bias).arg(&value_bias).arg(&frequencies).arg(&caches);
        launch.arg(&width).arg(&size).arg(&stride).arg(&scale);
        let blocks = LaunchConfig { grid_dim: (1, self.rows as u32, 1), ..by_row(self.rows) };
        // SAFETY: the arguments are those of `extend_step`; whoever made the table has seen that each cache has room, that no two
        // rows have the same, and that they live.
        unsafe { launch.launch(blocks) }.w()?;
        Ok(())
    }

    /// Attention of a query of each row over its cache of a group, in which `fresh` positions are new since the step began:
    /// `queries [rows, heads * head_dim]`, of any multiple of the heads of the cache, turned as keys are. The same shape comes out.
    pub fn attend(
        &mut self,
        group: usize,
        queries: &Tensor,
        bias: Option<&Tensor>,
        frequencies: Option<&Frequencies>,
        fresh: u32,
    ) -> Result<Tensor> {
        let CacheGroup { sizes, offset, positions } = self.group(group)?;
        let (width, dtype) = (queries.dim(1)?, queries.dtype());
        let shared = sizes.heads * sizes.head_dim;
        if queries.stride()[1] != 1 || queries.dim(0)? != self.rows || width == 0 || !width.is_multiple_of(shared) {
            candle_core::bail!("queries of {:?} are not those of {sizes:?}", queries.shape());
        }
        check(&bias.into_iter().collect::<Vec<_>>(), &[width], dtype)?;
        let out = self.memory.take(self.rows, width, dtype)?;
        let (group, number) = (width / shared, dtype.size_in_bytes());
        let CacheSizes { heads, head_dim } = sizes;
        let attention = Attention { rows: self.rows, heads, head_dim, group, number, positions };
        let kernel = self.kernel(&attention.name("attend_step"), dtype)?;
        let (of_queries, of_bias, of_out) = (address(queries)?, address_or_null(bias)?, address(&out)?);
        let frequencies = turns(frequencies, sizes)?;
        let (caches, group) = (self.table + offset, group as u32);
        let (size, stride) = (head_dim as u32, queries.stride()[0] as u32);
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&of_queries).arg(&of_bias).arg(&frequencies).arg(&of_out).arg(&caches);
        launch.arg(&group).arg(&size).arg(&stride).arg(&fresh);
        let blocks = attention.launch(self.stream)?;
        // SAFETY: the arguments are those of `attend_step`; whoever made the table has seen that the caches live and hold what it
        // says.
        unsafe { launch.launch(blocks) }.w()?;
        Ok(out)
    }

    /// SwiGLU: the first half of each row, through SiLU, times the second. `[rows, 2 * inner]` → `[rows, inner]`
    pub fn swiglu(&mut self, both: &Tensor) -> Result<Tensor> {
        let (inner, dtype) = (both.dim(1)? / 2, both.dtype());
        check(&[both], &[self.rows, 2 * inner], dtype)?;
        let out = self.memory.take(self.rows, inner, dtype)?;
        let kernel = self.kernel("gate", dtype)?;
        let (of_both, of_out, count) = (address(both)?, address(&out)?, (self.rows * inner) as u64);
        let inner = inner as u32;
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&of_both).arg(&of_out).arg(&inner).arg(&count);
        // SAFETY: the arguments are those of `gate`.
        unsafe { launch.launch(LaunchConfig::for_num_elems(count as u32)) }.w()?;
        Ok(out)
    }

    /// Adds the bias to what a layer summed, and takes a GELU of it, in place.
    pub fn gelu(&mut self, sums: &Tensor, bias: Option<&Tensor>, gelu: Gelu) -> Result<()> {
        let gelu = match gelu {
            Gelu::Exact => 1,
            Gelu::Tanh => 2,
        };
        self.finish(sums, bias, gelu)
    }

    /// Adds the bias to what a layer summed, in place.
    pub fn add_bias(&mut self, sums: &Tensor, bias: &Tensor) -> Result<()> {
        self.finish(sums, Some(bias), 0)
    }

    fn finish(&mut self, sums: &Tensor, bias: Option<&Tensor>, gelu: u32) -> Result<()> {
        let (count, columns, dtype) = (sums.elem_count(), sums.dim(1)?, sums.dtype());
        check(&bias.into_iter().collect::<Vec<_>>(), &[columns], dtype)?;
        let kernel = self.kernel("finish", dtype)?;
        let (sums, bias, add) = (address(sums)?, address_or_null(bias)?, 0u64);
        let (columns, total) = (columns as u32, count as u64);
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&sums).arg(&bias).arg(&add).arg(&columns).arg(&total).arg(&gelu);
        // SAFETY: the arguments are those of `finish`.
        unsafe { launch.launch(LaunchConfig::for_num_elems(count as u32)) }.w()?;
        Ok(())
    }

    /// Adds what a layer summed, and its bias, to what goes past, and norms it for the next layer.
    pub fn add_norm(
        &mut self,
        sums: &Tensor,
        bias: Option<&Tensor>,
        x: &Residual,
        norm: NormWeights<'_>,
    ) -> Result<()> {
        let (width, dtype) = (x.sum.dim(1)?, x.sum.dtype());
        check(&[sums], &[self.rows, width], dtype)?;
        check(&bias.into_iter().chain(norm.all()).collect::<Vec<_>>(), &[width], dtype)?;
        let kernel = self.kernel("add_norm", dtype)?;
        let (sums, bias) = (address(sums)?, address_or_null(bias)?);
        let ([sum, normed], [weight, shift]) = (x.addresses()?, norm.addresses()?);
        let width = width as u32;
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&sums).arg(&bias).arg(&sum).arg(&normed).arg(&weight).arg(&shift).arg(&width).arg(&norm.epsilon);
        // SAFETY: the arguments are those of `add_norm`.
        unsafe { launch.launch(by_row(self.rows)) }.w()?;
        Ok(())
    }

    /// Norms rows in place, `[rows, width]`.
    pub fn norm(&mut self, x: &Tensor, norm: NormWeights<'_>) -> Result<()> {
        let (width, dtype) = (x.dim(1)?, x.dtype());
        check(&[x], &[self.rows, width], dtype)?;
        check(&norm.all(), &[width], dtype)?;
        let kernel = self.kernel("norm", dtype)?;
        let (x, [weight, shift], width) = (address(x)?, norm.addresses()?, width as u32);
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&x).arg(&weight).arg(&shift).arg(&width).arg(&norm.epsilon);
        // SAFETY: the arguments are those of `norm`.
        unsafe { launch.launch(by_row(self.rows)) }.w()?;
        Ok(())
    }

    fn group(&self, group: usize) -> Result<CacheGroup> {
        let known = self.groups.get(group).copied();
        known.ok_or_else(|| candle_core::Error::msg(format!("a step has no group of caches {group}")))
    }

    pub(super) fn kernel(&self, name: &str, dtype: DType) -> Result<CudaFunction> {
        let function = self.device.get_or_load_custom_func(&kernel_of(name, dtype)?, MODULE, compiled::DECODE)?;
        Ok(function.into_cuda_function())
    }
}

/// A block for each row, whose threads share as many floats.
pub(super) fn by_row(rows: usize) -> LaunchConfig {
    let shared_mem_bytes = (size_of::<f32>() * THREADS) as u32;
    LaunchConfig { grid_dim: (rows as u32, 1, 1), block_dim: (THREADS as u32, 1, 1), shared_mem_bytes }
}

pub(super) fn check(tensors: &[&Tensor], dims: &[usize], dtype: DType) -> Result<()> {
    match tensors.iter().find(|it| it.dims() != dims || it.dtype() != dtype || !it.is_contiguous()) {
        Some(other) => candle_core::bail!("{:?} of {:?}, not {dims:?} of {dtype:?}", other.shape(), other.dtype()),
        None => Ok(()),
    }
}

fn turns(frequencies: Option<&Frequencies>, sizes: CacheSizes) -> Result<Turns> {
    frequencies.map_or(Ok(Turns::default()), |frequencies| frequencies.turns(sizes.head_dim))
}

fn address_or_null(tensor: Option<&Tensor>) -> Result<u64> {
    tensor.map_or(Ok(0), address)
}

// === impl Residual ===

impl Residual {
    fn addresses(&self) -> Result<[u64; 2]> {
        Ok([address(&self.sum)?, address(&self.normed)?])
    }
}

// === impl NormWeights ===

impl<'a> NormWeights<'a> {
    fn all(&self) -> Vec<&'a Tensor> {
        [Some(self.weight), self.shift].into_iter().flatten().collect()
    }

    fn addresses(&self) -> Result<[u64; 2]> {
        Ok([address(self.weight)?, address_or_null(self.shift)?])
    }
}
