//! The sound of a song, section by section: what is decoded in pieces joins without a seam.

use candle_core::Result;

use super::{
    prompt::TRACKS,
    sound::{SongDecoder, Stems},
    tokens::BOOKS,
};

/// Of the sound, in hertz.
pub const RATE: u32 = 44_100;
/// Samples of a frame.
pub const HOP: usize = 882;
/// Frames before a piece that are decoded with it, and of its own that wait until they are decoded with what follows: more than
/// the networks hear to either side.
const CONTEXT: usize = 64;
const HELD: usize = 32;
/// Samples over which one piece goes over into the next.
const FADE: usize = HOP;

/// What was made of a song so far.
#[derive(Debug, Default)]
pub struct Rendering {
    /// Frames whose sound was handed out.
    frames: usize,
    /// The beginning of what follows, as it sounds without what follows it.
    next: Option<Stems>,
}

// === impl Rendering ===

impl Rendering {
    /// The sound that is final once these are the codes of both tracks; all of it where the song is `over`.
    pub fn advance(
        &mut self,
        decoder: &mut SongDecoder,
        tracks: [&[[u16; BOOKS]]; TRACKS],
        over: bool,
    ) -> Result<Option<Stems>> {
        let [vocals, instrumental] = tracks;
        let known = vocals.len().min(instrumental.len());
        let end = if over { known } else { known.saturating_sub(HELD) };
        if end <= self.frames {
            return Ok(None);
        }
        let start = self.frames.saturating_sub(CONTEXT);
        let decoded = decoder.decode(&vocals[start..known], &instrumental[start..known])?;
        let of = |frames: std::ops::Range<usize>| {
            let samples = (frames.start - start) * HOP..(frames.end - start) * HOP;
            map(&decoded, |stem| stem.get(samples.clone()).unwrap_or_default().to_vec())
        };
        let mut made = of(self.frames..end);
        if let Some(before) = &self.next {
            fade(&before.mix, &mut made.mix);
            fade(&before.vocals, &mut made.vocals);
            fade(&before.instrumental, &mut made.instrumental);
        }
        self.next = (!over).then(|| of(end..end + FADE / HOP));
        self.frames = end;
        Ok(Some(made))
    }
}

fn map(stems: &Stems, of: impl Fn(&[f32]) -> Vec<f32>) -> Stems {
    Stems { mix: of(&stems.mix), vocals: of(&stems.vocals), instrumental: of(&stems.instrumental) }
}

/// Begins as what was there before, and ends as itself.
fn fade(before: &[f32], after: &mut [f32]) {
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        let share = (at as f32 + 0.5) / FADE as f32;
        *after = before * (1.0 - share) + *after * share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_over_into_the_other() {
        let mut after = vec![1.0; FADE + 10];
        fade(&vec![0.0; FADE], &mut after);
        assert!(after[0] < 0.001 && (after[FADE / 2] - 0.5).abs() < 0.001 && after[FADE - 1] > 0.999);
        assert_eq!(after[FADE..], [1.0; 10]);
    }
}
