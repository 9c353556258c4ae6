//! Files to sound.
//!
//! The content decides about the format; a wrong name or media type does no harm. Packets stream through the resampler
//! into the result, so that memory is bounded by the limit on the length, whatever the file declares. What decodes a
//! file is Symphonia, and for Opus [`opus`]; a panic in there is an error here.
//!
//! What a player would make audible is heard: of several tracks the first that can be decoded and is not silent, unless one
//! is asked for, of channels that cancel each other out one, and where the container says that time passed without sound
//! there is silence.

mod aac;
mod choice;
mod conform;
mod cut;
mod edit;
mod error;
mod foreign;
mod headers;
mod live;
mod mp4;
mod opus;
mod parts;
mod reader;
mod sink;
mod source;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

pub use conform::conform;
pub use edit::TimeOrigin;
pub use error::DecodeError;
pub use live::{LiveSound, decode_live};

use super::Pcm;
use choice::Choice;
pub use choice::MOST_TRACKS;
use reader::Reader;
pub use sink::{MOST_APART, Room};
use sink::{Mix, Sink};

/// Hertz, and so much of a file, to see whether it is one.
const PROBE_RATE: u32 = 16_000;
const PROBED: Duration = Duration::from_secs(1);

/// Sound, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// At the rate that was asked for; the mean of all channels, or the loudest where they cancel each other out.
    pub pcm: Pcm,
    pub source: SourceFormat,
    /// The file ended before the length that it declares, or part of it could not be read: this is what could be.
    pub truncated: bool,
}

/// What of a file is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The audio track of this number, from 0, in the order of the file; otherwise the first that can be decoded and is not
    /// silent.
    pub track: Option<usize>,
    /// Whether each channel is a sound of its own, such as the sides of a call. The seconds of all of them count towards
    /// the limit.
    pub apart: bool,
    pub origin: TimeOrigin,
}

/// The sound that was selected, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// At the rate that was asked for, all of one length: one, or those of all channels.
    pub channels: Vec<Pcm>,
    pub source: SourceFormat,
    /// As of [`Decoded`].
    pub truncated: bool,
}

/// What a file is made of. Names are short and lower case, for example `ogg` and `opus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFormat {
    pub container: &'static str,
    pub codec: &'static str,
    /// Samples per second, as decoded.
    pub rate: u32,
    pub channels: usize,
}

/// The sound in the bytes of a file, at `rate` hertz.
///
/// `hint` is a media type, a file name or an extension, if the caller knows one; it may be wrong.
///
/// # Errors
/// [`DecodeError::TooLong`] as soon as more than `limit` was heard, or the file says so; the others when nothing could
/// be heard. A file that breaks off after some sound is no error: see [`Decoded::truncated`].
pub fn decode(bytes: &[u8], hint: Option<&str>, rate: u32, limit: Duration) -> Result<Decoded, DecodeError> {
    let Selected { channels, source, truncated } =
        decode_selected(bytes, hint, rate, limit, Selection::default(), &mut |_| true)?;
    let pcm = channels.into_iter().next().ok_or(DecodeError::NoSound)?;
    Ok(Decoded { pcm, source, truncated })
}

/// [`decode`] for what is selected, where `room` is asked before the sound takes memory.
///
/// # Errors
/// [`DecodeError::NoRoom`] when it says no, [`DecodeError::NoSuchTrack`]; of channels that are kept apart
/// [`DecodeError::TooManyChannels`] beyond [`MOST_APART`] and [`DecodeError::ChannelsTooLong`]; and those of [`decode`].
pub fn decode_selected(
    bytes: &[u8],
    hint: Option<&str>,
    rate: u32,
    limit: Duration,
    selection: Selection,
    room: &mut Room<'_>,
) -> Result<Selected, DecodeError> {
    contained(bytes, || match selection.track {
        None => hear(bytes, hint, rate, limit, selection, room),
        Some(number) => {
            let track = hear_track(bytes, hint, Choice::Number(number), rate, limit, selection, room)?;
            track.unwrap_or(Err(DecodeError::NoSound))
        }
    })
}

/// Whether a file is one that sound comes out of, by the first second of its tracks or of the one with this number; what
/// comes later is not looked at.
///
/// # Errors
/// As [`decode_selected`] has them for what is wrong from the start.
pub fn probe(bytes: &[u8], hint: Option<&str>, track: Option<usize>, limit: Duration) -> Result<(), DecodeError> {
    let choices = match track {
        Some(number) => vec![Choice::Number(number)],
        None => (0..MOST_TRACKS).map(Choice::Decodable).collect(),
    };
    contained(bytes, || {
        let mut room = |_| true;
        let mut reason = None;
        for choice in choices {
            let Some(mut reader) = Reader::open(bytes, hint, choice)? else { break };
            if reader.is_longer_than(limit, TimeOrigin::Sound) {
                return Err(DecodeError::TooLong { limit });
            }
            let mut sink = Sink::new(PROBE_RATE, PROBED, Mix::Mean, TimeOrigin::Container, &mut room);
            sink.begin(reader.edit());
            match reader.read_into(&mut sink).err() {
                Some(DecodeError::TooLong { .. }) => return Ok(()),
                fault => match sink.finish() {
                    Ok(Some(_)) | Err(_) => return Ok(()),
                    Ok(None) => _ = reason.get_or_insert_with(|| fault.unwrap_or_else(|| reader.why_silent())),
                },
            }
        }
        Err(reason.unwrap_or(DecodeError::NoSound))
    })
}

