//! The kernels, on the device of the stand-in driver, which runs their source on the CPU, beside candle's operations there. Only
//! our own kernels compute on it: what is compared comes from the host as it is.

use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};

use super::{
    CacheRow, CacheSizes, Frequencies, NormWeights, Step, StepTable, Steps, attend, decode::ROWS, extend, finish,
    staging::PIECE, to_host, upload,
};
use crate::{
    activation::Gelu,
    attention::{KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, attend_grouped},
    context::ComputeContext,
    rope::{Pairing, Rope},
    weights::data::WeightData,
};

mod divided;
mod prompts;

const TYPES: [(DType, f32); 3] = [(DType::F32, 1e-5), (DType::F16, 4e-3), (DType::BF16, 3e-2)];

fn numbers(count: usize, seed: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.37 + seed).sin() * 2.0).collect()
}

/// The same on the CPU, rounded to a type, and on the device.
fn pair(shape: &[usize], seed: f32, dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
    pair_of(&Tensor::from_vec(numbers(shape.iter().product(), seed), shape, &Device::Cpu)?, dtype, device)
}

fn pair_of(x: &Tensor, dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
    let (data, shape) = (x.flatten_all()?.to_vec1::<f32>()?, x.dims());
    let here = x.to_dtype(dtype)?.to_dtype(DType::F32)?;
    let there = match dtype {
        DType::F16 => Tensor::from_vec(data.into_iter().map(f16::from_f32).collect::<Vec<_>>(), shape, device)?,
        DType::BF16 => Tensor::from_vec(data.into_iter().map(bf16::from_f32).collect::<Vec<_>>(), shape, device)?,
        _ => Tensor::from_vec(data, shape, device)?,
    };
    Ok((here, there))
}

/// To the host as it is: a device that computes nothing cannot convert it.
fn here(x: &Tensor) -> Result<Vec<f32>> {
    let x = x.flatten_all()?;
    Ok(match x.dtype() {
        DType::F16 => x.to_vec1::<f16>()?.into_iter().map(f16::to_f32).collect(),
        DType::BF16 => x.to_vec1::<bf16>()?.into_iter().map(bf16::to_f32).collect(),
        _ => x.to_vec1::<f32>()?,
    })
}

fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) -> Result<()> {
    let (found, expected) = (here(found)?, here(expected)?);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let most = tolerance * expected.abs().max(1.0);
        assert!((found - expected).abs() <= most, "{what}, {at}: {found}, not {expected}");
    }
    Ok(())
}

/// Caches that grow by the kernel and are read by it, for rows of very different lengths, more than a launch takes, out of wider
/// rows as a fused projection leaves them.
#[test]
fn rows_attend_to_what_they_and_their_past_wrote() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let (heads, group, head_dim) = (2, 3, 32);
    let (width, queries_width) = (heads * head_dim, heads * group * head_dim);
    let sizes = CacheSizes { heads, head_dim };
    for (dtype, tolerance) in TYPES {
        let context = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let rows = ROWS + 3;
        let lengths: Vec<usize> = (0..rows).map(|row| row * row % 70).collect();
        let mut own = Vec::new();
        let mut plain = Vec::new();
        for (row, &len) in lengths.iter().enumerate() {
            let capacity = len + 1 + row % 5;
            let config = KvCacheConfig { heads, head_dim, capacity, dtype: KvCacheDtype::Full };
            plain.push(KvCache::new(&config, &context)?);
            let zeros = || Tensor::zeros((heads, capacity, head_dim), dtype, &device);
            own.push((zeros()?, zeros()?));
        }
        for step in 0..=lengths.iter().copied().max().unwrap_or(0) {
            let live: Vec<usize> = (0..rows).filter(|row| step <= lengths[*row]).collect();
            // Keys and values beside what is neither.
            let seed = step as f32;
            let (here, there) = pair(&[live.len(), 3 * width], seed, dtype, &device)?;
            for (at, &row) in live.iter().enumerate() {
                let part = |from: usize| here.narrow(0, at, 1)?.narrow(1, from, width)?.contiguous();
                plain[row].extend(&part(width)?, &part(2 * width)?)?;
            }
            let caches: Vec<_> = live.iter().map(|&row| row_of(&own[row], step)).collect();
            // Keys as a rotation leaves them, in rows of their own.
            let (_, keys) = pair_of(&here.narrow(1, width, width)?, dtype, &device)?;
            let values = there.narrow(1, 2 * width, width)?;
            assert!(extend(&keys, &values, &caches, sizes, 1.0 / (head_dim as f64).sqrt())?);
        }
        let (queries_here, queries_there) = pair(&[rows, queries_width + 8], 7.0, dtype, &device)?;
        let queries_here = queries_here.narrow(1, 8, queries_width)?.contiguous()?;
        let caches: Vec<_> = own.iter().zip(&lengths).map(|(cache, len)| row_of(cache, len + 1)).collect();
        let found = attend(&queries_there.narrow(1, 8, queries_width)?, &caches, sizes, group)?.expect("it fits");
        let sequence = |cache| SequenceQueries { cache, queries: 1, causal: true };
        let expected = attend_grouped(&queries_here, &plain.iter().map(sequence).collect::<Vec<_>>(), group)?;
        assert_close(&found, &expected, tolerance, &format!("{dtype:?}"))?;
    }
    Ok(())
}

