//! From an archive among the blobs to a snapshot: measured, unpacked beside it, renamed as a whole, and the manifest last.

use std::{fs, io, path::Path};

use super::{
    StoreError,
    archive::{Archive, ArchiveError, Limits, Unpacked},
    cached_repo::CachedRepo,
    layout::RepoDir,
    manifest::{Entry, Manifest},
    snapshots::Found,
};

/// An archive that is whole, and where it goes.
pub(super) struct Packed {
    pub dir: RepoDir,
    pub repo: CachedRepo,
    pub commit: String,
    pub archive: Archive,
    pub blob: String,
}

// === impl Packed ===

impl Packed {
    /// Unpacks it into the snapshot of its commit, and removes it. `room` is asked for its bytes before the first of them
    /// is written. Blocks. Ended anywhere, it leaves a snapshot that has no entries in its manifest, which is not there;
    /// where only the disk was at fault, the archive stays for the next try.
    pub(super) fn unpack(self, room: impl FnOnce(u64) -> Result<(), StoreError>) -> Result<Vec<Found>, StoreError> {
        let Self { dir, repo, commit, archive, blob } = &self;
        let path = dir.blob(blob);
        let error = |error| match error {
            ArchiveError::Disk(error) => StoreError::Cache(error),
            ArchiveError::Refused(reason) => {
                // It will be no better the next time.
                drop(fs::remove_file(&path));
                StoreError::Archive { source_name: repo.source.clone(), reason }
            }
        };
        let limits = Limits::of(fs::metadata(&path).map_err(StoreError::Cache)?.len());
        let bytes = archive.measure(&path, limits).map_err(error)?;
        room(bytes)?;
        unpack_into(dir, repo, commit, *archive, &path, Limits { bytes, ..limits }).map_err(error)
    }
}

fn unpack_into(
    dir: &RepoDir,
    repo: &CachedRepo,
    commit: &str,
    archive: Archive,
    packed: &Path,
    limits: Limits,
) -> Result<Vec<Found>, ArchiveError> {
    let snapshot = dir.snapshot(commit);
    let beside = dir.temporary_folder()?;
    let mut unpacked = archive.unpack(packed, beside.path(), limits)?;
    let top = single_top(&unpacked).map(str::to_owned);
    if let Some(top) = &top {
        unpacked.iter_mut().for_each(|unpacked| drop(unpacked.file.drain(..=top.len())));
    }
    let root = top.map_or_else(|| beside.path().to_owned(), |top| beside.path().join(top));
    // Where locks do nothing, another process may have been quicker; what it put there may be in use.
    let theirs = Manifest::read(&dir.manifest(commit)).is_some_and(|known| known.files.len() == unpacked.len());
    if !(theirs && snapshot.is_dir()) {
        put_in_place(dir, &root, &snapshot)?;
        note(dir, repo, commit, &unpacked)?;
    }
    // What is left of the archive is nobody's; if it stays, housekeeping finds it.
    let _ = fs::remove_file(packed);
    let found = |Unpacked { file, size, .. }: Unpacked| Found { path: snapshot.join(&file), file, size };
    Ok(unpacked.into_iter().map(found).collect())
}

/// The folder that everything is in, if there is one.
fn single_top(unpacked: &[Unpacked]) -> Option<&str> {
    let top = |unpacked: &'_ Unpacked| unpacked.file.find('/');
    let (first, end) = (unpacked.first()?, unpacked.first().and_then(top)?);
    let name = &first.file[..end];
    unpacked.iter().all(|unpacked| unpacked.file[..top(unpacked).unwrap_or(0)] == *name).then_some(name)
}

/// What a try that was ended left there is put aside first, and goes with the folder that it is put into.
fn put_in_place(dir: &RepoDir, root: &Path, snapshot: &Path) -> io::Result<()> {
    fs::create_dir_all(snapshot.parent().unwrap_or(snapshot))?;
    let aside = dir.temporary_folder()?;
    match fs::rename(snapshot, aside.path().join("old")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(root, snapshot)
}

fn note(dir: &RepoDir, repo: &CachedRepo, commit: &str, unpacked: &[Unpacked]) -> io::Result<()> {
    let listing = unpacked.iter().map(|unpacked| unpacked.file.clone()).collect();
    let mut manifest = Manifest::new(&repo.name, commit, listing);
    let entry =
        |unpacked: &Unpacked| (unpacked.file.clone(), Entry { size: unpacked.size, sha256: unpacked.sha256.clone() });
    manifest.files.extend(unpacked.iter().map(entry));
    dir.write_ref(&repo.revision, commit)?;
    manifest.write(&dir.manifest(commit))
}
