//! The layers where an accelerator repeats a step: one position of every sequence, by kernels that do as much as they can at once.

use candle_core::{Result, Tensor};

use super::{
    attention::GroupedAttention, layer::Layer, mlp::GatedMlp, repeating::StepInput, sequence::Sequence,
    stack::LlamaStack,
};
use crate::{
    gpu::{Frequencies, NormWeights, Residual, Step},
    linear::Linear,
};

// === impl LlamaStack ===

impl LlamaStack {
    /// Takes each of some sequences a position further. Of each what `head` makes of the state, `[sequences, columns]` in single
    /// precision if it has no bias, as it is until the next step. `None`: they are not fed like that, and nothing was done.
    pub fn step(&self, input: StepInput<'_>, head: &Linear, sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        let Some(repeating) = &self.repeating else { return Ok(None) };
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| &layer.norm).weights();
        repeating.run(input, sequences, &[], &|step| {
            let x = input.embed(step, norm_of(0)?)?;
            for (at, layer) in self.layers.iter().enumerate() {
                step.begin_layer();
                layer.step(step, at, &x, repeating.frequencies(), norm_of(at + 1)?)?;
            }
            head.step_logits(step, &x.normed)
        })
    }
}

// === impl Layer ===

impl Layer {
    fn step(
        &self,
        step: &mut Step<'_>,
        at: usize,
        x: &Residual,
        frequencies: Option<&Frequencies>,
        next: NormWeights<'_>,
    ) -> Result<()> {
        self.attention.step(step, at, x, frequencies, self.mlp.norm().weights()?)?;
        self.mlp.step(step, x, next)
    }
}

// === impl GroupedAttention ===

impl GroupedAttention {
    /// In a step: a position more for the caches of a `group`, and what is attended to there, added to `x`. `next`: the norm of what
    /// comes after it.
    pub fn step(
        &self,
        step: &mut Step<'_>,
        group: usize,
        x: &Residual,
        frequencies: Option<&Frequencies>,
        next: NormWeights<'_>,
    ) -> Result<()> {
        let (inner, of_keys) = (self.shape.heads * self.shape.head_dim, self.shape.shared * self.shape.head_dim);
        let (weight, _) = self.project_in.tensors()?;
        let all = step.product(&x.normed, weight)?;
        let (keys, values) = (all.narrow(1, inner, of_keys)?, all.narrow(1, inner + of_keys, of_keys)?);
        step.extend(group, [&keys, &values], [None, None], frequencies)?;
        let attended = step.attend(group, &all.narrow(1, 0, inner)?, None, frequencies, 1)?;
        self.project_out.step(step, &attended, x, next)
    }
}

// === impl GatedMlp ===

impl GatedMlp {
    /// In a step: added to `x`. `next`: the norm of what comes after it.
    pub fn step(&self, step: &mut Step<'_>, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let (weight, _) = self.gate_up.tensors()?;
        let both = step.product(&x.normed, weight)?;
        let inner = step.swiglu(&both)?;
        self.down.step(step, &inner, x, next)
    }
}
