//! Where the files of a model come from.

use std::{fmt, path::PathBuf, str::FromStr};

use super::{
    Link, SourceError,
    archive::Archive,
    names::{is_commit, is_plain_name},
};
use crate::remote::Address;

/// The branch that a hub source without a revision means.
const DEFAULT_REVISION: &str = "main";

/// Where the files of one part of a model come from. Written and parsed as `embedded:name`, `file:/folder`,
/// `hf://org/name@revision`, `gs://bucket/prefix`, `s3://bucket/prefix` and `https://host/path/file`; what is one file
/// may end in `#sha256=…`, and what is called `.zip`, `.tar.gz` or `.tgz` is unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Inside this program.
    Embedded(String),
    /// A folder of this machine, read in place.
    Folder(PathBuf),
    /// A repository of the hub, at a branch, a tag or a commit.
    Hub { repo: String, revision: String },
    /// Everything below a prefix of a bucket.
    Bucket(Address),
    /// One file of the web or of a bucket; an archive stands for the files in it.
    File(Link),
}

// === impl Source ===

impl Source {
    /// Whether its files come over the network.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Hub { .. } | Self::Bucket(_) | Self::File(_))
    }

    /// A repository of the hub.
    pub fn hub(repo: &str, revision: Option<&str>) -> Result<Self, SourceError> {
        let revision = revision.unwrap_or(DEFAULT_REVISION);
        if !is_repository(repo) {
            return Err(SourceError::Repository { repo: repo.to_owned() });
        }
        if !is_revision(revision) {
            return Err(SourceError::Revision { revision: revision.to_owned() });
        }
        Ok(Self::Hub { repo: repo.to_owned(), revision: revision.to_owned() })
    }

    /// The same place at another revision. Only the hub has several; what has none stays.
    pub fn at(&self, revision: &str) -> Result<Self, SourceError> {
        match self {
            Self::Hub { repo, .. } => Self::hub(repo, Some(revision)),
            _ => Ok(self.clone()),
        }
    }

    /// What to unpack before there are files.
    pub(super) fn archive(&self) -> Option<Archive> {
        match self {
            Self::File(link) => link.archive(),
            _ => None,
        }
    }

    /// The word before the colon; a metric label.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Folder(_) => "file",
            Self::Hub { .. } => "hf",
            Self::Bucket(address) => address.scheme.name(),
            Self::File(link) => link.scheme(),
        }
    }

    /// Whether the files behind it can never change.
    pub fn pinned(&self) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Folder(_) | Self::Bucket(_) => false,
            Self::Hub { revision, .. } => is_commit(revision),
            Self::File(link) => link.sha256.is_some(),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("embedded:") {
            return embedded(name);
        }
        if let Some(folder) = text.strip_prefix("file:") {
            return folder_of(folder);
        }
        if let Some(repo) = text.strip_prefix("hf://") {
            let (repo, revision) = repo.split_once('@').map_or((repo, None), |(repo, at)| (repo, Some(at)));
            return Self::hub(repo, revision);
        }
        match text.split_once("://") {
            Some(("gs" | "s3", _)) => bucket(text),
            Some(("https" | "http", _)) => text.parse().map(Self::File),
            _ => Err(SourceError::Shape { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(name) => write!(f, "embedded:{name}"),
            Self::Folder(folder) => write!(f, "file:{}", folder.display()),
            Self::Hub { repo, revision } => write!(f, "hf://{repo}@{revision}"),
            Self::Bucket(address) => address.fmt(f),
            Self::File(link) => link.fmt(f),
        }
    }
}

fn embedded(name: &str) -> Result<Source, SourceError> {
    match name.trim_start_matches("//") {
        "" => Err(SourceError::Empty { scheme: "embedded:", example: "whisper-nano.en" }),
        name => Ok(Source::Embedded(name.to_owned())),
    }
}

/// `file:/a`, `file:///a` and `file:relative` are all understood.
fn folder_of(folder: &str) -> Result<Source, SourceError> {
    match folder.strip_prefix("//").unwrap_or(folder) {
        "" => Err(SourceError::Empty { scheme: "file:", example: "/models/whisper-tiny" }),
        folder => Ok(Source::Folder(folder.into())),
    }
}

/// An archive and what is pinned are one object; anything else is a prefix.
fn bucket(text: &str) -> Result<Source, SourceError> {
    let plain = text.split('#').next().unwrap_or_default();
    let address: Address = plain.parse().map_err(|error| SourceError::Bucket { reason: format!("{error}") })?;
    match plain.len() < text.len() || Archive::of_name(&address.key).is_some() {
        true => text.parse().map(Source::File),
        false => Ok(Source::Bucket(address)),
    }
}

/// One or two names; the hub's oldest repositories have no organisation.
fn is_repository(repo: &str) -> bool {
    repo.split('/').count() <= 2 && repo.split('/').all(is_plain_name)
}

/// Branches may hold slashes, as in `refs/pr/1`.
fn is_revision(revision: &str) -> bool {
    revision.len() <= 255 && revision.split('/').all(is_plain_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_as_they_are_read() {
        for text in [
            "embedded:whisper-nano.en",
            "file:/models/x",
            "hf://acme/tiny@main",
            "hf://gpt2@refs/pr/1",
            "gs://models/whisper/tiny",
            "s3://models",
            "https://host.example/models/tiny.zip",
            "gs://models/tiny.tar.gz#sha256=5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert_eq!("hf://acme/tiny".parse::<Source>().unwrap().to_string(), "hf://acme/tiny@main");
        assert_eq!("file:///models/x".parse::<Source>().unwrap().to_string(), "file:/models/x");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |text: &str| text.parse::<Source>().unwrap_err().to_string();
        assert!(refusal("gs://Bucket/x").contains("its bucket should be"));
        assert!(refusal("s3://bucket/../x").contains("no '.' or '..'"));
        assert!(refusal("az://container/x").contains("names no source"));
        assert!(refusal("acme/tiny").contains("names no source"));
        assert!(refusal("ftp://x").contains("names no source"));
        assert!(refusal("file:").contains("file:/models/whisper-tiny"));
        assert!(refusal("embedded:").contains("embedded:whisper-nano.en"));
    }

    #[test]
    fn no_name_leaves_its_folder() {
        for text in ["hf://../x", "hf://a/..", "hf://a/b/c", "hf:///b", "hf://a/.b", "hf://a\\b/c", "hf://a/b%2f"] {
            assert!(matches!(text.parse::<Source>(), Err(SourceError::Repository { .. })), "{text}");
        }
        for text in ["hf://a/b@", "hf://a/b@../x", "hf://a/b@x y", "hf://a/b@/x", "hf://a/b@x/../y"] {
            assert!(matches!(text.parse::<Source>(), Err(SourceError::Revision { .. })), "{text}");
        }
    }

    #[test]
    fn only_a_commit_is_pinned() {
        let source: Source = "hf://acme/tiny".parse().unwrap();
        assert!(!source.pinned());
        assert!(source.at("0123456789abcdef0123456789abcdef01234567").unwrap().pinned());
        let link = "https://host.example/x.zip";
        let pinned = format!("{link}#sha256={}", "0".repeat(64)).parse::<Source>().unwrap();
        assert!(pinned.pinned() && !link.parse::<Source>().unwrap().pinned());
    }
}
