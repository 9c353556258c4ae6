//! What was read.

use bytes::Bytes;

/// The whole of something, and what it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBytes {
    pub bytes: Bytes,
    pub content_type: Option<String>,
}
