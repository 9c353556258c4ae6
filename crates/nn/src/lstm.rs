//! Long short-term memory (Hochreiter and Schmidhuber 1997), with the gates of PyTorch's `LSTM`.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{
    context::ComputeContext,
    cpu::matrix::{Rows, with_rows},
    linear::{Epilogue, Linear},
    weights::{Loaded, Loader},
};

/// Input, forget, cell, output: side by side in every product, in this order.
const GATES: usize = 4;

/// Layers that hear each other in one direction. Sequences of one length are worked on side by side.
#[derive(Debug)]
pub struct Lstm {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// Of all steps at once, with both biases.
    input: Linear,
    /// From one step to the next.
    recurrent: Linear,
    hidden: usize,
    context: ComputeContext,
}

/// What a layer remembers, a row per sequence, `[batch, hidden]` each.
struct Memory {
    cell: Vec<f32>,
    out: Vec<f32>,
    hidden: usize,
}

// === impl Lstm ===

impl Loader<'_> {
    /// `name`: that of the module, whose tensors are called `weight_ih_l0` and so on.
    pub fn lstm(&mut self, name: &str, depth: usize, hidden: usize, layers: usize) -> Loaded<Lstm> {
        let layer = |at: usize| self.lstm_layer(name, at, if at == 0 { depth } else { hidden }, hidden);
        Ok(Lstm { layers: (0..layers).map(layer).collect::<Loaded<_>>()? })
    }

    fn lstm_layer(&mut self, name: &str, at: usize, depth: usize, hidden: usize) -> Loaded<Layer> {
        let columns = GATES * hidden;
        let of = |part: &str| format!("{name}.{part}_l{at}");
        let mut bias = self.weights.take(&of("bias_ih"), &[columns])?;
        let other = self.weights.take(&of("bias_hh"), &[columns])?;
        bias.iter_mut().zip(other).for_each(|(bias, other)| *bias += other);
        let input = self.weights.view(&of("weight_ih"), &[columns, depth])?;
        let recurrent = self.weights.view(&of("weight_hh"), &[columns, hidden])?;
        Ok(Layer {
            input: Linear::new(&[input], Some(bias), depth, self.context)?,
            recurrent: Linear::new(&[recurrent], None, hidden, self.context)?,
            hidden,
            context: self.context.clone(),
        })
    }
}

impl Lstm {
    /// `[steps * batch, depth]`, where the rows of a step follow each other, → `[steps * batch, hidden]`.
    pub fn forward(&self, x: &Tensor, batch: usize) -> Result<Tensor> {
        let rows = x.dim(0)?;
        if batch == 0 || rows == 0 || rows % batch != 0 {
            candle_core::bail!("{rows} rows are not the steps of {batch} sequences");
        }
        self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, batch))
    }
}

// === impl Layer ===

impl Layer {
    fn forward(&self, x: &Tensor, batch: usize) -> Result<Tensor> {
        let inputs = self.input.forward(x, Epilogue::None)?;
        let steps = inputs.dim(0)? / batch;
        let inputs = (0..steps).map(|step| inputs.narrow(0, step * batch, batch));
        match self.context.kernels {
            Some(_) => self.remember(inputs, batch),
            None => self.remember_by_tensors(inputs, batch),
        }
    }

    fn remember(&self, inputs: impl Iterator<Item = Result<Tensor>>, batch: usize) -> Result<Tensor> {
        let mut memory = Memory::new(batch, self.hidden);
        let mut all = Vec::new();
        for input in inputs {
            let out = Tensor::from_slice(&memory.out, (batch, self.hidden), &self.context.device)?;
            let gates = self.recurrent.forward(&out, Epilogue::Add(&input?))?;
            with_rows(&gates, |gates| memory.advance(gates))?;
            all.extend_from_slice(&memory.out);
        }
        let rows = all.len() / self.hidden;
        Tensor::from_vec(all, (rows, self.hidden), &self.context.device)
    }

    fn remember_by_tensors(&self, inputs: impl Iterator<Item = Result<Tensor>>, batch: usize) -> Result<Tensor> {
        let zeros = Tensor::zeros((batch, self.hidden), self.context.activations(), &self.context.device)?;
        let (mut cell, mut out, mut all) = (zeros.clone(), zeros, Vec::new());
        for input in inputs {
            let gates = self.recurrent.forward(&out, Epilogue::Add(&input?))?;
            let gate = |at: usize| gates.narrow(1, at * self.hidden, self.hidden)?.contiguous();
            let sigmoid = |at: usize| candle_nn::ops::sigmoid(&gate(at)?);
            cell = ((sigmoid(1)? * cell)? + (sigmoid(0)? * gate(2)?.tanh()?)?)?;
            out = (sigmoid(3)? * cell.tanh()?)?;
            all.push(out.clone());
        }
        Tensor::cat(&all, 0)
    }
}

