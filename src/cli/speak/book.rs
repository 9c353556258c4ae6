//! A text to a file, which is there whole or not at all. What has more than one passage is made in blocks that outlive the
//! process.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, BufWriter, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use indicatif::ProgressBar;

use super::{
    blocks::Blocks,
    sound::{SoundError, SoundFormat, Stream},
    speaker::{Passage, Said, SpeakError, Speaker},
};
use crate::{
    cli::progress,
    service::{ServiceError, rest_after},
    text::Boundary,
};

/// A text and its file.
pub(super) struct Book<'a> {
    pub speaker: &'a Speaker<'a>,
    pub passages: &'a [Passage<'a>],
    pub format: SoundFormat,
    pub path: &'a Path,
}

pub(super) enum Ended {
    Whole,
    Interrupted {
        /// Whether another try goes on from here.
        kept: bool,
    },
}

// === impl Book ===

impl Book<'_> {
    /// Until it is whole, or `stop` resolves.
    pub async fn write(self, stop: impl Future<Output = ()>) -> anyhow::Result<Ended> {
        let kept = self.passages.len() > 1 && !is_special(self.path);
        let cannot = || format!("{} cannot be written", self.path.display());
        let work = async {
            match &self.passages {
                _ if is_special(self.path) => {
                    let file = OpenOptions::new().write(true).open(self.path).with_context(cannot)?;
                    self.speaker.stream(self.passages, &mut Stream::new(file, self.format)).await
                }
                [_] => self.write_at_once().await,
                _ => self.write_in_blocks().await,
            }
        };
        tokio::select! {
            written = work => written.map(|()| Ended::Whole),
            () = stop => Ok(Ended::Interrupted { kept }),
        }
    }

    async fn write_at_once(&self) -> anyhow::Result<()> {
        let mut target = Target::beside(self.path)?;
        let mut stream = Stream::new(BufWriter::new(target.file.as_file_mut()), self.format);
        let head = self.speaker.say_all(self.passages, &mut stream).await?;
        drop(stream);
        target.publish(head)
    }

    async fn write_in_blocks(&self) -> anyhow::Result<()> {
        // Whether the file can be written is better known before an hour of speech than after it.
        let target = Target::beside(self.path)?;
        let blocks = Blocks::beside(&target.path)?;
        let bytes = self.passages.iter().map(|(passage, _)| passage.len() as u64).sum();
        let bar = progress::of_text(bytes);
        let mut silent = None;
        let mut made = Vec::new();
        for (passage, end) in self.passages {
            let key = self.speaker.key(passage);
            if blocks.has(&key) {
                made.push((key, *end));
                bar.reset_eta(); // it took no time, and tells nothing of the others
            } else {
                match self.make(&blocks, &key, passage, &bar).await? {
                    Said::Sound => made.push((key, *end)),
                    Said::Nothing(error) => silent = Some(error),
                }
            }
            bar.inc(passage.len() as u64);
        }
        bar.finish_and_clear();
        match silent {
            Some(error) if made.is_empty() => Err(ServiceError::Text(error).into()),
            _ => self.join(&blocks, &made, target).await.and_then(|()| Ok(blocks.remove()?)),
        }
    }

    /// Says a passage, and keeps its sound.
    async fn make(&self, blocks: &Blocks, key: &str, passage: &str, bar: &ProgressBar) -> anyhow::Result<Said> {
        let mut file = blocks.begin().context("a block cannot be written")?;
        let mut stream = Stream::new(BufWriter::new(file.as_file_mut()), SoundFormat::plain());
        let mut seconds = 0.0;
        let said = self
            .speaker
            .say(passage, |pcm| {
                seconds += pcm.seconds();
                bar.set_message(format!("{seconds:.0} s"));
                stream.push(pcm)
            })
            .await?;
        stream.finish().map_err(SpeakError::from)?;
        drop(stream);
        if matches!(said, Said::Sound) {
            blocks.keep(file, key).context("a block cannot be kept")?;
        }
        Ok(said)
    }

    /// All blocks, one after another, as one sound.
    async fn join(&self, blocks: &Blocks, made: &[(String, Boundary)], mut target: Target) -> anyhow::Result<()> {
        let mut stream = Stream::new(BufWriter::new(target.file.as_file_mut()), self.format);
        for (key, end) in made {
            blocks.read(key, |pcm| stream.push(pcm)).map_err(|error: SoundError| SpeakError::from(error))?;
            stream.rest(rest_after(*end));
            // Here it may be interrupted.
            tokio::task::yield_now().await;
        }
        let head = stream.finish().map_err(SpeakError::from)?;
        drop(stream);
        target.publish(head)
    }
}

/// A file that takes its place when it is whole.
struct Target {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

// === impl Target ===

impl Target {
    fn beside(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be written", path.display());
        anyhow::ensure!(!path.is_dir(), "{}: it is a folder", cannot());
        // A link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As a shell would make it, not for its owner alone.
        let open = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().prefix(".sconce-").permissions(open).tempfile_in(folder);
        Ok(Self { file: file.map_err(plain).with_context(cannot)?, path })
    }

    /// Puts `head` over the first bytes.
    fn publish(mut self, head: Option<Vec<u8>>) -> anyhow::Result<()> {
        let cannot = || format!("{} cannot be written", self.path.display());
        if let Some(head) = head {
            let file = self.file.as_file_mut();
            file.rewind().and_then(|()| file.write_all(&head)).with_context(cannot)?;
        }
        self.file.persist(&self.path).map_err(|error| error.error).with_context(cannot).map(drop)
    }
}

/// Without the path of the temporary file.
fn plain(error: io::Error) -> io::Error {
    error.raw_os_error().map_or(error, io::Error::from_raw_os_error)
}

/// A pipe or a device, which no file may take the place of.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}
