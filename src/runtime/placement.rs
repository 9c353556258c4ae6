//! From what the configuration says to a device, a data type and a number of threads.

use std::thread;

use candle_core::{DType, Device, DeviceLocation};

use super::{Config, DTypeChoice, DeviceChoice};
use crate::{
    model::Placement,
    speech::{Fault, Kind},
};

/// Why a device that was named cannot be used. There is no silent fall-back from a named one.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    #[error(
        "device = \"{device}\": this build has no support for it; build with --features {feature}, or say \"auto\" or \"cpu\""
    )]
    NotBuilt { device: String, feature: &'static str },
    #[error("device = \"{device}\": it does not answer ({reason}); name another one, or say \"auto\" or \"cpu\"")]
    NotThere { device: String, reason: String },
}

/// Where models of this process live.
pub fn place(config: &Config) -> Result<Placement, PlacementError> {
    let device = device(config.device)?;
    Ok(Placement {
        dtype: dtype(config.dtype, &device),
        device,
        threads: config.threads.unwrap_or_else(processors).max(1),
        max_batch: config.max_batch.max(1),
    })
}

/// `cpu`, `cuda:0` or `metal`.
pub fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { .. } => "metal".to_owned(),
    }
}

/// `f32`, `f16` or `bf16`.
pub fn dtype_name(dtype: DType) -> &'static str {
    dtype.as_str()
}

fn device(choice: DeviceChoice) -> Result<Device, PlacementError> {
    match choice {
        DeviceChoice::Auto => Ok(best()),
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) => cuda(index),
        DeviceChoice::Metal => metal(),
    }
}

/// The first accelerator of this build that answers, else the CPU.
fn best() -> Device {
    let (accelerator, tried) = if cfg!(feature = "cuda") {
        (cuda(0), true)
    } else if cfg!(feature = "metal") {
        (metal(), true)
    } else {
        (Ok(Device::Cpu), false)
    };
    accelerator.unwrap_or_else(|error| {
        if tried {
            tracing::warn!(%error, "no accelerator answers, models go to the CPU");
        }
        Device::Cpu
    })
}

fn cuda(index: usize) -> Result<Device, PlacementError> {
    let device = format!("cuda:{index}");
    if !cfg!(feature = "cuda") {
        return Err(PlacementError::NotBuilt { device, feature: "cuda" });
    }
    Device::new_cuda(index).map_err(|error| PlacementError::NotThere { device, reason: error.to_string() })
}

fn metal() -> Result<Device, PlacementError> {
    let device = "metal".to_owned();
    if !cfg!(feature = "metal") {
        return Err(PlacementError::NotBuilt { device, feature: "metal" });
    }
    Device::new_metal(0).map_err(|error| PlacementError::NotThere { device, reason: error.to_string() })
}

fn dtype(choice: DTypeChoice, device: &Device) -> DType {
    match choice {
        DTypeChoice::Auto if device.is_cpu() => DType::F32,
        DTypeChoice::Auto | DTypeChoice::F16 => DType::F16,
        DTypeChoice::F32 => DType::F32,
        DTypeChoice::Bf16 => DType::BF16,
    }
}

/// Processors that this process may use; honours affinity and cgroup quotas.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

// === impl PlacementError ===

impl Fault for PlacementError {
    fn kind(&self) -> Kind {
        Kind::Unsupported
    }

    fn param(&self) -> Option<&str> {
        Some("device")
    }
}
