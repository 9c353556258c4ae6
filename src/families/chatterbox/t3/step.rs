//! T3 where an accelerator repeats its step: a token of every sequence, by kernels that do as much as they can at once.

use candle_core::{Result, Tensor};

use super::{
    backbone::Backbone,
    gpt2::{Gpt2, Layer},
    net::T3,
};
use crate::nn::{
    Embedding, Linear, NormWeights, Residual, Step,
    llama::{Sequence, StepInput, positions},
};

// === impl T3 ===

impl T3 {
    /// Feeds each sequence a token of speech, at a position among those. Of each the logits of the next, until the next step.
    /// `None`: they are not fed like that, and nothing was done.
    pub fn repeat(&self, tokens: &[u32], places: &[u32], sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        let learned = self.embeddings.positions.as_ref().map(|learned| (places, &learned.speech));
        let input = StepInput { tokens, table: &self.embeddings.speech, positions: learned };
        self.backbone.step(input, &self.head, sequences)
    }
}

// === impl Backbone ===

impl Backbone {
    /// Takes each sequence a position further. Of each what `head` makes of the state.
    pub fn step(&self, input: StepInput<'_>, head: &Linear, sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        match self {
            Self::Llama(llama) => llama.step(input, head, sequences),
            Self::Gpt2(gpt2) => gpt2.step(input.tokens, input.table, head, sequences),
        }
    }
}

// === impl Gpt2 ===

impl Gpt2 {
    /// The positions are its own.
    fn step(
        &self,
        tokens: &[u32],
        table: &Embedding,
        head: &Linear,
        sequences: &mut [&mut Sequence],
    ) -> Result<Option<Tensor>> {
        let Some(repeating) = &self.repeating else { return Ok(None) };
        let places = positions(sequences, 1);
        let input = StepInput { tokens, table, positions: Some((&places, &self.positions)) };
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| layer.attention.norm()).weights();
        repeating.run(input, sequences, &[], &|step| {
            let x = input.embed(step, norm_of(0)?)?;
            for (at, layer) in self.layers.iter().enumerate() {
                step.begin_layer();
                layer.step(step, at, &x, norm_of(at + 1)?)?;
            }
            head.step_logits(step, &x.normed)
        })
    }
}

// === impl Layer ===

impl Layer {
    fn step(&self, step: &mut Step<'_>, at: usize, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        self.attention.step(step, at, x, self.mlp.norm().weights()?)?;
        self.mlp.step(step, x, next)
    }
}
