//! What may be known of a model.

use std::time::{Duration, Instant};

use super::Stock;
use crate::lifecycle::{ModelSpec, Obstacle, Progress, Status};

/// What may be known of a model.
pub struct View<'a, R, F> {
    pub spec: &'a ModelSpec,
    pub status: Status,
    pub since: Option<Instant>,
    pub progress: Option<Progress>,
    pub stock: Option<&'a Stock<F>>,
    pub resource: Option<&'a R>,
    /// Its files are held in host memory.
    pub warm: bool,
    pub idle_since: Option<Instant>,
    /// When it goes, if nobody asks for it.
    pub expires_at: Option<Instant>,
    pub waiting: usize,
    /// Among those who wait for room; 1: the next.
    pub place: Option<usize>,
    /// How long until it is there, as far as that can be told.
    pub expected_in: Option<Duration>,
    pub error: Option<ViewError>,
    pub update: Option<UpdateView>,
    pub freed: Option<u64>,
}

/// What may be known of an update.
pub struct UpdateView {
    pub revision: Option<String>,
    pub status: Status,
    pub progress: Option<Progress>,
    pub error: Option<ViewError>,
}

/// The last failure of a version.
#[derive(Clone, Debug)]
pub struct ViewError {
    pub message: String,
    pub permanent: bool,
    pub attempts: u32,
    pub retry_at: Option<Instant>,
    pub obstacle: Option<Obstacle>,
}
