//! The kernels of `kernels/decode.cu`: attention of one query a row, caches that grow by a position, and what a linear layer does
//! to its sums.

use candle_core::{
    CudaDevice, CudaStorage, Result, Storage, Tensor,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaSlice, DeviceRepr, LaunchConfig, PushKernelArg},
    },
    op::BackpropOp,
};

use super::{
    division::{Attention, PACK, WARP},
    number::{Number, address, kernel_of, with_numbers, with_type},
};

/// As the compiler of kernels left them.
pub(super) mod compiled {
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

pub(super) const MODULE: &str = "sconce_decode";
/// `ROWS` of the kernels: of one launch.
pub(crate) const ROWS: usize = 64;
/// `THREADS` of the kernels.
pub(super) const THREADS: usize = 256;

/// The cache of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheRow<'a> {
    /// `[heads, capacity, head_dim]` each.
    pub keys: &'a Tensor,
    pub values: &'a Tensor,
    /// Positions that are there.
    pub len: usize,
}

/// What all rows of a launch share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheSizes {
    pub heads: usize,
    pub head_dim: usize,
}

/// `Cache` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cache {
    keys: u64,
    values: u64,
    capacity: u32,
    length: u32,
}

/// `Caches` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Caches([Cache; ROWS]);

// SAFETY: numbers only, laid out as C lays them out.
unsafe impl DeviceRepr for Caches {}

