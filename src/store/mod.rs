//! The files of models on this machine: where they come from, and whether they are whole.
//!
//! A [`Source`] says where the files of one part of a model come from. [`Store::fetch`] makes them lie on this machine,
//! verified; [`Store::local`] says what already does, without asking anybody. Look-up order: read-only caches, the
//! writable cache, the network.
//!
//! Correctness rests on four things and on no lock: every writer has a temporary file of its own, what arrives is hashed
//! and compared, a file gets its name by a rename, and the manifest's entry is written last.

mod archive;
mod breaker;
mod bucket;
mod cached_repo;
mod caches;
mod config;
mod digest;
mod download;
mod download_lock;
mod error;
mod evict;
mod extents;
mod fetch;
mod files;
mod folder;
mod handle;
mod housekeeping;
mod hub;
mod layout;
mod link;
mod maintenance;
mod manifest;
mod metrics;
mod names;
mod origin;
mod owner;
mod part;
mod partial;
mod pins;
mod preflight;
mod preview;
mod progress;
mod provenance;
mod retry;
mod sink;
mod snapshots;
mod source;
mod space;
mod terms;
#[cfg(test)]
mod tests;
mod transfer;
mod transport;
mod unpack;
mod verify;
mod web;
mod xet;
mod xet_client;

pub use crate::model::{EMBEDDED, EmbeddedModel};
pub use config::{Config, Verify};
pub use download::{Choose, FetchPlan, Fetched};
pub use error::{SourceError, StoreError};
pub use files::walk as files_of;
pub use handle::Store;
pub use housekeeping::{CachedCommit, CachedModel, Cleared, Doomed};
pub use link::Link;
pub use pins::CommitPin;
pub use progress::{Phase, Progress};
pub use provenance::{FileOrigin, Provenance};
pub use source::Source;
pub use verify::{FileReport, FileState};

pub use crate::remote::Secret;
