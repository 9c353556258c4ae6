//! From the rows of a file to panels, in one pass over the file's own bytes.
//!
//! The layout of a file, row after row, is not the one that the kernels read (see `panels`), so weights cannot be used
//! where they are mapped. They are read there, once, by every thread of the pool, and each panel is written once: a load
//! moves about as many bytes as a copy of the file would.

use std::{
    any::TypeId,
    mem::{self, MaybeUninit},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rayon::prelude::*;

use super::{
    numbers::{Numbers, Stored, with_numbers},
    panels::{PANEL, panels},
    simd::Element,
};

/// Numbers of a row that are taken at a time: a line of the cache holds as many halves, and a panel's share of them
/// stays in the first-level cache while its columns are filled in.
const BLOCK: usize = 32;

/// Lays the rows of all parts, one after the other, out in panels. Each is `[rows, depth]`; a number that `E` does not
/// hold is rounded.
pub(super) fn pack<E: Element>(parts: &[Numbers<'_>], depth: usize) -> Vec<E> {
    lay_out(parts, depth, |number| Some(E::from_f32(number)))
        .unwrap_or_else(|| unreachable!("a number that is rounded always fits"))
}

/// [`pack`], unless a number would not stay what it is. Then it ends early: among weights that were trained in f32 the
/// first ones tell.
pub(super) fn pack_exactly<E: Element>(parts: &[Numbers<'_>], depth: usize) -> Option<Vec<E>> {
    lay_out(parts, depth, |number| {
        let narrow = E::from_f32(number);
        (narrow.to_f32() == number).then_some(narrow)
    })
}

fn lay_out<E: Element>(
    parts: &[Numbers<'_>],
    depth: usize,
    convert: impl Fn(f32) -> Option<E> + Sync,
) -> Option<Vec<E>> {
    let rows: Vec<Numbers<'_>> = parts.iter().flat_map(|part| rows(*part, depth)).collect();
    let size = panels(rows.len()) * depth * PANEL;
    let (mut data, refused) = (Vec::with_capacity(size), AtomicBool::new(false));
    let places = &mut data.spare_capacity_mut()[..size];
    places.par_chunks_mut(depth * PANEL).zip(rows.par_chunks(PANEL)).for_each(|(panel, rows)| {
        if !refused.load(Relaxed) && fill(panel, rows, depth, &convert).is_none() {
            refused.store(true, Relaxed);
        }
    });
    if refused.into_inner() {
        return None;
    }
    // SAFETY: there is a panel for every `PANEL` rows, and `fill` wrote each of them whole.
    unsafe { data.set_len(size) };
    Some(data)
}

/// Writes a whole panel: its columns are `rows`, and zeros where there are fewer.
fn fill<E: Element>(
    panel: &mut [MaybeUninit<E>],
    rows: &[Numbers<'_>],
    depth: usize,
    convert: &impl Fn(f32) -> Option<E>,
) -> Option<()> {
    for (block, places) in panel.chunks_mut(BLOCK * PANEL).enumerate() {
        let first = block * BLOCK;
        let count = BLOCK.min(depth - first);
        for (column, row) in rows.iter().enumerate() {
            let slots = places[column..].iter_mut().step_by(PANEL);
            with_numbers!(*row, T, bytes => {
                let numbers = bytes[first * T::SIZE..][..count * T::SIZE].chunks_exact(T::SIZE);
                for (slot, number) in slots.zip(numbers) {
                    let number = T::read(number);
                    slot.write(match same(number) {
                        Some(same) => same,
                        None => convert(number.widen())?,
                    });
                }
            });
        }
        for column in rows.len()..PANEL {
            for slot in places[column..].iter_mut().step_by(PANEL) {
                slot.write(E::from_f32(0.0));
            }
        }
    }
    Some(())
}

/// The number itself, if both types are one; known when this is compiled.
#[inline(always)]
fn same<T: Stored, E: Element>(number: T) -> Option<E> {
    // SAFETY: a type is copied to itself.
    (TypeId::of::<T>() == TypeId::of::<E>()).then(|| unsafe { mem::transmute_copy(&number) })
}

fn rows(part: Numbers<'_>, depth: usize) -> Vec<Numbers<'_>> {
    match part {
        Numbers::F32(bytes) => bytes.chunks_exact(depth * size_of::<f32>()).map(Numbers::F32).collect(),
        Numbers::F16(bytes) => bytes.chunks_exact(depth * 2).map(Numbers::F16).collect(),
        Numbers::Bf16(bytes) => bytes.chunks_exact(depth * 2).map(Numbers::Bf16).collect(),
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn every_number_of_every_part_has_its_place_and_the_rest_is_zero() {
        let (depth, first, second) = (70, 33, 8);
        let number = |row: usize, at: usize| ((row * 100 + at) % 2000) as f32 / 8.0;
        let wide: Vec<f32> = (0..first * depth).map(|i| number(i / depth, i % depth)).collect();
        let halves = (0..second * depth).map(|i| f16::from_f32(number(i / depth, i % depth)));
        let narrow: Vec<u8> = halves.flat_map(f16::to_le_bytes).collect();
        let packed: Vec<f16> = pack_exactly(&[Numbers::of(&wide), Numbers::F16(&narrow)], depth).unwrap();
        assert_eq!(packed.len(), 2 * depth * PANEL);
        for row in 0..2 * PANEL {
            for at in 0..depth {
                let found = packed[row / PANEL * depth * PANEL + at * PANEL + row % PANEL].to_f32();
                let expected = match row {
                    _ if row < first => number(row, at),
                    _ if row < first + second => number(row - first, at),
                    _ => 0.0,
                };
                assert_eq!(found, expected, "row {row}, number {at}");
            }
        }
    }

    #[test]
    fn a_number_that_would_change_is_refused_or_rounded() {
        let numbers = [1.0, 0.1];
        assert!(pack_exactly::<f16>(&[Numbers::of(&numbers)], 2).is_none());
        assert_eq!(pack::<f16>(&[Numbers::of(&numbers)], 2)[PANEL], f16::from_f32(0.1));
        assert_eq!(pack_exactly::<f32>(&[Numbers::of(&numbers)], 2).unwrap()[PANEL], 0.1);
    }
}
