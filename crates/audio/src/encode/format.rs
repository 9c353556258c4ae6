//! The formats that sound is given out in.

use std::{fmt, str::FromStr};

use super::bit_rate::bit_rate;
use crate::UnusableRate;

/// A format that sound is given out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioFormat {
    /// RIFF with 16-bit samples.
    Wav,
    /// 16-bit samples, little-endian, and nothing else.
    Pcm,
    /// MPEG-1, 2 or 2.5, layer III, at a constant bit rate.
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// FLAC of 16-bit samples in its own container.
    Flac,
    /// AAC-LC in ADTS.
    Aac,
}

/// Why sound is not encoded. The text is for the one who asked for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No format is called that.
    #[error("the audio format {0:?} is not known; known are {names}", names = AudioFormat::names())]
    UnknownFormat(String),
    #[error(transparent)]
    Rate(#[from] UnusableRate),
    #[error("sound of {0} channels is not encoded; of 1 or 2 it is")]
    Channels(usize),
    /// The library refused what it should take.
    #[error("the {format} encoder failed: {reason}")]
    Codec { format: AudioFormat, reason: String },
}

/// Names from callers are repeated up to so many characters.
const REPEATED: usize = 40;

/// The rates of MPEG-1, 2 and 2.5 (ISO 11172-3, 13818-3, and Fraunhofer's extension), in hertz.
const MP3_RATES: &[u32] = &[8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// The rates that an Opus encoder takes (RFC 6716, §2).
const OPUS_RATES: &[u32] = &[8_000, 12_000, 16_000, 24_000, 48_000];
/// The rates that an ADTS header can name (ISO 14496-3, table 1.18), from 8 kHz on.
const AAC_RATES: &[u32] =
    &[8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];
/// The highest rate of FLAC that decoders are sure to take.
const FLAC_MOST: u32 = 192_000;

// === impl AudioFormat ===

impl AudioFormat {
    pub const ALL: [Self; 6] = [Self::Wav, Self::Pcm, Self::Mp3, Self::Opus, Self::Flac, Self::Aac];

    /// What callers call it, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Pcm => "pcm",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Flac => "flac",
            Self::Aac => "aac",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Pcm => "audio/pcm",
            Self::Mp3 => "audio/mpeg",
            Self::Opus => "audio/ogg",
            Self::Flac => "audio/flac",
            Self::Aac => "audio/aac",
        }
    }

    /// Of a file's name, without the dot.
    pub const fn extension(self) -> &'static str {
        self.name()
    }

    /// Bytes that a second of one channel takes at such a rate, at most or about.
    pub fn bytes_per_second(self, rate: u32) -> u64 {
        match self {
            Self::Wav | Self::Pcm | Self::Flac => 2 * u64::from(rate),
            Self::Mp3 | Self::Opus | Self::Aac => u64::from(bit_rate(rate, 1)) / 8,
        }
    }

    /// The rate in hertz that sound of this rate is written at: the same where the format can hold it, else the next
    /// higher, so that nothing is lost, or the highest.
    pub fn nearest_rate(self, rate: u32) -> u32 {
        let rates = match self {
            Self::Wav | Self::Pcm => return rate,
            Self::Flac => return rate.min(FLAC_MOST),
            Self::Mp3 => MP3_RATES,
            Self::Opus => OPUS_RATES,
            Self::Aac => AAC_RATES,
        };
        let higher = rates.iter().copied().find(|usable| *usable >= rate);
        higher.unwrap_or(rates[rates.len() - 1])
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// By name or, for Opus, by its container's; in any case.
impl FromStr for AudioFormat {
    type Err = EncodeError;

    fn from_str(name: &str) -> Result<Self, EncodeError> {
        let is = |format: &Self| name.eq_ignore_ascii_case(format.name());
        let found = Self::ALL.into_iter().find(is).or(name.eq_ignore_ascii_case("ogg").then_some(Self::Opus));
        found.ok_or_else(|| EncodeError::UnknownFormat(name.chars().take(REPEATED).collect()))
    }
}

impl fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_its_format() {
        for format in AudioFormat::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(format.name().to_uppercase().parse(), Ok(format));
        }
        assert_eq!("ogg".parse(), Ok(AudioFormat::Opus));
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "m4a".parse::<AudioFormat>().unwrap_err().to_string();
        assert_eq!(error, "the audio format \"m4a\" is not known; known are wav, pcm, mp3, opus, flac, aac");
        assert!("x".repeat(1 << 20).parse::<AudioFormat>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn a_rate_that_the_format_lacks_becomes_the_next_higher() {
        for (format, rate, written) in [
            (AudioFormat::Opus, 22_050, 24_000),
            (AudioFormat::Opus, 24_000, 24_000),
            (AudioFormat::Opus, 44_100, 48_000),
            (AudioFormat::Opus, 96_000, 48_000),
            (AudioFormat::Mp3, 7_999, 8_000),
            (AudioFormat::Mp3, 96_000, 48_000),
            (AudioFormat::Aac, 22_051, 24_000),
            (AudioFormat::Flac, 44_101, 44_101),
            (AudioFormat::Flac, 384_000, 192_000),
            (AudioFormat::Wav, 44_101, 44_101),
        ] {
            assert_eq!(format.nearest_rate(rate), written, "{format} of {rate} Hz");
        }
    }
}