/// Nothing of the decoder is used after a panic.
fn contained<T>(bytes: &[u8], work: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if let Some(name) = foreign::container(bytes) {
        return Err(DecodeError::Unsupported(name.to_owned()));
    }
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("its content makes no sense to the decoder".to_owned())))
        .map_err(|error| match foreign::codec(bytes) {
            Some(name) if error == DecodeError::NoSound || matches!(error, DecodeError::Unsupported(_)) => {
                DecodeError::Unsupported(format!("the codec {name}"))
            }
            _ => error,
        })
}

/// The first track that is not silent; if all are, the first that is whole.
fn hear(
    bytes: &[u8],
    hint: Option<&str>,
    rate: u32,
    limit: Duration,
    selection: Selection,
    room: &mut Room<'_>,
) -> Result<Selected, DecodeError> {
    let mut second_best = None;
    for nth in 0..MOST_TRACKS {
        let choice = Choice::Decodable(nth);
        let Some(track) = hear_track(bytes, hint, choice, rate, limit, selection, room)? else { break };
        match track {
            Ok(decoded) if !decoded.channels.iter().all(Pcm::is_silent) => return Ok(decoded),
            // Silence is better than a fault.
            track if nth == 0 || track.is_ok() && second_best.as_ref().is_none_or(Result::is_err) => {
                second_best = Some(track);
            }
            _ => {}
        }
    }
    second_best.unwrap_or(Err(DecodeError::NoSound))
}

/// One track, unless there are not so many. Whether its channels cancel each other out is known at its end; then it is
/// decoded once more, for one of them. The error inside is of this track alone.
fn hear_track(
    bytes: &[u8],
    hint: Option<&str>,
    choice: Choice,
    rate: u32,
    limit: Duration,
    selection: Selection,
    room: &mut Room<'_>,
) -> Result<Option<Result<Selected, DecodeError>>, DecodeError> {
    let mut mix = if selection.apart { Mix::Apart } else { Mix::Mean };
    loop {
        let mut room = |bytes| room(bytes);
        let mut sink = Sink::new(rate, limit, mix, selection.origin, &mut room);
        let Some(heard) = read_track(bytes, hint, choice, limit, &mut sink)? else { return Ok(None) };
        if let Some(loudest) = sink.cancelled() {
            mix = Mix::Only(loudest);
            continue;
        }
        let Some((channels, shape)) = sink.finish()? else { return Ok(Some(Err(heard.why_silent))) };
        let source =
            SourceFormat { container: heard.container, codec: heard.codec, rate: shape.rate, channels: shape.channels };
        return Ok(Some(Ok(Selected { channels, source, truncated: heard.truncated })));
    }
}

/// What was found out on the way.
struct TrackFacts {
    container: &'static str,
    codec: &'static str,
    truncated: bool,
    /// The error, if no sample came.
    why_silent: DecodeError,
}

/// Reads a track of every recording in the file.
fn read_track(
    bytes: &[u8],
    hint: Option<&str>,
    choice: Choice,
    limit: Duration,
    sink: &mut Sink<'_>,
) -> Result<Option<TrackFacts>, DecodeError> {
    let mut heard: Option<TrackFacts> = None;
    for part in parts::parts(bytes) {
        let mut reader = match (Reader::open(part, hint, choice), &mut heard) {
            (Ok(Some(reader)), _) => reader,
            // What follows a recording may be anything.
            (_, Some(heard)) => {
                heard.truncated = true;
                continue;
            }
            (opened, None) => return opened.map(|_| None),
        };
        if reader.is_longer_than(limit, sink.origin()) {
            return Err(DecodeError::TooLong { limit });
        }
        let before = sink.heard();
        sink.begin(reader.edit());
        let fault = reader.read_into(sink).err();
        if let Some(error) = fault.as_ref().filter(|error| error.is_too_large() || **error == DecodeError::NoRoom) {
            return Err(error.clone());
        }
        let truncated = fault.is_some() || reader.fell_short(sink.heard().saturating_sub(before));
        let heard = heard.get_or_insert_with(|| TrackFacts {
            container: reader.container(),
            codec: reader.codec(),
            truncated,
            why_silent: fault.unwrap_or_else(|| reader.why_silent()),
        });
        heard.truncated |= truncated;
    }
    Ok(heard)
}

#[cfg(test)]
mod tests;