/// Attention of one query a row, each over its own cache, with `group` heads of queries to one of keys: `queries [rows, heads *
/// group * head_dim]`, the heads that share one beside each other. The same shape; `None`: the kernels do not do that.
pub(crate) fn attend(
    queries: &Tensor,
    rows: &[CacheRow<'_>],
    sizes: CacheSizes,
    group: usize,
) -> Result<Option<Tensor>> {
    let fits = rows.iter().all(|row| row.fits(sizes) && row.keys.dtype() == queries.dtype());
    if !fits || !queries.device().is_cuda() || queries.stride()[1] != 1 {
        return Ok(None);
    }
    with_type!(queries.dtype(), T => attend_typed::<T>(queries, rows, sizes, group)).transpose()
}

fn attend_typed<T: Number>(queries: &Tensor, rows: &[CacheRow<'_>], sizes: CacheSizes, group: usize) -> Result<Tensor> {
    let (count, width) = queries.dims2()?;
    let device = queries.device().as_cuda_device()?;
    let stride = queries.stride()[0];
    // SAFETY: every number of it is written below.
    let mut out = unsafe { device.alloc::<T>(count * width) }?;
    with_numbers::<T, _>(queries, |numbers| {
        for (block, rows) in rows.chunks(ROWS).enumerate() {
            let caches = Caches::new(rows, sizes)?;
            let attention = Attention {
                rows: rows.len(),
                heads: sizes.heads,
                head_dim: sizes.head_dim,
                group,
                number: size_of::<T>(),
                positions: rows.iter().map(|row| row.len).max().unwrap_or(0),
            };
            let kernel = kernel_of(&attention.name("attend"), T::DTYPE)?;
            let function = device.get_or_load_custom_func(&kernel, MODULE, compiled::DECODE)?;
            let queries = numbers.slice(block * ROWS * stride..);
            let mut out = out.slice_mut(block * ROWS * width..);
            let (group, head_dim, stride) = (attention.group as u32, sizes.head_dim as u32, stride as u32);
            let mut launch = function.builder();
            launch.arg(&queries).arg(&mut out).arg(&caches).arg(&group).arg(&head_dim).arg(&stride);
            let blocks = attention.launch(&device.cuda_stream())?;
            // SAFETY: the arguments are those of `attend`; the caches hold what they say, and are not written meanwhile, since
            // all is done in order on one stream.
            unsafe { launch.launch(blocks) }.w()?;
        }
        Ok(())
    })?;
    Ok(of_numbers(out, device, (count, width)))
}

/// Appends as many positions to the cache of every row: `keys` and `values` are `[all positions, heads * head_dim]`, row after
/// row, of which the keys are scaled. `false`: the kernels do not do that, and nothing was done.
pub(crate) fn extend(
    keys: &Tensor,
    values: &Tensor,
    rows: &[CacheRow<'_>],
    sizes: CacheSizes,
    scale: f64,
) -> Result<bool> {
    let alike = keys.stride()[1] == 1 && values.stride()[1] == 1 && keys.dtype() == values.dtype();
    if !alike || !keys.device().is_cuda() || !rows.iter().all(|row| row.keys.dtype() == keys.dtype()) {
        return Ok(false);
    }
    let done = with_type!(keys.dtype(), T => extend_typed::<T>(keys, values, rows, sizes, scale as f32));
    done.transpose().map(|done| done.is_some())
}

fn extend_typed<T: Number>(
    keys: &Tensor,
    values: &Tensor,
    rows: &[CacheRow<'_>],
    sizes: CacheSizes,
    scale: f32,
) -> Result<()> {
    let device = keys.device().as_cuda_device()?;
    let (of_keys, of_values) = (keys.stride()[0], values.stride()[0]);
    let each = keys.dim(0)? / rows.len().max(1);
    with_numbers::<T, _>(keys, |keys| {
        with_numbers::<T, _>(values, |values| {
            for (block, rows) in rows.chunks(ROWS).enumerate() {
                let caches = Caches::new(rows, sizes)?;
                let function =
                    device.get_or_load_custom_func(&kernel_of("extend", T::DTYPE)?, MODULE, compiled::DECODE)?;
                let first = block * ROWS * each;
                let (keys, values) = (keys.slice(first * of_keys..), values.slice(first * of_values..));
                let (width, head_dim) = ((sizes.heads * sizes.head_dim) as u32, sizes.head_dim as u32);
                let (of_keys, of_values) = (of_keys as u32, of_values as u32);
                let mut launch = function.builder();
                launch
                    .arg(&keys)
                    .arg(&values)
                    .arg(&caches)
                    .arg(&width)
                    .arg(&head_dim)
                    .arg(&of_keys)
                    .arg(&of_values)
                    .arg(&scale);
                // SAFETY: the arguments are those of `extend`; each cache has room for the positions, is written by this row
                // alone, and is read by nobody meanwhile, since all is done in order on one stream.
                unsafe {
                    launch.launch(LaunchConfig {
                        grid_dim: (each as u32, rows.len() as u32, 1),
                        block_dim: (THREADS as u32, 1, 1),
                        shared_mem_bytes: 0,
                    })
                }
                .w()?;
            }
            Ok(())
        })
    })
}

/// Adds a bias to sums `[rows, columns]`, and then takes the exact GELU of them or adds what is of their shape: in place, so that
/// nobody else may hold them. `false`: the kernels do not do that, and nothing was done.
pub(crate) fn finish(sums: &Tensor, bias: Option<&Tensor>, gelu: bool, add: Option<&Tensor>) -> Result<bool> {
    let fits = |other: &&Tensor| other.dtype() == sums.dtype() && other.is_contiguous();
    let all = [bias, add].into_iter().flatten().all(|other| fits(&other));
    if !all || !sums.device().is_cuda() || !sums.is_contiguous() {
        return Ok(false);
    }
    let done = with_type!(sums.dtype(), T => finish_typed::<T>(sums, bias, gelu, add));
    done.transpose().map(|done| done.is_some())
}

fn finish_typed<T: Number>(sums: &Tensor, bias: Option<&Tensor>, gelu: bool, add: Option<&Tensor>) -> Result<()> {
    let device = sums.device().as_cuda_device()?;
    let (count, columns) = (sums.elem_count(), sums.dims2()?.1 as u32);
    let function = device.get_or_load_custom_func(&kernel_of("finish", T::DTYPE)?, MODULE, compiled::DECODE)?;
    let pointer = |tensor: Option<&Tensor>| tensor.map_or(Ok(0), address);
    let (bias, add, sums) = (pointer(bias)?, pointer(add)?, address(sums)?);
    let (total, gelu) = (count as u64, u32::from(gelu));
    let mut launch = function.builder();
    launch.arg(&sums).arg(&bias).arg(&add).arg(&columns).arg(&total).arg(&gelu);
    // SAFETY: the arguments are those of `finish`; the tensors live until all that uses them is in the stream, in whose order
    // their memory is used again.
    unsafe { launch.launch(LaunchConfig::for_num_elems(count as u32)) }.w()?;
    Ok(())
}

fn of_numbers<T: Number>(numbers: CudaSlice<T>, device: &CudaDevice, shape: (usize, usize)) -> Tensor {
    let storage = CudaStorage::wrap_cuda_slice(numbers, device.clone());
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

// === impl CacheRow ===

impl CacheRow<'_> {
    /// Whether `attend` reads it, whose numbers are read as many at once as a thread can.
    pub(super) fn fits(&self, sizes: CacheSizes) -> bool {
        let numbers = PACK / self.keys.dtype().size_in_bytes();
        let whole = |tensor: &Tensor| {
            let (_, layout) = tensor.storage_and_layout();
            layout.is_contiguous() && layout.start_offset().is_multiple_of(numbers)
        };
        let size = sizes.head_dim;
        size.is_multiple_of(numbers) && size <= WARP * numbers && whole(self.keys) && whole(self.values)
    }

    pub(super) fn cache(&self, sizes: CacheSizes) -> Result<Cache> {
        let (heads, capacity, head_dim) = self.keys.dims3()?;
        if (heads, head_dim) != (sizes.heads, sizes.head_dim) || self.values.dims() != self.keys.dims() {
            candle_core::bail!("a cache of {:?} among those of {sizes:?}", self.keys.dims());
        }
        let (keys, values) = (address(self.keys)?, address(self.values)?);
        Ok(Cache { keys, values, capacity: capacity as u32, length: self.len as u32 })
    }
}

// === impl Cache ===

impl Cache {
    pub(super) const WORDS: usize = size_of::<Self>() / size_of::<u64>();

    pub(super) fn words(self) -> [u64; Self::WORDS] {
        [self.keys, self.values, u64::from(self.capacity) | u64::from(self.length) << 32]
    }
}

// === impl Caches ===

impl Caches {
    fn new(rows: &[CacheRow<'_>], sizes: CacheSizes) -> Result<Self> {
        let mut caches = [Cache::default(); ROWS];
        for (cache, row) in caches.iter_mut().zip(rows) {
            *cache = row.cache(sizes)?;
        }
        Ok(Self(caches))
    }
}
