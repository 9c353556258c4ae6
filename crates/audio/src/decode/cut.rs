//! Whether a file breaks off in the middle of what it is made of, where neither a header nor a reader says so.
//!
//! Layouts: RFC 3533 (Ogg), RFC 8794 and RFC 9559 (Matroska), ISO/IEC 11172-3 and 13818-3 (MP3), ISO/IEC 14496-3 (ADTS).

use std::borrow::Cow;

use super::source::Source;

/// Elements of Matroska that hold others: the segment, and a cluster.
const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1F43_B675;
/// Where other elements are; and one that means nothing.
const SEEK_HEAD: u64 = 0x114D_9B74;
const VOID: u8 = 0xEC;

/// Bits of the header of a frame of MP3 that all frames have in common: version, layer and rate.
const COMMON: u32 = 0xFFFE_0C00;
/// In kbit/s, of layer 3: MPEG 1, and the later ones.
const BIT_RATES: [[usize; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// In hertz, of MPEG 1; of MPEG 2 they are half as high, of 2.5 a quarter.
const RATES: [usize; 3] = [44_100, 48_000, 32_000];

/// Whether the last page or frame of the file is not there in full.
pub(super) fn breaks_off(bytes: &[u8]) -> bool {
    let sound = after_tags(bytes);
    match bytes {
        _ if bytes.starts_with(b"OggS") => ends_within(bytes, page),
        _ if adts(sound).is_some() => ends_within(sound, adts),
        _ => u32_of(sound).is_some_and(|first| ends_within(sound, |rest| frame(rest, first))),
    }
}

/// Goes from one part to the next by their lengths; whether the last of them is longer than what is left. What is no such
/// part, such as a tag, ends it.
fn ends_within(mut rest: &[u8], length: impl Fn(&[u8]) -> Option<usize>) -> bool {
    while let Some(length) = length(rest).filter(|length| *length > 0) {
        match rest.get(length..) {
            Some(next) => rest = next,
            None => return true,
        }
    }
    false
}

/// A page of Ogg. A packet that goes on after the last page is one that breaks off.
fn page(rest: &[u8]) -> Option<usize> {
    const HEADER: usize = 27;
    if !rest.starts_with(b"OggS") {
        return None;
    }
    let Some(segments) = rest.get(26).and_then(|count| rest.get(HEADER..HEADER + usize::from(*count))) else {
        return Some(usize::MAX);
    };
    let length = HEADER + segments.len() + segments.iter().map(|length| usize::from(*length)).sum::<usize>();
    let goes_on = length == rest.len() && segments.last() == Some(&255);
    Some(if goes_on { usize::MAX } else { length })
}

/// A file of Matroska. Where it breaks off, nobody knows how long the segment and the cluster are in which it does:
/// Symphonia takes no element that is longer than the file, and goes to none that is no longer there.
pub(super) fn matroska(bytes: &[u8]) -> Option<Source<'_>> {
    if !bytes.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        return None;
    }
    let mut parts: Vec<Cow<'_, [u8]>> = Vec::new();
    let (mut told, mut at, mut broke_off) = (0, 0, false);
    while let Some(Element { id, length, header, end }) = bytes.get(at..).and_then(element) {
        let is_cut_off = end.is_some_and(|end| end > bytes.len() - at);
        broke_off |= is_cut_off;
        if matches!(id, SEGMENT | CLUSTER) {
            if is_cut_off {
                let width = header - length;
                parts.push(bytes[told..at + length].into());
                parts.push(
                    (0..width).map(|n| if n == 0 { 0xFF >> (width - 1) } else { 0xFF }).collect::<Vec<u8>>().into(),
                );
                told = at + header;
            }
            at += header;
            continue;
        }
        let Some(end) = end.filter(|_| !is_cut_off) else { break };
        if id == SEEK_HEAD && broke_off && header <= 9 {
            let length = ((end - header) as u64 | 1 << (7 * (header - 1))).to_be_bytes();
            parts.push(bytes[told..at].into());
            parts.push([&[VOID], &length[9 - header..]].concat().into());
            told = at + header;
        }
        at += end;
    }
    parts.push(bytes[told..].into());
    Some(Source::of(parts).broken_off(broke_off))
}

/// An element of Matroska: where its length is, how long both are, and where it ends, if that is known.
struct Element {
    id: u64,
    length: usize,
    header: usize,
    end: Option<usize>,
}

fn element(rest: &[u8]) -> Option<Element> {
    let (id, length) = number(rest)?;
    let Some((value, width)) = number(&rest[length..]) else {
        return Some(Element { id: 0, length, header: length, end: Some(usize::MAX) });
    };
    let (header, marker) = (length + width, 1 << (7 * width));
    let end = usize::try_from(value - marker).ok().map_or(usize::MAX, |length| header.saturating_add(length));
    Some(Element { id, length, header, end: (value - marker != marker - 1).then_some(end) })
}

/// A number with its marker, and its width in bytes.
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let width = bytes.first()?.leading_zeros() as usize + 1;
    let field = bytes.get(..width).filter(|_| width <= 8)?;
    Some((field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), width))
}

/// A frame of AAC with a header of its own.
fn adts(rest: &[u8]) -> Option<usize> {
    let header = rest.get(..7).filter(|header| header[0] == 0xFF && header[1] & 0xF6 == 0xF0)?;
    let length = usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5]) >> 5;
    (length >= 7).then_some(length)
}

/// A frame of MP3 like the first one.
fn frame(rest: &[u8], first: u32) -> Option<usize> {
    let header = u32_of(rest).filter(|header| header >> 21 == 0x7FF && (header ^ first) & COMMON == 0)?;
    let field = |shift: u32, bits: u32| (header >> shift & ((1 << bits) - 1)) as usize;
    let version = [4, 0, 2, 1][field(19, 2)];
    if version == 0 || field(17, 2) != 1 {
        return None;
    }
    let kilobits = *BIT_RATES[usize::from(version > 1)].get(field(12, 4)).filter(|rate| **rate > 0)?;
    let rate = RATES.get(field(10, 2))? / version;
    let slots = if version > 1 { 72_000 } else { 144_000 };
    Some(slots * kilobits / rate + field(9, 1))
}

/// What follows the tags in front, whose lengths are in groups of seven bits.
fn after_tags(mut bytes: &[u8]) -> &[u8] {
    while let Some(length) = bytes.get(6..10).filter(|_| bytes.starts_with(b"ID3")) {
        let length = length.iter().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7F));
        bytes = bytes.get(10 + length..).unwrap_or_default();
    }
    bytes
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
