//! The hub's cache layout, as the Python tools write it:
//!
//! ```text
//! models--org--name/
//!   blobs/<etag>                     the files, named by sha256 (large ones) or by git blob sha1
//!   snapshots/<commit>/<file>        symbolic links to ../../blobs/<etag>, or copies where links fail
//!   refs/<branch>                    the commit that a branch meant when it was last asked for
//!   blobs/<etag>.<random>.part       ours: a file that is not whole yet, and beside it its .journal
//!   .sconce/<commit>.json            ours: the manifest
//!   .sconce/lease.json               ours: who is fetching
//!   .sconce/quarantine/<etag>        ours: what arrived and was wrong
//!   .sconce/unpacking-<random>/      ours: an archive that is being unpacked
//!   .sconce/<commit>.used, .held-…   ours: who uses a commit, see `pins`
//!   .sconce/<commit>.derived/        ours: what models computed of its files, and need not compute again
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    cached_repo::CachedRepo,
    files::{copy_whole, symlink, write_whole},
    names::is_plain_name,
};

/// How folders begin that an archive is unpacked into.
const UNPACKING: &str = "unpacking-";

/// How a folder ends that holds what was computed of a commit's files.
const DERIVED: &str = ".derived";

/// The folder of one repository in one cache.
#[derive(Clone, Debug)]
pub(super) struct RepoDir(PathBuf);

// === impl RepoDir ===

impl RepoDir {
    pub(super) fn new(cache: &Path, repo: &CachedRepo) -> Self {
        Self(cache.join(&repo.folder))
    }

    /// Of a repository that was found by its folder.
    pub(super) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// That of a file of a snapshot, and the commit.
    pub(super) fn of_file(file: &Path) -> Option<(Self, String)> {
        let snapshot = file.ancestors().find(|path| path.parent().is_some_and(|above| above.ends_with("snapshots")))?;
        let commit = snapshot.file_name()?.to_str()?.to_owned();
        Some((Self(snapshot.parent()?.parent()?.to_owned()), commit))
    }

    pub(super) fn blob(&self, name: &str) -> PathBuf {
        self.blobs().join(name)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.0.join("snapshots").join(commit)
    }

    pub(super) fn manifest(&self, commit: &str) -> PathBuf {
        self.ours().join(format!("{commit}.json"))
    }

    /// For what models compute of the files of a commit.
    pub(super) fn derived(&self, commit: &str) -> PathBuf {
        self.ours().join(format!("{commit}{DERIVED}"))
    }

    pub(super) fn ours(&self) -> PathBuf {
        self.0.join(".sconce")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.0.join("refs").join(revision)
    }

    /// The commit that a branch or tag meant when it was last asked for.
    pub(super) fn read_ref(&self, revision: &str) -> Option<String> {
        let commit = fs::read_to_string(self.reference(revision)).ok()?.trim().to_owned();
        is_plain_name(&commit).then_some(commit)
    }

    /// Every commit that has files here, in order.
    pub(super) fn commits(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("snapshots")).into_iter().flatten().flatten();
        let mut commits: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        commits.retain(|commit| is_plain_name(commit));
        commits.sort();
        commits
    }

    /// Does nothing if it says so already.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
        if revision == commit || self.read_ref(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        write_whole(&self.reference(revision), commit.as_bytes())
    }

    /// Moves a file aside that is not what its name says. Of each blob the last one is kept, for who wants to look.
    pub(super) fn quarantine(&self, path: &Path, blob: &str) {
        let aside = self.ours().join("quarantine").join(blob);
        let moved = fs::create_dir_all(aside.parent().unwrap_or(&aside)).and_then(|()| fs::rename(path, &aside));
        match moved {
            Ok(()) => tracing::warn!(path = %aside.display(), "a file that is not what it should be was put aside"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot put a damaged file aside"),
        }
    }

    /// Where the download lock of this repository lies.
    pub(super) fn download_lock(&self) -> PathBuf {
        self.ours().join("lease.json")
    }

    /// A folder for one writer alone, on the same disk; it goes when it is dropped.
    pub(super) fn temporary_folder(&self) -> io::Result<TempDir> {
        let folder = self.0.join(".sconce");
        fs::create_dir_all(&folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNPACKING);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        builder.tempdir_in(folder)
    }

    /// Makes a file of a snapshot point to its blob.
    pub(super) fn link(&self, commit: &str, file: &str, blob: &str) -> io::Result<()> {
        let path = self.snapshot(commit).join(file);
        let folder = path.parent().unwrap_or(&path).to_owned();
        fs::create_dir_all(&folder)?;
        let target = Path::new(&"../".repeat(file.split('/').count() + 1)).join("blobs").join(blob);
        if fs::read_link(&path).is_ok_and(|known| known == target) {
            return Ok(());
        }
        // Made beside the place and renamed into it, so that there is never nothing where there was something.
        let beside = folder.join(format!(".{:016x}.link", rand::random::<u64>()));
        symlink(&target, &beside).or_else(|_| copy_whole(&self.blob(blob), &beside))?;
        fs::rename(&beside, &path).inspect_err(|_| drop(fs::remove_file(&beside)))
    }
}

/// The commit of such a name in `.sconce` whose files something there was computed of.
pub(super) fn derived_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(DERIVED)
}

/// Whether an archive was unpacked there, or something was put there on its way out.
pub(super) fn is_unpacking(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNPACKING))
}
