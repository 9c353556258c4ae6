//! Headers that lie: never patched after the recording, wrong by some bytes, or of a wrapping that is not read as it is.
//!
//! The chunks are read leniently, by what is there and not by what the file says of its own size, and the sound gets a
//! header that is right. Layouts: Microsoft's RIFF and WAVE, EBU Tech 3306 (RF64), Apple's AIFF and Core Audio Format,
//! Sun's AU.

use std::io::Read;

use super::{cut, mp4, source::Source};

/// Bytes of a chunk that describes sound; real ones have some tens.
const MOST_DESCRIBED: usize = 4096;
/// Bytes before the sound of a live CAF; real ones have some hundreds.
const MOST_BEFORE: usize = 64 * 1024;
/// Bytes of a file that still comes in which are looked at in one go.
const LIVE_STEP: usize = 512;
/// A recorder that did not know the length wrote 0, or something from here on.
const UNKNOWN: usize = 0x7FFF_0000;

/// Bytes by which a length may be wrong without anything being lost.
const MISCOUNTED: usize = 64;

/// Format tags of WAVE.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const MP3: u16 = 0x55;
const ADTS: u16 = 0x1600;

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// A chunk: its name, where its content begins, and how long it says that it is.
struct Chunk {
    name: [u8; 4],
    start: usize,
    declared: usize,
}

/// The file, with a header that is right.
pub(super) fn read_leniently(bytes: &[u8]) -> Source<'_> {
    let as_it_is = || Source::new(Vec::new(), bytes).broken_off(cut::breaks_off(bytes));
    let mended = || mp4::read_leniently(bytes).or_else(|| cut::matroska(bytes));
    honest(bytes).or_else(mended).unwrap_or_else(as_it_is)
}

/// `None`: it is of none of these kinds, or does not hold what belongs to it.
fn honest(bytes: &[u8]) -> Option<Source<'_>> {
    match (bytes.get(..4)?, bytes.get(8..12)?) {
        (b"RIFF" | b"RF64" | b"BW64", b"WAVE") => wave(bytes),
        (b"FORM", b"AIFF" | b"AIFC") => aiff(bytes),
        (b".snd", _) => au(bytes),
        (b"caff", _) => caf(bytes),
        _ => None,
    }
}

/// The first bytes of a file that still comes in, up to where its sound begins if it is a WAVE file. Of that the header then
/// says that nobody knows how long it will be, whatever its recorder wrote.
pub(super) fn live_head(bytes: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    while head.len() < MOST_BEFORE {
        let mut more = [0; LIVE_STEP];
        match bytes.read(&mut more) {
            Ok(0) | Err(_) => break,
            Ok(read) => head.extend_from_slice(&more[..read]),
        }
        let is_wave = head.len() >= 12 && matches!(&head[..4], b"RIFF" | b"RF64" | b"BW64") && &head[8..12] == b"WAVE";
        if head.len() >= 12 && !is_wave {
            break;
        }
        if let Some((start, format)) = is_wave.then(|| sound_of_wave(&head)).flatten() {
            let patched = wave_head(&head[format], None, UNKNOWN).filter(|head| !head.is_empty());
            return patched.map_or(head.clone(), |patched| [&patched, &head[start..]].concat());
        }
    }
    head
}

/// Where the sound of a WAVE file begins, and where it is described; `None`: not in these bytes.
fn sound_of_wave(bytes: &[u8]) -> Option<(usize, std::ops::Range<usize>)> {
    let mut format = None;
    for chunk in chunks(bytes, 12, Order::Little) {
        match &chunk.name {
            b"fmt " if chunk.declared <= MOST_DESCRIBED => format = Some(chunk.start..chunk.start + chunk.declared),
            b"data" => return format.map(|format| (chunk.start, format)),
            _ => {}
        }
    }
    None
}

