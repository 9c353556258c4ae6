//! The kernels of `kernels/decode.cu`: attention of one query a row, caches that grow by a position, and what a linear layer does
//! to its sums.

use candle_core::{
    CudaDevice, CudaStorage, DType, Result, Storage, Tensor,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg},
    },
    op::BackpropOp,
};
use half::{bf16, f16};

/// As the compiler of kernels left them.
pub(super) mod compiled {
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

const MODULE: &str = "sconce_decode";
/// `ROWS` of the kernels.
pub(super) const ROWS: usize = 64;
/// `THREADS` of the kernels.
const THREADS: u32 = 128;
/// Bytes that a thread reads at once.
const PACK: usize = 16;
/// Bytes of a block's shared memory that every card gives without being asked.
const SHARED: usize = 48 << 10;

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

/// `Caches` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Caches {
    keys: [u64; ROWS],
    values: [u64; ROWS],
    capacity: [u32; ROWS],
    length: [u32; ROWS],
}

// SAFETY: numbers only, laid out as C lays them out.
unsafe impl DeviceRepr for Caches {}

/// A type that the kernels know.
pub(super) trait Number: CudaDType + DeviceRepr {
    /// What the names of its kernels end in.
    const NAME: &'static str;
}

impl Number for f32 {
    const NAME: &'static str = "f32";
}

impl Number for f16 {
    const NAME: &'static str = "f16";
}

impl Number for bf16 {
    const NAME: &'static str = "bf16";
}

/// Runs `$body` with `$type` as the type of a tensor's numbers; `None` where the kernels do not know it.
macro_rules! with_type {
    ($tensor:expr, $type:ident => $body:expr) => {
        match $tensor.dtype() {
            DType::F32 => {
                type $type = f32;
                Some($body)
            }
            DType::F16 => {
                type $type = f16;
                Some($body)
            }
            DType::BF16 => {
                type $type = bf16;
                Some($body)
            }
            _ => None,
        }
    };
}

pub(super) use with_type;

