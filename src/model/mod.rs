//! The contract between those who run models and those who are models. `runtime` knows no family and no family knows a
//! thread: both point here.

mod batch;
mod family;
mod files;
mod job;
mod placement;

pub use batch::{Admission, Batch};
pub use family::{Availability, Broken, Family, LoadError, Model, Preset};
pub use files::{Location, ModelFiles};
pub use job::{Answers, Job, JobError, job};
pub use placement::{Backing, DeviceChoice, DeviceId, Placement, Wishes};
