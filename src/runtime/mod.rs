//! One named thread per loaded model, one bounded queue before it, and the devices that models live on.
//!
//! ```text
//! submit ──► Queue ──► worker thread: load → warm up → [ take a request → Batch → Model ]* → drop the model
//!             full: Rejected::Full        panic or Broken: those queued fail, Event::Ended { died }
//! ```
//!
//! Nothing here knows a family: an [`Executor`] is given a closure that loads a [`Model`](crate::model::Model).

#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a build for such cards has kernels to compare with"))]
mod card;
mod choice;
mod config;
#[cfg(feature = "cuda")]
#[allow(unsafe_code, reason = "the driver is a C library")]
mod cuda;
mod device_memory;
mod devices;
mod event;
mod executor;
mod health;
mod host;
mod memory;
mod metrics;
mod outside_memory;
mod placer;
mod pulse;
mod queue;
mod rejected;
mod setup;
mod work;
mod worker;

pub use config::Config;
pub use device_memory::DeviceMemory;
pub use devices::{Devices, Installed, PlacementError};
pub use event::{Event, StartError};
pub use executor::Executor;
pub use health::DeviceHealth;
pub use host::Host;
pub use memory::{Scale, trim_soon};
pub use metrics::Metrics;
pub use placer::{Placed, Placer};
pub use pulse::Pulse;
pub use rejected::Rejected;
pub use setup::Setup;
pub use work::{Runnable, Work};

#[cfg(test)]
mod tests;
