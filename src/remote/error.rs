//! What can go wrong with an address.

use std::{error::Error, time::Duration};

use super::secret_url::scrubbed;
use crate::speech::{Fault, Kind};

/// Why the bytes behind an address cannot be had, or written. Texts name addresses without their query, which may hold
/// a signature.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RemoteError {
    #[error("{uri:?} is no address that can be read: {reason}")]
    NotAnAddress { uri: String, reason: String },
    #[error(
        "this server does not fetch from {host}; who runs it can allow that by adding {host:?} to the setting \
         remote.web.allow_hosts"
    )]
    HostNotAllowed { host: String },
    #[error(
        "this server does not touch the bucket {bucket} for callers; who runs it can allow that by adding {bucket:?} \
         to the setting remote.allow_buckets"
    )]
    BucketNotAllowed { bucket: String },
    #[error(
        "{uri} is not fetched: it is not encrypted; use https:// (the setting remote.web.allow_http allows http://)"
    )]
    Insecure { uri: String },
    #[error(
        "{host} is not fetched from: it leads to an address of a private network (the setting \
         remote.web.allow_private allows those)"
    )]
    Private { host: String },
    #[error("{uri} is larger than the {limit} bytes that are taken")]
    TooLarge { uri: String, limit: usize },
    #[error("{uri} does not exist")]
    NotFound { uri: String },
    #[error("{uri} may not be used with the rights of this server ({reason})")]
    Denied { uri: String, reason: String },
    /// An answer that will be the same a second later.
    #[error("{uri} cannot be fetched: {reason}")]
    Refused { uri: String, reason: String },
    #[error("{uri} cannot be reached: {reason}")]
    Unreachable { uri: String, reason: String, retry_after: Option<Duration> },
    #[error("{uri} did not come within {seconds} s")]
    Deadline { uri: String, seconds: f64 },
    #[error("the setting {setting} is not right: {reason}")]
    Setup { setting: &'static str, reason: String },
}

// === impl RemoteError ===

impl Fault for RemoteError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotAnAddress { .. } | Self::NotFound { .. } | Self::Refused { .. } => Kind::Invalid,
            Self::HostNotAllowed { .. }
            | Self::BucketNotAllowed { .. }
            | Self::Insecure { .. }
            | Self::Private { .. }
            | Self::Denied { .. } => Kind::Forbidden,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Unreachable { .. } => Kind::Unavailable,
            Self::Deadline { .. } => Kind::Deadline,
            Self::Setup { .. } => Kind::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The innermost reason, which the outer ones only wrap, of a length that a person reads and without secrets.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    /// Bytes of a reason; servers answer with whole pages.
    const LONGEST: usize = 200;
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    let mut text = scrubbed(&error.to_string());
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}