/// Attention of one query a row, each over its own cache, with `group` heads of queries to one of keys: `queries [rows, heads *
/// group * head_dim]`, the heads that share one beside each other. The same shape; `None`: the kernels do not do that.
pub(crate) fn attend(
    queries: &Tensor,
    rows: &[CacheRow<'_>],
    sizes: CacheSizes,
    group: usize,
) -> Result<Option<Tensor>> {
    let longest = rows.iter().map(|row| row.len).max().unwrap_or(0);
    let numbers = PACK / queries.dtype().size_in_bytes();
    let shared = size_of::<f32>() * (longest + sizes.head_dim + THREADS as usize * (1 + numbers));
    let fits = shared <= SHARED
        && sizes.head_dim.is_multiple_of(numbers)
        && sizes.head_dim <= THREADS as usize * numbers
        && rows.iter().all(|row| row.is_packed(numbers));
    if !fits || !queries.device().is_cuda() || queries.stride()[1] != 1 {
        return Ok(None);
    }
    with_type!(queries, T => attend_typed::<T>(queries, rows, sizes, group, shared)).transpose()
}

fn attend_typed<T: Number>(
    queries: &Tensor,
    rows: &[CacheRow<'_>],
    sizes: CacheSizes,
    group: usize,
    shared: usize,
) -> Result<Tensor> {
    let (count, width) = queries.dims2()?;
    let device = queries.device().as_cuda_device()?;
    let stride = queries.stride()[0];
    // SAFETY: every number of it is written below.
    let mut out = unsafe { device.alloc::<T>(count * width) }?;
    with_numbers::<T, _>(queries, |numbers| {
        for (block, rows) in rows.chunks(ROWS).enumerate() {
            let caches = Caches::new::<T>(rows, sizes)?;
            let function = device.get_or_load_custom_func(&name::<T>("attend"), MODULE, compiled::DECODE)?;
            let queries = numbers.slice(block * ROWS * stride..);
            let mut out = out.slice_mut(block * ROWS * width..);
            let (group, head_dim, stride) = (group as u32, sizes.head_dim as u32, stride as u32);
            let mut launch = function.builder();
            launch.arg(&queries).arg(&mut out).arg(&caches).arg(&group).arg(&head_dim).arg(&stride);
            // SAFETY: the arguments are those of `attend`; the caches hold what they say, and are not written meanwhile, since
            // all is done in order on one stream.
            unsafe {
                launch.launch(LaunchConfig {
                    grid_dim: (sizes.heads as u32 * group, rows.len() as u32, 1),
                    block_dim: (THREADS, 1, 1),
                    shared_mem_bytes: shared as u32,
                })
            }
            .w()?;
        }
        Ok(())
    })?;
    Ok(of_numbers(out, device, (count, width)))
}

/// Appends a position to the cache of every row: `keys` and `values` are `[rows, heads * head_dim]`, of which the keys are scaled.
/// `false`: the kernels do not do that, and nothing was done.
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
    let done = with_type!(keys, T => extend_typed::<T>(keys, values, rows, sizes, scale as f32));
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
    with_numbers::<T, _>(keys, |keys| {
        with_numbers::<T, _>(values, |values| {
            for (block, rows) in rows.chunks(ROWS).enumerate() {
                let caches = Caches::new::<T>(rows, sizes)?;
                let function = device.get_or_load_custom_func(&name::<T>("extend"), MODULE, compiled::DECODE)?;
                let (keys, values) = (keys.slice(block * ROWS * of_keys..), values.slice(block * ROWS * of_values..));
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
                // SAFETY: the arguments are those of `extend`; each cache has room for the position, is written by this row
                // alone, and is read by nobody meanwhile, since all is done in order on one stream.
                unsafe {
                    launch.launch(LaunchConfig {
                        grid_dim: (rows.len() as u32, 1, 1),
                        block_dim: (256, 1, 1),
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
    let done = with_type!(sums, T => finish_typed::<T>(sums, bias, gelu, add));
    done.transpose().map(|done| done.is_some())
}

fn finish_typed<T: Number>(sums: &Tensor, bias: Option<&Tensor>, gelu: bool, add: Option<&Tensor>) -> Result<()> {
    let device = sums.device().as_cuda_device()?;
    let (count, columns) = (sums.elem_count(), sums.dims2()?.1 as u32);
    let function = device.get_or_load_custom_func(&name::<T>("finish"), MODULE, compiled::DECODE)?;
    let pointer = |tensor: Option<&Tensor>| tensor.map_or(Ok(0), address::<T>);
    let (bias, add, sums) = (pointer(bias)?, pointer(add)?, address::<T>(sums)?);
    let (total, gelu) = (count as u64, u32::from(gelu));
    let mut launch = function.builder();
    launch.arg(&sums).arg(&bias).arg(&add).arg(&columns).arg(&total).arg(&gelu);
    // SAFETY: the arguments are those of `finish`; the tensors live until all that uses them is in the stream, in whose order
    // their memory is used again.
    unsafe { launch.launch(LaunchConfig::for_num_elems(count as u32)) }.w()?;
    Ok(())
}

pub(super) fn name<T: Number>(kernel: &str) -> String {
    format!("{kernel}_{}", T::NAME)
}

/// Looks at the numbers of a tensor from its first one on.
pub(super) fn with_numbers<T: Number, R>(
    tensor: &Tensor,
    look: impl FnOnce(candle_core::cuda_backend::cudarc::driver::CudaView<'_, T>) -> Result<R>,
) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { candle_core::bail!("a tensor is not on the GPU") };
    look(storage.as_cuda_slice::<T>()?.slice(layout.start_offset()..))
}

/// Where a tensor's first number is on its device.
fn address<T: Number>(tensor: &Tensor) -> Result<u64> {
    with_numbers::<T, _>(tensor, |numbers| {
        let stream = tensor.device().as_cuda_device()?.cuda_stream();
        let (address, _use) = numbers.device_ptr(&stream);
        Ok(address)
    })
}

fn of_numbers<T: Number>(numbers: CudaSlice<T>, device: &CudaDevice, shape: (usize, usize)) -> Tensor {
    let storage = CudaStorage::wrap_cuda_slice(numbers, device.clone());
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

// === impl CacheRow ===

impl CacheRow<'_> {
    /// Whether each head begins where so many numbers can be read at once.
    fn is_packed(&self, numbers: usize) -> bool {
        let whole = |tensor: &Tensor| {
            let (_, layout) = tensor.storage_and_layout();
            layout.is_contiguous() && layout.start_offset().is_multiple_of(numbers)
        };
        whole(self.keys) && whole(self.values)
    }
}

// === impl Caches ===

impl Caches {
    fn new<T: Number>(rows: &[CacheRow<'_>], sizes: CacheSizes) -> Result<Self> {
        let mut caches = Self { keys: [0; ROWS], values: [0; ROWS], capacity: [0; ROWS], length: [0; ROWS] };
        for (at, row) in rows.iter().enumerate() {
            let (heads, capacity, head_dim) = row.keys.dims3()?;
            if (heads, head_dim) != (sizes.heads, sizes.head_dim) || row.values.dims() != row.keys.dims() {
                candle_core::bail!("a cache of {:?} among those of {sizes:?}", row.keys.dims());
            }
            (caches.keys[at], caches.values[at]) = (address::<T>(row.keys)?, address::<T>(row.values)?);
            (caches.capacity[at], caches.length[at]) = (capacity as u32, row.len as u32);
        }
        Ok(caches)
    }
}
