//! The decoder where an accelerator repeats its step: one token of every row, by kernels that do as much as they can at once.

use candle_core::{DType, Result, Tensor};

use super::{
    cross_attention::CrossAttention,
    decoder::{Decoder, Layer},
};
use crate::nn::{
    NormWeights, Residual, Step,
    attention::{Slot, Slots, cross_attention_group, self_attention_group},
};

// === impl Decoder ===

impl Decoder {
    /// Feeds tokens to rows; the logits after the last token of each, `[rows, vocabulary]`, until the next step. Who is fed one token
    /// takes a step with all others of whom that holds, whoever is fed more meanwhile.
    pub fn logits_on_device(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Tensor> {
        let (steps, prompts): (Vec<_>, Vec<_>) = (0..rows.len()).partition(|at| rows[*at].1.len() == 1);
        let of = |places: &[usize]| places.iter().map(|at| rows[*at]).collect::<Vec<_>>();
        if prompts.is_empty() {
            return self.stepped(slots, rows);
        }
        slots.check(rows)?;
        let read = self.last_logits(slots, &of(&prompts))?;
        if steps.is_empty() {
            return Ok(read);
        }
        let stepped = self.stepped(slots, &of(&steps))?;
        let order = Tensor::new(places(&prompts, &steps), stepped.device())?;
        Tensor::cat(&[read.to_dtype(DType::F32)?, stepped.to_dtype(DType::F32)?], 0)?.index_select(&order, 0)
    }

    fn stepped(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Tensor> {
        match self.step(slots, rows)? {
            Some(logits) => Ok(logits),
            None => self.last_logits(slots, rows),
        }
    }

    /// The logits of the next token of every row, `[rows, vocabulary]` in single precision, until the next step. `None`: these rows
    /// are not fed like that.
    fn step(&self, slots: &mut Slots, rows: &[(&Slot, &[u32])]) -> Result<Option<Tensor>> {
        let vocabulary = self.tokens.vocabulary();
        if let Some(token) =
            rows.iter().flat_map(|(_, tokens)| tokens.iter()).find(|token| **token as usize >= vocabulary)
        {
            candle_core::bail!("there is no token {token}: there are {vocabulary}");
        }
        slots.step(self.positions.id(), rows, &|step| self.ask(step))
    }

    fn ask(&self, step: &mut Step<'_>) -> Result<Tensor> {
        let table = self.tokens.tensor()?;
        let norm_of = |at: usize| self.layers.get(at).map_or(&self.norm, |layer| layer.self_attention.norm()).weights();
        let x = step.embed(table, self.scale as f32, Some(&self.positions), norm_of(0)?)?;
        for (at, layer) in self.layers.iter().enumerate() {
            step.begin_layer();
            layer.step(step, at, &x, norm_of(at + 1)?)?;
        }
        step.logits(&x.normed, table)
    }
}

/// Of each row in turn: where it is among those that come first and those that come then.
fn places(first: &[usize], then: &[usize]) -> Vec<u32> {
    let mut places: Vec<(usize, u32)> = first.iter().chain(then).copied().zip(0..).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

// === impl Layer ===

impl Layer {
    fn step(&self, step: &mut Step<'_>, at: usize, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        self.self_attention.step(step, self_attention_group(at), x, self.cross_attention.norm.weights()?)?;
        self.cross_attention.step(step, cross_attention_group(at), x, self.mlp.norm().weights()?)?;
        self.mlp.step(step, x, next)
    }
}

// === impl CrossAttention ===

impl CrossAttention {
    fn step(&self, step: &mut Step<'_>, group: usize, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let (weight, bias) = self.queries.tensors()?;
        let queries = step.product(&x.normed, weight)?;
        let attended = step.attend(group, &queries, bias, None, 0)?;
        self.out.step(step, &attended, x, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_finds_its_own() {
        let (prompts, steps) = ([1, 4], [0, 2, 3]);
        let together = [prompts.as_slice(), &steps].concat();
        let found: Vec<usize> = places(&prompts, &steps).into_iter().map(|place| together[place as usize]).collect();
        assert_eq!(found, [0, 1, 2, 3, 4]);
    }
}
