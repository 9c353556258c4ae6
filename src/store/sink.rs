//! Writes a file to disk and hashes it, on a thread that may block, while it arrives in any order.
//!
//! The hash goes over the file from its beginning: what arrives just there is hashed from memory, what arrived ahead of
//! it is read back (from the page cache, as a rule) when the beginning has come so far.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};

use super::{
    digest::{Checksum, Hasher},
    extents::Extents,
    files::blocking,
    layout::RepoDir,
    partial::Partial,
};

/// Chunks that may wait for the disk; their bytes are bounded by [`Buffers`].
const CHUNKS_IN_FLIGHT: usize = 256;
/// Bytes, of all files together, that may wait for the disk.
const BYTES_IN_FLIGHT: u32 = 6 << 20;
/// Bytes that are read back at a time.
const BLOCK: usize = 256 << 10;
/// The journal is written after so many bytes, and whenever [`Sink::note`] asks: a death costs no more than came since.
const NOTE_BYTES: u64 = 4 << 20;

/// Where the bytes of one file go. It outlives a broken connection, and what it wrote outlives it: the next sink of the
/// same file goes on there.
pub(super) struct Sink {
    sender: mpsc::Sender<Message>,
    writer: JoinHandle<io::Result<Written>>,
    buffers: Buffers,
    /// What was there when it was opened.
    pub there: Extents,
}

/// The memory that chunks on their way to the disk may take, all files together.
#[derive(Clone)]
pub(super) struct Buffers(Arc<Semaphore>);

/// What became of a file.
pub(super) struct Written {
    pub partial: Partial,
    /// The sha256, or what is wrong; `None` if not all of it came.
    pub verdict: Option<Result<String, String>>,
}

enum Message {
    Bytes(Chunk),
    /// Write down what is there.
    Note,
}

/// Bytes on their way.
struct Chunk {
    at: u64,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// What the thread of a sink owns.
struct Writer {
    partial: Partial,
    size: u64,
    hasher: Hasher,
    hashed: u64,
    /// For reading back; of no size until that is needed.
    block: Vec<u8>,
    /// Bytes that were there when the journal was written last.
    noted: u64,
}

// === impl Buffers ===

impl Default for Buffers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BYTES_IN_FLIGHT as usize)))
    }
}

impl Buffers {
    async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(BYTES_IN_FLIGHT);
        match self.0.clone().acquire_many_owned(bytes).await {
            Ok(permit) => permit,
            Err(_) => unreachable!("it is never closed"),
        }
    }
}

// === impl Sink ===

impl Sink {
    /// Opens the file, with what an earlier writer left of it.
    pub(super) async fn open(dir: RepoDir, expected: Checksum, size: u64, buffers: Buffers) -> io::Result<Self> {
        let (partial, hasher) = blocking(move || {
            let partial = Partial::open(&dir, &expected, size)?;
            Ok((partial, Hasher::new(expected, size)))
        })
        .await?;
        let there = partial.there.clone();
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let noted = there.bytes();
        let writer = Writer { partial, size, hasher, hashed: 0, block: Vec::new(), noted };
        let writer = tokio::task::spawn_blocking(move || writer.run(receiver));
        Ok(Self { sender, writer, buffers, there })
    }

    /// Takes bytes; waits while the disk is behind. `false` if the disk failed, see [`Sink::close`].
    pub(super) async fn push(&self, at: u64, bytes: Bytes) -> bool {
        let room = self.buffers.room(bytes.len()).await;
        self.sender.send(Message::Bytes(Chunk { at, bytes, _room: room })).await.is_ok()
    }

    /// Has the journal written, unless the disk is behind: then it will be anyhow.
    pub(super) fn note(&self) {
        drop(self.sender.try_send(Message::Note));
    }

    /// The file with all that was pushed.
    pub(super) async fn close(self) -> io::Result<Written> {
        drop(self.sender);
        self.writer.await.map_err(io::Error::other)?
    }
}

// === impl Writer ===

impl Writer {
    fn run(mut self, mut messages: mpsc::Receiver<Message>) -> io::Result<Written> {
        let outcome = self.catch_up().and_then(|()| {
            while let Some(message) = messages.blocking_recv() {
                match message {
                    Message::Bytes(chunk) => self.take(&chunk)?,
                    Message::Note => self.note(0)?,
                }
            }
            Ok(())
        });
        if self.hashed < self.size || outcome.is_err() {
            let noted = self.partial.note();
            return outcome.and(noted).map(|()| Written { partial: self.partial, verdict: None });
        }
        Ok(Written { partial: self.partial, verdict: Some(self.hasher.finish()) })
    }

    /// Nothing that is there is written again: it may be hashed already.
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        for Range { start, end } in self.partial.there.gaps(chunk.at..chunk.at + chunk.bytes.len() as u64) {
            let bytes = &chunk.bytes[(start - chunk.at) as usize..(end - chunk.at) as usize];
            self.partial.write(start, bytes)?;
            if start == self.hashed {
                self.hasher.update(bytes);
                self.hashed = end;
            }
        }
        self.catch_up()?;
        self.note(NOTE_BYTES)
    }

    /// Hashes what lies after the hashed beginning already.
    fn catch_up(&mut self) -> io::Result<()> {
        let Range { start, end } = self.hashed..self.partial.there.reaches(self.hashed);
        if start == end {
            return Ok(());
        }
        self.block.resize(BLOCK, 0);
        while self.hashed < end {
            let length = usize::try_from(end - self.hashed).unwrap_or(BLOCK).min(BLOCK);
            let block = &mut self.block[..length];
            std::os::unix::fs::FileExt::read_exact_at(&self.partial.file, block, self.hashed)?;
            self.hasher.update(block);
            self.hashed += length as u64;
        }
        Ok(())
    }

    /// Writes the journal if more than so many bytes came since it was written last.
    fn note(&mut self, bytes: u64) -> io::Result<()> {
        let there = self.partial.there.bytes();
        if there > self.noted + bytes {
            self.partial.note()?;
            self.noted = there;
        }
        Ok(())
    }
}
