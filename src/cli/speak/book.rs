//! A text to a file, which is there whole or not at all. What has more than one passage is made in blocks that outlive the
//! process.

use std::{fs::OpenOptions, io::BufWriter, path::Path};

use anyhow::Context;
use indicatif::ProgressBar;

use super::{
    blocks::Blocks,
    speaker::{Passage, PassageOutcome, SpeakError, Speaker},
};
use crate::{
    cli::{
        output_file::{OutputFile, is_special},
        progress,
        sound::{SoundError, SoundFormat, Stream},
    },
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
        let mut target = OutputFile::beside(self.path)?;
        let mut stream = Stream::new(BufWriter::new(target.file.as_file_mut()), self.format);
        let head = self.speaker.say_all(self.passages, &mut stream).await?;
        drop(stream);
        target.publish(head)
    }

    async fn write_in_blocks(&self) -> anyhow::Result<()> {
        // Whether the file can be written is better known before an hour of speech than after it.
        let target = OutputFile::beside(self.path)?;
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
                    PassageOutcome::Sound => made.push((key, *end)),
                    PassageOutcome::Nothing(error) => silent = Some(error),
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
    async fn make(
        &self,
        blocks: &Blocks,
        key: &str,
        passage: &str,
        bar: &ProgressBar,
    ) -> anyhow::Result<PassageOutcome> {
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
        if matches!(said, PassageOutcome::Sound) {
            blocks.keep(file, key).context("a block cannot be kept")?;
        }
        Ok(said)
    }

    /// All blocks, one after another, as one sound.
    async fn join(&self, blocks: &Blocks, made: &[(String, Boundary)], mut target: OutputFile) -> anyhow::Result<()> {
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
