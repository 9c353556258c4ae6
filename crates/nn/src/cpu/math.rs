//! Exponential, softmax, GELU, SwiGLU and norms on rows of numbers.

use super::{
    element::Element,
    simd::{Lanes, vectorised},
};

vectorised! {
    /// Turns scores into probabilities, in place.
    pub fn softmax(row: &mut [f32]) = softmax_row
}

vectorised! {
    /// `(row - mean) / sqrt(variance + epsilon) * weight + bias` into `out`. All of one length.
    pub fn layer_norm(row: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) = layer_norm_row
}

vectorised! {
    /// `row / sqrt(mean of squares + epsilon) * weight` into `out`. All of one length.
    pub fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = rms_norm_row
}

vectorised! {
    /// `gate * sigmoid(gate) * up` into `gate`. Both of one length.
    pub fn swiglu(gate: &mut [f32], up: &[f32]) = swiglu_row
}

vectorised! {
    /// `row * scale` as `E`, to the nearest. Both of one length.
    pub fn convert<E: Element>(row: &[f32], scale: f32, out: &mut [E]) = convert_row
}

#[inline(always)]
unsafe fn convert_row<V: Lanes, E: Element>(row: &[f32], scale: f32, out: &mut [E]) {
    let (from, rest) = row.split_at(row.len() - row.len() % V::WIDTH);
    let (to, rest_to) = out.split_at_mut(from.len());
    for (from, to) in from.chunks_exact(V::WIDTH).zip(to.chunks_exact_mut(V::WIDTH)) {
        // SAFETY: chunks hold one vector.
        unsafe { E::store(V::mul(V::load(from.as_ptr()), V::splat(scale)), to.as_mut_ptr()) }
    }
    for (x, to) in rest.iter().zip(rest_to) {
        *to = E::from_f32(x * scale);
    }
}

/// Replaces each vector `x` of a row by an expression; the last, partial one is filled up with `padding`.
///
/// Not a function that takes a closure: a closure is compiled without the vector instructions of its surroundings.
macro_rules! sweep {
    ($row:expr, $padding:expr, |$x:ident| $new:expr) => {
        let row: &mut [f32] = $row;
        let whole = row.len() - row.len() % V::WIDTH;
        let (body, tail) = row.split_at_mut(whole);
        for chunk in body.chunks_exact_mut(V::WIDTH) {
            let $x = V::load(chunk.as_ptr());
            V::store($new, chunk.as_mut_ptr());
        }
        if !tail.is_empty() {
            // No vector is longer than 16.
            let mut last = [$padding; 16];
            last[..tail.len()].copy_from_slice(tail);
            let $x = V::load(last.as_ptr());
            V::store($new, last.as_mut_ptr());
            tail.copy_from_slice(&last[..tail.len()]);
        }
    };
}

pub(super) use sweep;

/// The lanes, folded with `op`.
#[inline(always)]
pub(super) unsafe fn fold<V: Lanes>(vector: V, op: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; 16];
    // SAFETY: no vector is longer than 16.
    unsafe { V::store(vector, lanes.as_mut_ptr()) };
    lanes[1..V::WIDTH].iter().fold(lanes[0], |a, &b| op(a, b))
}

#[inline(always)]
unsafe fn softmax_row<V: Lanes>(row: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        let mut most = V::splat(f32::NEG_INFINITY);
        sweep!(row, f32::NEG_INFINITY, |x| {
            most = V::max(most, x);
            x
        });
        let most = V::splat(fold(most, f32::max));
        let mut sum = V::splat(0.0);
        sweep!(row, f32::NEG_INFINITY, |x| {
            let x = exp(V::sub(x, most));
            sum = V::add(sum, x);
            x
        });
        let share = V::splat(1.0 / fold(sum, |a, b| a + b));
        sweep!(row, 0.0, |x| V::mul(x, share));
    }
}

