//! Linear layers.

use std::io;

use bytes::Bytes;
use candle_core::{DType, Result, Tensor};
use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
use super::cpu::tiles::{self, TiledMatrix};
#[cfg(feature = "cuda")]
use super::gpu::{NormWeights, Residual, Step};
use super::{
    context::ComputeContext,
    cpu::{
        columns::Columns,
        detect::SimdLevel,
        epilogue::KernelEpilogue,
        frames::Frames,
        matrix::{Rows, with_rows},
        narrow::{exact, rounded},
        panel_matrix::PanelMatrix,
        product, q8,
        q8::Q8Weights,
    },
    weights::data::WeightData,
};

/// `x Wᵀ + b`, with `W [columns, depth]`.
#[derive(Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Bias>,
    depth: usize,
    columns: usize,
}

/// What is done to the sums before they are written.
#[derive(Clone, Copy, Debug, Default)]
pub enum Epilogue<'a> {
    #[default]
    None,
    /// The exact one, with the error function.
    Gelu,
    /// Of the same shape as the output.
    Add(&'a Tensor),
}

#[derive(Debug)]
enum Weight {
    Stored(SimdLevel, Stored),
    Q8(SimdLevel, Q8Weights),
    /// Of a convolution alone.
    Panels(SimdLevel, PanelMatrix),
    /// The same for a matrix unit.
    #[cfg(target_arch = "x86_64")]
    Tiled(TiledMatrix),
    /// `[columns, depth]`
    Tensor(Tensor),
}

/// Weights in the narrowest type that holds each of them exactly: `[columns, depth]`, row by row, in one or more parts.
/// Where the file has that type they are the file's own bytes.
#[derive(Debug)]
enum Stored {
    F32(Vec<Bytes>),
    F16(Vec<Bytes>),
    Bf16(Vec<Bytes>),
}

#[derive(Debug)]
enum Bias {
    Kernel(Vec<f32>),
    Tensor(Tensor),
}

/// Calls `$body` with `$parts`, and `$type` as the type that is stored.
macro_rules! with_stored {
    ($stored:expr, $type:ident, $parts:ident => $body:expr) => {
        match $stored {
            Stored::F32($parts) => {
                type $type = f32;
                $body
            }
            Stored::F16($parts) => {
                type $type = f16;
                $body
            }
            Stored::Bf16($parts) => {
                type $type = bf16;
                $body
            }
        }
    };
}

// === impl Linear ===

impl Linear {
    /// The rows of all `weights`, each `[columns, depth]`, are those of one layer.
    pub fn new(weights: &[WeightData], bias: Option<Vec<f32>>, depth: usize, context: &ComputeContext) -> Result<Self> {
        let columns = weights.iter().map(WeightData::len).sum::<usize>() / depth;
        let (weight, bias) = match context.kernels {
            Some(level) => {
                let stored = Stored::new(level, weights, context.dtype)?;
                let stored = if context.detached { stored.detached(weights) } else { stored };
                (Weight::Stored(level, stored), bias.map(Bias::Kernel))
            }
            None => {
                let bias = bias.map(|bias| context.tensor(bias, &[columns]).map(Bias::Tensor)).transpose()?;
                (Weight::Tensor(context.weights(weights, &[columns, depth])?), bias)
            }
        };
        Ok(Self { weight, bias, depth, columns })
    }

    /// That of a convolution, over `taps` frames of `depth` side by side: `weight [columns, taps, depth]`. Kernels get it as they
    /// take it; the layer can then do nothing else but [`Self::convolve`].
    pub(super) fn over_taps(
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        (depth, taps): (usize, usize),
        context: &ComputeContext,
    ) -> Result<Self> {
        let layer = Self::new(&[weight.into()], bias, depth * taps, context)?;
        let Weight::Stored(level, stored) = &layer.weight else { return Ok(layer) };
        let weight = with_stored!(stored, E, parts => {
            let all = Columns::<E>::new(parts, depth * taps);
            match level.has_tiles() {
                #[cfg(target_arch = "x86_64")]
                true if all.round_the_other(*level) => {
                    Weight::Tiled(TiledMatrix::new::<{ tiles::ROUNDED }, _>(all, depth, taps))
                }
                #[cfg(target_arch = "x86_64")]
                true => Weight::Tiled(TiledMatrix::new::<{ tiles::SPLIT }, _>(all, depth, taps)),
                _ => Weight::Panels(*level, PanelMatrix::new(*level, all, depth, taps)),
            }
        });
        Ok(Self { weight, ..layer })
    }