fn wave(bytes: &[u8]) -> Option<Source<'_>> {
    let (mut format, mut frames, mut long) = (None, None, None);
    for chunk in chunks(bytes, 12, Order::Little) {
        match &chunk.name {
            b"fmt " => format = Some(described(bytes, &chunk)?),
            b"fact" => frames = u32_at(bytes, chunk.start, Order::Little),
            // Where the size of the data does not fit into 32 bits.
            b"ds64" => long = u64_at(bytes, chunk.start + 8, Order::Little),
            b"data" => {
                let long = long.filter(|long| (1..u64::MAX).contains(long) && chunk.declared == u32::MAX as usize);
                let (body, broke_off) = match long.map(|long| usize::try_from(long).unwrap_or(usize::MAX)) {
                    Some(long) => (up_to(&bytes[chunk.start..], long), is_short(bytes.len() - chunk.start, long)),
                    None => sound(bytes, chunk.start, chunk.declared),
                };
                let head = wave_head(format?, frames, body.len())?;
                return Some(Source::new(head, body).broken_off(broke_off));
            }
            _ => {}
        }
    }
    None
}

/// The header of a WAVE file, or none where the data is a file of its own.
fn wave_head(format: &[u8], frames: Option<u32>, length: usize) -> Option<Vec<u8>> {
    let tag = u16::from_le_bytes(format.get(..2)?.try_into().ok()?);
    let format = match tag {
        MP3 | ADTS => return Some(Vec::new()),
        // What comes after these fields has no meaning there, and wrong lengths.
        PCM | FLOAT => format.get(..16)?.to_vec(),
        A_LAW | MU_LAW => [format.get(..16)?, &[0; 2]].concat(),
        _ => format.to_vec(),
    };
    let mut content = b"WAVE".to_vec();
    push_chunk(&mut content, b"fmt ", &format, Order::Little);
    if let Some(frames) = frames.filter(|frames| *frames > 0 && (*frames as usize) < UNKNOWN) {
        push_chunk(&mut content, b"fact", &frames.to_le_bytes(), Order::Little);
    }
    content.extend(b"data");
    content.extend(size(length).to_le_bytes());
    let whole = size(content.len() + length);
    Some([b"RIFF", &whole.to_le_bytes()[..], &content].concat())
}

fn aiff(bytes: &[u8]) -> Option<Source<'_>> {
    let (mut common, mut found) = (None, None);
    for chunk in chunks(bytes, 12, Order::Big) {
        match &chunk.name {
            b"COMM" => common = Some(described(bytes, &chunk)?),
            b"SSND" if found.is_none() => {
                let skip = 8 + u32_at(bytes, chunk.start, Order::Big)? as usize;
                let start = chunk.start.checked_add(skip).filter(|start| *start <= bytes.len())?;
                found = Some(sound(bytes, start, chunk.declared.saturating_sub(skip)));
            }
            _ => {}
        }
    }
    let (body, broke_off) = found?;
    let head = aiff_head(&bytes[8..12], common?, body.len());
    Some(Source::new(head, body).broken_off(broke_off))
}

fn aiff_head(form: &[u8], common: &[u8], length: usize) -> Vec<u8> {
    let mut content = form.to_vec();
    push_chunk(&mut content, b"COMM", common, Order::Big);
    content.extend(b"SSND");
    content.extend(size(length.saturating_add(8)).to_be_bytes());
    content.extend([0; 8]);
    let whole = size(content.len() + length);
    [b"FORM", &whole.to_be_bytes()[..], &content].concat()
}

/// Sun's format has the same encodings as compressed AIFF, and a header of six numbers.
fn au(bytes: &[u8]) -> Option<Source<'_>> {
    let field = |index: usize| u32_at(bytes, 4 * index, Order::Big);
    let (start, declared, rate) = (field(1)? as usize, field(2)? as usize, field(4)?);
    let (kind, bits): (&[u8; 4], u16) = match field(3)? {
        1 => (b"ulaw", 8),
        2 => (b"NONE", 8),
        3 => (b"NONE", 16),
        4 => (b"NONE", 24),
        5 => (b"NONE", 32),
        6 => (b"fl32", 32),
        7 => (b"fl64", 64),
        27 => (b"alaw", 8),
        _ => return None,
    };
    let channels = u16::try_from(field(5)?).ok().filter(|channels| *channels > 0 && rate > 0)?;
    if start < 24 || start > bytes.len() {
        return None;
    }
    let (body, broke_off) = sound(bytes, start, declared);
    let frames = size(body.len() / (usize::from(channels) * usize::from(bits / 8)));
    let mut common = channels.to_be_bytes().to_vec();
    common.extend(frames.to_be_bytes());
    common.extend(bits.to_be_bytes());
    common.extend(extended(rate));
    common.extend(kind);
    common.extend([0; 2]); // an empty name
    let head = aiff_head(b"AIFC", &common, body.len());
    Some(Source::new(head, body).named("au").broken_off(broke_off))
}