#[inline(always)]
unsafe fn layer_norm_row<V: Lanes>(row: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    out.copy_from_slice(row);
    let size = row.len() as f32;
    // SAFETY: as the caller's.
    unsafe {
        let mut sum = V::splat(0.0);
        sweep!(out, 0.0, |x| {
            sum = V::add(sum, x);
            x
        });
        let mean = fold(sum, |a, b| a + b) / size;
        let mut squares = V::splat(0.0);
        sweep!(out, mean, |x| {
            let x = V::sub(x, V::splat(mean));
            squares = V::fma(x, x, squares);
            x
        });
        let scale = V::splat(1.0 / (fold(squares, |a, b| a + b) / size + epsilon).sqrt());
        sweep!(out, 0.0, |x| V::mul(x, scale));
    }
    for ((x, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
        *x = *x * weight + bias;
    }
}

#[inline(always)]
unsafe fn rms_norm_row<V: Lanes>(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    out.copy_from_slice(row);
    // SAFETY: as the caller's.
    unsafe {
        let mut squares = V::splat(0.0);
        sweep!(out, 0.0, |x| {
            squares = V::fma(x, x, squares);
            x
        });
        let scale = V::splat(1.0 / (fold(squares, |a, b| a + b) / row.len() as f32 + epsilon).sqrt());
        sweep!(out, 0.0, |x| V::mul(x, scale));
    }
    for (x, weight) in out.iter_mut().zip(weight) {
        *x *= weight;
    }
}

#[inline(always)]
unsafe fn swiglu_row<V: Lanes>(gate: &mut [f32], up: &[f32]) {
    // SAFETY: as the caller's.
    unsafe {
        sweep!(gate, 0.0, |x| V::div(x, V::add(V::splat(1.0), exp(V::sub(V::splat(0.0), x)))));
    }
    for (x, up) in gate.iter_mut().zip(up) {
        *x *= up;
    }
}

/// `e^x`, relative error about 1e-7; below -87 it is 0. The polynomial is the Taylor series to the seventh term on
/// [-ln 2 / 2, ln 2 / 2].
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: as the caller's.
    unsafe {
        let x = V::max(V::min(x, V::splat(88.0)), V::splat(-88.0));
        let n = V::max(V::round(V::mul(x, V::splat(std::f32::consts::LOG2_E))), V::splat(-127.0));
        // ln 2 in two parts, the first with trailing zeros so that its product with n is exact (Cody and Waite).
        let r = V::fma(n, V::splat(-0.693_359_4), x);
        let r = V::fma(n, V::splat(2.121_944_4e-4), r);
        let mut series = V::splat(1.0 / 5040.0);
        for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            series = V::fma(series, r, V::splat(factor));
        }
        V::mul(series, V::exp2_whole(n))
    }
}

/// `x Φ(x)`, with the error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn gelu<V: Lanes>(x: V) -> V {
    // SAFETY: as the caller's.
    unsafe {
        let z = V::mul(V::max(x, V::sub(V::splat(0.0), x)), V::splat(std::f32::consts::FRAC_1_SQRT_2));
        let t = V::div(V::splat(1.0), V::fma(z, V::splat(0.327_591_1), V::splat(1.0)));
        let mut series = V::splat(1.061_405_4);
        for factor in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6, 0.0] {
            series = V::fma(series, t, V::splat(factor));
        }
        // For negative x, x Φ(x) = x/2 erfc(z); for positive ones it is x minus that with the sign turned.
        let rest = V::mul(V::mul(series, exp(V::sub(V::splat(0.0), V::mul(z, z)))), V::splat(0.5));
        let size = V::mul(z, V::splat(std::f32::consts::SQRT_2));
        V::sub(V::max(x, V::splat(0.0)), V::mul(size, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::detect::SimdLevel;

    vectorised! { fn gelu_all(row: &mut [f32]) = gelu_row }

    unsafe fn gelu_row<V: Lanes>(row: &mut [f32]) {
        // SAFETY: as this function's.
        unsafe {
            sweep!(row, 0.0, |x| gelu(x));
        }
    }

    /// The series of the error function, in f64.
    fn erf(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn gelu_is_the_exact_one_at_every_level() {
        let inputs: Vec<f32> = (-500..=500).map(|i| i as f32 / 100.0).collect();
        for &level in SimdLevel::available() {
            let mut row = inputs.clone();
            gelu_all(level, &mut row);
            for (x, y) in inputs.iter().zip(row) {
                let exact = f64::from(*x) * 0.5 * (1.0 + erf(f64::from(*x) / 2f64.sqrt()));
                assert!((f64::from(y) - exact).abs() < 5e-7, "{level:?}: gelu({x}) is {exact}, not {y}");
            }
        }
    }

    #[test]
    fn softmax_sums_to_one_and_survives_extremes() {
        for &level in SimdLevel::available() {
            let mut row: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin() * 30.0).collect();
            row[5] = f32::NEG_INFINITY;
            row[6] = -1e30;
            let exact: Vec<f64> = row.iter().map(|&x| f64::from(x).exp()).collect();
            let total: f64 = exact.iter().sum();
            softmax(level, &mut row);
            for (x, y) in row.iter().zip(exact) {
                assert!((f64::from(*x) - y / total).abs() < 1e-6, "{level:?}: {x} is not {}", y / total);
            }
        }
    }

    #[test]
    fn layer_norm_is_exact_far_from_zero() {
        let row: Vec<f32> = (0..45).map(|i| 1000.0 + (i as f32).sin()).collect();
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / 45.0;
        let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 45.0;
        for &level in SimdLevel::available() {
            let mut out = vec![0.0; 45];
            layer_norm(level, &row, &[2.0; 45], &[0.5; 45], 1e-5, &mut out);
            for (x, y) in row.iter().zip(out) {
                let exact = (f64::from(*x) - mean) / (variance + 1e-5).sqrt() * 2.0 + 0.5;
                assert!((f64::from(y) - exact).abs() < 1e-3, "{level:?}: {exact}, not {y}");
            }
        }
    }
}