    /// The same of a layer that a model may have in eight bits, which it then has if the context says so. What a model looks
    /// up, what it convolves with and whatever is no layer of its own is made by [`Self::new`].
    pub fn quantizable(
        weights: &[WeightData],
        bias: Option<Vec<f32>>,
        depth: usize,
        context: &ComputeContext,
    ) -> Result<Self> {
        if !context.q8 {
            return Self::new(weights, bias, depth, context);
        }
        let Some(level) = context.kernels else {
            candle_core::bail!("weights of eight bits are for our own kernels, which are for CPUs")
        };
        let weights = match &context.quantized {
            Some(file) => file.matrix(level, weights, depth),
            None => Q8Weights::new(level, weights, depth),
        };
        let weights = weights.map_err(candle_core::Error::wrap)?;
        let columns = weights.columns();
        Ok(Self { weight: Weight::Q8(level, weights), bias: bias.map(Bias::Kernel), depth, columns })
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `[rows, depth]` → `[rows, columns]`
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let (rows, depth) = x.dims2()?;
        if depth != self.depth {
            candle_core::bail!("a linear layer of depth {} was given rows of {depth}", self.depth);
        }
        match &self.weight {
            Weight::Tensor(weight) => self.plain(x, weight, epilogue),
            Weight::Panels(..) => candle_core::bail!("a layer over frames was given rows"),
            #[cfg(target_arch = "x86_64")]
            Weight::Tiled(_) => candle_core::bail!("a layer over frames was given rows"),
            Weight::Stored(..) | Weight::Q8(..) => {
                let out = epilogue.with_addend(|add| with_rows(x, |x| self.multiply(x, epilogue, add)))??;
                Tensor::from_vec(out, (rows, self.columns), x.device())
            }
        }
    }

    /// Rows of `W`: the layer as a table of embeddings. `[ids, depth]`
    pub fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.columns) {
            candle_core::bail!("there is no row {id} in a table of {}", self.columns);
        }
        match &self.weight {
            Weight::Panels(..) => candle_core::bail!("a layer over frames is no table"),
            #[cfg(target_arch = "x86_64")]
            Weight::Tiled(_) => candle_core::bail!("a layer over frames is no table"),
            Weight::Tensor(weight) => weight.index_select(&Tensor::new(ids, weight.device())?, 0),
            Weight::Stored(_, stored) => {
                let rows = ids.iter().flat_map(|&id| stored.row(id as usize, self.depth)).collect::<Vec<f32>>();
                Tensor::from_vec(rows, (ids.len(), self.depth), &candle_core::Device::Cpu)
            }
            Weight::Q8(_, weights) => {
                let rows = ids.iter().flat_map(|&id| weights.column(id as usize)).collect::<Vec<f32>>();
                Tensor::from_vec(rows, (ids.len(), self.depth), &candle_core::Device::Cpu)
            }
        }
    }

    /// Weight and bias, for a step.
    #[cfg(feature = "cuda")]
    pub fn tensors(&self) -> Result<(&Tensor, Option<&Tensor>)> {
        match (&self.weight, &self.bias) {
            (Weight::Tensor(weight), Some(Bias::Tensor(bias))) => Ok((weight, Some(bias))),
            (Weight::Tensor(weight), None) => Ok((weight, None)),
            _ => candle_core::bail!("a layer is not on the GPU"),
        }
    }

    /// In a step: what it makes of `input` is added to `x`, which is normed for the next layer.
    #[cfg(feature = "cuda")]
    pub fn step(&self, step: &mut Step<'_>, input: &Tensor, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let (weight, bias) = self.tensors()?;
        let sums = step.product(input, weight)?;
        step.add_norm(&sums, bias, x, next)
    }

    /// In a step: what it makes of `input`, as logits.
    #[cfg(feature = "cuda")]
    pub fn step_logits(&self, step: &mut Step<'_>, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.tensors()?;
        let Some(bias) = bias else { return step.logits(input, weight) };
        let sums = step.product(input, weight)?;
        step.add_bias(&sums, bias)?;
        Ok(sums)
    }

    fn plain(&self, x: &Tensor, weight: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let sums = x.matmul(&weight.t()?)?;
        #[cfg(feature = "cuda")]
        if self.finished(&sums, epilogue)? {
            return Ok(sums);
        }
        epilogue.apply(match &self.bias {
            Some(Bias::Tensor(bias)) => sums.broadcast_add(bias)?,
            _ => sums,
        })
    }

    /// Whether a kernel of an accelerator did to the sums, which nobody else has, all that there is to do.
    #[cfg(feature = "cuda")]
    fn finished(&self, sums: &Tensor, epilogue: Epilogue<'_>) -> Result<bool> {
        let bias = match &self.bias {
            Some(Bias::Tensor(bias)) => Some(bias),
            _ => None,
        };
        match epilogue {
            Epilogue::None if bias.is_none() => Ok(true),
            Epilogue::None => crate::gpu::finish(sums, bias, false, None),
            Epilogue::Gelu => crate::gpu::finish(sums, bias, true, None),
            Epilogue::Add(add) if add.dims() == sums.dims() => crate::gpu::finish(sums, bias, false, Some(add)),
            Epilogue::Add(_) => Ok(false),
        }
    }

    /// The same of rows as the kernels see them. `add` is the epilogue's. Only a layer whose weights are stored for the kernels
    /// can.
    fn multiply(&self, x: Rows<'_>, epilogue: Epilogue<'_>, add: Option<Rows<'_>>) -> Vec<f32> {
        let kernel = self.kernel_epilogue(epilogue, add);
        match &self.weight {
            Weight::Stored(level, stored) => with_stored!(stored, E, parts => {
                product::multiply(*level, x, Columns::<E>::new(parts, self.depth), kernel)
            }),
            Weight::Q8(level, weights) => q8::multiply(*level, x, weights, kernel),
            #[cfg(target_arch = "x86_64")]
            Weight::Tiled(_) => unreachable!("the weights are laid out for frames"),
            Weight::Panels(..) | Weight::Tensor(_) => unreachable!("the weights are laid out for frames, or a tensor"),
        }
    }

    /// The same of rows that are made of frames. What a model convolves with is never kept in eight bits.
    pub(super) fn convolve(&self, x: Frames<'_>, epilogue: Epilogue<'_>, add: Option<Rows<'_>>) -> Vec<f32> {
        let kernel = self.kernel_epilogue(epilogue, add);
        match &self.weight {
            Weight::Panels(level, panels) => panels.convolve(*level, x, kernel),
            #[cfg(target_arch = "x86_64")]
            Weight::Tiled(tiled) => tiled.convolve(x, kernel),
            Weight::Stored(..) | Weight::Q8(..) | Weight::Tensor(_) => unreachable!("the weights are not over taps"),
        }
    }

    fn kernel_epilogue<'a>(&'a self, epilogue: Epilogue<'_>, add: Option<Rows<'a>>) -> KernelEpilogue<'a> {
        let bias = match &self.bias {
            Some(Bias::Kernel(bias)) => Some(bias.as_slice()),
            _ => None,
        };
        KernelEpilogue { bias, gelu: matches!(epilogue, Epilogue::Gelu), add }
    }
}

