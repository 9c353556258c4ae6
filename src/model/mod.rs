//! The contract between those who run models and those who are models. `runtime` knows no family and no family knows a
//! thread: both point here.

mod batch;
mod family;
mod files;
mod placement;
mod request;

pub use batch::{Admission, Batch};
pub use family::{Availability, Broken, Family, LoadError, Model, Preset};
pub use files::{Location, ModelFiles};
pub use placement::{Backing, DeviceChoice, DeviceId, Placement, PlacementOverrides};
pub use request::{Request, RequestError, Responses, request};
