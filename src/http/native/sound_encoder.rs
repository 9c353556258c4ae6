//! One sound on its way into a file.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::sound_format::SoundFormat;
use crate::{
    audio::{EncodeError, Encoder, Pcm},
    http::problem::Problem,
    speech::Kind,
};

/// One sound on its way into a file: bytes as they are made, and what the file has to begin with when all is there.
pub(in crate::http) struct SoundEncoder {
    format: SoundFormat,
    encoder: Option<Encoder>,
    /// Of what is written, in hertz, once something is.
    pub rate: Option<u32>,
    /// Seconds that were made.
    pub seconds: f64,
    /// Bytes of the start of the stream.
    start: usize,
    /// What stands in place of the start in a file, where that is another.
    head: Option<Vec<u8>>,
}

// === impl SoundEncoder ===

impl SoundEncoder {
    pub fn new(format: SoundFormat) -> Self {
        Self { format, encoder: None, rate: None, seconds: 0.0, start: 0, head: None }
    }

    /// Encoding a second of sound takes up to a twentieth of one, so it is not for a thread of HTTP.
    pub async fn push(&mut self, pcm: Pcm) -> Result<Bytes, Problem> {
        self.seconds += pcm.seconds();
        let (encoder, mut start) = match self.encoder.take() {
            Some(encoder) => (encoder, Vec::new()),
            None => self.begin(&pcm)?,
        };
        let work = move || {
            let mut encoder = encoder;
            encoder.push(pcm.samples()).map(|bytes| (encoder, bytes))
        };
        let encoded = spawn_blocking(work).await.map_err(|_| Problem::new(Kind::Internal, "the encoder failed"))?;
        let (encoder, mut bytes) = encoded.map_err(failed)?;
        self.encoder = Some(encoder);
        if start.is_empty() {
            return Ok(bytes.into());
        }
        start.append(&mut bytes);
        Ok(start.into())
    }

    /// What is left when all was pushed.
    pub fn finish(&mut self) -> Result<Bytes, Problem> {
        let Some(encoder) = self.encoder.take() else { return Ok(Bytes::new()) };
        let (bytes, head) = encoder.finish_file().map_err(failed)?;
        self.head = head;
        Ok(bytes.into())
    }

    /// Makes a file of all the bytes that came: of some formats the beginning says how long it is.
    pub fn complete(&mut self, file: &mut Vec<u8>) {
        if let Some(head) = self.head.take() {
            file.splice(..self.start, head);
        }
    }

    /// An encoder for such sound, and the start of the stream.
    fn begin(&mut self, pcm: &Pcm) -> Result<(Encoder, Vec<u8>), Problem> {
        let mut encoder = self.format.encoder(pcm.rate(), pcm.channels()).map_err(failed)?;
        let start = encoder.push(&[]).map_err(failed)?;
        (self.rate, self.start) = (Some(encoder.rate()), start.len());
        Ok((encoder, start))
    }
}

fn failed(error: EncodeError) -> Problem {
    match error {
        EncodeError::Codec { .. } => Problem::new(Kind::Internal, error.to_string()),
        error => Problem::new(Kind::Unsupported, error.to_string()),
    }
}