// === impl Epilogue ===

impl Epilogue<'_> {
    /// Looks at the rows that are to be added, if any are.
    pub(super) fn with_addend<R>(self, look: impl FnOnce(Option<Rows<'_>>) -> R) -> Result<R> {
        match self {
            Self::Add(add) => with_rows(add, |add| look(Some(add))),
            Self::None | Self::Gelu => Ok(look(None)),
        }
    }

    /// The same with candle's operations.
    pub(super) fn apply(self, sums: Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(sums),
            Self::Gelu => sums.gelu_erf(),
            Self::Add(add) => sums + add,
        }
    }
}

// === impl Stored ===

impl Stored {
    /// `dtype`: a half-precision type rounds to it; `f32` loses nothing.
    fn new(level: SimdLevel, weights: &[WeightData], dtype: DType) -> io::Result<Self> {
        match dtype {
            DType::F16 => rounded::<f16>(level, weights).map(Self::F16),
            DType::BF16 => rounded::<bf16>(level, weights).map(Self::Bf16),
            _ if weights.iter().all(|part| matches!(part, WeightData::Bf16(_))) => {
                rounded::<bf16>(level, weights).map(Self::Bf16)
            }
            _ => Self::narrowest(level, weights),
        }
    }

    fn narrowest(level: SimdLevel, weights: &[WeightData]) -> io::Result<Self> {
        if let Some(halves) = exact::<f16>(level, weights)? {
            return Ok(Self::F16(halves));
        }
        match exact::<bf16>(level, weights)? {
            Some(brains) => Ok(Self::Bf16(brains)),
            None => rounded::<f32>(level, weights).map(Self::F32),
        }
    }

    /// Copies what still lies where it came from.
    fn detached(mut self, from: &[WeightData]) -> Self {
        let (Self::F32(parts) | Self::F16(parts) | Self::Bf16(parts)) = &mut self;
        for (part, from) in parts.iter_mut().zip(from) {
            let (WeightData::F32(from) | WeightData::F16(from) | WeightData::Bf16(from)) = from;
            if from.as_ptr() == part.as_ptr() {
                *part = Bytes::copy_from_slice(part);
            }
        }
        self
    }

