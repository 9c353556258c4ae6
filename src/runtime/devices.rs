//! The devices of this machine.

use candle_core::Device;

use super::{DeviceMemory, Host};
use crate::{
    model::DeviceId,
    speech::{Fault, Kind},
};

/// What there is to place models on. The choosing, in [`Placer`](super::Placer), sees devices only through this.
pub trait Devices: Send + Sync {
    /// Those of this build that answer, in the order of their numbers. Without the CPU, which is always there.
    fn accelerators(&self) -> Vec<DeviceId>;

    /// A handle that models share, with one stream on which all that they do is done in order. May take seconds.
    fn open(&self, device: DeviceId) -> Result<Device, PlacementError>;

    /// `None` where the device does not tell.
    fn memory(&self, device: DeviceId) -> Option<DeviceMemory>;
}

/// The devices that this build can use.
#[derive(Debug)]
pub struct Installed {
    machine: Host,
}

/// Why a device that was named cannot be used. There is no silent fall-back from a named one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlacementError {
    #[error(
        "device = \"{device}\": this build has no support for it; build with --features {feature}, or say \"auto\" or \"cpu\""
    )]
    NotBuilt { device: DeviceId, feature: &'static str },
    #[error("device = \"{device}\": it does not answer ({reason}); name another one, or say \"auto\" or \"cpu\"")]
    NotThere { device: DeviceId, reason: String },
    #[error(
        "require_gpu = true, and there is no accelerator: {reason}; give the server one, or say require_gpu = false"
    )]
    NoGpu { reason: &'static str },
    #[error("dtype = \"{dtype}\": {family} computes in {known} on {device}; name one of these, or say \"auto\"")]
    DType { dtype: &'static str, family: &'static str, known: String, device: DeviceId },
    #[error("require_gpu = true contradicts device = \"cpu\"; keep one of them")]
    Contradiction,
}

// === impl Installed ===

impl Installed {
    pub fn new(machine: Host) -> Self {
        Self { machine }
    }
}

impl Devices for Installed {
    fn accelerators(&self) -> Vec<DeviceId> {
        let metal = (cfg!(feature = "metal") && Device::new_metal(0).is_ok()).then_some(DeviceId::Metal);
        (0..cuda::count()).map(DeviceId::Cuda).chain(metal).collect()
    }

    fn open(&self, device: DeviceId) -> Result<Device, PlacementError> {
        let opened = match device {
            DeviceId::Cpu => Ok(Device::Cpu),
            DeviceId::Cuda(_) if !cfg!(feature = "cuda") => {
                return Err(PlacementError::NotBuilt { device, feature: "cuda" });
            }
            DeviceId::Metal if !cfg!(feature = "metal") => {
                return Err(PlacementError::NotBuilt { device, feature: "metal" });
            }
            DeviceId::Cuda(number) => Device::new_cuda_with_stream(number),
            DeviceId::Metal => Device::new_metal(0),
        };
        opened.map_err(|error| PlacementError::NotThere { device, reason: error.to_string() })
    }

    fn memory(&self, device: DeviceId) -> Option<DeviceMemory> {
        match device {
            DeviceId::Cpu => self.machine.memory(),
            DeviceId::Cuda(number) => cuda::memory(number),
            // The memory of the machine is the device's as well.
            DeviceId::Metal => self.machine.memory(),
        }
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::{
        collections::{BTreeMap, btree_map::Entry},
        sync::Arc,
    };

    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    use parking_lot::Mutex;

    use super::DeviceMemory;

    /// Those of devices that were asked, for the life of the process: a question alone would make one and throw it away.
    static CONTEXTS: Mutex<BTreeMap<usize, Arc<CudaContext>>> = Mutex::new(BTreeMap::new());

    pub fn count() -> usize {
        CudaContext::device_count().ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
    }

    pub fn memory(number: usize) -> Option<DeviceMemory> {
        let (free, total) = context(number)?.mem_get_info().ok()?;
        Some(DeviceMemory { free: free as u64, total: total as u64 })
    }

    fn context(number: usize) -> Option<Arc<CudaContext>> {
        match CONTEXTS.lock().entry(number) {
            Entry::Occupied(known) => Some(known.get().clone()),
            Entry::Vacant(place) => Some(place.insert(CudaContext::new(number).ok()?).clone()),
        }
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    pub fn count() -> usize {
        0
    }

    pub fn memory(_number: usize) -> Option<super::DeviceMemory> {
        None
    }
}

// === impl PlacementError ===

impl Fault for PlacementError {
    fn kind(&self) -> Kind {
        Kind::Unsupported
    }

    fn param(&self) -> Option<&str> {
        Some(if matches!(self, Self::DType { .. }) { "dtype" } else { "device" })
    }
}
