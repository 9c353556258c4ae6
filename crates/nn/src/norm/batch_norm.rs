//! Batch norm as it is once trained: a scale and a shift for each channel.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::{
    context::ComputeContext,
    cpu::matrix::with_rows,
    weights::{Loaded, Loader},
};

/// Rows that one task takes.
const BLOCK_ROWS: usize = 64;

/// What a batch norm has learned. It becomes part of the layer before it ([`fold`](Self::fold)), or a layer of its own
/// ([`ScaleShift`]) where none is before it.
#[derive(Debug)]
pub struct BatchNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Scales and shifts each channel.
#[derive(Debug)]
pub struct ScaleShift(Form);

#[derive(Debug)]
enum Form {
    Kernel(BatchNorm),
    Plain { scale: Tensor, shift: Tensor },
}

// === impl BatchNorm ===

impl Loader<'_> {
    /// With or without a weight and a bias of its own.
    pub fn batch_norm(&mut self, name: &str, channels: usize, epsilon: f32) -> Loaded<BatchNorm> {
        let mut numbers = |of: &str| self.weights.take(&format!("{name}.{of}"), &[channels]);
        let (mean, variance) = (numbers("running_mean")?, numbers("running_var")?);
        let own = self.weights.has(&format!("{name}.weight"));
        let mut numbers = |of: &str| self.weights.take(&format!("{name}.{of}"), &[channels]);
        let (weight, bias) = match own {
            true => (numbers("weight")?, numbers("bias")?),
            false => (vec![1.0; channels], vec![0.0; channels]),
        };
        self.weights.ignore(&format!("{name}.num_batches_tracked"));
        Ok(BatchNorm::new(&mean, &variance, weight, &bias, epsilon))
    }
}

impl BatchNorm {
    /// All of one length.
    pub fn new(mean: &[f32], variance: &[f32], weight: Vec<f32>, bias: &[f32], epsilon: f32) -> Self {
        let scale = weight.iter().zip(variance).map(|(weight, variance)| weight / (variance + epsilon).sqrt());
        let scale = scale.collect::<Vec<_>>();
        let shift = bias.iter().zip(mean).zip(&scale).map(|((bias, mean), scale)| bias - mean * scale).collect();
        Self { scale, shift }
    }

    /// Scales what makes each of the channels, `weight` `[channels, …]` of a layer without a bias. The layer's bias.
    pub fn fold(self, weight: &mut [f32]) -> Vec<f32> {
        let of_channel = (weight.len() / self.scale.len()).max(1);
        for (row, scale) in weight.chunks_exact_mut(of_channel).zip(&self.scale) {
            row.iter_mut().for_each(|weight| *weight *= scale);
        }
        self.shift
    }

    /// Scales what a layer after it takes of each channel, `weight` `[columns, channels]`, and adds to its `bias` what it
    /// makes of the shifts.
    pub fn fold_into_next(self, weight: &mut [f32], bias: &mut [f32]) {
        for (row, bias) in weight.chunks_exact_mut(self.scale.len()).zip(bias) {
            *bias += row.iter().zip(&self.shift).map(|(weight, shift)| weight * shift).sum::<f32>();
            row.iter_mut().zip(&self.scale).for_each(|(weight, scale)| *weight *= scale);
        }
    }

    pub fn into_layer(self, context: &ComputeContext) -> Result<ScaleShift> {
        let channels = self.scale.len();
        Ok(ScaleShift(match context.kernels {
            Some(_) => Form::Kernel(self),
            None => Form::Plain {
                scale: context.tensor(self.scale, &[channels])?,
                shift: context.tensor(self.shift, &[channels])?,
            },
        }))
    }
}

// === impl ScaleShift ===

impl ScaleShift {
    /// `max(0, x * scale + shift)`: `[rows, channels]`
    pub fn forward_relu(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Form::Plain { scale, shift } => x.broadcast_mul(scale)?.broadcast_add(shift)?.relu(),
            Form::Kernel(BatchNorm { scale, shift }) => {
                let (rows, channels) = x.dims2()?;
                if channels != scale.len() {
                    candle_core::bail!("a batch norm of {} channels was given {channels}", scale.len());
                }
                let mut out = vec![0.0; rows * channels];
                with_rows(x, |x| {
                    let by_row = out.par_chunks_exact_mut(channels).with_min_len(BLOCK_ROWS).enumerate();
                    by_row.for_each(|(row, out)| scale_row(x.row(row, channels), scale, shift, out));
                })?;
                Tensor::from_vec(out, (rows, channels), x.device())
            }
        }
    }
}

fn scale_row(row: &[f32], scale: &[f32], shift: &[f32], out: &mut [f32]) {
    for (((out, x), scale), shift) in out.iter_mut().zip(row).zip(scale).zip(shift) {
        *out = (x * scale + shift).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::weights::Weights;

    fn tensors(own: bool) -> Weights {
        let tensor = |of: &str, numbers: [f32; 2]| (format!("bn.{of}"), vec![2], numbers.to_vec());
        let mut tensors = vec![
            tensor("running_mean", [1.0, -2.0]),
            tensor("running_var", [3.0, 0.21]),
            ("bn.num_batches_tracked".to_owned(), vec![], vec![7.0]),
        ];
        if own {
            tensors.extend([tensor("weight", [4.0, 0.5]), tensor("bias", [0.1, 0.2])]);
        }
        Weights::of(tensors)
    }

    fn load(own: bool) -> BatchNorm {
        let (mut weights, context) = (tensors(own), ComputeContext::new(&Device::Cpu, DType::F32));
        let norm = Loader { weights: &mut weights, context: &context }.batch_norm("bn", 2, 1.0).unwrap();
        weights.finish().unwrap();
        norm
    }

    #[test]
    fn a_row_is_centred_scaled_and_cut_at_zero() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        for context in [ComputeContext { kernels: None, ..context.clone() }, context] {
            let x = Tensor::new(&[[2f32, -2.0], [0.0, 0.2]], &Device::Cpu)?;
            let found = load(true).into_layer(&context)?.forward_relu(&x)?.to_vec2::<f32>()?;
            // (x - 1) / 2 * 4 + 0.1 and (x + 2) / 1.1 * 0.5 + 0.2
            for (found, expected) in found.concat().iter().zip([2.1, 0.2, 0.0, 1.2]) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn it_can_be_part_of_the_layer_before_it() {
        let mut weight = [1.0, 2.0, 3.0, 1.1, 2.2, 3.3];
        let bias = load(false).fold(&mut weight);
        for (found, expected) in weight.iter().chain(&bias).zip([0.5, 1.0, 1.5, 1.0, 2.0, 3.0, -0.5, 2.0 / 1.1]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn it_can_be_part_of_the_layer_after_it() {
        let (mut weight, mut bias) = ([1.0, 2.0, 3.0, 1.1], [0.5, 0.0]);
        load(false).fold_into_next(&mut weight, &mut bias);
        // (x - 1) / 2 and (x + 2) / 1.1
        let expected = [0.5, 2.0 / 1.1, 1.5, 1.0, 0.5 - 0.5 + 4.0 / 1.1, -1.5 + 2.0];
        for (found, expected) in weight.iter().chain(&bias).zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let (mut weights, context) = (tensors(true), ComputeContext::new(&Device::Cpu, DType::F32));
        weights.ignore("bn.bias");
        let error = Loader { weights: &mut weights, context: &context }.batch_norm("bn", 2, 1.0).unwrap_err();
        assert_eq!(error.to_string(), "the tensor bn.bias is missing");
    }
}
