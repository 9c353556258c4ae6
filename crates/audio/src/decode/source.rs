//! What the readers of formats are given: the bytes of a file, with headers that tell the truth.

use std::{
    borrow::Cow,
    io::{self, Read, Seek, SeekFrom},
};

use symphonia::core::io::MediaSource;

/// Headers, and what comes between and after them. Nothing of the sound is copied.
pub(super) struct Source<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    position: u64,
    /// What the file is, where its sound is laid out as another container.
    pub container: Option<&'static str>,
    /// Whether the file ends before the length that it declares.
    pub broke_off: bool,
}

// === impl Source ===

impl<'a> Source<'a> {
    pub fn new(head: Vec<u8>, body: &'a [u8]) -> Self {
        Self::of(vec![head.into(), body.into()])
    }

    pub fn of(parts: Vec<Cow<'a, [u8]>>) -> Self {
        Self { parts, position: 0, container: None, broke_off: false }
    }

    pub fn named(self, container: &'static str) -> Self {
        Self { container: Some(container), ..self }
    }

    pub fn broken_off(self, broke_off: bool) -> Self {
        Self { broke_off, ..self }
    }

    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// The slice that lies at the position.
    fn rest(&self) -> &[u8] {
        let mut at = usize::try_from(self.position).unwrap_or(usize::MAX);
        for part in &self.parts {
            match part.get(at..).filter(|rest| !rest.is_empty()) {
                Some(rest) => return rest,
                None => at -= part.len(),
            }
        }
        &[]
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest().read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => (self.len() as u64).checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl MediaSource for Source<'_> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_and_a_body_read_as_one_file() {
        let mut source = Source::new(b"head".to_vec(), b"and body");
        let mut whole = String::new();
        source.read_to_string(&mut whole).unwrap();
        assert_eq!(whole, "headand body");
        for (to, at, rest) in [
            (SeekFrom::Start(2), 2, "adand body"),
            (SeekFrom::End(-4), 8, "body"),
            (SeekFrom::Start(4), 4, "and body"),
            (SeekFrom::Start(99), 99, ""),
        ] {
            assert_eq!(source.seek(to).unwrap(), at);
            let mut text = String::new();
            source.read_to_string(&mut text).unwrap();
            assert_eq!(text, rest);
        }
        assert!(source.seek(SeekFrom::Current(-100)).is_err());
    }

    #[test]
    fn a_header_may_lie_in_the_middle() {
        let mut source = Source::of(vec![b"front "[..].into(), b"head".to_vec().into(), b" body"[..].into()]);
        let mut whole = String::new();
        source.read_to_string(&mut whole).unwrap();
        assert_eq!((whole.as_str(), source.len()), ("front head body", 15));
        source.seek(SeekFrom::Start(u64::MAX)).unwrap();
        assert_eq!(source.read(&mut [0; 4]).unwrap(), 0);
    }
}
