//! Speech as bytes of a format, while it is made.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::{
    audio::{AudioFormat, EncodeError, Encoder, Pcm},
    http::problem::Problem,
    service::Speaking,
    speech::{Kind, SpeechEvent, SpeechSummary},
};

/// Hertz that sound can be asked for in.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Hertz of samples without a header, where nobody asks for others: what OpenAI's clients expect.
const BARE_RATE: u32 = 24_000;

/// How sound is to be written.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct SoundFormat {
    pub format: AudioFormat,
    /// Hertz; the model's own if absent.
    pub rate: Option<u32>,
}

/// Speech that is being encoded.
pub(in crate::http) struct EncodedSpeech {
    speaking: Speaking,
    format: SoundFormat,
    encoder: Option<Encoder>,
    /// What is known when all was said.
    pub summary: Option<SpeechSummary>,
}

// === impl SoundFormat ===

impl SoundFormat {
    pub fn new(format: AudioFormat, rate: Option<u32>) -> Result<Self, Problem> {
        let bare = (format == AudioFormat::Pcm).then_some(BARE_RATE);
        match rate {
            Some(rate) if !RATES.contains(&rate) => {
                let message = format!("sample_rate is {rate}; {} to {} Hz would be right", RATES.start(), RATES.end());
                Err(Problem::invalid("sample_rate", message))
            }
            rate => Ok(Self { format, rate: rate.or(bare) }),
        }
    }

    fn encoder(self, rate: u32, channels: usize) -> Result<Encoder, EncodeError> {
        Encoder::resampled(self.format, rate, self.format.nearest_rate(self.rate.unwrap_or(rate)), channels)
    }
}

// === impl EncodedSpeech ===

impl EncodedSpeech {
    pub fn new(speaking: Speaking, format: SoundFormat) -> Self {
        Self { speaking, format, encoder: None, summary: None }
    }

    /// The next bytes; `None` after the last, or after a problem.
    pub async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        loop {
            let bytes = match self.speaking.next().await? {
                Ok(SpeechEvent::Audio(pcm)) => self.push(pcm).await,
                Ok(SpeechEvent::Done(summary)) => {
                    self.summary = Some(summary);
                    self.finish()
                }
                Err(error) => Err(error.into()),
            };
            match bytes {
                Ok(bytes) if bytes.is_empty() => {}
                bytes => return Some(bytes.map(Bytes::from)),
            }
        }
    }

    /// Encoding a second of sound takes up to a twentieth of one, so it is not for a thread of HTTP.
    async fn push(&mut self, pcm: Pcm) -> Result<Vec<u8>, Problem> {
        let encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => self.format.encoder(pcm.rate(), pcm.channels()).map_err(failed)?,
        };
        let work = move || {
            let mut encoder = encoder;
            encoder.push(pcm.samples()).map(|bytes| (encoder, bytes))
        };
        let encoded = spawn_blocking(work).await.map_err(|_| Problem::new(Kind::Internal, "the encoder failed"))?;
        let (encoder, bytes) = encoded.map_err(failed)?;
        self.encoder = Some(encoder);
        Ok(bytes)
    }

    fn finish(&mut self) -> Result<Vec<u8>, Problem> {
        self.encoder.take().map_or_else(|| Ok(Vec::new()), |encoder| encoder.finish().map_err(failed))
    }
}

fn failed(error: EncodeError) -> Problem {
    match error {
        EncodeError::Codec { .. } => Problem::new(Kind::Internal, error.to_string()),
        error => Problem::new(Kind::Unsupported, error.to_string()),
    }
}
