//! Sequences of one length on top of each other, `[sequences * frames, channels]`: every product sees one matrix.

use candle_core::{Result, Tensor};

use crate::nn::{
    Conv1d, Conv1dConfig, Epilogue, Linear,
    weights::{Bias, Loaded, Loader},
};

/// How many sequences there are, of how many frames each.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    pub sequences: usize,
    pub frames: usize,
}

/// A convolution that looks back only, of each sequence for itself.
#[derive(Debug)]
pub struct CausalConv {
    conv: Conv1d,
}

// === impl CausalConv ===

impl CausalConv {
    /// The weight tells how many taps there are.
    pub fn load(loader: &mut Loader<'_>, name: &str, depth: usize, columns: usize) -> Loaded<Self> {
        let [_, _, taps] = loader.weights.sizes(&format!("{name}.weight"))?;
        Ok(Self { conv: loader.conv1d(name, Conv1dConfig::causal(depth, columns, taps), Bias::Present)? })
    }

    /// `[sequences * frames, depth]` → `[sequences * frames, columns]`
    pub fn forward(&self, x: &Tensor, stack: Stack) -> Result<Tensor> {
        if stack.sequences < 2 {
            return self.conv.forward(x, Epilogue::None);
        }
        // Zeros between two sequences are what each looks back to; what comes out there is nobody's.
        let Conv1dConfig { depth, columns, padding: (back, _), .. } = *self.conv.config();
        let by_sequence = x.reshape((stack.sequences, stack.frames, depth))?;
        let apart = by_sequence.pad_with_zeros(1, 0, back)?.flatten_to(1)?;
        let out = self.conv.forward(&apart, Epilogue::None)?;
        let by_sequence = out.reshape((stack.sequences, stack.frames + back, columns))?;
        by_sequence.narrow(1, 0, stack.frames)?.contiguous()?.flatten_to(1)
    }
}

/// A convolution over single frames is a linear layer. Its bias is there.
pub fn pointwise(loader: &mut Loader<'_>, name: &str, depth: usize, columns: usize) -> Loaded<Linear> {
    let weight = loader.weights.view(&format!("{name}.weight"), &[columns, depth, 1])?;
    let bias = loader.weights.take(&format!("{name}.bias"), &[columns])?;
    Ok(Linear::new(&[weight], Some(bias), depth, loader.context)?)
}
