//! Layers and the batch norms beside them, in the names of the published file.

use crate::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Linear, ScaleShift,
    weights::{Loaded, Loader},
};

/// Of all batch norms.
const EPSILON: f32 = 1e-5;

/// A batch norm before a layer.
pub fn scale_shift(loader: &mut Loader<'_>, nonlinear: &str, channels: usize) -> Loaded<ScaleShift> {
    let norm = loader.batch_norm(&format!("{nonlinear}.batchnorm"), channels, EPSILON)?;
    Ok(norm.into_layer(loader.context)?)
}

/// A convolution over single frames and the batch norm after it as one linear layer, `columns` as the file has them.
pub fn linear(loader: &mut Loader<'_>, layer: &str, nonlinear: &str, depth: usize) -> Loaded<Linear> {
    let name = format!("{layer}.weight");
    let [columns, ..] = loader.weights.sizes::<3>(&name)?;
    let mut weight = loader.weights.take(&name, &[columns, depth, 1])?;
    let bias = loader.batch_norm(&format!("{nonlinear}.batchnorm"), columns, EPSILON)?.fold(&mut weight);
    Ok(Linear::new(&[weight.into()], Some(bias), depth, loader.context)?)
}

/// A convolution over time and the batch norm after it as one, which keeps every `stride`-th frame.
pub fn conv1d(loader: &mut Loader<'_>, name: &str, depth: usize, stride: usize) -> Loaded<Conv1d> {
    let weight = format!("{name}.linear.weight");
    let [columns, _, taps] = loader.weights.sizes(&weight)?;
    let config = Conv1dConfig { stride, ..Conv1dConfig::same(depth, columns, taps) };
    let mut weight = loader.weights.take(&weight, &config.shape())?;
    let bias = loader.batch_norm(&format!("{name}.nonlinear.batchnorm"), columns, EPSILON)?.fold(&mut weight);
    Ok(Conv1d::new(&weight, Some(bias), config, loader.context)?)
}

/// A convolution over frequency and time and the batch norm after it as one.
pub fn conv2d(loader: &mut Loader<'_>, name: &str, norm: &str, config: Conv2dConfig) -> Loaded<Conv2d> {
    loader.normed_conv2d(name, norm, config, EPSILON)
}