/// A Core Audio file whose recorder did not know the length, -1, or that breaks off: the sound goes on to the end. Packets
/// whose lengths differ are in a table, which may come after the sound.
fn caf(bytes: &[u8]) -> Option<Source<'_>> {
    let mut at = 8;
    loop {
        let (name, length) = (bytes.get(at..at + 4)?, u64_at(bytes, at + 4, Order::Big)? as i64);
        let start = at + 12;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        if name == b"data" {
            let is_whole = end.is_some_and(|end| end <= bytes.len());
            return (!is_whole && length >= -1 && start <= MOST_BEFORE && start <= bytes.len()).then(|| {
                let (head, body) = bytes.split_at(start);
                let mut head = head.to_vec();
                head[at + 4..].copy_from_slice(&(body.len() as u64).to_be_bytes());
                Source::new(head, body).broken_off(end.is_some_and(|end| is_short(bytes.len(), end)))
            });
        }
        at = end?;
    }
}

/// The chunks from here on, to the first that is none. One that says that it is longer than the file is the last.
fn chunks(bytes: &[u8], mut at: usize, order: Order) -> impl Iterator<Item = Chunk> {
    std::iter::from_fn(move || {
        let name = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let (start, declared) = (at + 8, u32_at(bytes, at + 4, order)? as usize);
        at = start.saturating_add(declared).saturating_add(declared % 2);
        Some(Chunk { name, start, declared })
    })
}

/// The content of a chunk that is there in full.
fn described<'a>(bytes: &'a [u8], chunk: &Chunk) -> Option<&'a [u8]> {
    bytes.get(chunk.start..chunk.start.checked_add(chunk.declared)?).filter(|bytes| bytes.len() <= MOST_DESCRIBED)
}

/// The sound that begins here, and whether it should have been longer.
fn sound(bytes: &[u8], start: usize, declared: usize) -> (&[u8], bool) {
    let rest = &bytes[start..];
    match declared {
        0 if is_chunk(rest) => (&[], false),
        0 => (rest, false),
        _ => (up_to(rest, declared), declared < UNKNOWN && is_short(rest.len(), declared)),
    }
}

fn up_to(rest: &[u8], length: usize) -> &[u8] {
    &rest[..length.min(rest.len())]
}

/// Whether a recording ends before what its header says. Some recorders count the header, or a part of it, as sound.
fn is_short(length: usize, declared: usize) -> bool {
    length.saturating_add(MISCOUNTED) < declared
}

/// Whether what follows a chunk of no length is another one, and not sound whose length was never written.
fn is_chunk(rest: &[u8]) -> bool {
    let named = rest.get(..4).is_some_and(|name| name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '));
    let fits = |order| u32_at(rest, 4, order).is_some_and(|length| length as usize <= rest.len() - 8);
    named && (fits(Order::Little) || fits(Order::Big))
}

fn push_chunk(content: &mut Vec<u8>, name: &[u8; 4], body: &[u8], order: Order) {
    content.extend(name);
    content.extend(match order {
        Order::Little => size(body.len()).to_le_bytes(),
        Order::Big => size(body.len()).to_be_bytes(),
    });
    content.extend(body);
    content.extend(&[0][..body.len() % 2]);
}

/// As headers hold it; what does not fit is unknown.
fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// An 80-bit number of IEEE 754, as AIFF has the rate.
fn extended(rate: u32) -> [u8; 10] {
    let shift = rate.leading_zeros();
    let exponent = (16_383 + 31 - shift) as u16;
    let mut number = [0; 10];
    number[..2].copy_from_slice(&exponent.to_be_bytes());
    number[2..6].copy_from_slice(&(rate << shift).to_be_bytes());
    number
}

fn u32_at(bytes: &[u8], at: usize, order: Order) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(match order {
        Order::Little => u32::from_le_bytes(field),
        Order::Big => u32::from_be_bytes(field),
    })
}

fn u64_at(bytes: &[u8], at: usize, order: Order) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    Some(match order {
        Order::Little => u64::from_le_bytes(field),
        Order::Big => u64::from_be_bytes(field),
    })
}
