//! The devices of this machine.

use candle_core::Device;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{DeviceMemory, Host};
use crate::{
    model::DeviceId,
    speech::{Fault, Kind},
};

/// What there is to place models on. The choosing, in [`Placer`](super::Placer), sees devices only through this.
pub trait Devices: Send + Sync {
    /// Those of this build that answer, in the order of their numbers. Without the CPU, which is always there.
    fn accelerators(&self) -> Vec<DeviceId>;

    /// Whether one that answers can run what was built. Opens nothing.
    fn check(&self, _device: DeviceId) -> Result<(), PlacementError> {
        Ok(())
    }

    /// A handle that models share, with one stream on which all that they do is done in order. May take seconds.
    fn open(&self, device: DeviceId) -> Result<Device, PlacementError>;

    /// How fast it is beside others of its kind; only to be compared.
    fn speed(&self, _device: DeviceId) -> u64 {
        0
    }

    /// Whether it computes in bf16, by what was built for it.
    fn has_bf16(&self, _device: DeviceId) -> bool {
        true
    }

    /// `None` where the device does not tell.
    fn memory(&self, device: DeviceId) -> Option<DeviceMemory>;

    /// Why it computes nothing any more for this process, if that is so. May block until what is under way there is done.
    fn lost(&self, _device: DeviceId) -> Option<String> {
        None
    }

    /// Gives memory that models have freed back to the device, which this process may have kept for the next.
    fn trim(&self, _device: DeviceId) {}
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
    #[error("device = \"{device}\": {reason}")]
    Unfit { device: DeviceId, reason: String },
    #[error(
        "{device} is lost to this process ({reason}), which has to be started anew; /health/live says so to whoever watches it"
    )]
    Lost { device: DeviceId, reason: String },
    #[error(
        "require_gpu = true, and there is no accelerator: {reason}; give the server one, or say require_gpu = false"
    )]
    NoGpu { reason: String },
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

    fn check(&self, device: DeviceId) -> Result<(), PlacementError> {
        match device {
            DeviceId::Cuda(number) => {
                cuda::check(number).map_err(|unfit| PlacementError::Unfit { device, reason: unfit.to_string() })
            }
            DeviceId::Cpu | DeviceId::Metal => Ok(()),
        }
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
            DeviceId::Cuda(number) => cuda::open(number),
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

    fn speed(&self, device: DeviceId) -> u64 {
        match device {
            DeviceId::Cuda(number) => cuda::speed(number),
            DeviceId::Cpu | DeviceId::Metal => 0,
        }
    }

    fn has_bf16(&self, device: DeviceId) -> bool {
        match device {
            DeviceId::Cuda(number) => cuda::has_bf16(number),
            DeviceId::Cpu | DeviceId::Metal => true,
        }
    }

    fn lost(&self, device: DeviceId) -> Option<String> {
        match device {
            DeviceId::Cuda(number) => cuda::lost(number),
            DeviceId::Cpu | DeviceId::Metal => None,
        }
    }

    fn trim(&self, device: DeviceId) {
        if let DeviceId::Cuda(number) = device {
            cuda::trim(number);
        }
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    //! Of a build that knows no such cards.

    use candle_core::Device;

    use super::super::{DeviceMemory, card::Unfit};

    pub fn count() -> usize {
        0
    }

    pub fn check(_number: usize) -> Result<(), Unfit> {
        Ok(())
    }

    pub fn speed(_number: usize) -> u64 {
        0
    }

    pub fn has_bf16(_number: usize) -> bool {
        true
    }

    pub fn open(number: usize) -> candle_core::Result<Device> {
        Device::new_cuda_with_stream(number)
    }

    pub fn memory(_number: usize) -> Option<DeviceMemory> {
        None
    }

    pub fn lost(_number: usize) -> Option<String> {
        None
    }

    pub fn trim(_number: usize) {}
}

// === impl PlacementError ===

impl Fault for PlacementError {
    fn kind(&self) -> Kind {
        match self {
            Self::Lost { .. } => Kind::Unavailable,
            _ => Kind::Unsupported,
        }
    }

    /// A lost one comes back with another process only.
    fn permanent(&self) -> bool {
        true
    }

    fn param(&self) -> Option<&str> {
        Some(if matches!(self, Self::DType { .. }) { "dtype" } else { "device" })
    }
}
