//! The network where an accelerator repeats its step: a column of every row, by kernels that do as much as they can at once.

use candle_core::{Result, Tensor};

use super::{
    layer::{Layer, Part},
    model::HiggsNet,
};
use crate::nn::llama::{Sequence, StepInput};

// === impl HiggsNet ===

impl HiggsNet {
    /// Feeds each sequence a column, `[sequences, books]`. Of each the logits of every book of the next, one after another, until the
    /// next step. `None`: they are not fed like that, and nothing was done.
    pub(super) fn repeat(&self, columns: &[u32], sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        let tokens = self.in_table(columns);
        let input = StepInput { tokens: &tokens, table: &self.codes, positions: None };
        self.repeat_as(|layer| &layer.audio, input, sequences)
    }

    /// The same of anything that is embedded by a table, each of which is of rows of one kind.
    pub(super) fn repeat_as(
        &self,
        part: impl Fn(&Layer) -> &Part,
        input: StepInput<'_>,
        sequences: &mut [&mut Sequence],
    ) -> Result<Option<Tensor>> {
        let Some(repeating) = &self.repeating else { return Ok(None) };
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| &part(layer).attention_norm).weights();
        repeating.run(input, sequences, &[], &|step| {
            let x = input.embed(step, norm_of(0)?)?;
            for (at, layer) in self.layers.iter().enumerate() {
                let mlp = &part(layer).mlp;
                step.begin_layer();
                layer.attention.step(step, at, &x, repeating.frequencies(), mlp.norm().weights()?)?;
                mlp.step(step, &x, norm_of(at + 1)?)?;
            }
            self.head.step_logits(step, &x.normed)
        })
    }
}
