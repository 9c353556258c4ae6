//! Sound on its way to where it is wanted: encoded, and with silence between passages.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use crate::audio::{AudioFormat, EncodeError, Encoder, Pcm};

/// Hertz of samples without a header, as the server has it: who reads them could not know another.
const BARE_RATE: u32 = 24_000;

/// How sound is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoundFormat {
    format: AudioFormat,
    /// Hertz; the model's own if absent.
    rate: Option<u32>,
}

/// Why sound does not get through.
#[derive(Debug, thiserror::Error)]
pub(super) enum SoundError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the sound cannot be written: {0}")]
    Write(#[from] io::Error),
    #[error("the model changed its sample rate")]
    Changed,
}

/// A stream of sound that is being encoded.
pub(super) struct Stream<W> {
    to: W,
    format: SoundFormat,
    /// From the first sound on, with its rate and channels.
    encoder: Option<(Encoder, u32, usize)>,
    /// Silence before the next sound.
    rest: Duration,
}

// === impl SoundFormat ===

impl SoundFormat {
    /// As it is named, else by the extension of the file.
    pub fn of(named: Option<AudioFormat>, path: Option<&Path>, rate: Option<u32>) -> Result<Self, String> {
        let extension = path.and_then(Path::extension).map(|extension| extension.to_string_lossy());
        let format = match (named, extension) {
            (Some(format), _) => format,
            (None, Some(extension)) => extension.parse().map_err(|error| format!("{error}; --format names one"))?,
            (None, None) => AudioFormat::Wav,
        };
        Ok(Self { format, rate: rate.or((format == AudioFormat::Pcm).then_some(BARE_RATE)) })
    }

    /// As the model makes it, 16 bits a sample.
    pub fn plain() -> Self {
        Self { format: AudioFormat::Wav, rate: None }
    }
}

// === impl SoundError ===

impl SoundError {
    /// Whether nobody reads any more.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

// === impl Stream ===

impl<W: Write> Stream<W> {
    pub fn new(to: W, format: SoundFormat) -> Self {
        Self { to, format, encoder: None, rest: Duration::ZERO }
    }

    pub fn push(&mut self, pcm: &Pcm) -> Result<(), SoundError> {
        let (rate, channels) = (pcm.rate(), pcm.channels());
        if self.encoder.is_none() {
            let SoundFormat { format, rate: asked } = self.format;
            let encoder = Encoder::resampled(format, rate, format.nearest_rate(asked.unwrap_or(rate)), channels)?;
            (self.encoder, self.rest) = (Some((encoder, rate, channels)), Duration::ZERO);
        }
        let Some((encoder, first, count)) = &mut self.encoder else { return Err(SoundError::Changed) };
        if (*first, *count) != (rate, channels) {
            return Err(SoundError::Changed);
        }
        let silence = (std::mem::take(&mut self.rest).as_secs_f64() * f64::from(rate)) as usize * channels;
        let mut bytes = encoder.push(&vec![0.0; silence])?;
        bytes.append(&mut encoder.push(pcm.samples())?);
        self.to.write_all(&bytes)?;
        // Who listens should not wait for a buffer to fill.
        Ok(self.to.flush()?)
    }

    /// Silence before what comes next, if anything does.
    pub fn rest(&mut self, length: Duration) {
        self.rest = self.rest.max(length);
    }

    /// The end; and what the first bytes are to be instead, where a file can say its length.
    pub fn finish(&mut self) -> Result<Option<Vec<u8>>, SoundError> {
        let Some((encoder, ..)) = self.encoder.take() else { return Ok(None) };
        let (end, head) = encoder.finish_file()?;
        self.to.write_all(&end)?;
        self.to.flush()?;
        Ok(head)
    }
}
