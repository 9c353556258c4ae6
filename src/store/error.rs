//! What can go wrong between a source and a verified file.

use std::{io, path::PathBuf, time::Duration};

use crate::{
    model::LoadError,
    speech::{Fault, Kind},
};

/// Why the files of a model cannot be had. Texts name sources and files as the user configured them; where the cache
/// lies is for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the model store cannot be set up: {0}")]
    Setup(String),
    #[error("this program has no embedded model {name}; {}", listed(.known))]
    NotEmbedded { name: String, known: Vec<String> },
    #[error("the folder {} cannot be read: {source}", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("{source_name} holds no file {file}")]
    NoFile { source_name: String, file: String },
    /// What the family makes of the listing.
    #[error("{source_name} is not a model that can be served: {source}")]
    Unfit { source_name: String, source: LoadError },
    #[error(
        "{missing} of {source_name} is not on this machine, and offline = true forbids to fetch it; fill the cache \
         with `sconce pull`, or allow the network"
    )]
    Offline { source_name: String, missing: String },
    #[error("the hub {endpoint} has no {source_name}; check the name and the revision")]
    NotFound { endpoint: String, source_name: String },
    #[error("the hub {endpoint} refuses {source_name} ({status}): {}", remedy(*.gated, *.with_token, .endpoint, .repo))]
    Denied { endpoint: String, source_name: String, repo: String, status: u16, gated: bool, with_token: bool },
    #[error("{source_name} cannot be fetched: the hub {endpoint} {reason}")]
    Unreachable { endpoint: String, source_name: String, reason: String, retry_after: Option<Duration> },
    /// The hub's answer makes no sense, and will make none a second later.
    #[error("{source_name} cannot be fetched: the hub {endpoint} {reason}")]
    Foreign { endpoint: String, source_name: String, reason: String },
    #[error("{source_name} lists the file {file:?}, whose name would leave its folder; nothing of it is fetched")]
    Unsafe { source_name: String, file: String },
    #[error("{file} of {source_name} arrived twice and was wrong both times: {reason}")]
    Corrupt { source_name: String, file: String, reason: String },
    #[error("the model cache cannot be used: {}", cache_trouble(.0))]
    Cache(#[source] io::Error),
}

// === impl StoreError ===

impl StoreError {
    /// One word for logs and metric labels.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::NotEmbedded { .. } | Self::NoFile { .. } | Self::NotFound { .. } => "not_found",
            Self::Folder { .. } => "folder",
            Self::Unfit { .. } => "unfit",
            Self::Offline { .. } => "offline",
            Self::Denied { .. } => "denied",
            Self::Unreachable { .. } => "unreachable",
            Self::Foreign { .. } | Self::Unsafe { .. } => "foreign",
            Self::Corrupt { .. } => "corrupt",
            Self::Cache(_) => "cache",
        }
    }
}

impl Fault for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unfit { source, .. } => source.kind(),
            _ => Kind::Unavailable,
        }
    }

    /// A folder may be mounted late and a full disk may be cleared, so both are tried again.
    fn permanent(&self) -> bool {
        match self {
            Self::Unfit { source, .. } => source.permanent(),
            Self::Unreachable { .. } | Self::Corrupt { .. } | Self::Cache(_) | Self::Folder { .. } => false,
            Self::Setup(_)
            | Self::NotEmbedded { .. }
            | Self::NoFile { .. }
            | Self::Offline { .. }
            | Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Foreign { .. }
            | Self::Unsafe { .. } => true,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
}

/// What to do about a refusal. Without a token the hub also refuses what does not exist.
fn remedy(gated: bool, with_token: bool, endpoint: &str, repo: &str) -> String {
    match (gated, with_token) {
        (true, true) => format!(
            "the repository is gated; accept its licence at {endpoint}/{repo} with the account of HF_TOKEN, and let \
             the token read gated repositories"
        ),
        (true, false) => format!(
            "the repository is gated; accept its licence at {endpoint}/{repo} and set HF_TOKEN to a token of that \
             account"
        ),
        (false, true) => format!("HF_TOKEN is not valid, or may not read {repo}; check both"),
        (false, false) => "it is private or does not exist; check the name, or set HF_TOKEN".to_owned(),
    }
}

fn cache_trouble(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "its disk is full; free space, or let HF_HUB_CACHE name a larger one".to_owned()
        }
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotFound => {
            format!("it is not a folder that can be written ({error}); make it writable, or set HF_HUB_CACHE")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_with_the_disk_says_what_to_do() {
        let text = |kind: io::ErrorKind| StoreError::Cache(kind.into()).to_string();
        assert!(text(io::ErrorKind::StorageFull).contains("disk is full"));
        assert!(text(io::ErrorKind::ReadOnlyFilesystem).contains("HF_HUB_CACHE"));
        assert!(!StoreError::Cache(io::ErrorKind::StorageFull.into()).permanent());
    }
}
