//! The contract between those who run models and those who are models. `runtime` knows no family and no family knows a
//! thread: both point here.

mod batch;
mod broken;
mod embedded;
mod family;
mod files;
mod flow;
mod guard_rules;
mod input;
mod knob;
mod load_error;
mod lru;
mod mapped;
mod placement;
mod program;
mod program_choice;
mod random_model;
mod reference_cache;
mod request;
mod request_error;
mod room;
mod signal;
mod streak;
mod worker;

pub use batch::{Admission, Batch};
pub use broken::Broken;
pub use embedded::{EMBEDDED, EmbeddedModel};
pub use family::{Availability, Family, Model, OwnVoice, Preset, Terms};
pub use files::{Location, ModelFiles};
pub use flow::FlowLimits;
pub use guard_rules::GuardRules;
pub use input::{Input, InputClosed, InputSender};
pub use knob::{ANY, Knob, KnobValues};
pub use load_error::LoadError;
pub use lru::LruCache;
pub use placement::{
    Backing, CpuKernels, DTypeChoice, DeviceChoice, DeviceId, Placement, PlacementOverrides, Precision, Residency,
};
pub use program::{NoProgram, Program, ProgramFacts, ProgramVoice, Programs, can_be_run};
pub use program_choice::ProgramChoice;
pub use random_model::RandomModel;
pub use reference_cache::{ReferenceCache, ReferenceCacheConfig, ReferenceKey, ReferenceTensors};
pub use request::{Request, Responses, request};
pub use request_error::RequestError;
pub use room::Room;
pub use signal::Signal;
pub use streak::Streak;
pub use worker::{Outside, OutsideStatus, WorkerChoice, WorkerRules};

#[cfg(test)]
mod tests;
