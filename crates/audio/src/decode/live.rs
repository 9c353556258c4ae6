//! A recording that still comes in: its sound as it comes.

use std::{
    io::{Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use symphonia::core::io::{MediaSourceStream, ReadOnlySource};

use super::{
    DecodeError,
    edit::TimeOrigin,
    foreign, headers,
    reader::Reader,
    sink::{Mix, Sink},
};

/// Sound that one packet may become, in bytes; silence for a gap in the time stamps is part of it.
const MOST_AT_ONCE: usize = 16 << 20;

/// What is told of such a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LiveSound<'a> {
    /// It is one that is heard from its front.
    Opened,
    /// What follows, at the rate that was asked for; the mean of all channels.
    Samples(&'a [f32]),
}

/// Decodes while bytes come in; reading them may wait. `hear` says whether it wants more. Gives whether the recording broke off
/// or was damaged after some sound.
///
/// Nothing is gone back to: what needs the end of the file first (an MP4 whose index is there) is an error, and so is what no
/// decoder here knows. Channels that cancel each other out are not found out.
///
/// # Errors
/// As [`decode`](super::decode) has them, where nothing was heard before.
pub fn decode_live(
    bytes: impl Read + Send + Sync + 'static,
    hint: Option<&str>,
    rate: u32,
    limit: Duration,
    origin: TimeOrigin,
    hear: &mut dyn FnMut(LiveSound<'_>) -> bool,
) -> Result<bool, DecodeError> {
    let work = AssertUnwindSafe(|| heard(bytes, hint, rate, limit, origin, hear));
    catch_unwind(work)
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("its content makes no sense to the decoder".to_owned())))
}

fn heard(
    mut bytes: impl Read + Send + Sync + 'static,
    hint: Option<&str>,
    rate: u32,
    limit: Duration,
    origin: TimeOrigin,
    hear: &mut dyn FnMut(LiveSound<'_>) -> bool,
) -> Result<bool, DecodeError> {
    let head = headers::live_head(&mut bytes);
    if head.is_empty() {
        return Err(DecodeError::Empty);
    }
    if let Some(name) = foreign::container(&head) {
        return Err(DecodeError::Unsupported(name.to_owned()));
    }
    let source = ReadOnlySource::new(Cursor::new(head).chain(bytes));
    let mut reader = Reader::live(MediaSourceStream::new(Box::new(source), Default::default()), hint)?;
    let mut room = |bytes| bytes <= MOST_AT_ONCE;
    let mut sink = Sink::new(rate, limit, Mix::Mean, origin, &mut room);
    sink.begin(reader.edit());
    if !hear(LiveSound::Opened) {
        return Ok(false);
    }
    let mut any = false;
    let fault = loop {
        let step = reader.step(&mut sink);
        let samples = sink.drain();
        any |= !samples.is_empty();
        if !samples.is_empty() && !hear(LiveSound::Samples(&samples)) {
            return Ok(false);
        }
        match step {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    let heard = sink.heard();
    let rest = sink.finish()?.and_then(|(lanes, _)| lanes.into_iter().next());
    if let Some(rest) = rest.filter(|rest| !rest.samples().is_empty()) {
        any = true;
        hear(LiveSound::Samples(rest.samples()));
    }
    match fault {
        Some(error) if !any || error.is_too_large() || error == DecodeError::NoRoom => Err(error),
        None if !any => Err(reader.why_silent()),
        fault => Ok(fault.is_some() || reader.fell_short(heard)),
    }
}
