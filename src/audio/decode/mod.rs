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
use sink::Sink;

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
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    // Nothing of the decoder is used after a panic.
    catch_unwind(AssertUnwindSafe(|| hear(bytes, hint, rate, limit)))
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("its content makes no sense to the decoder".to_owned())))
}

fn hear(bytes: &[u8], hint: Option<&str>, rate: u32, limit: Duration) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::open(bytes, hint)?;
    if reader.is_longer_than(limit) {
        return Err(DecodeError::TooLong { limit });
    }
    let mut sink = Sink::new(rate, limit, reader.span());
    let fault = reader.read_into(&mut sink).err();
    if let Some(error @ DecodeError::TooLong { .. }) = fault {
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
