//! The network where an accelerator repeats its step: one column of every sequence, by kernels that do as much as they can at once.

use candle_core::{Result, Tensor};

use super::{
    backbone::{Backbone, Layer, Mixer},
    code_model::CodeModel,
    sequence::Sequence,
};
use crate::nn::{
    Frequencies, Linear, Mamba2State, NormWeights, Residual, StateRow, Step,
    llama::{self, StepInput},
};

// === impl CodeModel ===

impl CodeModel {
    /// Feeds each sequence the sum of as many rows of the table of codes. Of each the logits of all books, `[sequences, books * codes]`
    /// in single precision, until the next step. `None`: they are not fed like that, and nothing was done.
    pub(super) fn step_on_device(&self, fed: &[u32], sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        let input = StepInput { tokens: fed, table: &self.codes, positions: None };
        self.backbone.step(input, &self.heads, sequences)
    }
}

// === impl Backbone ===

impl Backbone {
    fn step(&self, input: StepInput<'_>, head: &Linear, sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        let Some(repeating) = &self.repeating else { return Ok(None) };
        let (mut attending, remembered): (Vec<_>, Vec<_>) = sequences.iter_mut().map(|it| it.parts()).unzip();
        let Some(states) = states(&remembered) else { return Ok(None) };
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| &layer.norm).weights();
        repeating.run(input, &mut attending, &states, &|step| {
            let x = input.embed(step, norm_of(0)?)?;
            for (at, layer) in self.layers.iter().enumerate() {
                step.begin_layer();
                layer.step(step, &x, repeating.frequencies(), norm_of(at + 1)?)?;
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
        x: &Residual,
        frequencies: Option<&Frequencies>,
        next: NormWeights<'_>,
    ) -> Result<()> {
        let after = self.mlp.as_ref().map_or(Ok(next), |mlp| mlp.norm().weights())?;
        match &self.mixer {
            Mixer::Attention(at, attention) => attention.step(step, *at, x, frequencies, after)?,
            Mixer::StateSpace(at, mixer) => mixer.step(step, *at, x, after)?,
        }
        self.mlp.as_ref().map_or(Ok(()), |mlp| mlp.step(step, x, next))
    }
}

// === impl Sequence ===

impl Sequence {
    /// What grows, and what does not.
    fn parts(&mut self) -> (&mut llama::Sequence, &[Mamba2State]) {
        (&mut self.attention, &self.states)
    }
}

/// Of each state-space layer what every sequence remembers. `None`: it is not where an accelerator's kernels have it.
fn states<'a>(sequences: &[&'a [Mamba2State]]) -> Option<Vec<Vec<StateRow<'a>>>> {
    let layers = sequences.first().map_or(0, |states| states.len());
    let layer = |at: usize| sequences.iter().map(|states| states[at].row()).collect();
    (0..layers).map(layer).collect()
}
