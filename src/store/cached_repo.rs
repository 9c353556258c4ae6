//! What a source that is fetched is called on disk and in sentences.

use std::path::Path;

use super::{
    names::{folder_name, is_commit},
    source::Source,
};

/// One repository at one revision, as the caches of this machine keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CachedRepo {
    /// For people: the source as it is written.
    pub source: String,
    /// The name of its folder in a cache: the hub's own for the hub, `scheme--…` for others.
    pub folder: String,
    /// The name of the repository, for the manifest.
    pub name: String,
    /// What the reference on disk is called.
    pub revision: String,
    /// The commit, if the source itself names it: then nobody has to be asked what it means.
    pub pinned: Option<String>,
}

// === impl CachedRepo ===

impl CachedRepo {
    /// `None` for what is read in place and needs no cache.
    pub(super) fn of(source: &Source) -> Option<Self> {
        match source {
            Source::Hub { repo, revision } => Some(Self {
                source: source.to_string(),
                folder: format!("models--{}", repo.replace('/', "--")),
                name: repo.clone(),
                revision: revision.clone(),
                pinned: is_commit(revision).then(|| revision.clone()),
            }),
            Source::Bucket(address) => {
                let address = address.to_string();
                Some(Self::unversioned(source, folder_name(source.scheme(), &address)))
            }
            Source::File(link) => Some(Self {
                pinned: link.sha256.clone(),
                ..Self::unversioned(source, folder_name(source.scheme(), link.address()))
            }),
            Source::Embedded(_) | Source::Folder(_) => None,
        }
    }

    /// Whether other tools fill its folder, too.
    pub(super) fn is_of_hub(&self) -> bool {
        self.folder.starts_with("models--")
    }

    /// Of a place that only ever has what it has now.
    fn unversioned(source: &Source, folder: String) -> Self {
        let source = source.to_string();
        Self { name: source.clone(), source, folder, revision: "latest".to_owned(), pinned: None }
    }

    /// Every repository in a cache, by the names of its folders, in their order.
    pub(super) fn all(cache: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut folders: Vec<String> = names.filter(|name| cache.join(name).join("snapshots").is_dir()).collect();
        folders.sort();
        folders.into_iter().map(Self::of_folder).collect()
    }

    /// `models--org--name` as people write it. A name may hold `--` itself, so this is for people only.
    fn of_folder(folder: String) -> Self {
        let name = folder.strip_prefix("models--").unwrap_or(&folder).replace("--", "/");
        Self { source: name.clone(), name, folder, revision: String::new(), pinned: None }
    }
}
