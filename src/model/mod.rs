//! The contract between those who run models and those who are models. `runtime` knows no family and no family knows a
//! thread: both point here.

mod batch;
mod embedded;
mod family;
mod files;
mod flow;
mod input;
mod load_error;
mod lru;
mod mapped;
mod placement;
mod program;
mod program_choice;
mod reference_cache;
mod request;
mod signal;
mod streak;
mod worker;

pub use batch::{Admission, Batch};
pub use embedded::{EMBEDDED, EmbeddedModel};
pub use family::{Availability, Broken, Family, Knob, Model, OwnVoice, Preset, Terms};
pub use files::{Location, ModelFiles};
pub use flow::FlowLimits;
pub use input::{Input, InputClosed, InputSender};
pub use load_error::LoadError;
pub use lru::LruCache;
pub use placement::{
    Backing, CpuKernels, DTypeChoice, DeviceChoice, DeviceId, Placement, PlacementOverrides, Precision,
};
pub use program::{NoProgram, Program, ProgramFacts, ProgramVoice, Programs, can_be_run};
pub use program_choice::ProgramChoice;
pub use reference_cache::{ReferenceCache, ReferenceCacheConfig, ReferenceKey, ReferenceTensors};
pub use request::{Request, RequestError, Responses, request};
pub use signal::Signal;
pub use streak::Streak;
pub use worker::{Outside, OutsideStatus, WorkerChoice, WorkerRules};

#[cfg(test)]
mod tests;
