//! The spectra of a recording's windows.

use super::super::{preprocessor::SpectrumOf, transcription_options::HOP};
use crate::audio::{LogMel, MelSpec, Spectrum};

/// Frames that are looked at between two steps: a recording of an hour must not make others wait.
const FRAMES_PER_LOOK: usize = 6_000;

/// Makes spectra as a checkpoint has learned to hear them.
pub struct Spectra {
    mel: LogMel,
    of: SpectrumOf,
}

/// How loud a recording is at most, which its windows are scaled by, as far as it was looked at.
#[derive(Debug, Default)]
pub struct Loudness {
    /// The largest value of its spectrum; absent before the first look.
    peak: Option<f32>,
    /// Frames that were looked at.
    frames: usize,
}

// === impl Spectra ===

impl Spectra {
    pub fn new(bands: usize, of: SpectrumOf) -> Self {
        Self { mel: LogMel::new(&MelSpec::whisper(bands)), of }
    }

    /// Looks at more of a recording, where windows of `frames` frames need that before the first of them is made. Whether
    /// all of it was looked at.
    pub fn look(&self, recording: &[f32], loudness: &mut Loudness, frames: usize) -> bool {
        let left = self.mel.frames(recording.len()) - loudness.frames;
        // One window holds all of it, and shows how loud it is.
        let shown = loudness.frames == 0 && left <= frames;
        if self.of == SpectrumOf::Window || shown {
            return true;
        }
        let look = left.min(FRAMES_PER_LOOK);
        if look > 0 {
            let peak = self.mel.log10_within(recording, loudness.frames, look).peak();
            loudness.peak = Some(loudness.peak.map_or(peak, |before| before.max(peak)));
            loudness.frames += look;
        }
        look == left
    }

    /// The window of `frames` frames from frame `seek` on, of a recording that was [looked](Self::look) at. The first is
    /// that from 0 on.
    pub fn window(&self, recording: &[f32], loudness: &mut Loudness, seek: usize, frames: usize) -> Spectrum {
        match self.of {
            SpectrumOf::Recording => {
                let left = self.mel.frames(recording.len()).saturating_sub(seek);
                let mut spectrum = self.mel.log10_within(recording, seek, left.min(frames));
                let peak = *loudness.peak.get_or_insert_with(|| spectrum.peak());
                spectrum.normalise(peak);
                spectrum.followed_by_zeros(frames)
            }
            SpectrumOf::Window => {
                // To its last sample: the end of a recording is seldom the end of a frame.
                let rest = &recording[(seek * HOP).min(recording.len())..];
                self.mel.log_mel_padded(rest, frames * HOP)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Louder and louder.
    fn swelling(seconds: usize) -> Vec<f32> {
        let samples = 16_000 * seconds;
        (0..samples).map(|n| (n as f32 / samples as f32) * (n as f32 * 0.3).sin()).collect()
    }

    /// The spectrum of all of a recording at once, a window of it, and its loudest value.
    fn reference(recording: &[f32], seek: usize, frames: usize) -> Vec<f32> {
        let mel = LogMel::new(&MelSpec::whisper(80));
        let padded = [recording, &vec![0.0; 16_000 * 30]].concat();
        let whole = mel.log_mel(&padded);
        let there = recording.len() / HOP;
        let value = |band: &[f32], at: usize| if at < there { band[at] } else { 0.0 };
        let bands = whole.values().chunks(whole.frames());
        bands.flat_map(|band| (seek..seek + frames).map(move |at| value(band, at))).collect()
    }

    #[test]
    fn windows_are_cut_out_of_the_spectrum_of_the_whole() {
        let spectra = Spectra::new(80, SpectrumOf::Recording);
        // Shorter than a window, exactly one, and longer than a look.
        for (seconds, seeks) in [(2, vec![0, 77]), (6, vec![0, 599]), (130, vec![0, 1, 600, 12_345, 12_990])] {
            let recording = swelling(seconds);
            let mut loudness = Loudness::default();
            let mut looks = 1;
            while !spectra.look(&recording, &mut loudness, 600) {
                looks += 1;
            }
            assert_eq!(looks, if seconds == 130 { 3 } else { 1 }, "{seconds} s");
            for seek in seeks {
                let window = spectra.window(&recording, &mut loudness, seek, 600);
                let worst = window.values().iter().zip(reference(&recording, seek, 600));
                let worst = worst.map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{seconds} s, from {seek} on: off by {worst}");
            }
        }
    }

    #[test]
    fn windows_by_themselves_need_no_look() {
        let spectra = Spectra::new(80, SpectrumOf::Window);
        let (recording, mut loudness) = (swelling(20), Loudness::default());
        assert!(spectra.look(&recording, &mut loudness, 600));
        let alone = spectra.window(&recording, &mut loudness, 300, 600);
        let cut = &recording[300 * HOP..900 * HOP];
        assert_eq!(alone, spectra.window(cut, &mut loudness, 0, 600), "what was before it is not heard");
    }

    #[test]
    fn silence_and_nothing_have_a_spectrum() {
        for of in [SpectrumOf::Recording, SpectrumOf::Window] {
            let spectra = Spectra::new(80, of);
            for recording in [vec![], vec![0.0; 159], vec![0.0; 16_000]] {
                let mut loudness = Loudness::default();
                assert!(spectra.look(&recording, &mut loudness, 200));
                let window = spectra.window(&recording, &mut loudness, 0, 200);
                assert_eq!((window.bands(), window.frames()), (80, 200));
                assert!(window.values().iter().all(|value| [0.0, -1.5].contains(value)), "{of:?}");
            }
        }
    }
}
