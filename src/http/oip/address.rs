//! The model that a path names.

use serde::Deserialize;

/// A model in a path. Its name may hold a `/`, as it is or as `%2F`.
#[derive(Deserialize)]
pub(super) struct Address {
    pub model: String,
    pub version: Option<String>,
}
