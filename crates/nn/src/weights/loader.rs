//! Layers by name.

use candle_core::Tensor;

use super::tensors::{WeightError, Weights};
use crate::{
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig, DepthwiseConv1d, DepthwiseConv1dConfig},
    conv2d::{Conv2d, Conv2dConfig},
    embedding::{Embedding, TiedEmbedding},
    linear::Linear,
    norm::{LayerNorm, RmsNorm},
};

/// Takes weights by name and makes layers of them. Names are those of PyTorch's modules, without `.weight` and `.bias`.
pub struct Loader<'a> {
    pub weights: &'a mut Weights,
    pub context: &'a ComputeContext,
}

/// Why a layer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

pub type Loaded<T> = Result<T, LayerError>;

/// Whether a layer has a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    Present,
    Absent,
}

// === impl Loader ===

impl Loader<'_> {
    pub fn layer_norm(&mut self, name: &str, width: usize, epsilon: f32) -> Loaded<LayerNorm> {
        let (weight, bias) = (self.numbers(name, "weight", &[width])?, self.numbers(name, "bias", &[width])?);
        Ok(LayerNorm::new(weight, bias, epsilon, self.context)?)
    }

    pub fn rms_norm(&mut self, name: &str, width: usize, epsilon: f32) -> Loaded<RmsNorm> {
        let weight = self.numbers(name, "weight", &[width])?;
        Ok(RmsNorm::new(weight, epsilon, self.context)?)
    }

    /// `[rows, depth]` → `[rows, columns]`
    pub fn linear(&mut self, name: &str, depth: usize, columns: usize) -> Loaded<Linear> {
        self.linear_with(name, depth, columns, Bias::Present)
    }

    /// The same, with a bias or without.
    pub fn linear_with(&mut self, name: &str, depth: usize, columns: usize, bias: Bias) -> Loaded<Linear> {
        let weight = self.weights.view(&format!("{name}.weight"), &[columns, depth])?;
        let bias = self.bias(name, columns, bias)?;
        Ok(Linear::quantizable(&[weight], bias, depth, self.context)?)
    }

    /// Several layers over the same input as one, `columns` of each.
    pub fn fused(&mut self, name: &str, layers: &[(&str, Bias)], depth: usize, columns: usize) -> Loaded<Linear> {
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (layer, bias) in layers {
            let name = format!("{name}.{layer}");
            weights.push(self.weights.view(&format!("{name}.weight"), &[columns, depth])?);
            biases.extend(match bias {
                Bias::Absent => vec![0.0; columns],
                Bias::Present => self.numbers(&name, "bias", &[columns])?,
            });
        }
        Ok(Linear::quantizable(&weights, Some(biases), depth, self.context)?)
    }

    pub fn conv1d(&mut self, name: &str, config: Conv1dConfig, bias: Bias) -> Loaded<Conv1d> {
        let weight = self.weights.take_weight(name, &config.shape())?;
        let bias = self.bias(name, config.columns, bias)?;
        Ok(Conv1d::new(&weight, bias, config, self.context)?)
    }

    pub fn conv_transpose1d(
        &mut self,
        name: &str,
        config: ConvTranspose1dConfig,
        bias: Bias,
    ) -> Loaded<ConvTranspose1d> {
        let weight = self.weights.take_weight(name, &config.shape())?;
        let bias = self.bias(name, config.columns, bias)?;
        Ok(ConvTranspose1d::new(&weight, bias.as_deref(), config, self.context)?)
    }

    pub fn depthwise_conv1d(
        &mut self,
        name: &str,
        config: DepthwiseConv1dConfig,
        bias: Bias,
    ) -> Loaded<DepthwiseConv1d> {
        let weight = self.weights.take_weight(name, &[config.channels, 1, config.taps])?;
        let bias = self.bias(name, config.channels, bias)?;
        Ok(DepthwiseConv1d::new(&weight, bias, config, self.context)?)
    }

    /// A convolution over height and width without a bias, and the batch norm after it, as one.
    pub fn normed_conv2d(&mut self, name: &str, norm: &str, config: Conv2dConfig, epsilon: f32) -> Loaded<Conv2d> {
        let Conv2dConfig { depth, columns, taps, .. } = config;
        let mut weight = self.weights.take(&format!("{name}.weight"), &[columns, depth, taps.0, taps.1])?;
        let bias = self.batch_norm(norm, columns, epsilon)?.fold(&mut weight);
        Ok(Conv2d::new(&weight, bias, config, self.context)?)
    }

    /// A table of `rows`, each of `width` numbers.
    pub fn embedding(&mut self, name: &str, rows: usize, width: usize) -> Loaded<Embedding> {
        let table = self.weights.view(&format!("{name}.weight"), &[rows, width])?;
        Ok(Embedding::new(table, width, self.context)?)
    }

    pub fn tied_embedding(&mut self, name: &str, vocabulary: usize, width: usize) -> Loaded<TiedEmbedding> {
        let table = self.weights.view(&format!("{name}.weight"), &[vocabulary, width])?;
        Ok(TiedEmbedding::new(table, width, self.context)?)
    }

    /// A tensor as it is, `[rows, width]`; `name` is the whole of it.
    pub fn table(&mut self, name: &str, rows: usize, width: usize) -> Loaded<Tensor> {
        let table = self.weights.take(name, &[rows, width])?;
        Ok(self.context.tensor(table, &[rows, width])?)
    }

    fn bias(&mut self, name: &str, columns: usize, bias: Bias) -> Result<Option<Vec<f32>>, WeightError> {
        match bias {
            Bias::Present => self.numbers(name, "bias", &[columns]).map(Some),
            Bias::Absent => Ok(None),
        }
    }

    fn numbers(&mut self, name: &str, of: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.weights.take(&format!("{name}.{of}"), shape)
    }
}
