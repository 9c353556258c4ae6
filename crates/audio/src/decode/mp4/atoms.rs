//! The boxes of MP4, and what a film says of its tracks.

pub type Kind = [u8; 4];

/// A box at the top of a file or inside another.
pub struct Atom<'a> {
    pub kind: Kind,
    /// Where it begins, and how long its header is.
    pub at: usize,
    pub header: usize,
    pub body: &'a [u8],
    /// Whether it says that it is longer than what it lies in.
    pub is_cut_off: bool,
}

/// Whether the file calls this track one of sound, whatever its codec.
pub fn is_sound(file: &[u8], track: u32) -> bool {
    let handler = || find(find(track_of(find(file, b"moov")?, track)?, b"mdia")?, b"hdlr")?.get(8..12);
    handler() == Some(b"soun")
}

pub fn track_of(movie: &[u8], track: u32) -> Option<&[u8]> {
    let mut tracks = boxes(movie).filter(|found| found.kind == *b"trak").map(|found| found.body);
    tracks.find(|body| id(body) == Some(track))
}

/// Units per second, from a movie or media header.
pub fn time_scale(header: &[u8]) -> Option<f64> {
    let at = if *header.first()? == 1 { 20 } else { 12 };
    u32_at(header, at).filter(|scale| *scale > 0).map(|scale| scale as f64)
}

/// The number of a track.
fn id(track: &[u8]) -> Option<u32> {
    let header = find(track, b"tkhd")?;
    let at = if *header.first()? == 1 { 20 } else { 12 };
    u32_at(header, at).map(|id| id as u32)
}

pub fn find<'a>(parent: &'a [u8], wanted: &Kind) -> Option<&'a [u8]> {
    boxes(parent).find(|found| found.kind == *wanted).map(|found| found.body)
}

/// The boxes that lie side by side in `bytes`, up to the first that makes no sense.
pub fn boxes(bytes: &[u8]) -> impl Iterator<Item = Atom<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let kind: Kind = rest.get(4..8)?.try_into().ok()?;
        let (header, size) = match u32_at(rest, 0)? {
            0 => (8, rest.len() as u64),
            1 => (16, u64_at(rest, 8)?),
            size => (8, size),
        };
        let is_cut_off = size > rest.len() as u64;
        let end = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        let found = Atom { kind, at, header, body: rest.get(header..end)?, is_cut_off };
        at += end;
        Some(found)
    })
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes).into())
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
pub fn boxed(kind: &Kind, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}
