use half::{bf16, f16};

use super::{super::matrix::Rows, block::BLOCK, level::ByteLevel, product::multiply_with, weights::Q8Error, *};
use crate::{
    cpu::{detect::SimdLevel, epilogue::KernelEpilogue},
    weights::data::WeightData,
};

/// From -2 to 2, with bits to lose.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / (u32::MAX / 4) as f32 - 2.0
    };
    (0..count).map(|_| next()).collect()
}

/// Every way to multiply bytes, with the vectors that it is found under.
fn levels() -> Vec<(SimdLevel, ByteLevel)> {
    let all = SimdLevel::available().iter();
    all.flat_map(|&level| ByteLevel::available(level).map(move |bytes| (level, bytes))).collect()
}

fn product(levels: (SimdLevel, ByteLevel), a: Rows<'_>, b: &Q8Weights, epilogue: KernelEpilogue<'_>) -> Vec<f32> {
    multiply_with(levels.1, levels.0, a, b, epilogue)
}

/// A row as the kernels see it.
fn quantized(row: &[f32]) -> Vec<f64> {
    let block = |block: &[f32]| {
        let largest = block.iter().fold(0f32, |most, x| most.max(x.abs()));
        let number = move |&x: &f32| f64::from((x * (127.0 / largest)).round_ties_even()) * f64::from(largest / 127.0);
        block.iter().map(number).collect::<Vec<_>>()
    };
    row.chunks(BLOCK).flat_map(block).collect()
}

/// Parts of so many columns each, of the types that files have, in turn.
fn parts(numbers: &[f32], depth: usize, of_parts: &[usize]) -> Vec<WeightData> {
    let mut rest = numbers;
    let part = |(at, columns): (usize, &usize)| {
        let numbers = rest.split_off(..columns * depth).expect("numbers for every part");
        match at % 3 {
            0 => WeightData::from(numbers.to_vec()),
            1 => WeightData::F16(numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()),
            _ => WeightData::Bf16(numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect()),
        }
    };
    of_parts.iter().enumerate().map(part).collect()
}

#[test]
fn a_product_is_that_of_the_quantised_numbers_for_every_size_and_cut() {
    for (rows, depth, of_parts) in [
        (1, 1, &[1][..]),
        (1, 24, &[167]),
        (2, 33, &[32]),
        (3, 64, &[31, 1, 64]),
        (5, 100, &[5, 5, 5]),
        (8, 320, &[70]),
        (13, 96, &[40, 55, 3]),
        (230, 70, &[300]),
    ] {
        let columns = of_parts.iter().sum();
        let (a, b) = (numbers(rows * depth, 1), numbers(columns * depth, 2));
        let (bias, add) = (numbers(columns, 3), numbers(rows * columns, 4));
        let epilogue = KernelEpilogue { bias: Some(&bias), gelu: false, add: Some(Rows::new(&add, columns)) };
        let left = a.chunks(depth).map(quantized).collect::<Vec<_>>();
        for levels in levels() {
            let weights = Q8Weights::new(levels.0, &parts(&b, depth, of_parts), depth).unwrap();
            assert_eq!((weights.columns(), weights.depth()), (columns, depth));
            let found = product(levels, Rows::new(&a, depth), &weights, epilogue);
            for column in 0..columns {
                let of_column = weights.column(column).map(f64::from).collect::<Vec<_>>();
                for (row, left) in left.iter().enumerate() {
                    let exact = left.iter().zip(&of_column).map(|(a, b)| a * b).sum::<f64>()
                        + f64::from(bias[column])
                        + f64::from(add[row * columns + column]);
                    let found = f64::from(found[row * columns + column]);
                    let what = format!("{levels:?}, {rows} x {depth} x {of_parts:?}, {row}, {column}");
                    assert!((found - exact).abs() < 1e-4 * depth as f64, "{what}: {found}, not {exact}");
                }
            }
        }
    }
}

#[test]
fn all_ways_to_multiply_bytes_give_the_same_whole_numbers() {
    let (rows, depth, columns) = (7, 32, 64);
    // With a largest of 127 in each block the scales are 1, and every sum is a whole number that f32 holds.
    let whole = |count: usize, seed: u32| {
        let mut numbers = numbers(count, seed).iter().map(|x| (x * 63.0).round()).collect::<Vec<_>>();
        numbers.iter_mut().step_by(depth).for_each(|x| *x = -127.0);
        numbers
    };
    let (a, b) = (whole(rows * depth, 1), whole(columns * depth, 2));
    let extremes = vec![127.0; columns * depth];
    for b in [b, extremes] {
        for levels in levels() {
            let weights = Q8Weights::new(levels.0, &[b.clone().into()], depth).unwrap();
            let found = product(levels, Rows::new(&a, depth), &weights, KernelEpilogue::default());
            let dot = |at: usize| {
                let pairs = a[at / columns * depth..][..depth].iter().zip(&b[at % columns * depth..][..depth]);
                pairs.map(|(a, b)| a * b).sum::<f32>()
            };
            assert_eq!(found, (0..rows * columns).map(dot).collect::<Vec<_>>(), "{levels:?}");
        }
    }
}

