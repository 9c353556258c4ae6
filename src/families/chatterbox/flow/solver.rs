//! From noise to a mel, in steps of Euler.

use std::f64::consts::FRAC_PI_2;

use candle_core::{DType, Result, Tensor};

use super::{estimator::Estimator, stack::Stack};
use crate::nn::ComputeContext;

/// Where the steps lie between time 0, noise, and time 1, the mel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// `1 - cos(π/2 · s)`: small steps first.
    Cosine,
    Linear,
}

/// What the mel depends on.
pub struct Problem {
    /// `[frames, bands]`
    pub mean: Tensor,
    /// `[1, bands]`
    pub speaker: Tensor,
    /// The mel of the first frames: `[prompt, bands]`, not more than there are.
    pub prompt: Tensor,
    /// `[frames, bands]`, row by row.
    pub noise: Vec<f32>,
}

// === impl Schedule ===

impl Schedule {
    /// From 0 to 1, one more than steps.
    pub fn times(self, steps: usize) -> Vec<f32> {
        let time = |step: usize| {
            let share = step as f64 / steps as f64;
            match self {
                Self::Cosine => 1.0 - (FRAC_PI_2 * share).cos(),
                Self::Linear => share,
            }
        };
        (0..=steps).map(|step| time(step) as f32).collect()
    }
}

// === impl Problem ===

impl Problem {
    /// What the estimator sees beside the state: mean, speaker and prompt side by side, `[frames, 3 * bands]`; and zeros
    /// below if it is to estimate without a condition as well.
    fn condition(&self, context: &ComputeContext, guided: bool) -> Result<Tensor> {
        let (frames, bands) = self.mean.dims2()?;
        let dtype = context.activations();
        let prompt = self.prompt.to_device(&context.device)?.to_dtype(dtype)?;
        let prompt = prompt.pad_with_zeros(0, 0, frames - prompt.dim(0)?)?;
        let speaker = self.speaker.broadcast_as((frames, bands))?;
        let condition = Tensor::cat(&[&self.mean, &speaker, &prompt], 1)?;
        if guided { condition.pad_with_zeros(0, 0, frames) } else { Ok(condition) }
    }
}

/// The mel, `[frames, bands]` in `f32`; none if `stop` says so meanwhile.
pub fn solve(
    estimator: &Estimator,
    context: &ComputeContext,
    problem: Problem,
    times: &[f32],
    cfg_rate: f32,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Tensor>> {
    let (frames, bands) = problem.mean.dims2()?;
    let guided = cfg_rate != 0.0;
    let stack = Stack { sequences: if guided { 2 } else { 1 }, frames };
    let condition = problem.condition(context, guided)?;
    let mut memory = estimator.memory(stack, context)?;
    let mut state = Tensor::from_vec(problem.noise, (frames, bands), &context.device)?;
    for step in times.windows(2) {
        let seen = state.to_dtype(context.activations())?;
        let seen = if guided { Tensor::cat(&[&seen, &seen], 0)? } else { seen };
        let seen = Tensor::cat(&[&seen, &condition], 1)?;
        let estimate = estimator.forward(context, &seen, (step[0], step[1]), &mut memory, stop)?;
        let Some(estimate) = estimate else { return Ok(None) };
        let direction = guide(&estimate.to_dtype(DType::F32)?, frames, cfg_rate)?;
        state = (state + direction.affine(f64::from(step[1] - step[0]), 0.0)?)?;
    }
    Ok(Some(state))
}

/// Classifier-free guidance: past the estimate with the condition, away from the one without it.
fn guide(estimate: &Tensor, frames: usize, cfg_rate: f32) -> Result<Tensor> {
    if cfg_rate == 0.0 {
        return Ok(estimate.clone());
    }
    let (with, without) = (estimate.narrow(0, 0, frames)?, estimate.narrow(0, frames, frames)?);
    let rate = f64::from(cfg_rate);
    with.affine(1.0 + rate, 0.0)? - without.affine(rate, 0.0)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_from_noise_to_mel() {
        assert_eq!(Schedule::Linear.times(2), [0.0, 0.5, 1.0]);
        let cosine = Schedule::Cosine.times(3);
        for (time, expected) in cosine.iter().zip([0.0, 0.133_974_6, 0.5, 1.0]) {
            assert!((time - expected).abs() < 1e-6, "{cosine:?}");
        }
    }
}
