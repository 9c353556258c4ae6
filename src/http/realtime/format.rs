//! How sound stands in a message.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::session::Format;
use crate::{
    audio::{Companding, samples_of_pcm16},
    http::problem::Problem,
};

/// How sound stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SoundFormat {
    /// Sixteen bits, little-endian, mono, 24 kHz.
    Pcm,
    /// A byte a sample, mono, 8 kHz.
    Telephone(Companding),
}

// === impl SoundFormat ===

impl SoundFormat {
    pub const ALL: [Self; 3] = [Self::Pcm, Self::Telephone(Companding::MuLaw), Self::Telephone(Companding::ALaw)];

    /// Hertz.
    pub fn rate(self) -> u32 {
        match self {
            Self::Pcm => 24_000,
            Self::Telephone(_) => 8000,
        }
    }

    /// In sessions of today.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pcm => "audio/pcm",
            Self::Telephone(Companding::MuLaw) => "audio/pcmu",
            Self::Telephone(Companding::ALaw) => "audio/pcma",
        }
    }

    /// In sessions of the beta.
    pub fn beta_name(self) -> &'static str {
        match self {
            Self::Pcm => "pcm16",
            Self::Telephone(Companding::MuLaw) => "g711_ulaw",
            Self::Telephone(Companding::ALaw) => "g711_alaw",
        }
    }

    /// The one that a client names.
    pub fn named(param: &str, given: &str, name: fn(Self) -> &'static str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|format| name(*format) == given).ok_or_else(|| {
            let names = Self::ALL.map(name).join(", ");
            Problem::invalid(param, format!("{param} is {given:?}; one of {names} would be right"))
        })
    }

    /// As a message has samples of sixteen bits, little-endian.
    pub fn bytes(self, pcm16: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Pcm => Cow::Borrowed(pcm16),
            Self::Telephone(law) => {
                let samples = pcm16.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                Cow::Owned(law.compress(samples))
            }
        }
    }

    /// The samples of base64 text, -1 to 1.
    pub fn samples(self, audio: &str) -> Result<Vec<f32>, Problem> {
        let bytes = STANDARD.decode(trimmed(audio).as_bytes()).map_err(|error| {
            Problem::invalid("audio", format!("audio is not base64 ({error}); base64 with its padding would be right"))
        })?;
        match self {
            Self::Telephone(law) => Ok(law.expand(&bytes).collect()),
            Self::Pcm if bytes.len().is_multiple_of(2) => Ok(samples_of_pcm16(&bytes).collect()),
            Self::Pcm => {
                let message = format!("audio has {} bytes, which is no whole number of 16-bit samples", bytes.len());
                Err(Problem::invalid("audio", message))
            }
        }
    }
}

// === impl Format ===

impl Format {
    /// `param`: what it is called to the client.
    pub fn read(self, param: &str) -> Result<SoundFormat, Problem> {
        let format = SoundFormat::named(&format!("{param}.type"), &self.kind, SoundFormat::media_type)?;
        match self.rate.filter(|rate| *rate != format.rate()) {
            Some(rate) => {
                let message = format!("the rate of {} is {} Hz, and not {rate}", self.kind, format.rate());
                Err(Problem::invalid(&format!("{param}.rate"), message))
            }
            None => Ok(format),
        }
    }

    /// As a client is told.
    pub fn shown(format: SoundFormat) -> Self {
        let rate = (format == SoundFormat::Pcm).then(|| format.rate());
        Self { kind: format.media_type().to_owned(), rate }
    }
}

/// Some encoders break lines.
fn trimmed(audio: &str) -> Cow<'_, str> {
    match audio.contains(['\r', '\n']) {
        true => Cow::Owned(audio.replace(['\r', '\n'], "")),
        false => Cow::Borrowed(audio),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_the_bytes_say() {
        let base64 = STANDARD.encode([0x00, 0x80, 0xff, 0x7f, 0x00, 0x40]);
        let want = vec![-1.0, 32_767.0 / 32_768.0, 0.5];
        assert_eq!(SoundFormat::Pcm.samples(&base64).unwrap(), want);
        assert_eq!(SoundFormat::Pcm.samples(&format!("{}\r\n{}\n", &base64[..4], &base64[4..])).unwrap(), want);
        let law = SoundFormat::Telephone(Companding::MuLaw);
        assert_eq!(law.samples(&STANDARD.encode([0xff, 0x00])).unwrap(), [0.0, -32_124.0 / 32_768.0]);
    }

    #[test]
    fn what_is_no_sound_is_told() {
        let problem = |audio: &str| SoundFormat::Pcm.samples(audio).unwrap_err().to_string();
        assert!(problem("!!!").contains("is not base64"), "{}", problem("!!!"));
        assert!(problem("AAA").contains("with its padding would be right"));
        assert_eq!(problem("AAAA"), "audio has 3 bytes, which is no whole number of 16-bit samples");
    }
}
