//! A transformer where an accelerator repeats its step: one column of every sequence, by kernels that do as much as they can at
//! once.

use candle_core::{Result, Tensor};

use super::{
    backbone::{Backbone, Layer, Mixer},
    code_model::CodeModel,
    sequence::Sequence,
};
use crate::nn::{Frequencies, Linear, NormWeights, Residual, Step, llama::StepInput};

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
        let mut sequences: Vec<_> = sequences.iter_mut().map(|sequence| &mut sequence.attention).collect();
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| &layer.norm).weights();
        repeating.run(input, &mut sequences, &|step| {
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
        let (Mixer::Attention(at, attention), Some(mlp)) = (&self.mixer, &self.mlp) else {
            candle_core::bail!("a layer does not attend")
        };
        attention.step(step, *at, x, frequencies, mlp.norm().weights()?)?;
        mlp.step(step, x, next)
    }
}
