//! Activations, number by number, in place.

use super::{
    math::{exp, gelu, sweep},
    simd::{Lanes, vectorised},
};

vectorised! {
    /// `x σ(x)`
    pub fn silu(row: &mut [f32]) = silu_row
}

vectorised! {
    /// `x tanh(ln(1 + eˣ))`
    pub fn mish(row: &mut [f32]) = mish_row
}

vectorised! {
    /// `x`, below 0 `eˣ - 1`
    pub fn elu(row: &mut [f32]) = elu_row
}

vectorised! {
    /// `x Φ(x)`
    pub fn gelu_erf(row: &mut [f32]) = gelu_erf_row
}

vectorised! {
    /// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`
    pub fn gelu_tanh(row: &mut [f32]) = gelu_tanh_row
}

vectorised! {
    /// `x`, below 0 `slope x`
    pub fn leaky_relu(row: &mut [f32], slope: f32) = leaky_relu_row
}

vectorised! {
    /// `x + sin²(α x) / α`, with one α a channel: each of `frames` has as many numbers as `alpha` and `inverse`.
    pub fn snake(frames: &mut [f32], alpha: &[f32], inverse: &[f32]) = snake_frames
}

#[inline(always)]
unsafe fn silu_row<V: Lanes>(row: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        sweep!(row, 0.0, |x| V::div(x, V::add(V::splat(1.0), exp(V::sub(V::splat(0.0), x)))));
    }
}

/// With `e = eˣ`, `tanh(ln(1 + e))` is `n / (n + 2)` of `n = e (e + 2)`, which is 1 long before `n` is too large.
#[inline(always)]
unsafe fn mish_row<V: Lanes>(row: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        sweep!(row, 0.0, |x| {
            let e = exp(V::min(x, V::splat(20.0)));
            let n = V::mul(e, V::add(e, V::splat(2.0)));
            V::mul(x, V::div(n, V::add(n, V::splat(2.0))))
        });
    }
}

#[inline(always)]
unsafe fn elu_row<V: Lanes>(row: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        let zero = V::splat(0.0);
        sweep!(row, 0.0, |x| V::add(V::max(x, zero), V::sub(exp(V::min(x, zero)), V::splat(1.0))));
    }
}

#[inline(always)]
unsafe fn gelu_erf_row<V: Lanes>(row: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        sweep!(row, 0.0, |x| gelu(x));
    }
}

/// `(1 + tanh u) / 2` is `σ(2u)`.
#[inline(always)]
unsafe fn gelu_tanh_row<V: Lanes>(row: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        let twice = V::splat(-2.0 * (2.0 / std::f32::consts::PI).sqrt());
        sweep!(row, 0.0, |x| {
            let cubic = V::fma(V::mul(x, x), V::mul(x, V::splat(0.044_715)), x);
            V::div(x, V::add(V::splat(1.0), exp(V::mul(twice, cubic))))
        });
    }
}

#[inline(always)]
unsafe fn leaky_relu_row<V: Lanes>(row: &mut [f32], slope: f32) {
    // SAFETY: as the caller's.
    unsafe {
        let (zero, slope) = (V::splat(0.0), V::splat(slope));
        sweep!(row, 0.0, |x| V::fma(V::min(x, zero), slope, V::max(x, zero)));
    }
}

#[inline(always)]
unsafe fn snake_frames<V: Lanes>(frames: &mut [f32], alpha: &[f32], inverse: &[f32]) {
    let channels = alpha.len();
    assert!(inverse.len() == channels, "a channel has one of both");
    let whole = channels - channels % V::WIDTH;
    for frame in frames.chunks_exact_mut(channels) {
        for at in (0..whole).step_by(V::WIDTH) {
            // SAFETY: as the caller's; from here on there is a whole vector of each.
            unsafe {
                let x = V::load(frame.as_ptr().add(at));
                let square = sin_squared(V::mul(x, V::load(alpha.as_ptr().add(at))));
                V::store(V::fma(square, V::load(inverse.as_ptr().add(at)), x), frame.as_mut_ptr().add(at));
            }
        }
        for at in whole..channels {
            frame[at] += (frame[at] * alpha[at]).sin().powi(2) * inverse[at];
        }
    }
}

/// `sin²(y)`, to about 2e-7 where `|y|` is below some thousands: it repeats every π, which is taken off in two parts, and
/// the sine between -π/2 and π/2 is its Taylor series.
#[inline(always)]
unsafe fn sin_squared<V: Lanes>(y: V) -> V {
    // SAFETY: as the caller's.
    unsafe {
        let turns = V::round(V::mul(y, V::splat(std::f32::consts::FRAC_1_PI)));
        let r = V::fma(turns, V::splat(-3.140_625), y);
        let r = V::fma(turns, V::splat(-9.676_536e-4), r);
        let square = V::mul(r, r);
        let mut series = V::splat(-1.0 / 39_916_800.0);
        for factor in [1.0 / 362_880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0] {
            series = V::fma(series, square, V::splat(factor));
        }
        let sine = V::mul(series, r);
        V::mul(sine, sine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::detect::SimdLevel;

    fn check(name: &str, own: impl Fn(SimdLevel, &mut [f32]), exact: impl Fn(f64) -> f64) {
        let inputs: Vec<f32> = (-3001..=3000).map(|i| i as f32 / 100.0).collect();
        for &level in SimdLevel::available() {
            let mut row = inputs.clone();
            own(level, &mut row);
            for (&x, y) in inputs.iter().zip(row) {
                let exact = exact(x.into());
                let error = (f64::from(y) - exact).abs();
                assert!(error < 1e-6 * exact.abs().max(1.0), "{name}, {level:?}: of {x} it is {exact}, not {y}");
            }
        }
    }

    #[test]
    fn each_is_what_it_says() {
        check("silu", silu, |x| x / (1.0 + (-x).exp()));
        check("mish", mish, |x| x * x.exp().ln_1p().tanh());
        check("elu", elu, |x| if x > 0.0 { x } else { x.exp_m1() });
        check("leaky_relu", |level, row| leaky_relu(level, row, 0.1), |x| if x > 0.0 { x } else { 0.1 * x });
        let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        check("gelu_tanh", gelu_tanh, |x| 0.5 * x * (1.0 + inner(x).tanh()));
        for alpha in [0.3, 1.0, 7.5] {
            let own = |level, row: &mut [f32]| {
                let channels = row.len();
                snake(level, row, &vec![alpha; channels], &vec![1.0 / alpha; channels]);
            };
            // The product with α is rounded, which the sine of a large number shows.
            check("snake", own, |x| {
                let y = f64::from(x as f32 * alpha);
                x + y.sin().powi(2) / f64::from(alpha)
            });
        }
    }
}
