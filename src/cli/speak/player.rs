//! A program of this machine that plays.

use std::{
    io::{self, Write},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use tempfile::NamedTempFile;

/// Those that take a WAV file from standard input, and how; the first that is there is taken.
const PIPED: [(&str, &[&str]); 3] =
    [("ffplay", &["-nodisp", "-autoexit", "-loglevel", "error", "-i", "-"]), ("aplay", &["-q", "-"]), ("paplay", &[])];
/// That of macOS, which takes a file.
const FILED: &str = "afplay";

/// A program that plays, or will.
pub(super) enum Player {
    Piped { name: &'static str, child: Child },
    Filed(NamedTempFile),
}

// === impl Player ===

impl Player {
    pub fn start() -> anyhow::Result<Self> {
        for (name, arguments) in PIPED {
            match Command::new(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn() {
                Ok(child) => return Ok(Self::Piped { name, child }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("{name} cannot be started")),
            }
        }
        // It is asked for its usage, which plays nothing.
        match Command::new(FILED).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(_) => Ok(Self::Filed(NamedTempFile::with_suffix(".wav")?)),
            Err(_) => anyhow::bail!("no player is here: install ffplay, aplay or paplay, or name a file by -o"),
        }
    }

    /// Waits until all was heard. A player that failed says more than the pipe that it broke.
    pub fn finish(self, played: anyhow::Result<()>) -> anyhow::Result<()> {
        let (name, ended) = match self {
            Self::Piped { name, mut child } => {
                drop(child.stdin.take());
                (name, child.wait())
            }
            Self::Filed(file) if played.is_ok() => (FILED, Command::new(FILED).arg(file.path()).status()),
            Self::Filed(_) => return played,
        };
        played?;
        let ended = ended.with_context(|| format!("{name} cannot be waited for"))?;
        anyhow::ensure!(ended.success(), "{name} failed ({ended})");
        Ok(())
    }
}

impl Write for Player {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Piped { child, .. } => child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(bytes),
            Self::Filed(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Piped { child, .. } => child.stdin.as_mut().map_or(Ok(()), Write::flush),
            Self::Filed(file) => file.flush(),
        }
    }
}
