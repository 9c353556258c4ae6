//! Live recordings of Matroska and WebM that were joined by appending one to the other: each is a file of its own.
//! Layout: RFC 8794 (EBML), §11.2.

/// The identifier of the header that every such file begins with.
const HEADER: &[u8] = &[0x1A, 0x45, 0xDF, 0xA3];
/// The element that says what the file is.
const DOC_TYPE: &[u8] = &[0x42, 0x82];
const KINDS: [&[u8]; 2] = [b"webm", b"matroska"];
/// Bytes of a header; real ones have about 40.
const LONGEST_HEADER: usize = 256;
/// Recordings that are told apart in one file.
const MOST: usize = 4096;

/// The recordings in a file: itself, or those that were joined.
pub(super) fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    if !begins_a_file(bytes) {
        return vec![bytes];
    }
    let mut starts = vec![0];
    let mut at = HEADER.len();
    while starts.len() < MOST
        && let Some(next) = find(&bytes[at..])
    {
        starts.push(at + next);
        at += next + HEADER.len();
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]).collect()
}

/// Where the next file begins.
fn find(bytes: &[u8]) -> Option<usize> {
    let candidates = bytes.windows(HEADER.len()).enumerate().filter(|(_, window)| *window == HEADER);
    candidates.map(|(at, _)| at).find(|at| begins_a_file(&bytes[*at..]))
}

/// Whether this is a header, and not four bytes of sound that look like one.
fn begins_a_file(bytes: &[u8]) -> bool {
    let Some(header) = bytes.strip_prefix(HEADER).and_then(content) else { return false };
    header.windows(DOC_TYPE.len()).enumerate().filter(|(_, window)| *window == DOC_TYPE).any(|(at, _)| {
        let name = header.get(at + DOC_TYPE.len() + 1..).unwrap_or_default();
        KINDS.iter().any(|kind| name.starts_with(kind))
    })
}

/// What a header holds, after its length: as many bytes as there are leading zeros in the first, and one.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let width = bytes.first()?.leading_zeros() as usize + 1;
    let field = bytes.get(..width).filter(|_| width <= 8)?;
    let length = field.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte)) & !(1 << (7 * width));
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_HEADER)?;
    Some(&bytes[width..][..length.min(bytes.len() - width)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> Vec<u8> {
        [HEADER, &[0x87, 0x42, 0x82, 0x84], b"webm", content].concat()
    }

    #[test]
    fn joined_recordings_are_parted_where_one_begins() {
        let (first, second) = (file(b"sound \x1A\x45\xDF\xA3 and more"), file(b"again"));
        let joined = [&first[..], &second, &first].concat();
        assert_eq!(parts(&joined), [&first[..], &second, &first]);
        assert_eq!(parts(&first), [&first[..]]);
    }

    #[test]
    fn other_files_stay_whole() {
        let riff = [b"RIFF", &file(b"")[..]].concat();
        for bytes in [&b""[..], HEADER, &HEADER[..2], &riff] {
            assert_eq!(parts(bytes), [bytes]);
        }
        assert!(parts(&file(b"").repeat(MOST + 9)).len() <= MOST);
    }
}