// === impl Memory ===

impl Memory {
    fn new(batch: usize, hidden: usize) -> Self {
        Self { cell: vec![0.0; batch * hidden], out: vec![0.0; batch * hidden], hidden }
    }

    /// One step on.
    fn advance(&mut self, gates: Rows<'_>) {
        let hidden = self.hidden;
        let sequences = self.cell.par_chunks_exact_mut(hidden).zip(self.out.par_chunks_exact_mut(hidden)).enumerate();
        sequences.for_each(|(row, (cell, out))| advance(gates.row(row, GATES * hidden), cell, out));
    }
}

fn advance(gates: &[f32], cell: &mut [f32], out: &mut [f32]) {
    let hidden = cell.len();
    for (at, (cell, out)) in cell.iter_mut().zip(out).enumerate() {
        let gate = |gate: usize| gates[gate * hidden + at];
        *cell = sigmoid(gate(1)) * *cell + sigmoid(gate(0)) * gate(2).tanh();
        *out = sigmoid(gate(3)) * cell.tanh();
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::{RNN, VarBuilder, rnn};

    use super::*;
    use crate::weights::Weights;

    const SIZES: (usize, usize, usize) = (5, 6, 2);

    fn tensors() -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let (depth, hidden, layers) = SIZES;
        let tensor = |part: &str, layer: usize, shape: Vec<usize>| {
            let seed = (part.len() * 3 + layer) as f32 + if part.contains("hh") { 0.5 } else { 0.0 };
            let numbers = (0..shape.iter().product()).map(|i| (i as f32 * 0.37 + seed).sin()).collect();
            (format!("lstm.{part}_l{layer}"), shape, numbers)
        };
        let of_layer = |layer| {
            let depth = if layer == 0 { depth } else { hidden };
            [
                tensor("weight_ih", layer, vec![4 * hidden, depth]),
                tensor("weight_hh", layer, vec![4 * hidden, hidden]),
                tensor("bias_ih", layer, vec![4 * hidden]),
                tensor("bias_hh", layer, vec![4 * hidden]),
            ]
        };
        (0..layers).flat_map(of_layer).collect()
    }

    fn load(context: &ComputeContext) -> Lstm {
        let (mut weights, (depth, hidden, layers)) = (Weights::of(tensors()), SIZES);
        let lstm = Loader { weights: &mut weights, context }.lstm("lstm", depth, hidden, layers).unwrap();
        weights.finish().unwrap();
        lstm
    }

    /// One sequence through the LSTM of candle.
    fn expected(x: &Tensor) -> Result<Tensor> {
        let (depth, hidden, layers) = SIZES;
        let named = tensors()
            .into_iter()
            .map(|(name, shape, numbers)| Ok((name, Tensor::from_vec(numbers, shape, &Device::Cpu)?)));
        let named = VarBuilder::from_tensors(named.collect::<Result<_>>()?, DType::F32, &Device::Cpu);
        let mut x = x.unsqueeze(0)?;
        for layer in 0..layers {
            let config = rnn::LSTMConfig { layer_idx: layer, ..Default::default() };
            let depth = if layer == 0 { depth } else { hidden };
            let lstm = rnn::lstm(depth, hidden, config, named.pp("lstm"))?;
            x = lstm.states_to_tensor(&lstm.seq(&x)?)?;
        }
        x.squeeze(0)
    }

    #[test]
    fn sequences_side_by_side_are_those_of_candle_alone() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let (steps, batch) = (7, 3);
        let x = (0..steps * batch * SIZES.0).map(|i| (i as f32 * 0.73).cos()).collect::<Vec<_>>();
        let x = Tensor::from_vec(x, (steps, batch, SIZES.0), &Device::Cpu)?;
        for context in [ComputeContext { kernels: None, ..context.clone() }, context] {
            let found = load(&context).forward(&x.flatten(0, 1)?, batch)?.reshape((steps, batch, SIZES.1))?;
            for sequence in 0..batch {
                let expected = expected(&x.narrow(1, sequence, 1)?.squeeze(1)?.contiguous()?)?;
                let found = found.narrow(1, sequence, 1)?.squeeze(1)?;
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-5, "{difference}");
            }
        }
        Ok(())
    }

    #[test]
    fn rows_that_are_no_whole_steps_are_an_error() -> Result<()> {
        let lstm = load(&ComputeContext::new(&Device::Cpu, DType::F32));
        let x = Tensor::zeros((7, SIZES.0), DType::F32, &Device::Cpu)?;
        assert!(lstm.forward(&x, 2).is_err());
        assert!(lstm.forward(&x, 0).is_err());
        assert!(lstm.forward(&x.narrow(0, 0, 0)?, 1).is_err());
        Ok(())
    }
}