    fn row(&self, id: usize, depth: usize) -> Vec<f32> {
        with_stored!(self, E, parts => Columns::<E>::new(parts, depth).column(id).collect())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    /// The kernels against candle's operations, for few and many rows and very many columns.
    fn agree(own: &ComputeContext) -> Result<()> {
        let plain = ComputeContext { kernels: None, ..own.clone() };
        for (rows, depth, columns) in [(1, 40, 70), (3, 256, 700), (800, 40, 330), (30, 9, 9000)] {
            let weights = numbers(depth * columns);
            let layer = |context| Linear::new(&[weights.clone().into()], Some(numbers(columns)), depth, context);
            let (own, plain) = (layer(own)?, layer(&plain)?);
            let x = Tensor::from_vec(numbers(rows * depth), (rows, depth), &Device::Cpu)?;
            let add = Tensor::from_vec(numbers(rows * columns), (rows, columns), &Device::Cpu)?;
            for epilogue in [Epilogue::None, Epilogue::Gelu, Epilogue::Add(&add)] {
                let (found, expected) = (own.forward(&x, epilogue)?, plain.forward(&x, epilogue)?);
                let largest = expected.abs()?.max_all()?.to_scalar::<f32>()?;
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                // Of a large sum the last bits are left to the order in which it is added up.
                let tolerance = 1e-4f32.max(3e-6 * largest);
                assert!(difference < tolerance, "{rows} rows, {epilogue:?}: {difference} of {largest}");
            }
            let difference = (own.rows(&[3, 69])? - plain.rows(&[3, 69])?)?.abs()?.max_all()?;
            assert_eq!(difference.to_scalar::<f32>()?, 0.0);
        }
        Ok(())
    }

    #[test]
    fn both_forms_agree() -> Result<()> {
        for &level in SimdLevel::available() {
            agree(&ComputeContext { kernels: Some(level), ..ComputeContext::new(&Device::Cpu, DType::F32) })?;
        }
        Ok(())
    }

    #[test]
    fn weights_are_kept_in_the_narrowest_type_that_loses_nothing() {
        let stored = |x: f32| Stored::new(SimdLevel::detect(), &[vec![x, 1.0].into()], DType::F32).unwrap();
        assert!(matches!(stored(0.333_251_95), Stored::F16(_)));
        assert!(matches!(stored(2f32.powi(60)), Stored::Bf16(_)));
        assert!(matches!(stored(0.1), Stored::F32(_)));
    }

    #[test]
    fn weights_of_eight_bits_change_a_sum_by_a_hundredth_at_most() -> Result<()> {
        let exact = ComputeContext::new(&Device::Cpu, DType::F32);
        let q8 = exact.clone().with_q8();
        for (rows, depth, columns) in [(1, 40, 70), (30, 256, 700), (300, 64, 33)] {
            let weights: [WeightData; 1] = [numbers(depth * columns).into()];
            let layer = |context| Linear::quantizable(&weights, Some(numbers(columns)), depth, context);
            let (exact, q8) = (layer(&exact)?, layer(&q8)?);
            let x = Tensor::from_vec(numbers(rows * depth), (rows, depth), &Device::Cpu)?;
            let add = Tensor::from_vec(numbers(rows * columns), (rows, columns), &Device::Cpu)?;
            for epilogue in [Epilogue::None, Epilogue::Gelu, Epilogue::Add(&add)] {
                let (found, expected) = (q8.forward(&x, epilogue)?, exact.forward(&x, epilogue)?);
                let largest = expected.abs()?.max_all()?.to_scalar::<f32>()?;
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-2 * largest, "{rows} rows, {epilogue:?}: {difference} of {largest}");
            }
            let difference = (exact.rows(&[3, 32])? - q8.rows(&[3, 32])?)?.abs()?.max_all()?;
            assert!(difference.to_scalar::<f32>()? < 5e-3);
        }
        Ok(())
    }

    #[test]
    fn what_is_detached_does_not_hold_its_file() -> Result<()> {
        let file = Bytes::from(numbers(8).iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let attached = ComputeContext::new(&Device::Cpu, DType::F32);
        for (context, unique) in [(attached.clone(), false), (attached.with_q8(), true)] {
            let layer = Linear::new(&[WeightData::F32(file.clone())], None, 2, &context)?;
            let quantized = Linear::quantizable(&[WeightData::F32(file.clone())], None, 2, &context)?;
            assert_eq!(file.is_unique(), unique);
            drop((layer, quantized));
        }
        Ok(())
    }

    #[test]
    fn weights_of_eight_bits_need_our_own_kernels() {
        let context = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32).with_q8() };
        let error = Linear::quantizable(&[numbers(8).into()], None, 2, &context).unwrap_err().to_string();
        assert!(error.contains("our own kernels, which are for CPUs"), "{error}");
    }

    #[test]
    fn a_row_outside_the_table_is_an_error() -> Result<()> {
        let layer = Linear::new(&[numbers(8).into()], None, 2, &ComputeContext::new(&Device::Cpu, DType::F32))?;
        assert!(layer.rows(&[4]).is_err());
        Ok(())
    }
}
