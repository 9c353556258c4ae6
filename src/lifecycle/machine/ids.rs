//! Numbers that the machine gives.

/// Names one fetch or one load, so that news of an earlier one is recognised.
pub type Attempt = u64;

/// Names one version of a model, for as long as the machine runs.
pub type VersionId = u64;
