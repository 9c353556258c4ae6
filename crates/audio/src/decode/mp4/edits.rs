//! Edit lists, which Symphonia does not apply.
//!
//! AAC needs a run-up (1024 to 2112 samples) and ends with padding; the edit list says which part of the track is the
//! recording. Editors of films drop, move and repeat parts by it. Layout: ISO/IEC 14496-12, §8.6.6.

use super::atoms::{find, time_scale, track_of, u32_at, u64_at};
use crate::decode::{
    DecodeError,
    edit::{Edit, Piece, Span},
};

/// Edits of a track. Films that were cut by hand have some hundreds.
pub const MOST_EDITS: usize = 4096;
/// Parts of a track that lie so close to each other, in seconds, are one: lists count in units of the whole film.
const CLOSE: f64 = 0.002;

/// An entry: its length in the units of the movie, its start in those of the media; none of those that are silent.
type Entry = (u64, Option<u64>);

/// What is heard of this audio track, if the file is MP4 and its edit list makes sense. `run_up`: seconds of the track
/// that its decoder leaves out by itself.
pub fn edit(file: &[u8], track: u32, run_up: f64) -> Result<Option<Edit>, DecodeError> {
    let Some(list) = list(file, track) else { return Ok(None) };
    if list.entries.len() > MOST_EDITS {
        return Err(DecodeError::TooManyEdits { edits: list.entries.len(), most: MOST_EDITS });
    }
    Ok(list.pieces(run_up).map(Edit::of))
}

/// The list of a track, and the units that it counts in, per second.
struct List {
    entries: Vec<Entry>,
    movie_scale: f64,
    media_scale: f64,
}

fn list(file: &[u8], track: u32) -> Option<List> {
    let movie = find(file, b"moov")?;
    let movie_scale = time_scale(find(movie, b"mvhd")?)?;
    let track = track_of(movie, track)?;
    let media_scale = time_scale(find(find(track, b"mdia")?, b"mdhd")?)?;
    let entries = entries(find(find(track, b"edts")?, b"elst")?)?;
    Some(List { entries, movie_scale, media_scale })
}

fn entries(list: &[u8]) -> Option<Vec<Entry>> {
    let wide = *list.first()? == 1;
    let count = u32_at(list, 4)? as usize;
    let entry = |bytes: &[u8]| {
        let (length, start) = match wide {
            true => (u64_at(bytes, 0)?, u64_at(bytes, 8)? as i64),
            false => (u32_at(bytes, 0)?, i64::from(u32_at(bytes, 4)? as u32 as i32)),
        };
        // The rate that follows is taken for the usual one.
        Some((length, if start == -1 { None } else { Some(u64::try_from(start).ok()?) }))
    };
    list.get(8..)?.chunks_exact(if wide { 20 } else { 12 }).take(count).map(entry).collect()
}

// === impl List ===

