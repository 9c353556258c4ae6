//! Context-aware masks: how much of each channel counts, by what is heard around a frame.

use candle_core::{Result, Tensor};

use crate::{
    Epilogue, Linear,
    weights::{Loaded, Loader},
};

/// Frames that share a mask.
const SEGMENT: usize = 100;

pub struct Mask {
    down: Linear,
    up: Linear,
}

// === impl Mask ===

impl Mask {
    /// `name`: that of the layer that is masked.
    pub fn load(loader: &mut Loader<'_>, name: &str, depth: usize, columns: usize) -> Loaded<Self> {
        let [inner, ..] = loader.weights.sizes::<3>(&format!("{name}.linear1.weight"))?;
        let mut linear = |part: &str, depth: usize, columns: usize| {
            let weight = loader.weights.view(&format!("{name}.{part}.weight"), &[columns, depth, 1])?;
            let bias = loader.weights.take(&format!("{name}.{part}.bias"), &[columns])?;
            Loaded::Ok(Linear::new(&[weight], Some(bias), depth, loader.context)?)
        };
        Ok(Self { down: linear("linear1", depth, inner)?, up: linear("linear2", inner, columns)? })
    }

    /// What is heard, `[frames, depth]`, → `[frames, columns]` between 0 and 1.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.down.forward(&surroundings(x)?, Epilogue::None)?.relu()?;
        let masks = candle_nn::ops::sigmoid(&self.up.forward(&inner, Epilogue::None)?)?;
        let (segments, columns) = masks.dims2()?;
        let spread = masks.unsqueeze(1)?.broadcast_as((segments, SEGMENT, columns))?.contiguous()?;
        spread.reshape((segments * SEGMENT, columns))?.narrow(0, 0, x.dim(0)?)
    }
}

/// The mean of each segment, of which the last may be shorter, plus that of all: `[segments, depth]`
fn surroundings(x: &Tensor) -> Result<Tensor> {
    let frames = x.dim(0)?;
    let mean = |start: usize| x.narrow(0, start, SEGMENT.min(frames - start))?.mean_keepdim(0);
    let segments = (0..frames).step_by(SEGMENT).map(mean).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&segments, 0)?.broadcast_add(&x.mean_keepdim(0)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_last_segment_is_the_mean_of_what_there_is() -> Result<()> {
        let x =
            Tensor::cat(&[Tensor::full(1f32, (100, 1), &Device::Cpu)?, Tensor::full(5f32, (20, 1), &Device::Cpu)?], 0)?;
        let all = 200.0 / 120.0;
        for (found, expected) in surroundings(&x)?.to_vec2::<f32>()?.concat().iter().zip([1.0 + all, 5.0 + all]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        Ok(())
    }
}
