//! The bytes behind every token, so that text is put together from bytes and cut where its characters end.

/// `[tokens]` byte strings, in one buffer.
#[derive(Debug, Default)]
pub struct TokenBytes {
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<usize>,
}

impl TokenBytes {
    /// In the order of the ids; an id that does not exist is an empty piece.
    pub fn new<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all = Self::default();
        for piece in pieces {
            all.bytes.extend_from_slice(piece);
            all.ends.push(all.bytes.len());
        }
        all
    }

    /// Empty for an id that does not exist.
    pub fn get(&self, id: u32) -> &[u8] {
        let index = id as usize;
        let Some(&end) = self.ends.get(index) else { return &[] };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..end]
    }

    /// Incomplete characters become U+FFFD.
    pub fn text(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.get(*id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The bytes of a token of a byte-level vocabulary, where every byte is written as one printable character: itself if
/// it is printable Latin-1, else the next free one from U+0100 on (GPT-2's convention).
pub fn from_byte_level(token: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(token.len());
    for character in token.chars() {
        match byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn byte(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => u8::try_from(code).ok(),
        code @ 0x100..=0x143 => hidden(code - 0x100),
        _ => None,
    }
}

/// The `n`th byte that is not printable.
fn hidden(n: u32) -> Option<u8> {
    let n = u8::try_from(n).ok()?;
    match n {
        0..=0x20 => Some(n),
        0x21..=0x42 => Some(n - 0x21 + 0x7f),
        0x43 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut seen: Vec<u8> = (0u32..0x200).filter_map(char::from_u32).filter_map(byte).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn the_space_is_a_letter_of_its_own() {
        assert_eq!(from_byte_level("Ġhello"), b" hello");
        assert_eq!(from_byte_level("Ã¼"), "ü".as_bytes());
        assert_eq!(from_byte_level("Ċ"), b"\n");
    }

    #[test]
    fn a_character_may_span_tokens() {
        let pieces = TokenBytes::new([&b"\xe2\x82"[..], b"", b"\xac", b" a"].into_iter());
        assert_eq!(pieces.text(&[0, 2, 3, 9]), "€ a");
        assert_eq!(pieces.text(&[0, 3]), "\u{fffd} a");
        assert_eq!(pieces.get(1), b"");
    }
}
