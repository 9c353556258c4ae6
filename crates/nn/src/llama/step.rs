//! The network where an accelerator repeats its step: one token of every sequence, by kernels that do as much as they can at once.

use candle_core::{Result, Tensor};

use super::{attention::GroupedAttention, layer::Layer, mlp::GatedMlp, model::Llama, sequence::Sequence};
use crate::gpu::{CacheSizes, NormWeights, Residual, Step, StepTable};

// === impl Llama ===

impl Llama {
    /// [`Self::forward`] of one token for each sequence; what comes out stays as it is until the next step. `None`: these are not fed
    /// like that, and nothing was done.
    pub(super) fn step(&self, tokens: &[u32], sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        let Some(repeating) = self.repeating.as_ref().filter(|_| tokens.len() == sequences.len()) else {
            return Ok(None);
        };
        let Some(table) = self.table(tokens, sequences)? else { return Ok(None) };
        let table_of_words = self.words.tensor()?;
        let ask = |step: &mut Step<'_>| self.ask(step, &repeating.frequencies);
        let hidden = repeating.steps.lock().run(table_of_words.id(), &self.context.device, &table, &ask)?;
        for cache in sequences.iter_mut().flat_map(|sequence| &mut sequence.caches) {
            cache.stepped();
        }
        Ok(Some(hidden))
    }

    fn table(&self, tokens: &[u32], sequences: &[&mut Sequence]) -> Result<Option<StepTable>> {
        let fed = tokens.iter().zip(sequences).map(|(token, sequence)| (*token, sequence.len() as u32));
        let mut table = StepTable::new(fed);
        let sizes = CacheSizes { heads: self.shape.shared, head_dim: self.shape.head_dim };
        for layer in 0..self.layers.len() {
            let rows = sequences.iter().map(|sequence| sequence.caches.get(layer)?.row_with_room());
            let Some(rows) = rows.collect::<Option<Vec<_>>>() else { return Ok(None) };
            if !table.push(&rows, sizes)? {
                return Ok(None);
            }
        }
        Ok(Some(table))
    }

    fn ask(&self, step: &mut Step<'_>, frequencies: &Tensor) -> Result<Tensor> {
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| &layer.norm).weights();
        let x = step.embed(self.words.tensor()?, 1.0, None, norm_of(0)?)?;
        for (at, layer) in self.layers.iter().enumerate() {
            step.begin_layer();
            layer.step(step, at, &x, frequencies, norm_of(at + 1)?)?;
        }
        Ok(x.normed)
    }
}

// === impl Layer ===

impl Layer {
    fn step(
        &self,
        step: &mut Step<'_>,
        at: usize,
        x: &Residual,
        frequencies: &Tensor,
        next: NormWeights<'_>,
    ) -> Result<()> {
        self.attention.step(step, at, x, frequencies, self.mlp.norm.weights()?)?;
        self.mlp.step(step, x, next)
    }
}

// === impl GroupedAttention ===

impl GroupedAttention {
    /// `group`: of caches.
    fn step(
        &self,
        step: &mut Step<'_>,
        group: usize,
        x: &Residual,
        frequencies: &Tensor,
        next: NormWeights<'_>,
    ) -> Result<()> {
        let (inner, of_keys) = (self.shape.heads * self.shape.head_dim, self.shape.shared * self.shape.head_dim);
        let (weight, _) = self.project_in.tensors()?;
        let all = step.product(&x.normed, weight)?;
        let (keys, values) = (all.narrow(1, inner, of_keys)?, all.narrow(1, inner + of_keys, of_keys)?);
        step.extend(group, [&keys, &values], [None, None], Some(frequencies))?;
        let attended = step.attend(group, &all.narrow(1, 0, inner)?, None, Some(frequencies), 1)?;
        self.project_out.step(step, &attended, x, next)
    }
}

// === impl GatedMlp ===

impl GatedMlp {
    fn step(&self, step: &mut Step<'_>, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let (weight, _) = self.gate_up.tensors()?;
        let both = step.product(&x.normed, weight)?;
        let inner = step.swiglu(&both)?;
        self.down.step(step, &inner, x, next)
    }
}
