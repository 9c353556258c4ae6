//! Files to sound.
//!
//! The content decides about the format; a wrong name or media type does no harm. Packets stream through the resampler
//! into the result, so that memory is bounded by the limit on the length, whatever the file declares. What decodes a
//! file is Symphonia, and for Opus [`opus`]; a panic in there is an error here.

mod conform;
mod error;
mod mp4;
mod opus;
mod reader;
mod sink;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

pub use conform::conform;
pub use error::DecodeError;

use super::Pcm;
use reader::Reader;
pub use sink::Room;
use sink::Sink;

/// Hertz, and so much of a file, to see whether it is one.
const PROBE_RATE: u32 = 16_000;
const PROBED: Duration = Duration::from_secs(1);

/// Sound, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// At the rate that was asked for; the mean of all channels.
    pub pcm: Pcm,
    pub source: SourceFormat,
    /// The file ended before the length that it declares, or part of it could not be read: this is what could be.
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
    decode_within(bytes, hint, rate, limit, &mut |_| true)
}

/// [`decode`], where `room` is asked before the sound takes memory.
///
/// # Errors
/// [`DecodeError::NoRoom`] when it says no, and those of [`decode`].
pub fn decode_within<'a>(
    bytes: &[u8],
    hint: Option<&str>,
    rate: u32,
    limit: Duration,
    room: &'a mut Room<'a>,
) -> Result<Decoded, DecodeError> {
    contained(bytes, || hear(bytes, hint, rate, limit, room))
}

/// Whether a file is one that sound comes out of, by its first second; what comes later is not looked at.
///
/// # Errors
/// As [`decode`] has them for what is wrong from the start.
pub fn probe(bytes: &[u8], hint: Option<&str>, limit: Duration) -> Result<(), DecodeError> {
    contained(bytes, || {
        let mut reader = Reader::open(bytes, hint)?;
        if reader.is_longer_than(limit) {
            return Err(DecodeError::TooLong { limit });
        }
        let mut room = |_| true;
        let mut sink = Sink::new(PROBE_RATE, PROBED, reader.span(), &mut room);
        match reader.read_into(&mut sink).err() {
            Some(DecodeError::TooLong { .. }) => Ok(()),
            fault => match sink.finish() {
                Some(_) => Ok(()),
                None => Err(fault.unwrap_or_else(|| reader.why_silent())),
            },
        }
    })
}

/// Nothing of the decoder is used after a panic.
fn contained<T>(bytes: &[u8], work: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("its content makes no sense to the decoder".to_owned())))
}

fn hear<'a>(
    bytes: &[u8],
    hint: Option<&str>,
    rate: u32,
    limit: Duration,
    room: &'a mut Room<'a>,
) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::open(bytes, hint)?;
    if reader.is_longer_than(limit) {
        return Err(DecodeError::TooLong { limit });
    }
    let mut sink = Sink::new(rate, limit, reader.span(), room);
    let fault = reader.read_into(&mut sink).err();
    if let Some(error @ (DecodeError::TooLong { .. } | DecodeError::NoRoom)) = fault {
        return Err(error);
    }
    let Some((pcm, shape)) = sink.finish() else { return Err(fault.unwrap_or_else(|| reader.why_silent())) };
    let truncated = fault.is_some() || reader.fell_short(pcm.duration());
    let source = SourceFormat {
        container: reader.container(),
        codec: reader.codec(),
        rate: shape.rate,
        channels: shape.channels,
    };
    Ok(Decoded { pcm, source, truncated })
}

#[cfg(test)]
mod tests;
