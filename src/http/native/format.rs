//! How a native answer is written.

use serde::Deserialize;

use crate::{audio::AudioFormat, http::problem::Problem, speech::TaskKind};

/// The form of an answer. By itself one of `json` is an object, and any other a file.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Format {
    /// Of sound: an object with a WAV file in it.
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    Wav,
    Mp3,
    /// In Ogg.
    Opus,
    /// In ADTS.
    Aac,
    Flac,
    /// Signed 16-bit little-endian samples, at 24 kHz unless `sample_rate` says otherwise.
    Pcm,
}

/// The form of an answer that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum TextFormat {
    Json,
    Text,
    Srt,
    Vtt,
}

// === impl Format ===

impl Format {
    /// Of an answer that is text.
    pub fn of_text(self) -> Result<TextFormat, Problem> {
        match self {
            Self::Json => Ok(TextFormat::Json),
            Self::Text => Ok(TextFormat::Text),
            Self::Srt => Ok(TextFormat::Srt),
            Self::Vtt => Ok(TextFormat::Vtt),
            _ => Err(self.wrong("json, text, srt or vtt", TaskKind::Transcribe)),
        }
    }

    /// Of an answer that is sound.
    pub fn of_sound(self, task: TaskKind) -> Result<AudioFormat, Problem> {
        match self {
            Self::Json | Self::Wav => Ok(AudioFormat::Wav),
            Self::Mp3 => Ok(AudioFormat::Mp3),
            Self::Opus => Ok(AudioFormat::Opus),
            Self::Aac => Ok(AudioFormat::Aac),
            Self::Flac => Ok(AudioFormat::Flac),
            Self::Pcm => Ok(AudioFormat::Pcm),
            _ => Err(self.wrong("json, wav, mp3, opus, aac, flac or pcm", task)),
        }
    }

    fn wrong(self, right: &str, task: TaskKind) -> Problem {
        let name = format!("{self:?}").to_lowercase();
        let message = format!("response_format is {name}, and {task} is answered as {right}");
        Problem::invalid("response_format", message)
    }
}

// === impl TextFormat ===

impl TextFormat {
    /// Of a file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Srt => "application/x-subrip; charset=utf-8",
            Self::Vtt => "text/vtt; charset=utf-8",
        }
    }
}
