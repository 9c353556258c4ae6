//! What can go wrong between a source and a verified file.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::{
    model::LoadError,
    remote::shown,
    speech::{Fault, Kind},
};

/// Why a text is not a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(
        "{:?} names no source; write hf://organisation/name, gs://bucket/prefix, s3://bucket/prefix, \
         https://host/file, file:/folder or embedded:name",
        shown(.text)
    )]
    Shape { text: String },
    #[error("{reason}")]
    Bucket { reason: String },
    #[error("{text} cannot be fetched: {reason}")]
    Link { text: String, reason: String },
    #[error("{text} is not pinned well; write #sha256= and 64 hexadecimal digits after the address")]
    Pin { text: String },
    #[error("{repo:?} is no repository; one looks like organisation/name, in letters, digits, '-', '_' and '.'")]
    Repository { repo: String },
    #[error("{revision:?} is no revision; write a branch, a tag or a commit after the @, without spaces or '..'")]
    Revision { revision: String },
    #[error("{scheme} names nothing; write {scheme}{example}")]
    Empty { scheme: &'static str, example: &'static str },
}

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
    #[error("{} is a file, where a folder with the files of a model is expected", path.display())]
    NoFolder { path: PathBuf },
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
    /// `host` reads well in a sentence, here and below: `the hub https://huggingface.co`.
    #[error("{host} has no {source_name}; check the name and the revision")]
    NotFound { host: String, source_name: String },
    #[error(
        "its licence {licence} has to be agreed to before its files are fetched: `sconce pull --accept-licence` does so once \
         for a cache, or store.accepted_licences names it. {notice}"
    )]
    Terms { licence: &'static str, notice: &'static str },
    #[error("{host} refuses {source_name} ({status}): {remedy}")]
    Denied { host: String, source_name: String, status: u16, remedy: String, gated: bool },
    #[error("{source_name} cannot be fetched: {host} {reason}")]
    Unreachable { host: String, source_name: String, reason: String, retry_after: Option<Duration> },
    /// The answer makes no sense, and will make none a second later.
    #[error("{source_name} cannot be fetched: {host} {reason}")]
    Foreign { host: String, source_name: String, reason: String },
    /// Another file than the one that was listed. A later try lists anew.
    #[error("{file} of {source_name} changed while it was fetched: {reason}; try again")]
    Changed { source_name: String, file: String, reason: String },
    #[error("{source_name} lists the file {file:?}, whose name would leave its folder; nothing of it is fetched")]
    Unsafe { source_name: String, file: String },
    #[error("{file} of {source_name} arrived twice and was wrong both times: {reason}")]
    Corrupt { source_name: String, file: String, reason: String },
    /// Found by reading it before a load.
    #[error("{file} of {source_name} is damaged on disk: {reason}; {}", after_damage(*.aside))]
    Damaged {
        source_name: String,
        file: String,
        reason: String,
        /// It was put aside.
        aside: bool,
    },
    #[error(
        "{source_name} needs {}, and store.quota allows {} for the whole cache, of which {} are in use and cannot make \
         room; raise it, or unload another model",
        size(*.need), size(*.quota), size(*.used)
    )]
    OverQuota { source_name: String, need: u64, quota: u64, used: u64 },
    #[error("the archive {source_name} {reason}; nothing of it is used")]
    Archive { source_name: String, reason: String },
    /// Sizes in bytes. The reserve stays free for others.
    #[error(
        "{source_name} needs {} of disk, and the model cache has {} free{}; free space, or let HF_HUB_CACHE name a \
         larger disk",
        size(*.need), size(*.have), reserved(*.reserve)
    )]
    NoRoom { source_name: String, need: u64, have: u64, reserve: u64 },
    #[error("the model cache cannot be used: {}", cache_trouble(.0))]
    Cache(#[source] io::Error),
}

// === impl StoreError ===

impl StoreError {
    pub(super) fn no_file(source: &impl fmt::Display, file: &str) -> Self {
        Self::NoFile { source_name: source.to_string(), file: file.to_owned() }
    }

    pub(super) fn unfit(source: &impl fmt::Display, error: LoadError) -> Self {
        Self::Unfit { source_name: source.to_string(), source: error }
    }

    /// One word for logs and metric labels.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::NotEmbedded { .. } | Self::NoFile { .. } | Self::NotFound { .. } => "not_found",
            Self::Folder { .. } | Self::NoFolder { .. } => "folder",
            Self::Unfit { .. } => "unfit",
            Self::Offline { .. } => "offline",
            Self::Denied { .. } | Self::Terms { .. } => "denied",
            Self::Unreachable { .. } => "unreachable",
            Self::Foreign { .. } | Self::Unsafe { .. } => "foreign",
            Self::Changed { .. } => "changed",
            Self::Corrupt { .. } | Self::Damaged { .. } | Self::Archive { .. } => "corrupt",
            Self::NoRoom { .. } | Self::OverQuota { .. } => "no_room",
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
            Self::Damaged { aside, .. } => !aside,
            Self::Unreachable { .. }
            | Self::Changed { .. }
            | Self::Corrupt { .. }
            | Self::NoRoom { .. }
            | Self::OverQuota { .. }
            | Self::Cache(_)
            | Self::Folder { .. } => false,
            Self::Setup(_)
            | Self::NotEmbedded { .. }
            | Self::NoFolder { .. }
            | Self::NoFile { .. }
            | Self::Offline { .. }
            | Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Terms { .. }
            | Self::Foreign { .. }
            | Self::Unsafe { .. }
            | Self::Archive { .. } => true,
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

/// In decimal units, as disks are sold.
fn size(bytes: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes as f64 >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => format!("{bytes} bytes"),
    }
}

fn after_damage(aside: bool) -> &'static str {
    match aside {
        true => "it was put aside, and the next try fetches it anew",
        false => "it lies in a cache that is only read: mend it there",
    }
}

fn reserved(reserve: u64) -> String {
    if reserve == 0 { String::new() } else { format!(", of which {} stay free (store.reserve)", size(reserve)) }
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
