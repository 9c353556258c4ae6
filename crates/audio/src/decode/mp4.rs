//! Edit lists of MP4, which Symphonia does not apply.
//!
//! AAC needs a run-up (1024 to 2112 samples) and ends with padding; the edit list says which part of the track is the
//! recording. Layout: ISO/IEC 14496-12, §8.6.6.

use super::edit::{Edit, Span};

type Kind = [u8; 4];

/// The part of this audio track that is to be heard, if the file is MP4 and has a plain edit list: one edit, possibly
/// after empty ones, which delay it.
pub(super) fn edit(file: &[u8], track: u32) -> Option<Edit> {
    let movie = find(file, b"moov")?;
    let movie_scale = time_scale(find(movie, b"mvhd")?)?;
    let track = track_of(movie, track)?;
    let media_scale = time_scale(find(find(track, b"mdia")?, b"mdhd")?)?;
    let (empty, length, start) = only_edit(find(find(track, b"edts")?, b"elst")?)?;
    let start = start as f64 / media_scale;
    // Fragmented files do not know their length when they write the list.
    let end = if length == 0 { f64::INFINITY } else { start + length as f64 / movie_scale };
    Some(Edit { delay: empty as f64 / movie_scale, span: Span { start, end } })
}

/// Whether the file calls this track one of sound, whatever its codec.
pub(super) fn is_sound(file: &[u8], track: u32) -> bool {
    let handler = || find(find(track_of(find(file, b"moov")?, track)?, b"mdia")?, b"hdlr")?.get(8..12);
    handler() == Some(b"soun")
}

fn track_of(movie: &[u8], track: u32) -> Option<&[u8]> {
    let mut tracks = boxes(movie).filter(|(kind, _)| kind == b"trak").map(|(_, body)| body);
    tracks.find(|body| id(body) == Some(track))
}

/// Length of the empty edits before it, length in the movie's time scale and start in the media's.
fn only_edit(list: &[u8]) -> Option<(u64, u64, u64)> {
    let wide = *list.first()? == 1;
    let entries = list.get(8..)?.chunks_exact(if wide { 20 } else { 12 });
    let mut edits = entries.filter_map(|entry| {
        let short = || Some((u32_at(entry, 0)?, sign_extended(entry)?));
        if wide { u64_at(entry, 0).zip(u64_at(entry, 8)) } else { short() }
    });
    let mut empty = 0u64;
    let (length, start) = loop {
        match edits.next()? {
            (length, u64::MAX) => empty = empty.saturating_add(length),
            edit => break edit,
        }
    };
    (edits.all(|(_, start)| start == u64::MAX) && start <= i64::MAX as u64).then_some((empty, length, start))
}

/// The start in a short entry; -1, which marks an empty edit, is all ones in either width.
fn sign_extended(entry: &[u8]) -> Option<u64> {
    let start = u32_at(entry, 4)?;
    Some(if start == u64::from(u32::MAX) { u64::MAX } else { start })
}

/// Units per second, from a movie or media header.
fn time_scale(header: &[u8]) -> Option<f64> {
    let at = if *header.first()? == 1 { 20 } else { 12 };
    u32_at(header, at).filter(|scale| *scale > 0).map(|scale| scale as f64)
}

/// The number of a track.
fn id(track: &[u8]) -> Option<u32> {
    let header = find(track, b"tkhd")?;
    let at = if *header.first()? == 1 { 20 } else { 12 };
    u32_at(header, at).map(|id| id as u32)
}

fn find<'a>(parent: &'a [u8], wanted: &Kind) -> Option<&'a [u8]> {
    boxes(parent).find(|(kind, _)| kind == wanted).map(|(_, body)| body)
}

/// The boxes that lie side by side in `bytes`, up to the first that makes no sense.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (Kind, &[u8])> {
    std::iter::from_fn(move || {
        let kind: Kind = bytes.get(4..8)?.try_into().ok()?;
        let (header, size) = match u32_at(bytes, 0)? {
            0 => (8, bytes.len() as u64),
            1 => (16, u64_at(bytes, 8)?),
            size => (8, size),
        };
        let end = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
        let body = bytes.get(header..end)?;
        bytes = &bytes[end..];
        Some((kind, body))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes).into())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &Kind, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    /// A movie of time scale 1000 with track 7 of time scale 48000 and these edits (length, start).
    fn movie(edits: &[(u32, i32)]) -> Vec<u8> {
        let header = |at: usize, value: u32| [&vec![0; at][..], &value.to_be_bytes(), &[0; 8]].concat();
        let mut list = vec![0; 8];
        for (length, start) in edits {
            list.extend(length.to_be_bytes());
            list.extend(start.to_be_bytes());
            list.extend([0, 1, 0, 0]);
        }
        let track = [
            boxed(b"tkhd", &header(12, 7)),
            boxed(b"edts", &boxed(b"elst", &list)),
            boxed(b"mdia", &boxed(b"mdhd", &header(12, 48_000))),
        ];
        let movie = [boxed(b"mvhd", &header(12, 1000)), boxed(b"trak", &track.concat())];
        [boxed(b"ftyp", b"M4A "), boxed(b"moov", &movie.concat())].concat()
    }

    #[test]
    fn one_edit_is_a_span_in_seconds() {
        let found = |delay, start, end| Some(Edit { delay, span: Span { start, end } });
        assert_eq!(edit(&movie(&[(500, 24_000)]), 7), found(0.0, 0.5, 1.0));
        assert_eq!(edit(&movie(&[(0, 24_000)]), 7), found(0.0, 0.5, f64::INFINITY));
        assert_eq!(edit(&movie(&[(10, -1), (20, -1), (500, 24_000)]), 7), found(0.03, 0.5, 1.0));
        assert_eq!(edit(&movie(&[(500, 24_000), (10, -1)]), 7), found(0.0, 0.5, 1.0));
    }

    #[test]
    fn other_lists_and_tracks_have_none() {
        assert_eq!(edit(&movie(&[(500, 0), (500, 48_000)]), 7), None);
        assert_eq!(edit(&movie(&[(500, -1)]), 7), None);
        assert_eq!(edit(&movie(&[(500, 0)]), 8), None);
        assert_eq!(edit(b"RIFF....WAVE", 1), None);
    }

    #[test]
    fn a_cut_anywhere_is_no_panic() {
        let file = movie(&[(500, 24_000)]);
        for length in 0..file.len() {
            let found = edit(&file[..length], 7);
            assert!(found.is_none() || found == edit(&file, 7), "{length}: {found:?}");
        }
    }
}
