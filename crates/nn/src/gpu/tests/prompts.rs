//! Many positions of a sequence at once.

use super::*;

/// What sequences hold, and how many of the last positions ask.
const HELD: [(usize, usize); 3] = [(70, 70), (5, 2), (90, 33)];

/// Each position sees what is not after it, and needs no mask for that; or few see all. More rows than a launch takes.
#[test]
fn prompts_are_read_by_the_kernel_of_steps() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let plain = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
    let (heads, head_dim) = (2, 16);
    let width = heads * head_dim;
    for (dtype, tolerance) in TYPES {
        let there = ComputeContext::new(&device, dtype);
        for (causal, group) in [(true, 1), (true, 3), (false, 1), (false, 3)] {
            let (mut of_plain, mut of_there) = (Vec::new(), Vec::new());
            for (at, (len, _)) in HELD.into_iter().enumerate() {
                let config = KvCacheConfig { heads, head_dim, capacity: len, dtype: KvCacheDtype::Full };
                let (keys_here, keys) = pair(&[len, width], at as f32, dtype, &device)?;
                let (values_here, values) = pair(&[len, width], at as f32 + 0.5, dtype, &device)?;
                let (mut one, mut other) = (KvCache::new(&config, &plain)?, KvCache::new(&config, &there)?);
                one.extend(&keys_here, &values_here)?;
                other.extend(&keys, &values)?;
                of_plain.push(one);
                of_there.push(other);
            }
            let asking = |queries: usize| if causal { queries } else { queries.min(ROWS) };
            let rows = HELD.iter().map(|(_, queries)| asking(*queries)).sum();
            let (queries_here, queries) = pair(&[rows, width * group], 7.0, dtype, &device)?;
            let seen = |caches: &[KvCache], queries: &Tensor| {
                let each = caches.iter().zip(HELD).map(|(cache, (_, queries))| SequenceQueries {
                    cache,
                    queries: asking(queries),
                    causal,
                });
                attend_grouped(queries, &each.collect::<Vec<_>>(), group)
            };
            let (expected, found) = (seen(&of_plain, &queries_here)?, seen(&of_there, &queries)?);
            assert_close(&found, &expected, tolerance, &format!("{dtype:?}, causal {causal}, {group} of a head"))?;
        }
    }
    Ok(())
}
