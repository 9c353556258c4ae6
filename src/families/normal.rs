//! Numbers of the normal distribution.

use std::f32::consts::TAU;

use rand::{Rng, rngs::StdRng};

/// Two independent ones (Box and Muller).
fn pair(rng: &mut StdRng) -> [f32; 2] {
    let (above_zero, turn) = (1.0 - rng.random::<f32>(), TAU * rng.random::<f32>());
    let radius = (-2.0 * above_zero.ln()).sqrt();
    [radius * turn.cos(), radius * turn.sin()]
}

/// As many as there is room for.
pub fn fill(rng: &mut StdRng, numbers: &mut [f32]) {
    numbers.chunks_mut(2).for_each(|two| two.copy_from_slice(&pair(rng)[..two.len()]));
}
