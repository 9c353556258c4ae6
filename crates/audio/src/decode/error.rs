//! Why bytes did not become sound.

use std::time::Duration;

use symphonia::core::errors::Error;

use crate::UnusableRate;

/// Bytes that do not become sound. The text is for the one who sent them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No byte at all.
    #[error("the audio is empty")]
    Empty,
    /// Not a format that is known here, or no audio file at all.
    #[error("this is not audio in a known format (WAV, MP3, FLAC, Ogg, Opus, WebM, M4A, AAC, AIFF, CAF)")]
    Unrecognised,
    /// A known format that holds what nothing here decodes.
    #[error("the audio is of a kind that is not supported: {0}")]
    Unsupported(String),
    /// A known format whose content makes no sense, from the start or before any sound came out.
    #[error("the audio is damaged: {0}")]
    Corrupt(String),
    /// It breaks off before what says where its sound is.
    #[error(
        "the audio breaks off before its index ({0}), without which nothing of it can be read: send all of the file. Of a \
         recording that is interrupted WebM, Ogg, fragmented MP4, and files whose index is in front are heard as far as they go"
    )]
    NoIndex(&'static str),
    /// More edits than any film has.
    #[error("the audio has an edit list of {edits} edits; {most} at most are applied")]
    TooManyEdits { edits: usize, most: usize },
    /// More sound than the caller takes.
    #[error("the audio is longer than {} s", limit.as_secs_f64())]
    TooLong { limit: Duration },
    /// More sound than the caller takes, where each channel is a sound of its own.
    #[error("the {channels} channels of the audio are longer than {} s together", limit.as_secs_f64())]
    ChannelsTooLong { channels: usize, limit: Duration },
    /// More channels than are heard one by one.
    #[error("the audio has {channels} channels; {most} at most are heard separately")]
    TooManyChannels { channels: usize, most: usize },
    /// There is no audio track of this number, from 0.
    #[error("there is no audio track {track}; {}", numbers(.tracks))]
    NoSuchTrack { track: usize, tracks: Option<usize> },
    /// More of them than are heard one by one.
    #[error("the audio has more than {most} tracks; name one of them as track, from 0")]
    TooManyTracks { most: usize },
    /// More sound than the caller takes, where each track is a sound of its own.
    #[error("the tracks of the audio are longer than {} s together", limit.as_secs_f64())]
    TracksTooLong { limit: Duration },
    /// Whoever has the memory said no; see [`decode_selected`](super::decode_selected).
    #[error("there is no memory for the sound")]
    NoRoom,
    /// Well formed, and no sound in it: no audio track, or not one sample.
    #[error("there is no sound in the file")]
    NoSound,
}

// === impl DecodeError ===

impl DecodeError {
    /// Whether a decoder that knows more formats, or forgives more, may hear what this one does not.
    pub fn may_be_heard_otherwise(&self) -> bool {
        matches!(self, Self::Unrecognised | Self::Unsupported(_) | Self::Corrupt(_) | Self::NoSound)
    }

    /// Whether there is more of it than the caller takes.
    pub fn is_too_large(&self) -> bool {
        matches!(
            self,
            Self::TooLong { .. }
                | Self::ChannelsTooLong { .. }
                | Self::TooManyChannels { .. }
                | Self::TracksTooLong { .. }
                | Self::TooManyTracks { .. }
        )
    }
}

/// Which numbers there are, as far as that is known.
fn numbers(tracks: &Option<usize>) -> String {
    match tracks {
        Some(1) => "the file has one, which is track 0".to_owned(),
        Some(tracks) => format!("the file has {tracks}, from 0 to {}", tracks.saturating_sub(1)),
        None => "they are numbered from 0".to_owned(),
    }
}

/// What opening a file can fail with. Symphonia tells an unknown format from an unsupported feature by its text only.
pub(super) fn opening(error: Error) -> DecodeError {
    match error {
        Error::Unsupported(what) if what.starts_with("core (probe)") => DecodeError::Unrecognised,
        Error::Unsupported(what) if what.contains("missing moov") => DecodeError::NoIndex("the moov box of MP4"),
        other => reading(other),
    }
}

/// What reading on can fail with, when nothing was heard before.
pub(super) fn reading(error: Error) -> DecodeError {
    match error {
        Error::Unsupported(what) => DecodeError::Unsupported(what.to_owned()),
        Error::DecodeError(what) | Error::LimitError(what) => DecodeError::Corrupt(what.to_owned()),
        Error::IoError(_) => ends_early(),
        _ => DecodeError::Corrupt("its parts do not fit together".to_owned()),
    }
}

/// The bytes end before any sound.
pub(super) fn ends_early() -> DecodeError {
    DecodeError::Corrupt("it ends too early".to_owned())
}

impl From<UnusableRate> for DecodeError {
    fn from(error: UnusableRate) -> Self {
        Self::Unsupported(error.to_string())
    }
}