fn row_of((keys, values): &(Tensor, Tensor), len: usize) -> CacheRow<'_> {
    CacheRow { keys, values, len }
}

/// Whichever numbers of a head are a pair, at every step, in rows that are at other positions.
#[test]
fn heads_turn_by_their_positions() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let context = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
    let (heads, group, head_dim, capacity) = (2, 3, 16, 40);
    let (width, queries) = (heads * head_dim, heads * group * head_dim);
    let before = [0, 30, 7];
    for (dtype, tolerance) in TYPES {
        for pairing in [Pairing::Halves, Pairing::Neighbours] {
            let rope = Rope::new(head_dim, 1e4, None, &context).paired(pairing);
            let (numbers, pairing) = rope.frequencies();
            let frequencies = Frequencies::new(numbers, pairing, &device)?;
            let (here, there) = pair(&[before.len(), queries + 2 * width], 1.0, dtype, &device)?;
            let part = |x: &Tensor, from, width| x.narrow(1, from, width);
            let (mut plain, mut own) = (Vec::new(), Vec::new());
            for len in before {
                let config = KvCacheConfig { heads, head_dim, capacity, dtype: KvCacheDtype::Full };
                let mut cache = KvCache::new(&config, &context)?;
                let nothing = Tensor::zeros((len, width), DType::F32, &Device::Cpu)?;
                if len > 0 {
                    cache.extend(&nothing, &nothing)?;
                }
                plain.push(cache);
                let zeros = || Tensor::zeros((heads, capacity, head_dim), dtype, &device);
                own.push((zeros()?, zeros()?));
            }
            let mut steps = Steps::new(before.len());
            for step in 0..4 {
                let rotation = rope.at(&before.map(|len| (len + step) as u32))?;
                let (turned, keys) = (rotation.apply(&part(&here, 0, queries)?)?, part(&here, queries, width)?);
                let (keys, values) = (rotation.apply(&keys)?, part(&here, queries + width, width)?.contiguous()?);
                for (row, cache) in plain.iter_mut().enumerate() {
                    cache.extend(&keys.narrow(0, row, 1)?, &values.narrow(0, row, 1)?)?;
                }
                let sequence = |cache| SequenceQueries { cache, queries: 1, causal: true };
                let expected = attend_grouped(&turned, &plain.iter().map(sequence).collect::<Vec<_>>(), group)?;

                let mut table = StepTable::new(before.iter().map(|_| (0, 0)));
                let rows: Vec<_> = own.iter().zip(before).map(|(cache, len)| row_of(cache, len + step)).collect();
                assert!(table.push(&rows, CacheSizes { heads, head_dim })?);
                let found = steps.run(there.id(), &device, &table, &|step| {
                    let new = [&part(&there, queries, width)?, &part(&there, queries + width, width)?];
                    step.extend(0, new, [None, None], Some(&frequencies))?;
                    step.attend(0, &part(&there, 0, queries)?, None, Some(&frequencies), 1)
                })?;
                assert_close(&found, &expected, tolerance, &format!("{dtype:?}, {pairing:?}, step {step}"))?;
                assert_eq!(steps.has_graph(before.len()), step > 0);
            }
        }
    }
    Ok(())
}

