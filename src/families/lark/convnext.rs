//! ConvNeXt over time: rows are steps, columns channels; beyond the first and the last step all is zero.

use super::{
    config::Stack,
    dense::{Dense, Norm},
    error::LarkError,
};
use crate::nn::weights::Weights;

/// Blocks one after another.
#[derive(Debug)]
pub struct ConvNext {
    blocks: Vec<Block>,
}

/// `x + scale · down(GELU(up(norm(depthwise(x)))))`
#[derive(Debug)]
struct Block {
    depthwise: Depthwise,
    norm: Norm,
    up: Dense,
    down: Dense,
    /// `[width]`
    scale: Vec<f32>,
}

/// A convolution over time for each channel by itself.
#[derive(Debug)]
struct Depthwise {
    /// `[kernel, width]`
    weight: Vec<f32>,
    /// `[width]`
    bias: Vec<f32>,
    dilation: usize,
}

// === impl ConvNext ===

impl ConvNext {
    /// `NAME.0.…` and on.
    pub fn load(weights: &mut Weights, name: &str, sizes: &Stack) -> Result<Self, LarkError> {
        let dilations = sizes.dilations.iter().enumerate();
        let blocks =
            dilations.map(|(place, &dilation)| Block::load(weights, &format!("{name}.{place}"), sizes, dilation));
        Ok(Self { blocks: blocks.collect::<Result<_, _>>()? })
    }

    /// `[steps, width]` → `[steps, width]`
    pub fn forward(&self, x: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        self.blocks.iter().try_fold(x, |x, block| block.forward(x))
    }
}

// === impl Block ===

impl Block {
    fn load(weights: &mut Weights, name: &str, sizes: &Stack, dilation: usize) -> Result<Self, LarkError> {
        let Stack { width, hidden, kernel, .. } = *sizes;
        Ok(Self {
            depthwise: Depthwise {
                weight: weights.take(&format!("{name}.depthwise.weight"), &[kernel, width])?,
                bias: weights.take(&format!("{name}.depthwise.bias"), &[width])?,
                dilation,
            },
            norm: Norm::load(weights, &format!("{name}.norm"), width)?,
            up: Dense::load(weights, &format!("{name}.up"), width, hidden)?,
            down: Dense::load(weights, &format!("{name}.down"), hidden, width)?,
            scale: weights.take(&format!("{name}.scale"), &[width])?,
        })
    }

    fn forward(&self, mut x: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        let normed = self.norm.forward(self.depthwise.forward(&x))?;
        let change = self.down.forward(self.up.forward_gelu(normed)?)?;
        for (row, change) in x.chunks_exact_mut(self.scale.len()).zip(change.chunks_exact(self.scale.len())) {
            for ((x, change), scale) in row.iter_mut().zip(change).zip(&self.scale) {
                *x += scale * change;
            }
        }
        Ok(x)
    }
}

// === impl Depthwise ===

impl Depthwise {
    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let width = self.bias.len();
        let (steps, taps) = (x.len() / width, self.weight.len() / width);
        let mut out = self.bias.repeat(steps);
        for (tap, weight) in self.weight.chunks_exact(width).enumerate() {
            // Step `t` takes `t + ahead - behind`, where there is such a step.
            let (ahead, behind) = (tap * self.dilation, taps / 2 * self.dilation);
            let from = behind.saturating_sub(ahead).min(steps);
            let until = steps.min((steps + behind).saturating_sub(ahead)).max(from);
            let source = x.get((from + ahead).saturating_sub(behind) * width..).unwrap_or_default();
            for (out, x) in out[from * width..until * width].chunks_exact_mut(width).zip(source.chunks_exact(width)) {
                for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                    *out += x * weight;
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depthwise_convolution_sees_zeros_outside_however_short_the_input() {
        let (width, taps, dilation) = (2, 5, 2);
        let weight: Vec<f32> = (0..taps * width).map(|place| place as f32 - 3.0).collect();
        let layer = Depthwise { weight: weight.clone(), bias: vec![0.5, -0.5], dilation };
        for steps in 0..12_i32 {
            let x: Vec<f32> = (0..steps * 2).map(|place| (place * 7 % 5) as f32).collect();
            let at = |step: i32, channel: i32| match (0..steps).contains(&step) {
                true => x[(step * 2 + channel) as usize],
                false => 0.0,
            };
            let expected: Vec<f32> = (0..steps)
                .flat_map(|step| [0, 1].map(|channel| (step, channel)))
                .map(|(step, channel)| {
                    let taps =
                        (0..5).map(|tap| weight[(tap * 2 + channel) as usize] * at(step + (tap - 2) * 2, channel));
                    taps.sum::<f32>() + layer.bias[channel as usize]
                })
                .collect();
            assert_eq!(layer.forward(&x), expected, "{steps} steps");
        }
    }
}
