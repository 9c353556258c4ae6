//! What stays from one step of a decoder to the next, where an accelerator repeats it.

use candle_core::{Device, Result, Tensor};
use parking_lot::Mutex;

use super::sequence::{HeadShape, Sequence};
use crate::{
    context::ComputeContext,
    embedding::Embedding,
    gpu::{CacheSizes, Frequencies, NormWeights, Residual, StateRow, Step, StepTable, Steps},
    rope::Rope,
};

/// What steps of a decoder need beside its weights.
#[derive(Debug)]
pub struct Repeating {
    // A lock of a section without waiting, and of one thread: that of the model.
    steps: Mutex<Steps>,
    frequencies: Option<Frequencies>,
    sizes: CacheSizes,
    device: Device,
}

/// What each sequence is fed in a step, and by what it is embedded.
#[derive(Clone, Copy, Debug)]
pub struct StepInput<'a> {
    /// As many of each sequence, sequence after sequence, of which the sum is fed.
    pub tokens: &'a [u32],
    /// A row for each token.
    pub table: &'a Embedding,
    /// Where such are learnt: that of each sequence, and a row for each.
    pub positions: Option<(&'a [u32], &'a Embedding)>,
}

// === impl Repeating ===

impl Repeating {
    /// Of a decoder whose heads are turned so, if they are. `None`: that is no device on which steps are repeated.
    pub fn new(rope: Option<&Rope>, shape: HeadShape, context: &ComputeContext) -> Result<Option<Self>> {
        if !context.device.is_cuda() {
            return Ok(None);
        }
        let frequencies = |rope: &Rope| {
            let (numbers, pairing) = rope.frequencies();
            Frequencies::new(numbers, pairing, &context.device)
        };
        let frequencies = rope.map(frequencies).transpose()?;
        let sizes = CacheSizes { heads: shape.shared, head_dim: shape.head_dim };
        Ok(Some(Self { steps: Mutex::new(Steps::new(1)), frequencies, sizes, device: context.device.clone() }))
    }

    /// How fast each pair of numbers of a head turns, for [`GroupedAttention::step`](super::GroupedAttention::step).
    pub fn frequencies(&self) -> Option<&Frequencies> {
        self.frequencies.as_ref()
    }

    /// Takes each of some sequences a position further, by what `ask` asks of an accelerator: always the same for the decoder with
    /// this table, but for what is fed and the caches, of which those of a layer are the group of its number. `states`: of each
    /// state-space layer, where there are such, what the sequences remember there. What comes out stays as it is until the next step.
    /// `None`: they are not fed like that, and nothing was done.
    pub fn run(
        &self,
        input: StepInput<'_>,
        sequences: &mut [&mut Sequence],
        states: &[Vec<StateRow<'_>>],
        ask: &dyn Fn(&mut Step<'_>) -> Result<Tensor>,
    ) -> Result<Option<Tensor>> {
        input.check(sequences.len())?;
        let Some(table) = self.table(&input, sequences, states)? else { return Ok(None) };
        let out = self.steps.lock().run(input.table.tensor()?.id(), &self.device, &table, ask)?;
        for cache in sequences.iter_mut().flat_map(|sequence| &mut sequence.caches) {
            cache.stepped();
        }
        Ok(Some(out))
    }

    fn table(
        &self,
        input: &StepInput<'_>,
        sequences: &[&mut Sequence],
        states: &[Vec<StateRow<'_>>],
    ) -> Result<Option<StepTable>> {
        let mut table = StepTable::of_sums(sequences.len(), input.fed(sequences.len()));
        let layers = sequences.first().map_or(0, |sequence| sequence.caches.len());
        for layer in 0..layers {
            let rows = sequences.iter().map(|sequence| sequence.caches.get(layer)?.row_with_room());
            let Some(rows) = rows.collect::<Option<Vec<_>>>() else { return Ok(None) };
            if !table.push(&rows, self.sizes)? {
                return Ok(None);
            }
        }
        states.iter().try_for_each(|rows| table.push_states(rows))?;
        Ok(Some(table))
    }
}

// === impl StepInput ===

impl StepInput<'_> {
    /// The beginning of what is asked for. `norm`: that of the first layer.
    pub fn embed(&self, step: &mut Step<'_>, norm: NormWeights<'_>) -> Result<Residual> {
        let positions = self.positions.map(|(_, table)| table.tensor()).transpose()?;
        step.embed(self.table.tensor()?, 1.0, positions, norm)
    }

    /// The kernels look nothing up that is not there.
    fn check(&self, sequences: usize) -> Result<()> {
        let all = |ids: &[u32], table: &Embedding| ids.iter().all(|id| (*id as usize) < table.len());
        let placed = self.positions.is_none_or(|(places, table)| places.len() == sequences && all(places, table));
        let whole = !self.tokens.is_empty() && self.tokens.len().is_multiple_of(sequences);
        if !whole || !placed || !all(self.tokens, self.table) {
            candle_core::bail!("{:?} cannot be fed to {sequences} sequences", self.tokens);
        }
        Ok(())
    }

    /// Token and position.
    fn fed(&self, sequences: usize) -> impl Iterator<Item = (u32, u32)> {
        let each = (self.tokens.len() / sequences).max(1);
        let position = move |at: usize| self.positions.map_or(0, |(places, _)| places[at / each]);
        self.tokens.iter().enumerate().map(move |(at, token)| (*token, position(at)))
    }
}
