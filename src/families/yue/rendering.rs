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
    use std::fs;

    use candle_core::Device;

    use super::*;
    use crate::{
        families::fixtures::folder,
        model::{Backing, Location, ModelFiles, Placement, Precision, Programs},
    };

    fn decoder() -> SongDecoder {
        let mut files = ModelFiles::default();
        for name in [
            "final_ckpt/ckpt_00360000.pth",
            "semantic_ckpts/hf_1_325000/config.json",
            "decoders/decoder_131000.pth",
            "decoders/decoder_151000.pth",
        ] {
            let path = folder("yue/sound").join(name);
            assert!(fs::exists(&path).unwrap(), "{name}");
            files.insert("codec", name, Location::Disk(path));
        }
        let place = Placement {
            device: Device::Cpu,
            dtype: Precision::F32,
            weights: Backing::Mapped,
            threads: 1,
            max_batch: 1,
            residency: Default::default(),
            references: Default::default(),
            programs: Programs::default(),
        };
        SongDecoder::load(&files, &place).unwrap()
    }

    fn codes(frames: usize, step: usize, of_book: usize) -> Vec<[u16; BOOKS]> {
        let code = |at: usize| (at * at % 7919 * step % of_book) as u16;
        (0..frames).map(|frame| std::array::from_fn(|book| code(frame * BOOKS + book))).collect()
    }

    #[track_caller]
    fn furthest(found: &[f32], expected: &[f32]) -> f32 {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn pieces_are_the_whole_without_a_seam() {
        let mut decoder = decoder();
        let (vocals, instrumental) = (codes(310, 7, decoder.codes()), codes(310, 11, decoder.codes()));
        let whole = decoder.decode(&vocals, &instrumental).unwrap();
        let (mut rendering, mut made) = (Rendering::default(), Stems::default());
        for (known, over) in [(20, false), (130, false), (130, false), (131, false), (300, false), (310, true)] {
            let piece = rendering.advance(&mut decoder, [&vocals[..known], &instrumental[..known]], over).unwrap();
            assert_eq!(piece.is_some(), known > 20 && rendering.frames > 0 && made.mix.len() / HOP < rendering.frames);
            let piece = piece.unwrap_or_default();
            made.mix.extend(piece.mix);
            made.vocals.extend(piece.vocals);
            made.instrumental.extend(piece.instrumental);
        }
        assert!(whole.vocals.iter().any(|sample| sample.abs() > 0.05), "there is something to hear");
        assert!(furthest(&made.vocals, &whole.vocals) < 2e-3, "{}", furthest(&made.vocals, &whole.vocals));
        assert!(furthest(&made.instrumental, &whole.instrumental) < 2e-3);
        // The low frequencies are as loud as in the piece, not as in the whole.
        assert!(furthest(&made.mix, &whole.mix) < 0.1, "{}", furthest(&made.mix, &whole.mix));
    }

    #[test]
    fn one_goes_over_into_the_other() {
        let mut after = vec![1.0; FADE + 10];
        fade(&vec![0.0; FADE], &mut after);
        assert!(after[0] < 0.001 && (after[FADE / 2] - 0.5).abs() < 0.001 && after[FADE - 1] > 0.999);
        assert_eq!(after[FADE..], [1.0; 10]);
    }
}
