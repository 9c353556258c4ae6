//! Attention of which blocks have parts, in the steps of a decoder: asked for, recorded and repeated, while lengths change. The
//! blocks run in another order at each step.

use std::collections::HashMap;

use super::*;

/// Caches for rows as long as they may be, here and on a device, and a query of each.
struct Divided {
    sizes: CacheSizes,
    group: usize,
    here: Vec<KvCache>,
    there: Vec<(Tensor, Tensor)>,
    queries: (Tensor, Tensor),
    context: ComputeContext,
    config: KvCacheConfig,
}

impl Divided {
    fn new(rows: usize, group: usize, capacity: usize, dtype: DType, device: &Device) -> Result<Self> {
        let (heads, head_dim) = (2, 32);
        let (sizes, width) = (CacheSizes { heads, head_dim }, heads * head_dim);
        let context = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let config = KvCacheConfig { heads, head_dim, capacity, dtype: KvCacheDtype::Full };
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let [(keys_here, keys), (values_here, values)] = [
                pair(&[capacity, width], row as f32, dtype, device)?,
                pair(&[capacity, width], row as f32 + 0.5, dtype, device)?,
            ];
            let mut cache = KvCache::new(&config, &context)?;
            cache.extend(&keys_here, &values_here)?;
            here.push(cache);
            let zeros = || Tensor::zeros((heads, capacity, head_dim), dtype, device);
            let own = (zeros()?, zeros()?);
            assert!(extend(&keys, &values, &[row_of(&own, 0)], sizes, 1.0 / (head_dim as f64).sqrt())?);
            there.push(own);
        }
        let queries = pair(&[rows, group * width], 7.0, dtype, device)?;
        Ok(Self { sizes, group, here, there, queries, context, config })
    }

    /// The last position of each row is one that the step itself wrote, if `fresh` is 1.
    fn step(&self, steps: &mut Steps, lengths: &[usize], fresh: u32) -> Result<Vec<f32>> {
        let queries = &self.queries.1;
        let mut table = StepTable::new(lengths.iter().map(|_| (0, 0)));
        let before = |len: usize| len - fresh as usize;
        let rows = self.there.iter().zip(lengths).map(|(cache, len)| row_of(cache, before(*len))).collect::<Vec<_>>();
        assert!(table.push(&rows, self.sizes)?);
        let ask = |step: &mut Step<'_>| step.attend(0, queries, None, None, fresh);
        here(&steps.run(queries.id(), queries.device(), &table, &ask)?)
    }

    /// What the CPU finds for a row of such a length.
    fn expected(&self, row: usize, len: usize) -> Result<Vec<f32>> {
        let queries = self.queries.0.narrow(0, row, 1)?;
        if len == 0 {
            return Ok(vec![0.0; queries.elem_count()]);
        }
        let mut part = KvCache::new(&self.config, &self.context)?;
        part.copy_from(&self.here[row])?;
        part.truncate(len);
        let sequence = SequenceQueries { cache: &part, queries: 1, causal: false };
        here(&attend_grouped(&queries, &[sequence], self.group)?)
    }
}

/// `count` steps of as many rows, each of another of these lengths.
fn steps_give_what_the_cpu_gives(
    (rows, group, count): (usize, usize, usize),
    lengths: &[usize],
    (dtype, tolerance): (DType, f32),
) -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let capacity = lengths.iter().copied().max().unwrap_or(1);
    let divided = Divided::new(rows, group, capacity, dtype, &device)?;
    let fresh = u32::from(!lengths.contains(&0));
    let mut steps = Steps::new(rows);
    // What came first of a row of a length.
    let mut known = HashMap::<(usize, usize), Vec<f32>>::new();
    for step in 0..count {
        let now: Vec<usize> = (0..rows).map(|row| lengths[(step + row * row) % lengths.len()]).collect();
        let found = divided.step(&mut steps, &now, fresh)?;
        for (row, (found, len)) in found.chunks(found.len() / rows).zip(now).enumerate() {
            let what = format!("{dtype:?}, {rows} rows, {group} to a head, step {step}, row {row} of {len}");
            if let Some(before) = known.get(&(row, len)) {
                assert_eq!(found, before, "{what}: another order of blocks is another result");
                continue;
            }
            for (found, expected) in found.iter().zip(divided.expected(row, len)?) {
                let most = tolerance * expected.abs().max(1.0);
                assert!((found - expected).abs() <= most, "{what}: {found}, not {expected}");
            }
            known.insert((row, len), found.to_vec());
        }
    }
    assert!(count < 2 || steps.has_graph(rows));
    Ok(())
}

/// None, one, what a block reads at once in halves and in single precision, one more or less, and as many as there may be, which
/// takes several turns of each block.
const LENGTHS: [usize; 9] = [0, 1, 64, 127, 128, 129, 400, 513, 1400];

#[test]
fn lengths_at_the_ends_of_parts() -> Result<()> {
    for of_type in TYPES {
        for (rows, group) in [(1, 1), (1, 3), (1, 8), (8, 1), (8, 4)] {
            steps_give_what_the_cpu_gives((rows, group, LENGTHS.len()), &LENGTHS, of_type)?;
        }
    }
    Ok(())
}

/// What blocks leave for each other is left again and again, for heads of more parts and of fewer.
#[test]
fn a_hundred_steps_share_the_same_memory() -> Result<()> {
    for (rows, group) in [(1, 1), (3, 2)] {
        steps_give_what_the_cpu_gives((rows, group, 100), &[1, 700, 63, 300, 129, 2, 500], TYPES[1])?;
    }
    Ok(())
}

#[test]
fn longer_caches_are_divided_anew() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let (dtype, tolerance) = TYPES[1];
    let short = Divided::new(1, 1, 600, dtype, &device)?;
    // The same decoder with other caches.
    let with = |capacity| -> Result<Divided> {
        Ok(Divided { queries: short.queries.clone(), ..Divided::new(1, 1, capacity, dtype, &device)? })
    };
    let (alike, long) = (with(1000)?, with(1100)?);
    let mut steps = Steps::new(1);
    for (caches, len, recorded) in [
        (&short, 600, false),
        (&short, 500, true),
        (&alike, 900, true),
        (&long, 1100, false),
        (&long, 1099, true),
        (&short, 1, true),
    ] {
        let found = caches.step(&mut steps, &[len], 0)?;
        for (found, expected) in found.iter().zip(caches.expected(0, len)?) {
            assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{len}: {found}, not {expected}");
        }
        assert_eq!(steps.has_graph(1), recorded, "{len}");
    }
    Ok(())
}