/// Several positions at once, of which there are then more than a block reads at once.
#[test]
fn long_caches_are_divided() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let (heads, head_dim, lengths) = (2, 16, [1, 1023, 1024, 1025, 5000]);
    let (width, longest) = (heads * head_dim, 5000);
    let sizes = CacheSizes { heads, head_dim };
    let scale = 1.0 / (head_dim as f64).sqrt();
    for (dtype, tolerance) in TYPES {
        let context = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let config = KvCacheConfig { heads, head_dim, capacity: longest, dtype: KvCacheDtype::Full };
        let mut plain = KvCache::new(&config, &context)?;
        // Ever larger scores, so that what was weighed before weighs ever less.
        let rising = |x: usize| (x as f32 * 0.37).sin() + x as f32 / (longest * width) as f32;
        let keys = Tensor::from_iter((0..longest * width).map(rising), &Device::Cpu)?.reshape((longest, width))?;
        let (keys_here, keys_there) = pair_of(&keys, dtype, &device)?;
        let (values_here, values_there) = pair(&[longest, width], 3.0, dtype, &device)?;
        plain.extend(&keys_here, &values_here)?;
        let zeros = || Tensor::zeros((heads, longest, head_dim), dtype, &device);
        let own = (zeros()?, zeros()?);
        assert!(extend(&keys_there, &values_there, &[row_of(&own, 0)], sizes, scale)?);
        let (queries_here, queries_there) = pair(&[lengths.len(), width], 7.0, dtype, &device)?;
        let rows = lengths.map(|len| row_of(&own, len));
        let found = attend(&queries_there, &rows, sizes, 1)?.expect("it fits");
        for (row, len) in lengths.into_iter().enumerate() {
            plain.truncate(longest);
            let mut part = KvCache::new(&config, &context)?;
            part.copy_from(&plain)?;
            part.truncate(len);
            let sequence = SequenceQueries { cache: &part, queries: 1, causal: false };
            let expected = attend_grouped(&queries_here.narrow(0, row, 1)?, &[sequence], 1)?;
            assert_close(&found.narrow(0, row, 1)?.contiguous()?, &expected, tolerance, &format!("{dtype:?}, {len}"))?;
        }
    }
    Ok(())
}

