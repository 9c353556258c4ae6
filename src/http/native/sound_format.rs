//! How sound is to be written.

use crate::{
    audio::{AudioFormat, EncodeError, Encoder},
    http::problem::Problem,
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

    pub(super) fn encoder(self, rate: u32, channels: usize) -> Result<Encoder, EncodeError> {
        Encoder::resampled(self.format, rate, self.format.nearest_rate(self.rate.unwrap_or(rate)), channels)
    }
}
