//! The way of weights to a device: through two pieces of page-locked memory, of which the device reads one by itself while the
//! next numbers are written into the other.

use std::{any::TypeId, collections::BTreeMap, slice};

use candle_core::{
    CudaDevice, CudaStorage, DType, Device, DeviceLocation, Result, Storage, Tensor,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::driver::{CudaEvent, DeviceRepr, DriverError, PinnedHostSlice},
    },
    op::BackpropOp,
};
use half::{bf16, f16};
use parking_lot::Mutex;
use rayon::prelude::*;

use crate::{
    cpu::element::Element,
    weights::data::{WeightData, with_data},
};

/// Bytes of each of the two: more than a bus carries until a copy to it has begun.
pub(super) const PIECE: usize = 16 << 20;
/// Where numbers begin: nothing that a device reads at once lies across.
const ALIGN: usize = 256;
/// Numbers that one thread writes.
const TASK: usize = 1 << 17;

/// What each device has.
static PLACES: Mutex<BTreeMap<usize, Place>> = Mutex::new(BTreeMap::new());

/// Where the staging memory of a device is.
enum Place {
    Idle(Staging),
    /// Somebody has it, or it could not be had.
    Away,
}

/// The two pieces.
struct Staging {
    pieces: [Piece; 2],
    /// The one that is written into.
    current: usize,
    /// Bytes of it that were given out.
    used: usize,
}

struct Piece {
    memory: PinnedHostSlice<u8>,
    /// When the device has read all of it.
    read: CudaEvent,
}

/// A type that is sent.
trait Sent: CudaDType + DeviceRepr + Element {}

impl Sent for f32 {}
impl Sent for f16 {}
impl Sent for bf16 {}

/// A tensor of these numbers, one part after the other, rounded to a type on the way. `None`: they have to go another way.
pub(crate) fn upload(parts: &[WeightData], dtype: DType, shape: &[usize], device: &Device) -> Result<Option<Tensor>> {
    let (Device::Cuda(device), DeviceLocation::Cuda { gpu_id }) = (device, device.location()) else { return Ok(None) };
    let Some(mut staging) = take(gpu_id, device) else { return Ok(None) };
    let storage = match dtype {
        DType::F32 => staging.send::<f32>(parts, device).map(Some),
        DType::F16 => staging.send::<f16>(parts, device).map(Some),
        DType::BF16 => staging.send::<bf16>(parts, device).map(Some),
        _ => Ok(None),
    };
    PLACES.lock().insert(gpu_id, Place::Idle(staging));
    Ok(storage?.map(|storage| Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)))
}

/// Nobody waits for it, since who has it may wait for the same threads.
fn take(number: usize, device: &CudaDevice) -> Option<Staging> {
    match PLACES.lock().insert(number, Place::Away) {
        Some(Place::Idle(staging)) => Some(staging),
        Some(Place::Away) => None,
        None => Staging::new(device).ok(),
    }
}

// === impl Staging ===

impl Staging {
    fn new(device: &CudaDevice) -> std::result::Result<Self, DriverError> {
        let context = device.cuda_stream().context().clone();
        let piece = || {
            // SAFETY: nothing of it is read before it is written.
            let memory = unsafe { context.alloc_pinned::<u8>(PIECE) }?;
            Ok(Piece { memory, read: context.new_event(None)? })
        };
        Ok(Self { pieces: [piece()?, piece()?], current: 0, used: 0 })
    }

    fn send<T: Sent>(&mut self, parts: &[WeightData], device: &CudaDevice) -> Result<CudaStorage> {
        let count = parts.iter().map(WeightData::len).sum();
        // SAFETY: every number of it is written below.
        let mut out = unsafe { device.alloc::<T>(count) }?;
        let stream = device.cuda_stream();
        let mut sent = 0;
        for part in parts {
            let mut from = 0;
            while from < part.len() {
                let numbers = self.room::<T>(device).w()?.min(part.len() - from);
                let place = self.place::<T>(numbers).w()?;
                write(&part.part(from..from + numbers), place);
                // The device reads them later: until it has read all of the piece, nobody writes there again.
                stream.memcpy_htod(place, &mut out.slice_mut(sent..sent + numbers)).w()?;
                (from, sent) = (from + numbers, sent + numbers);
            }
        }
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }

    /// How many numbers go into what is left of the piece, or into the other one, once the device has read that.
    fn room<T>(&mut self, device: &CudaDevice) -> std::result::Result<usize, DriverError> {
        self.used = self.used.next_multiple_of(ALIGN);
        if self.used >= PIECE {
            self.pieces[self.current].read.record(&device.cuda_stream())?;
            self.current = 1 - self.current;
            self.pieces[self.current].read.synchronize()?;
            self.used = 0;
        }
        Ok((PIECE - self.used) / size_of::<T>())
    }

    /// Where the next numbers go, of which there is room for so many.
    fn place<T: Sent>(&mut self, numbers: usize) -> std::result::Result<&mut [T], DriverError> {
        let bytes = self.used..self.used + numbers * size_of::<T>();
        self.used = bytes.end;
        // Waits for nothing: the event of this memory's own is never recorded.
        let place = &mut self.pieces[self.current].memory.as_mut_slice()?[bytes];
        // SAFETY: it begins at a multiple of `ALIGN`, holds so many numbers, and each is written before it is read.
        Ok(unsafe { slice::from_raw_parts_mut(place.as_mut_ptr().cast(), numbers) })
    }
}

fn write<T: Sent>(from: &WeightData, to: &mut [T]) {
    with_data!(from, F, bytes => {
        let same = TypeId::of::<F>() == TypeId::of::<T>();
        let tasks = bytes.par_chunks(TASK * size_of::<F>()).zip(to.par_chunks_mut(TASK));
        tasks.for_each(|(from, to)| {
            if same {
                // SAFETY: they are numbers of one type, as many here as there, and machines with such a device are little-endian.
                return unsafe { to.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
            }
            let numbers = from.chunks_exact(size_of::<F>()).map(F::from_le_slice);
            to.iter_mut().zip(numbers).for_each(|(to, number)| *to = T::from_f32(number.to_f32()));
        });
    });
}