#[test]
fn sums_are_finished_in_place() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    for (dtype, tolerance) in TYPES {
        for (rows, columns) in [(1, 40), (3, 1500)] {
            let (bias_here, bias) = pair(&[columns], 1.0, dtype, &device)?;
            let (add_here, add) = pair(&[rows, columns], 2.0, dtype, &device)?;
            for case in 0..6 {
                let (sums_here, sums) = pair(&[rows, columns], 3.0, dtype, &device)?;
                let (biased, gelu, added) = (case % 2 == 1, case / 2 == 1, case / 2 == 2);
                let done = finish(&sums, biased.then_some(&bias), gelu, added.then_some(&add))?;
                assert!(done);
                let mut expected = sums_here;
                if biased {
                    expected = expected.broadcast_add(&bias_here)?;
                }
                if gelu {
                    expected = expected.gelu_erf()?;
                }
                if added {
                    expected = (expected + &add_here)?;
                }
                assert_close(&sums, &expected, tolerance, &format!("{dtype:?}, {rows} rows, case {case}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn what_the_kernels_do_not_do_is_left_to_others() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let zeros = |shape: (usize, usize, usize), dtype| Tensor::zeros(shape, dtype, &device);
    // A head that is no multiple of what is read at once, one that is more than a warp reads, and an unknown type.
    for (head_dim, len, dtype) in [(20, 4, DType::F16), (264, 4, DType::F16), (64, 4, DType::F64)] {
        let (keys, values) = (zeros((1, len, head_dim), dtype)?, zeros((1, len, head_dim), dtype)?);
        let queries = Tensor::zeros((1, head_dim), dtype, &device)?;
        let rows = [CacheRow { keys: &keys, values: &values, len }];
        assert!(
            attend(&queries, &rows, CacheSizes { heads: 1, head_dim }, 1)?.is_none(),
            "{head_dim}, {len}, {dtype:?}"
        );
    }
    let here = Tensor::zeros((2, 4), DType::F32, &Device::Cpu)?;
    assert!(!finish(&here, None, false, None)?);
    Ok(())
}

/// Weights of several types and sizes, more than the pieces hold at once, as the host would have them.
#[test]
fn weights_arrive_as_they_are_whatever_they_were() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let data = numbers(PIECE / 2 + 3, 1.0);
    let half = |dtype: DType| -> Result<WeightData> {
        let bytes: Vec<u8> = match dtype {
            DType::F16 => data.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect(),
            _ => data.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect(),
        };
        Ok(if dtype == DType::F16 { WeightData::F16(bytes.into()) } else { WeightData::Bf16(bytes.into()) })
    };
    let (singles, f16s, bf16s) = (WeightData::from(data.clone()), half(DType::F16)?, half(DType::BF16)?);
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        // The last is not where a number of four bytes may begin.
        let parts = [singles.part(0..5), f16s.clone(), singles.clone(), bf16s.part(1..100)];
        let expected = parts.iter().flat_map(WeightData::to_vec).collect::<Vec<_>>();
        let shape = [expected.len()];
        let expected = Tensor::from_vec(expected, &shape, &Device::Cpu)?.to_dtype(dtype)?;
        let sent = upload(&parts, dtype, &shape, &device)?.expect("a way to the device");
        assert_eq!((sent.dtype(), sent.dims()), (dtype, &shape[..]));
        assert!(here(&sent)? == here(&expected)?, "{dtype:?}");
    }
    assert!(upload(&[singles], DType::F64, &[data.len()], &device)?.is_none(), "no weights are in it");
    Ok(())
}

/// The smallest decoder: an embedding, and what is likely after it.
struct Small {
    tokens: Tensor,
    positions: Tensor,
    norm: Tensor,
    here: [Tensor; 3],
}

impl Small {
    fn new(dtype: DType, device: &Device) -> Result<Self> {
        let (tokens_here, tokens) = pair(&[7, 24], 1.0, dtype, device)?;
        let (positions_here, positions) = pair(&[9, 24], 2.0, dtype, device)?;
        let (norm_here, norm) = pair(&[24], 3.0, dtype, device)?;
        Ok(Self { tokens, positions, norm, here: [tokens_here, positions_here, norm_here] })
    }

    fn embed(&self, step: &mut Step<'_>) -> Result<Tensor> {
        let norm = NormWeights { weight: &self.norm, shift: Some(&self.norm), epsilon: 1e-5 };
        Ok(step.embed(&self.tokens, 0.5, Some(&self.positions), norm)?.normed)
    }

    fn ask(&self, step: &mut Step<'_>) -> Result<Tensor> {
        let normed = self.embed(step)?;
        step.logits(&normed, &self.tokens)
    }

    fn expected(&self, fed: &[(u32, u32)]) -> Result<Tensor> {
        self.expected_of(fed, 1)
    }

    /// Of so many tokens of each row.
    fn expected_of(&self, fed: &[(u32, u32)], each: usize) -> Result<Tensor> {
        let [tokens, positions, norm] = &self.here;
        let ids: Vec<u32> = fed.iter().map(|(id, _)| *id).collect();
        let places: Vec<u32> = fed.iter().step_by(each).map(|(_, place)| *place).collect();
        let chosen = |table: &Tensor, ids: Vec<u32>| table.index_select(&Tensor::new(ids, &Device::Cpu)?, 0);
        let sums = chosen(tokens, ids)?.reshape((places.len(), each, ()))?.sum(1)?;
        let x = ((sums * 0.5)? + chosen(positions, places)?)?;
        candle_nn::ops::layer_norm(&x, norm, norm, 1e-5)?.matmul(&tokens.t()?)
    }
}

/// Every token and position is another, and numbers of rows take turns.
#[test]
fn a_step_is_asked_for_then_recorded_then_repeated() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    for (dtype, tolerance) in TYPES {
        let small = Small::new(dtype, &device)?;
        let mut steps = Steps::new(3);
        let mut times = [0; 4];
        for (turn, rows) in [1, 3, 1, 1, 3, 3, 2, 1].into_iter().enumerate() {
            let fed: Vec<(u32, u32)> =
                (0..rows).map(|row| ((turn + row) as u32 % 7, (turn + 2 * row) as u32 % 9)).collect();
            let table = StepTable::new(fed.iter().copied());
            let found = steps.run(small.tokens.id(), &device, &table, &|step| small.ask(step))?;
            let found = Tensor::from_vec(to_host(&found)?, (rows, 7), &Device::Cpu)?;
            // Of sums of 24 numbers.
            assert_close(&found, &small.expected(&fed)?, 10.0 * tolerance, &format!("{dtype:?}, turn {turn}"))?;
            times[rows] += 1;
            assert_eq!(steps.has_graph(rows), times[rows] > 1, "turn {turn}");
        }
        // More than ever before: with other memory, so that what was recorded is of no use.
        let fed = [(1, 2), (3, 4), (5, 6), (6, 8)];
        let found = steps.run(small.tokens.id(), &device, &StepTable::new(fed.into_iter()), &|step| small.ask(step))?;
        let found = Tensor::from_vec(to_host(&found)?, (4, 7), &Device::Cpu)?;
        assert_close(&found, &small.expected(&fed)?, 10.0 * tolerance, &format!("{dtype:?}, four rows"))?;
        assert!(!steps.has_graph(1));
    }
    Ok(())
}

/// Rows of several tokens each, of which the first one's position counts; and what is done to the sums of a layer.
#[test]
fn tokens_are_summed_and_sums_are_finished() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    for (dtype, tolerance) in TYPES {
        let small = Small::new(dtype, &device)?;
        let (bias_here, bias) = pair(&[7], 4.0, dtype, &device)?;
        for gelu in [None, Some(Gelu::Exact), Some(Gelu::Tanh)] {
            let mut steps = Steps::new(2);
            for turn in 0..3 {
                let fed: [(u32, u32); 6] = std::array::from_fn(|at| ((turn + 2 * at) as u32 % 7, (turn + at) as u32));
                let table = StepTable::of_sums(2, fed.into_iter());
                let ask = |step: &mut Step<'_>| {
                    let normed = small.embed(step)?;
                    let sums = step.product(&normed, &small.tokens)?;
                    match gelu {
                        None => step.add_bias(&sums, &bias)?,
                        Some(gelu) => step.gelu(&sums, Some(&bias), gelu)?,
                    }
                    Ok(sums)
                };
                let found = steps.run(small.tokens.id(), &device, &table, &ask)?;
                let sums = small.expected_of(&fed, 3)?.broadcast_add(&bias_here)?;
                let expected = match gelu {
                    None => sums,
                    Some(Gelu::Exact) => sums.gelu_erf()?,
                    Some(Gelu::Tanh) => sums.gelu()?,
                };
                assert_close(&found, &expected, 10.0 * tolerance, &format!("{dtype:?}, {gelu:?}, turn {turn}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_step_that_takes_memory_anew_is_asked_for_every_time() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let small = Small::new(DType::F32, &device)?;
    let mut steps = Steps::new(1);
    for token in 0..4 {
        let table = StepTable::new([(token, token)].into_iter());
        let ask = |step: &mut Step<'_>| {
            // SAFETY: nobody reads it.
            unsafe { step.stream.alloc::<f32>(1) }.map_err(candle_core::Error::wrap)?;
            small.ask(step)
        };
        let found = steps.run(small.tokens.id(), &device, &table, &ask)?;
        let found = Tensor::from_vec(to_host(&found)?, (1, 7), &Device::Cpu)?;
        assert_close(&found, &small.expected(&[(token, token)])?, 1e-4, &format!("token {token}"))?;
        assert!(!steps.has_graph(1));
    }
    Ok(())
}
