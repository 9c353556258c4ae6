//! Writes a file to disk and hashes it, on a thread that may block, while it arrives.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{digest::Hasher, layout::RepoDir, shelf::Checksum};

/// Network chunks (some 16 KiB each) that may wait for the disk.
const CHUNKS_IN_FLIGHT: usize = 64;
/// Bytes per write.
const BUFFER: usize = 1 << 20;

/// Where the bytes of one file go. It outlives a broken connection: the next one goes on where the last one ended.
/// Dropped before [`Sink::close`], it removes what it wrote.
pub(super) struct Sink {
    sender: mpsc::Sender<Bytes>,
    writer: JoinHandle<io::Result<Written>>,
    pub received: u64,
}

/// A whole file, not yet in its place.
pub(super) struct Written {
    pub file: NamedTempFile,
    /// The sha256, or what is wrong.
    pub verdict: Result<String, String>,
}

// === impl Sink ===

impl Sink {
    /// Opens a temporary file beside the blob that it is to become.
    pub(super) async fn open(dir: RepoDir, expected: Checksum, size: u64) -> io::Result<Self> {
        let name = expected.name().to_owned();
        let file = blocking(move || dir.temporary(&name)).await?;
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let hasher = Hasher::new(expected, size);
        let writer = tokio::task::spawn_blocking(move || write(file, hasher, receiver));
        Ok(Self { sender, writer, received: 0 })
    }

    /// Takes the next bytes; waits while the disk is behind. `false` if the disk failed, see [`Sink::close`].
    pub(super) async fn push(&mut self, bytes: Bytes) -> bool {
        self.received += bytes.len() as u64;
        self.sender.send(bytes).await.is_ok()
    }

    /// The file with all that was pushed, on the disk.
    pub(super) async fn close(self) -> io::Result<Written> {
        drop(self.sender);
        self.writer.await.map_err(io::Error::other)?
    }
}

/// Runs something that may block on a thread made for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn write(file: NamedTempFile, mut hasher: Hasher, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<Written> {
    let mut buffered = BufWriter::with_capacity(BUFFER, file);
    while let Some(chunk) = chunks.blocking_recv() {
        hasher.update(&chunk);
        buffered.write_all(&chunk)?;
    }
    let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    let verdict = hasher.finish();
    if verdict.is_ok() {
        // Before the rename, or a crash of the machine could leave the name without the content.
        file.as_file().sync_data()?;
    }
    Ok(Written { file, verdict })
}
