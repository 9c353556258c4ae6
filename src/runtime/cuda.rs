//! What the driver of NVIDIA's is asked beside computing: which cards there are, and their memory.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::c_void,
    sync::Arc,
};

use candle_core::{
    Device,
    cuda_backend::{
        cudarc::driver::{CudaContext, DriverError, result, sys},
        kernels,
    },
};
use parking_lot::Mutex;

use super::{
    DeviceMemory,
    card::{Capability, Card, CudaVersion, KernelTarget, Unfit},
};

/// Those of devices that were asked, for the life of the process: a question alone would make one and throw it away.
static CONTEXTS: Mutex<BTreeMap<usize, Arc<CudaContext>>> = Mutex::new(BTreeMap::new());

pub fn count() -> usize {
    CudaContext::device_count().ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
}

/// Whether a card and its driver can run the kernels of this build; a card that does not answer is judged when it is opened.
/// Makes no context, which costs seconds and memory.
pub fn check(number: usize) -> Result<(), Unfit> {
    match (KernelTarget::of_ptx(kernels::AFFINE.ptx()), card(number)) {
        (Some(target), Ok(card)) => target.check(&card),
        _ => Ok(()),
    }
}

/// Whether a card computes in bf16; one that does not answer is judged when it is opened.
pub fn has_bf16(number: usize) -> bool {
    match (KernelTarget::of_ptx(kernels::AFFINE.ptx()), card(number)) {
        (Some(target), Ok(card)) => target.has_bf16_on(&card),
        _ => true,
    }
}

/// How fast a card reads its memory, which bounds a model that says one word after the other; only to be compared.
pub fn speed(number: usize) -> u64 {
    use sys::CUdevice_attribute_enum::{
        CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH as WIDTH, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE as CLOCK,
    };
    let attribute = |attribute| {
        let device = result::init().and_then(|()| result::device::get(number as i32)).ok()?;
        // SAFETY: the driver gave this device.
        unsafe { result::device::get_attribute(device, attribute) }.ok().and_then(|value| u64::try_from(value).ok())
    };
    attribute(WIDTH).unwrap_or(1) * attribute(CLOCK).unwrap_or(1)
}

/// A handle with one stream on which all is done in order, whoever asks, so that nothing has to be waited for by events. What
/// is freed stays with the process until it is [trimmed](trim), for the next who asks.
pub fn open(number: usize) -> candle_core::Result<Device> {
    let device = Device::new_cuda_with_stream(number)?;
    // SAFETY: what is of more than one stream has to be put in order by hand; all that is ever done with this device is done
    // by candle, on the one stream of this handle, of which there is one a process (`Placer::open`).
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    // A card without pools frees at once.
    if let Some(pool) = pool(number) {
        let mut keep = u64::MAX;
        let attribute = sys::CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the pool is the driver's own, and the attribute is a number of 64 bits.
        let set = unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut keep).cast::<c_void>()) };
        set.result().map_err(candle_core::Error::wrap)?;
    }
    Ok(device)
}

/// What is free is also what this process has freed and could use again.
pub fn memory(number: usize) -> Option<DeviceMemory> {
    let (free, total) = context(number)?.mem_get_info().ok()?;
    let (free, total) = (free as u64, total as u64);
    Some(DeviceMemory { free: free.saturating_add(unused(number)).min(total), total })
}

/// What the driver answers to everything, if it answers nothing else any more: the context is lost. Waits for what is under way,
/// since a kernel that fails tells so only then.
pub fn lost(number: usize) -> Option<String> {
    let error = context(number)?.synchronize().err()?;
    Some(error.error_name().map_or_else(|_| error.to_string(), |name| name.to_string_lossy().into_owned()))
}

/// Gives memory that was freed back to the device, once what is under way there is done.
pub fn trim(number: usize) {
    let trimmed = || -> Result<(), DriverError> {
        let Some((context, pool)) = context(number).zip(pool(number)) else { return Ok(()) };
        context.synchronize()?;
        // SAFETY: the pool is the driver's own.
        unsafe { sys::cuMemPoolTrimTo(pool, 0) }.result()
    };
    if let Err(error) = trimmed() {
        tracing::debug!(device = number, %error, "memory that was freed stays with this process");
    }
}

fn card(number: usize) -> Result<Card, DriverError> {
    use sys::CUdevice_attribute_enum::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    result::init()?;
    let device = result::device::get(number as i32)?;
    // SAFETY: the driver gave this device.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    let capability = |which| attribute(which).map(|value| u32::try_from(value).unwrap_or_default());
    let mut version = 0;
    // SAFETY: the driver writes the one number.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(Card {
        name: result::device::get_name(device)?,
        capability: Capability { major: capability(MAJOR)?, minor: capability(MINOR)? },
        cuda: CudaVersion::of_driver(version),
    })
}

/// Bytes that this process has of a device and does not use.
fn unused(number: usize) -> u64 {
    use sys::CUmemPool_attribute_enum::{
        CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT as RESERVED, CU_MEMPOOL_ATTR_USED_MEM_CURRENT as USED,
    };
    let Some(pool) = pool(number) else { return 0 };
    let read = |attribute| {
        let mut bytes = 0u64;
        // SAFETY: the pool is the driver's own, and both attributes are numbers of 64 bits.
        let read = unsafe { sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut bytes).cast::<c_void>()) };
        read.result().map(|()| bytes)
    };
    match (read(RESERVED), read(USED)) {
        (Ok(reserved), Ok(used)) => reserved.saturating_sub(used),
        _ => 0,
    }
}

/// Where a device gives out memory.
fn pool(number: usize) -> Option<sys::CUmemoryPool> {
    let device = result::device::get(number as i32).ok()?;
    // SAFETY: the driver gave this device.
    unsafe { result::device::get_default_mem_pool(device) }.ok()
}

fn context(number: usize) -> Option<Arc<CudaContext>> {
    match CONTEXTS.lock().entry(number) {
        Entry::Occupied(known) => Some(known.get().clone()),
        Entry::Vacant(place) => Some(place.insert(CudaContext::new(number).ok()?).clone()),
    }
}