#[test]
fn a_weight_is_off_by_half_a_step_at_most() {
    let depth = 100;
    let magnitudes = [1e-30, 1e-6, 1.0, 1e20];
    for &level in SimdLevel::available() {
        for magnitude in magnitudes {
            let b = numbers(3 * depth, 5).iter().map(|x| x * magnitude).collect::<Vec<_>>();
            let weights = Q8Weights::new(level, &[b.clone().into()], depth).unwrap();
            for (column, b) in b.chunks(depth).enumerate() {
                let found = weights.column(column).collect::<Vec<_>>();
                for (found, b) in found.chunks(BLOCK).zip(b.chunks(BLOCK)) {
                    let largest = b.iter().fold(0f32, |most, x| most.max(x.abs()));
                    for (found, b) in found.iter().zip(b) {
                        // A scale that is rounded up is longer by less than 2⁻⁷.
                        let most = largest / 127.0 * (0.5 + 1.0 / 256.0 + 1e-5);
                        assert!((found - b).abs() <= most, "{level:?}, {magnitude}: {found} for {b} of {largest}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_has_the_same_sums_whatever_rows_it_is_among_and_on_however_many_threads() {
    let (rows, depth, columns) = (101, 300 + 7, 107);
    let (a, b) = (numbers(rows * depth, 1), numbers(columns * depth, 2));
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let pools = [pool(1), pool(3)];
    for levels in levels() {
        let weights = Q8Weights::new(levels.0, &[b.clone().into()], depth).unwrap();
        let of = |first: usize, rows: usize, pool: &rayon::ThreadPool| {
            let rows = Rows::new(&a[first * depth..][..rows * depth], depth);
            pool.install(|| product(levels, rows, &weights, KernelEpilogue::default()))
        };
        let alone = (0..rows).flat_map(|row| of(row, 1, &pools[0])).collect::<Vec<_>>();
        for pool in &pools {
            for rows in [1, 2, 3, 4, 5, 6, 7, 11, 23, 24, 25, 97, rows] {
                assert!(of(0, rows, pool) == alone[..rows * columns], "{levels:?}, {rows} rows");
            }
        }
    }
}

#[test]
fn what_is_not_finite_is_refused_in_weights_and_spoils_only_its_row() {
    let depth = 40;
    for levels in levels() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut b = numbers(3 * depth, 2);
            let weights = Q8Weights::new(levels.0, &[b.clone().into()], depth).unwrap();
            b[2 * depth + 35] = bad;
            let refused = Q8Weights::new(levels.0, &[b.into()], depth);
            assert!(matches!(refused, Err(Q8Error::NotFinite)), "{levels:?}, {bad}");
            let mut a = numbers(3 * depth, 1);
            a[depth + 3] = bad;
            let found = product(levels, Rows::new(&a, depth), &weights, KernelEpilogue::default());
            assert_eq!(
                found.chunks(3).map(|row| row.iter().all(|x| x.is_nan())).collect::<Vec<_>>(),
                [false, true, false]
            );
        }
    }
}

#[test]
fn a_matrix_unit_is_given_the_same_weights_in_bf16() {
    let Some(&level) = SimdLevel::available().iter().find(|level| level.has_tiles()) else { return };
    // A weight is often as near to one as to another: away from zero.
    let rounded = |x: f32| f64::from(f32::from_bits((x.to_bits() + 0x8000) & 0xffff_0000));
    for (rows, depth, columns) in [(128, 1, 1), (130, 33, 70), (131, 320, 95), (1500, 64, 32)] {
        let (a, b) = (numbers(rows * depth, 1), numbers(columns * depth, 2));
        let (bias, add) = (numbers(columns, 3), numbers(rows * columns, 4));
        let epilogue = KernelEpilogue { bias: Some(&bias), gelu: false, add: Some(Rows::new(&add, columns)) };
        let weights = Q8Weights::new(level, &[b.into()], depth).unwrap();
        let found = multiply(level, Rows::new(&a, depth), &weights, epilogue);
        let on_bytes = product((level, ByteLevel::of(level)), Rows::new(&a, depth), &weights, epilogue);
        assert!(depth == 1 || found != on_bytes, "it was not the matrix unit");
        for (column, bias) in bias.iter().enumerate() {
            let of_column = weights.column(column).map(rounded).collect::<Vec<_>>();
            for (row, a) in a.chunks(depth).enumerate() {
                let exact = a.iter().zip(&of_column).map(|(&a, b)| rounded(a) * b).sum::<f64>();
                let at = row * columns + column;
                let exact = exact + f64::from(*bias) + f64::from(add[at]);
                let off = (f64::from(found[at]) - exact).abs();
                assert!(off < 1e-4 * (depth as f64).sqrt(), "{rows} x {depth} x {columns}, {at}: {off} from {exact}");
            }
        }
    }
}
