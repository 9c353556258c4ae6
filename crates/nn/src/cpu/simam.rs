//! Numbers weighed by how far they are from the mean of their channel.

use super::{
    math::exp,
    simd::{Lanes, vectorised},
};

vectorised! {
    /// `max(0, x σ(scale (x - mean)² + ½) + beside)` into `out`. `means` and `scales` have one number a channel; the others
    /// have as many places of so many channels.
    pub fn weigh(x: &[f32], means: &[f32], scales: &[f32], beside: &[f32], out: &mut [f32]) = weigh_places
}

#[inline(always)]
unsafe fn weigh_places<V: Lanes>(x: &[f32], means: &[f32], scales: &[f32], beside: &[f32], out: &mut [f32]) {
    let channels = means.len();
    assert!(scales.len() == channels && x.len() == out.len() && beside.len() == out.len(), "sizes differ");
    let whole = channels - channels % V::WIDTH;
    let places = out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(beside.chunks_exact(channels));
    for ((out, x), beside) in places {
        for at in (0..whole).step_by(V::WIDTH) {
            // SAFETY: as the caller's; from here on there is a whole vector of each.
            unsafe {
                let x = V::load(x.as_ptr().add(at));
                let far = V::sub(x, V::load(means.as_ptr().add(at)));
                let energy = V::fma(V::mul(far, far), V::load(scales.as_ptr().add(at)), V::splat(0.5));
                let below = V::add(V::splat(1.0), exp(V::sub(V::splat(0.0), energy)));
                let sum = V::add(V::div(x, below), V::load(beside.as_ptr().add(at)));
                V::store(V::max(sum, V::splat(0.0)), out.as_mut_ptr().add(at));
            }
        }
        for at in whole..channels {
            let energy = (x[at] - means[at]).powi(2) * scales[at] + 0.5;
            out[at] = (x[at] / (1.0 + (-energy).exp()) + beside[at]).max(0.0);
        }
    }
}
