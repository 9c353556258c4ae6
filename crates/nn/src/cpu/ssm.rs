//! The states of a head of a state-space model, from one position to the next.

use super::{
    math::fold,
    simd::{Lanes, vectorised},
};

/// What moves a head by one position.
#[derive(Clone, Copy)]
pub struct HeadStep<'a> {
    /// What is left of the states: from 0 to 1.
    pub decay: f32,
    /// How much of the input comes in.
    pub step: f32,
    /// What passes by the states.
    pub skip: f32,
    /// `[head_dim]`
    pub x: &'a [f32],
    /// What the input is written with, and the states are read with: `[state]` each.
    pub b: &'a [f32],
    pub c: &'a [f32],
}

vectorised! {
    /// `states = states * decay + (step * x) ⊗ b`, then `out = states · c + skip * x`. `states`: `[head_dim, state]`; `out`:
    /// `[head_dim]`.
    pub fn advance(of: HeadStep<'_>, states: &mut [f32], out: &mut [f32]) = advance_there
}

#[inline(always)]
unsafe fn advance_there<V: Lanes>(of: HeadStep<'_>, states: &mut [f32], out: &mut [f32]) {
    let HeadStep { decay, step, skip, x, b, c } = of;
    let size = b.len();
    assert!(c.len() == size && x.len() == out.len() && states.len() == x.len() * size, "a head's sizes do not match");
    let whole = size - size % V::WIDTH;
    for ((states, out), x) in states.chunks_exact_mut(size.max(1)).zip(out).zip(x) {
        let input = step * x;
        // SAFETY: as the caller's; each of the three has a whole vector from here on.
        let mut sum = unsafe {
            let mut sum = V::splat(0.0);
            for at in (0..whole).step_by(V::WIDTH) {
                let state = V::mul(V::load(states.as_ptr().add(at)), V::splat(decay));
                let state = V::fma(V::splat(input), V::load(b.as_ptr().add(at)), state);
                V::store(state, states.as_mut_ptr().add(at));
                sum = V::fma(state, V::load(c.as_ptr().add(at)), sum);
            }
            fold(sum, |a, b| a + b)
        };
        for at in whole..size {
            states[at] = states[at] * decay + input * b[at];
            sum += states[at] * c[at];
        }
        *out = sum + skip * x;
    }
}
