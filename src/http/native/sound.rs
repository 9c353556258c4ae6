//! Sound as bytes of a format, while it is made.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::{
    audio::{AudioFormat, EncodeError, Encoder, Pcm},
    http::problem::Problem,
    service::SoundStream,
    speech::{Kind, ModelName, SpeechEvent, SpeechSummary},
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

/// Sound that is being encoded.
pub(in crate::http) struct EncodedSound {
    stream: SoundStream,
    format: SoundFormat,
    encoder: Option<Encoder>,
    /// Of what is written, in hertz, once something is.
    rate: Option<u32>,
    /// Seconds that were made.
    seconds: f64,
    /// Bytes of the start of the stream.
    start: usize,
    /// What stands in place of the start in a file, where that is another.
    head: Option<Vec<u8>>,
    /// What is known when all was made.
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

// === impl EncodedSound ===

impl EncodedSound {
    pub fn new(stream: impl Into<SoundStream>, format: SoundFormat) -> Self {
        let stream = stream.into();
        Self { stream, format, encoder: None, rate: None, seconds: 0.0, start: 0, head: None, summary: None }
    }

    /// Who makes it.
    pub fn model(&self) -> &ModelName {
        self.stream.model()
    }

    /// What marks it, where something does.
    pub fn watermark(&self) -> Option<&'static str> {
        self.stream.watermark()
    }

    pub fn format(&self) -> AudioFormat {
        self.format.format
    }

    /// Of what is written, in hertz, once something is.
    pub fn rate(&self) -> Option<u32> {
        self.rate
    }

    /// Seconds that were made so far.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Seconds that it will be, where that is known before it is made.
    pub fn expected(&self) -> Option<f64> {
        self.stream.seconds()
    }

    /// The next bytes; `None` after the last, or after a problem.
    pub async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        loop {
            let bytes = match self.stream.next().await? {
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

    /// Makes a file of all the bytes that came: of some formats the beginning says how long it is.
    pub fn complete(&mut self, file: &mut Vec<u8>) {
        if let Some(head) = self.head.take() {
            file.splice(..self.start, head);
        }
    }

    /// Encoding a second of sound takes up to a twentieth of one, so it is not for a thread of HTTP.
    async fn push(&mut self, pcm: Pcm) -> Result<Vec<u8>, Problem> {
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
            return Ok(bytes);
        }
        start.append(&mut bytes);
        Ok(start)
    }

    /// An encoder for such sound, and the start of the stream.
    fn begin(&mut self, pcm: &Pcm) -> Result<(Encoder, Vec<u8>), Problem> {
        let mut encoder = self.format.encoder(pcm.rate(), pcm.channels()).map_err(failed)?;
        let start = encoder.push(&[]).map_err(failed)?;
        (self.rate, self.start) = (Some(encoder.rate()), start.len());
        Ok((encoder, start))
    }

    fn finish(&mut self) -> Result<Vec<u8>, Problem> {
        let Some(encoder) = self.encoder.take() else { return Ok(Vec::new()) };
        let (bytes, head) = encoder.finish_file().map_err(failed)?;
        self.head = head;
        Ok(bytes)
    }
}

fn failed(error: EncodeError) -> Problem {
    match error {
        EncodeError::Codec { .. } => Problem::new(Kind::Internal, error.to_string()),
        error => Problem::new(Kind::Unsupported, error.to_string()),
    }
}
