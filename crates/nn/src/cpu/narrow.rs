//! Weights in another type than the file's.
//!
//! What is published as `f32` is often `f16`, written wide. Kept as what it is it takes half the memory, and a product that
//! waits for memory half the time.

use std::{
    any::TypeId,
    io,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use memmap2::MmapMut;
use rayon::prelude::*;

use super::{
    detect::SimdLevel,
    element::Element,
    simd::{Lanes, vectorised},
};
use crate::weights::data::{WeightData, with_data};

/// Numbers that one task takes.
const BLOCK: usize = 1 << 16;

/// Each part as `E`, to the nearest. A part that is `E` already stays where it lies.
pub fn rounded<E: Element>(level: SimdLevel, parts: &[WeightData]) -> io::Result<Vec<Bytes>> {
    let all = all_as::<E>(level, parts, false)?;
    Ok(all.unwrap_or_else(|| unreachable!("a number that is rounded always fits")))
}

/// [`rounded`], unless a number would not stay what it is. Then it ends early: among weights that were trained in f32 the
/// first ones tell.
pub fn exact<E: Element>(level: SimdLevel, parts: &[WeightData]) -> io::Result<Option<Vec<Bytes>>> {
    all_as::<E>(level, parts, true)
}

fn all_as<E: Element>(level: SimdLevel, parts: &[WeightData], exactly: bool) -> io::Result<Option<Vec<Bytes>>> {
    let as_is = |part: &WeightData| with_data!(part, T, bytes => (TypeId::of::<T>() == TypeId::of::<E>()).then(|| bytes.clone()));
    let converted = |part: &WeightData| with_data!(part, T, bytes => converted::<T, E>(level, bytes, exactly));
    parts.iter().map(|part| as_is(part).map_or_else(|| converted(part), |bytes| Ok(Some(bytes)))).collect()
}

/// Into memory of its own, which is the system's again as soon as it is let go.
fn converted<S: Element, E: Element>(level: SimdLevel, from: &[u8], exactly: bool) -> io::Result<Option<Bytes>> {
    let mut to = MmapMut::map_anon(from.len() / size_of::<S>() * size_of::<E>())?;
    #[cfg(target_os = "linux")]
    // Fewer and larger pages come faster. Where the system has none, small ones do.
    let _ = to.advise(memmap2::Advice::HugePage);
    let refused = AtomicBool::new(false);
    let blocks = to.par_chunks_mut(BLOCK * size_of::<E>()).zip(from.par_chunks(BLOCK * size_of::<S>()));
    blocks.for_each(|(to, from)| {
        if !refused.load(Relaxed) && !convert::<S, E>(level, from, to) && exactly {
            refused.store(true, Relaxed);
        }
    });
    Ok((!refused.into_inner()).then_some(Bytes::from_owner(to.make_read_only()?)))
}

vectorised! {
    /// As many numbers `S` as there are, to the nearest `E`. Whether each is what it was.
    fn convert<S: Element, E: Element>(from: &[u8], to: &mut [u8]) -> bool = convert_there
}

#[inline(always)]
unsafe fn convert_there<V: Lanes, S: Element, E: Element>(from: &[u8], to: &mut [u8]) -> bool {
    let count = from.len() / size_of::<S>();
    assert!(to.len() >= count * size_of::<E>(), "{} bytes for {count} numbers", to.len());
    let (from, to) = (from.as_ptr().cast::<S>(), to.as_mut_ptr().cast::<E>());
    let (whole, mut same) = (count - count % V::WIDTH, true);
    // SAFETY: there are so many numbers, and so much room.
    unsafe {
        for at in (0..whole).step_by(V::WIDTH) {
            let number = S::load::<V>(from.add(at));
            E::store::<V>(number, to.add(at));
            same &= V::equal(E::load::<V>(to.add(at)), number);
        }
        for at in whole..count {
            let number = from.add(at).read_unaligned().to_f32();
            to.add(at).write_unaligned(E::from_f32(number));
            same &= to.add(at).read_unaligned().to_f32() == number;
        }
    }
    same
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    /// Enough for two tasks, and no whole number of vectors.
    const COUNT: usize = BLOCK + 77;

    fn numbers(bytes: &Bytes) -> Vec<f32> {
        WeightData::F16(bytes.clone()).to_vec()
    }

    #[test]
    fn halves_that_were_written_wide_are_halves_again() {
        let wide: Vec<f32> = (0..COUNT).map(|i| (i % 2000) as f32 / 8.0 - 100.0).collect();
        let narrow = Bytes::from(wide.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect::<Vec<u8>>());
        for &level in SimdLevel::available() {
            let parts = [wide.clone().into(), WeightData::F16(narrow.clone())];
            let halves = exact::<f16>(level, &parts).unwrap().unwrap();
            assert_eq!(numbers(&halves[0]), wide, "{level:?}");
            assert_eq!(halves[1].as_ptr(), narrow.as_ptr(), "what is a half already stays where it lies");
        }
    }

    #[test]
    fn a_number_that_would_change_is_refused_or_rounded() {
        for &level in SimdLevel::available() {
            for at in [0, 40, COUNT - 1] {
                let mut wide = vec![1.0; COUNT];
                wide[at] = 0.1;
                let parts = [wide.into()];
                assert!(exact::<f16>(level, &parts).unwrap().is_none(), "{level:?}, {at}");
                assert!(exact::<bf16>(level, &parts).unwrap().is_none(), "{level:?}, {at}");
                let halves = rounded::<f16>(level, &parts).unwrap();
                assert_eq!(numbers(&halves[0])[at], f16::from_f32(0.1).to_f32(), "{level:?}, {at}");
            }
            assert!(exact::<f16>(level, &[vec![f32::NAN].into()]).unwrap().is_none(), "{level:?}");
        }
    }
}
