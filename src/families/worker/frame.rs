//! How messages are told apart: two numbers of four bytes, the lengths of a header and of what follows it, the lowest byte
//! first; the header, which is JSON; and as many bytes of sound.

use std::io::{self, Read, Write};

/// Bytes of a header that a program may send.
pub const MOST_HEADER: usize = 1 << 20;
/// Bytes of sound that a program may send at once.
pub const MOST_PAYLOAD: usize = 1 << 20;

/// A message, as it lies in the pipe.
#[derive(Debug, Default, PartialEq)]
pub struct Frame {
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
}

/// Why the next message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("it sends a header of {0} bytes; {MOST_HEADER} is the most")]
    Header(usize),
    #[error("it sends {0} bytes at once; {MOST_PAYLOAD} is the most")]
    Payload(usize),
    #[error("it stopped in the middle of a message")]
    Cut,
    #[error("its output cannot be read: {0}")]
    Read(io::Error),
}

pub fn write(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let mut head = Vec::with_capacity(8 + frame.header.len());
    head.extend(length(&frame.header)?.to_le_bytes());
    head.extend(length(&frame.payload)?.to_le_bytes());
    head.extend(&frame.header);
    to.write_all(&head)?;
    to.write_all(&frame.payload)
}

/// The next message; `None` at the end.
pub fn read(from: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut lengths = [0; 8];
    match from.read(&mut lengths[..1]) {
        Ok(0) => return Ok(None),
        Ok(_) => fill(from, &mut lengths[1..])?,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return read(from),
        Err(error) => return Err(FrameError::Read(error)),
    }
    let [a, b, c, d, e, f, g, h] = lengths;
    let (header, payload) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
    if header > MOST_HEADER {
        return Err(FrameError::Header(header));
    }
    if payload > MOST_PAYLOAD {
        return Err(FrameError::Payload(payload));
    }
    let mut frame = Frame { header: vec![0; header], payload: vec![0; payload] };
    fill(from, &mut frame.header)?;
    fill(from, &mut frame.payload)?;
    Ok(Some(frame))
}

fn fill(from: &mut impl Read, bytes: &mut [u8]) -> Result<(), FrameError> {
    from.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Cut,
        _ => FrameError::Read(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let frames = [
            Frame { header: b"{}".to_vec(), payload: vec![1, 2, 3] },
            Frame { header: b"{\"a\":1}".to_vec(), payload: Vec::new() },
        ];
        let mut pipe = Vec::new();
        frames.iter().for_each(|frame| write(&mut pipe, frame).unwrap());
        let mut from = &*pipe;
        for frame in &frames {
            assert_eq!(read(&mut from).unwrap().as_ref(), Some(frame));
        }
        assert!(read(&mut from).unwrap().is_none());
        let mut cut = &pipe[..pipe.len() - 1];
        assert!(read(&mut cut).unwrap().is_some());
        assert!(matches!(read(&mut cut), Err(FrameError::Cut)));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_memory_is_taken() {
        let lengths = |header: u32, payload: u32| [header.to_le_bytes(), payload.to_le_bytes()].concat();
        assert!(matches!(read(&mut &*lengths(u32::MAX, 0)), Err(FrameError::Header(_))));
        assert!(matches!(read(&mut &*lengths(2, u32::MAX)), Err(FrameError::Payload(_))));
    }
}
