//! A position more for every sequence where an accelerator repeats its steps.

use candle_core::Result;

use super::{Mamba2, Mamba2Sizes, Mamba2State, States};
use crate::gpu::{NormWeights, Residual, StateRow, StateSpaceInputs, Step};

// === impl Mamba2 ===

impl Mamba2 {
    /// In a step: a position more for the states of a `group`, and what is read there, added to `x`. `next`: the norm of what comes
    /// after it.
    pub fn step(&self, step: &mut Step<'_>, group: usize, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let Mamba2Sizes { inner, heads, .. } = self.sizes;
        let channels = self.sizes.channels();
        let (weight, _) = self.project_in.tensors()?;
        let all = step.product(&x.normed, weight)?;
        let (gate, mixed) = (all.narrow(1, 0, inner)?, all.narrow(1, inner, channels)?);
        let dt = all.narrow(1, inner + channels, heads)?;
        let inputs = StateSpaceInputs { gate: &gate, mixed: &mixed, dt: &dt };
        let read = step.advance(group, inputs, self.conv.tensors()?, &self.heads.all)?;
        step.norm(&read, self.norm.weights()?)?;
        self.project_out.step(step, &read, x, next)
    }
}

// === impl Mamba2State ===

impl Mamba2State {
    /// As the kernels of an accelerator take it; `None`: it is none of an accelerator's.
    pub fn row(&self) -> Option<StateRow<'_>> {
        match &self.states {
            States::Plain(numbers) => Some(StateRow { window: &self.conv, numbers }),
            States::Kernel(..) => None,
        }
    }
}