impl List {
    /// Without silence at the end; none without sound.
    fn pieces(&self, run_up: f64) -> Option<Vec<Piece>> {
        let is_only = self.entries.iter().filter(|(_, start)| start.is_some()).count() == 1;
        let mut pieces: Vec<Piece> = Vec::new();
        for (length, start) in &self.entries {
            let seconds = *length as f64 / self.movie_scale;
            let piece = match start {
                None => Piece::Silence(seconds),
                Some(start) => {
                    let start = *start as f64 / self.media_scale;
                    // Fragmented files do not know their length when they write the list.
                    let end = if *length == 0 && is_only { f64::INFINITY } else { start + seconds };
                    let left_out = run_up.min(start);
                    Piece::Sound(Span { start: start - left_out, end: end - left_out })
                }
            };
            match (pieces.last_mut(), piece) {
                _ if piece.seconds() <= 0.0 => {}
                (Some(Piece::Silence(before)), Piece::Silence(more)) => *before += more,
                (Some(Piece::Sound(before)), Piece::Sound(next)) if (before.end - next.start).abs() < CLOSE => {
                    before.end = next.end;
                }
                _ => pieces.push(piece),
            }
        }
        if let Some(Piece::Silence(_)) = pieces.last() {
            pieces.pop();
        }
        (!pieces.is_empty()).then_some(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::atoms::boxed, *};

    /// A movie of time scale 1000 with track 7 of time scale 48000 and these edits (length, start).
    fn movie(edits: &[(u32, i32)]) -> Vec<u8> {
        let header = |at: usize, value: u32| [&vec![0; at][..], &value.to_be_bytes(), &[0; 8]].concat();
        let mut list = [[0; 4], (edits.len() as u32).to_be_bytes()].concat();
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

    fn found(edits: &[(u32, i32)]) -> Option<Edit> {
        edit(&movie(edits), 7, 0.0).unwrap()
    }

    fn sound(start: f64, end: f64) -> Piece {
        Piece::Sound(Span { start, end })
    }

    #[test]
    fn one_edit_is_a_span_in_seconds() {
        let plain = |delay, start, end| Some(Edit::plain(delay, Span { start, end }));
        assert_eq!(found(&[(500, 24_000)]), plain(0.0, 0.5, 1.0));
        assert_eq!(found(&[(0, 24_000)]), plain(0.0, 0.5, f64::INFINITY));
        assert_eq!(found(&[(10, -1), (20, -1), (500, 24_000)]), plain(0.03, 0.5, 1.0));
        assert_eq!(found(&[(500, 24_000), (10, -1)]), plain(0.0, 0.5, 1.0));
        // Two that touch each other are one, and one of no length is none.
        assert_eq!(found(&[(500, 0), (250, 24_000), (0, 0)]), plain(0.0, 0.0, 0.75));
        assert_eq!(edit(&movie(&[(500, 24_000)]), 7, 0.125), Ok(plain(0.0, 0.375, 0.875)));
    }

    #[test]
    fn several_are_pieces_in_their_order() {
        // A piece is dropped, and there is silence in its place.
        let edit = found(&[(30, -1), (500, 0), (100, -1), (500, 48_000)]).unwrap();
        assert_eq!(edit.spans, [Span { start: 0.0, end: 0.5 }, Span { start: 1.0, end: 1.5 }]);
        let (late, silence) = (Piece::Silence(0.03), Piece::Silence(0.1));
        assert_eq!(edit.pieces, [late, sound(0.0, 0.5), silence, sound(1.0, 1.5)]);
        assert_eq!((edit.delay, edit.taken(), edit.seconds()), (0.0, 1.0, 1.13));
        // One is repeated, and overlaps another.
        let edit = found(&[(500, 48_000), (500, 0), (500, 0), (250, 60_000)]).unwrap();
        assert_eq!(edit.spans, [Span { start: 0.0, end: 0.5 }, Span { start: 1.0, end: 1.5 }]);
        assert_eq!(edit.pieces, [sound(1.0, 1.5), sound(0.0, 0.5), sound(0.0, 0.5), sound(1.25, 1.5)]);
        assert_eq!((edit.taken(), edit.seconds()), (1.0, 1.75));
    }

    #[test]
    fn other_lists_and_tracks_have_none() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[(500, -1)]), None);
        assert_eq!(found(&[(500, -2), (500, 0)]), None);
        assert_eq!(edit(&movie(&[(500, 0)]), 8, 0.0), Ok(None));
        assert_eq!(edit(b"RIFF....WAVE", 1, 0.0), Ok(None));
    }

    #[test]
    fn more_edits_than_any_film_has_are_refused() {
        let edits = vec![(1, 0); MOST_EDITS + 1];
        let refusal = edit(&movie(&edits), 7, 0.0).unwrap_err();
        assert_eq!(refusal.to_string(), "the audio has an edit list of 4097 edits; 4096 at most are applied");
        assert!(edit(&movie(&edits[1..]), 7, 0.0).is_ok());
    }

    #[test]
    fn a_cut_anywhere_is_no_panic() {
        let file = movie(&[(500, 24_000), (500, 0)]);
        let whole = edit(&file, 7, 0.0);
        for length in 0..file.len() {
            let found = edit(&file[..length], 7, 0.0);
            assert!(matches!(&found, Ok(None)) || found == whole || length > file.len() - 60, "{length}: {found:?}");
        }
    }
}
