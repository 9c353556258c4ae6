//! What the parts of the store do with files alike.

use std::{fs, io, path::Path};

use tempfile::NamedTempFile;

/// Folders below a snapshot that are looked into; repositories of models have one or two.
const DEPTH: usize = 8;

/// The names of all files below a folder, relative to it, with `/` between components, sorted. Links are followed;
/// hidden files and folders are not looked at.
pub fn walk(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    walk_into(folder, "", DEPTH, &mut names)?;
    names.sort();
    Ok(names)
}

/// Writes a small file so that a reader sees the old content or the new, never a part.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut file = new_temporary(folder, ".", ".new")?;
    io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A new file that can be read and written.
pub(super) fn new_file(path: &Path) -> io::Result<fs::File> {
    fs::File::options().read(true).write(true).create_new(true).open(path)
}

pub(super) fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, path);
    #[cfg(not(unix))]
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

/// Runs something that may block on a thread made for that. Its log lines are those of who asked.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(io::Error::other)?
}

fn walk_into(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        // Of the target of a link; one that leads nowhere is not a file.
        let Ok(kind) = fs::metadata(entry.path()) else { continue };
        if kind.is_file() {
            names.push(format!("{prefix}{name}"));
        } else if kind.is_dir() && depth > 0 {
            walk_into(&entry.path(), &format!("{prefix}{name}/"), depth - 1, names)?;
        }
    }
    Ok(())
}

/// Readable by whom the umask allows; a cache is shared, and `tempfile` alone would make it private.
fn new_temporary(folder: &Path, prefix: &str, suffix: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(suffix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
