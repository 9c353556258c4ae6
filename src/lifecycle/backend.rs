//! The seam to those who do the work: `store` brings files, `runtime` runs models. The driver knows only this.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;

use super::{Budget, Footprint, ModelSpec};
use crate::{
    model::{Family, Outside, Residency},
    runtime::{DeviceHealth, Pulse},
    speech::{Fault, Kind},
    store::{Phase, Provenance},
};

/// Brings models in. Each future may be dropped: a fetch stops; a load goes on and its result is discarded.
pub trait Backend: Send + Sync + 'static {
    /// The files of a model.
    type Files: Clone + Send + Sync + 'static;
    /// A loaded model; when the last `Arc` of one goes, it unloads.
    type Executor: Send + Sync + 'static;

    /// Of the devices that models live on.
    fn health(&self) -> Arc<DeviceHealth> {
        Arc::default()
    }

    /// What of a model is on this machine, if all of it is. Asks nobody, and may look at disks.
    fn look(&self, spec: &ModelSpec) -> BoxFuture<'static, Option<OnDisk>>;

    /// With a `budget` a model that can never fit into it is refused before its weights come, as far as they can be
    /// weighed until then: [`Obstacle::TooLarge`].
    fn fetch(
        &self,
        spec: &ModelSpec,
        budget: Option<Budget>,
        report: Report,
    ) -> BoxFuture<'static, Result<Fetched<Self::Files>, Failure>>;

    /// Holds the files in host memory, so that a load reads them from nowhere else. `None`: there is no room for them, or they
    /// cannot be read.
    fn warm(&self, _spec: &ModelSpec, _files: &Self::Files) -> BoxFuture<'static, Option<Self::Files>> {
        std::future::ready(None).boxed()
    }

    /// Loads and warms up. An error means that whatever was loaded is out of memory again.
    fn load(
        &self,
        spec: &ModelSpec,
        files: &Self::Files,
        residency: Residency,
    ) -> BoxFuture<'static, Result<Loaded<Self::Executor>, Failure>>;
}

/// Where a fetch tells its progress, as often as it likes.
pub type Report = watch::Sender<Progress>;

/// How far a download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Progress {
    pub phase: Phase,
    pub bytes_done: u64,
    /// 0 while it is not known.
    pub bytes_total: u64,
    pub files_done: u64,
    pub files_total: u64,
    pub bytes_per_second: Option<f64>,
    pub eta_seconds: Option<f64>,
}

/// The files of a model, complete.
#[derive(Clone, Debug)]
pub struct Fetched<F> {
    pub files: F,
    /// What the model will take.
    pub footprint: Footprint,
    /// Where it will take them: `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that came over the network.
    pub downloaded: u64,
    /// The commit that they are of, where the source has such a thing.
    pub revision: Option<String>,
    /// Part → where its files came from.
    pub parts: BTreeMap<String, Provenance>,
}

/// The files of a model, found where an earlier fetch left them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnDisk {
    /// The commit that they are of, where the source has such a thing.
    pub revision: Option<String>,
    /// Part → where its files came from.
    pub parts: BTreeMap<String, Provenance>,
}

/// A model in memory, warm.
pub struct Loaded<E> {
    pub executor: E,
    pub facts: Facts,
    /// Resolves when the model is out of memory, because the executor was dropped or because it broke.
    pub ended: BoxFuture<'static, Ended>,
}

/// What is known of a loaded model.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who runs it, where that is a family of models.
    pub family: Option<&'static dyn Family>,
    pub pulse: Arc<Pulse>,
    pub device: String,
    pub dtype: String,
    /// How its parts share the device, where they could do otherwise.
    pub residency: Option<Residency>,
    /// What marks the sound that it makes, where something does.
    pub watermark: Option<&'static str>,
    pub load: Duration,
    pub warm: Duration,
    /// Bytes by which what its device holds grew; `None` where other models came or went meanwhile.
    pub resident: Option<u64>,
    /// The process that it is, or that does its work, which holds memory of its own.
    pub outside: Option<Arc<Outside>>,
}

/// How a model left the memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    /// It broke; the text is for clients.
    pub died: Option<String>,
    /// Bytes by which what its device holds shrank; `None` where other models came or went meanwhile.
    pub freed: Option<u64>,
}

/// Why a fetch or a load came to nothing; the text is for clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub reason: String,
    /// Time alone will not cure it.
    pub permanent: bool,
    /// Not sooner than this.
    pub retry_after: Option<Duration>,
    /// What stands in the way, where it is more than bad luck.
    pub obstacle: Option<Obstacle>,
}

/// Why a model cannot be had here, whoever asks and however often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This build or this machine lacks what it needs.
    Unsupported,
    /// Its files are given only to those who were accepted for it.
    Gated,
    TooLarge(TooLarge),
}

/// A model that needs more memory than all models together may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    pub need: Footprint,
    /// Where: `cpu`, `cuda:0`, `metal`.
    pub device: Arc<str>,
}

/// Why a download or a load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Preload,
    Request,
    /// `POST /download-models` and its like.
    Requested,
    Retry,
    /// Another version is to take its place.
    Update,
}

// === impl Facts ===

impl Facts {
    /// Bytes that it holds, in this process and outside of it; `None` where that could not be told.
    pub fn held(&self) -> Option<u64> {
        match &self.outside {
            Some(outside) => Some(self.resident.unwrap_or_default() + outside.memory()),
            None => self.resident,
        }
    }
}

// === impl Failure ===

impl Failure {
    pub fn of(fault: &(impl Fault + ?Sized)) -> Self {
        let obstacle = (fault.kind() == Kind::Unsupported).then_some(Obstacle::Unsupported);
        let (permanent, retry_after) = (fault.permanent(), fault.retry_after());
        Self { reason: fault.to_string(), permanent, retry_after, obstacle }
    }

    /// A model that was weighed and can never fit.
    pub fn too_large(need: Footprint, device: &str) -> Self {
        let reason = format!("it needs {need} of memory on {device}, more than all models together may take there");
        let obstacle = Some(Obstacle::TooLarge(TooLarge { need, device: device.into() }));
        Self { reason, permanent: true, retry_after: None, obstacle }
    }

    pub fn transient(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: false, retry_after: None, obstacle: None }
    }
}

// === impl Cause ===

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preload => "preload",
            Self::Request => "request",
            Self::Requested => "asked",
            Self::Retry => "retry",
            Self::Update => "update",
        }
    }
}

// === impl Progress ===

impl Progress {
    /// For a sentence: `downloading, 12 of 48 MB`.
    pub(super) fn sentence(&self) -> String {
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        match self.bytes_total {
            0 => "being downloaded".to_owned(),
            total => format!("being downloaded, {} of {} MB", megabytes(self.bytes_done), megabytes(total)),
        }
    }
}
