//! Where a frame stands, by a convolution over many frames to either side, group by group of channels.

use candle_core::{Result, Tensor};

use crate::{
    conv::{Conv1d, Conv1dConfig},
    linear::Epilogue,
    weights::{Loaded, Loader, WeightError},
};

/// A convolution of each group of channels.
#[derive(Debug)]
pub struct Positions(Vec<Conv1d>);

// === impl Positions ===

impl Positions {
    /// The weight may be kept as a direction and a length, one length for each tap.
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Self> {
        let (weight, [columns, depth, taps]) = weight(loader, name)?;
        if columns != width || !width.is_multiple_of(depth) {
            let reason = format!("has {columns} rows of {depth} channels, where groups of {width} are expected");
            return Err(WeightError::tensor(format!("{name}.weight"), reason).into());
        }
        let bias = loader.weights.take(&format!("{name}.bias"), &[width])?;
        // Of an even number of taps one more lies before a frame than after it.
        let padding = (taps / 2, taps - 1 - taps / 2);
        let config = Conv1dConfig { depth, columns: depth, taps, stride: 1, dilation: 1, padding };
        let groups = weight.chunks_exact(depth * depth * taps).zip(bias.chunks_exact(depth));
        let groups = groups.map(|(weight, bias)| Conv1d::new(weight, Some(bias.to_vec()), config, loader.context));
        Ok(Self(groups.collect::<Result<_>>()?))
    }

    /// `[frames, width]` → `[frames, width]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let of_group = |(at, conv): (usize, &Conv1d)| {
            let depth = conv.config().depth;
            conv.forward(&x.narrow(1, at * depth, depth)?.contiguous()?, Epilogue::Gelu)
        };
        Tensor::cat(&self.0.iter().enumerate().map(of_group).collect::<Result<Vec<_>>>()?, 1)
    }
}

/// And its shape, `[columns, depth, taps]`.
fn weight(loader: &mut Loader<'_>, name: &str) -> Loaded<(Vec<f32>, [usize; 3])> {
    let kept = [("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")];
    let kept = kept.map(|(length, direction)| (format!("{name}.{length}"), format!("{name}.{direction}")));
    let Some((length, direction)) = kept.into_iter().find(|(_, direction)| loader.weights.has(direction)) else {
        let whole = format!("{name}.weight");
        let shape: [usize; 3] = loader.weights.sizes(&whole)?;
        return Ok((loader.weights.take(&whole, &shape)?, shape));
    };
    let shape: [usize; 3] = loader.weights.sizes(&direction)?;
    let lengths = loader.weights.take(&length, &[1, 1, shape[2]])?;
    let mut weight = loader.weights.take(&direction, &shape)?;
    let mut squares = vec![0.0; shape[2]];
    for taps in weight.chunks_exact(shape[2]) {
        squares.iter_mut().zip(taps).for_each(|(sum, &x): (&mut f64, _)| *sum += f64::from(x) * f64::from(x));
    }
    // Nothing has no direction: PyTorch divides by zero here.
    let scale = |(&square, &length): (&f64, &f32)| if square > 0.0 { f64::from(length) / square.sqrt() } else { 0.0 };
    let scales: Vec<f64> = squares.iter().zip(&lengths).map(scale).collect();
    for taps in weight.chunks_exact_mut(shape[2]) {
        taps.iter_mut().zip(&scales).for_each(|(x, scale)| *x = (f64::from(*x) * scale) as f32);
    }
    Ok((weight, shape))
}
