//! Where in a recording somebody speaks, and the recording without the rest.
//!
//! A statistical detector: in each critical band of the ear the power of a moment is weighed against the noise of the
//! seconds around it, by the likelihood ratio of speech over noise where the strength of the speech is taken to be its
//! likeliest (J. Sohn, W. Sung, "A voice activity detector employing soft decision based noise spectrum adaptation",
//! ICASSP 1998). Everything is relative to the recording's own loudness. What changes quickly and is no speech, music for
//! example, counts as speech: the detector cuts out noise and silence, and errs on the side of hearing.

use std::{ops::Range, time::Duration};

use super::{Pcm, Stft};

/// Edges of Zwicker's critical bands that hold speech, in hertz.
const BANDS: [f64; 17] = [
    100.0, 200.0, 300.0, 400.0, 510.0, 630.0, 770.0, 920.0, 1080.0, 1270.0, 1480.0, 1720.0, 2000.0, 2320.0, 2700.0,
    3150.0, 3700.0,
];
pub(super) const COUNT: usize = BANDS.len() - 1;
/// Frames per second.
pub(super) const FRAMES: usize = 100;
/// Frames that a moment is averaged over: noise evens out, and every syllable is longer.
pub(super) const MOMENT: usize = 5;
/// Noise is what one looks at for so many seconds before and after.
pub(super) const AROUND: usize = 4;
/// The part of that time in which there is noise alone: pauses between words make up about a fifth of speech.
const QUIET: f64 = 0.2;
/// The mean of noise over its lower fifth, for moments of [`MOMENT`] frames in bands of a few bins.
pub(super) const BIAS: f32 = 1.6;
/// What is so far below the loudest moment is silence, whatever it is: -60 dB.
pub(super) const DYNAMICS: f32 = 1e-6;
/// The power of the quietest sound that counts at all, -90 dB of full scale.
pub(super) const INAUDIBLE: f32 = 1e-9;
/// One band alone does not make speech, however loud it is.
const SUREST: f32 = 10.0;
/// What is shorter is a click, in frames.
pub(super) const SHORTEST: usize = 5;

/// How speech is told from the rest. The names and defaults are those of OpenAI's `server_vad`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceActivity {
    /// From 0, where everything is speech, to 1, where nothing is. In a moment with threshold `t` speech must be
    /// `exp(t / (1 - t))` times as likely as noise, in the geometric mean over the bands.
    pub threshold: f32,
    /// Kept before speech.
    pub before: Duration,
    /// A pause that is longer ends a stretch of speech; so much of it is kept.
    pub silence: Duration,
}

/// The stretches of a recording in which somebody speaks, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Excerpt {
    pub pcm: Pcm,
    pub timeline: Timeline,
}

/// From times in an excerpt to times in its recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline(Vec<Stretch>);

#[derive(Clone, Debug, PartialEq)]
struct Stretch {
    /// Seconds from the start of the excerpt.
    at: f64,
    /// Seconds from the start of the recording.
    from: f64,
    seconds: f64,
}

/// The power in each band, frame by frame.
pub(super) type Powers = Vec<[f32; COUNT]>;

/// What measures the power in each band.
pub(super) struct Bands {
    pub stft: Stft,
    edges: [usize; BANDS.len()],
    scale: f32,
}

// === impl VoiceActivity ===

impl Default for VoiceActivity {
    fn default() -> Self {
        Self { threshold: 0.5, before: Duration::from_millis(300), silence: Duration::from_millis(500) }
    }
}

impl VoiceActivity {
    /// What is left of a recording when noise and silence are cut out.
    pub fn excerpt(&self, pcm: &Pcm) -> Excerpt {
        Excerpt::of(pcm, self.stretches(pcm))
    }

    pub(super) fn samples_of(&self, time: Duration, rate: u32) -> u64 {
        (time.as_secs_f64() * f64::from(rate)).round() as u64
    }

    /// In samples, in order, apart from each other.
    fn stretches(&self, pcm: &Pcm) -> Vec<Range<usize>> {
        let hop = (pcm.rate() as usize / FRAMES).max(1);
        let samples = |time: Duration| self.samples_of(time, pcm.rate()) as usize;
        let mut stretches: Vec<Range<usize>> = Vec::new();
        for run in runs(&self.speech(pcm, hop)) {
            let start = (run.start * hop).saturating_sub(samples(self.before));
            let end = (run.end * hop + samples(self.silence)).min(pcm.samples().len());
            match stretches.last_mut() {
                Some(last) if last.end >= start => last.end = end,
                _ => stretches.push(start..end),
            }
        }
        stretches
    }

    /// Whether somebody speaks, frame by frame.
    fn speech(&self, pcm: &Pcm, hop: usize) -> Vec<bool> {
        let moments = moments(&powers(pcm, hop));
        let silence = silence(&moments);
        let mut speech = Vec::with_capacity(moments.len());
        for (second, frames) in moments.chunks(FRAMES).enumerate() {
            let start = second.saturating_sub(AROUND) * FRAMES;
            let end = ((second + 1 + AROUND) * FRAMES).min(moments.len());
            let noise = noise(&moments[start..end], silence);
            speech.extend(frames.iter().map(|moment| certainty(moment, &noise) >= self.threshold));
        }
        speech
    }
}

/// Power spectra of 32 ms, summed up in bands.
fn powers(pcm: &Pcm, hop: usize) -> Powers {
    let (bands, mut powers) = (Bands::new(pcm.rate(), hop), Powers::new());
    bands.powers(pcm.samples(), &mut powers);
    powers
}

// === impl Bands ===

impl Bands {
    /// Frames are `hop` samples apart.
    pub fn new(rate: u32, hop: usize) -> Self {
        let length = (rate as usize * 32 / 1000).max(2);
        let stft = Stft::new(length, hop);
        let bin = |hertz: f64| ((hertz * length as f64 / f64::from(rate)).round() as usize).min(stft.bins());
        // A sine of full scale has the power 1, whatever the length of the window.
        Self { edges: BANDS.map(bin), scale: 16.0 / (length * length) as f32, stft }
    }

    /// Appends the powers of each frame of these samples.
    pub fn powers(&self, samples: &[f32], powers: &mut Powers) {
        let (edges, scale) = (&self.edges, self.scale);
        self.stft.power(samples, self.stft.frames(samples.len()), |block| {
            for lane in 0..block.frames {
                let rows = |band: usize| &block.power[edges[band]..edges[band + 1]];
                let band = |band: usize| rows(band).iter().map(|row| row[lane]).sum::<f32>();
                powers.push(std::array::from_fn(|index| band(index) * scale));
            }
        });
    }
}

/// Each frame together with its neighbours.
fn moments(powers: &Powers) -> Powers {
    let around = |frame: usize| frame.saturating_sub(MOMENT / 2)..(frame + MOMENT / 2 + 1).min(powers.len());
    let mean = |frames: &[[f32; COUNT]], band: usize| {
        frames.iter().map(|frame| frame[band]).sum::<f32>() / frames.len() as f32
    };
    (0..powers.len()).map(|frame| std::array::from_fn(|band| mean(&powers[around(frame)], band))).collect()
}

/// The power of a band below which there is nothing to be heard in this recording.
fn silence(moments: &Powers) -> f32 {
    let loudest = moments.iter().flatten().copied().fold(0.0, f32::max);
    (loudest * DYNAMICS).max(INAUDIBLE)
}

/// The mean power of the noise in each band.
pub(super) fn noise(moments: &[[f32; COUNT]], silence: f32) -> [f32; COUNT] {
    let mut column: Vec<f32> = Vec::with_capacity(moments.len());
    let quiet = (moments.len() as f64 * QUIET) as usize;
    std::array::from_fn(|band| {
        column.clear();
        column.extend(moments.iter().map(|moment| moment[band]));
        let (_, quiet, _) = column.select_nth_unstable_by(quiet, f32::total_cmp);
        (*quiet * BIAS).max(silence)
    })
}

/// From 0, surely noise, to 1, surely speech.
pub(super) fn certainty(moment: &[f32; COUNT], noise: &[f32; COUNT]) -> f32 {
    let ratios = moment.iter().zip(noise).map(|(power, noise)| (power / noise).max(1.0));
    let likelihood = ratios.map(|ratio| (ratio - 1.0 - ratio.ln()).min(SUREST)).sum::<f32>() / COUNT as f32;
    likelihood / (1.0 + likelihood)
}

/// Where it is true for long enough.
fn runs(speech: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (frame, _) in speech.iter().enumerate().filter(|(_, speech)| **speech) {
        match runs.last_mut() {
            Some(last) if last.end == frame => last.end += 1,
            _ => runs.push(frame..frame + 1),
        }
    }
    runs.retain(|run| run.len() >= SHORTEST);
    runs
}

// === impl Excerpt ===

impl Excerpt {
    /// `ranges`: in samples, in order, apart from each other.
    pub(super) fn of(pcm: &Pcm, ranges: Vec<Range<usize>>) -> Self {
        let (mut samples, mut stretches) = (Vec::new(), Vec::new());
        let seconds = |samples: usize| samples as f64 / f64::from(pcm.rate());
        for range in ranges {
            let (at, from) = (seconds(samples.len()), seconds(range.start));
            stretches.push(Stretch { at, from, seconds: seconds(range.len()) });
            samples.extend(&pcm.samples()[range]);
        }
        Self { pcm: Pcm::new(samples, pcm.rate()), timeline: Timeline(stretches) }
    }
}

// === impl Timeline ===

impl Timeline {
    /// The stretches of the recording that are in the excerpt, in seconds of the recording.
    pub fn stretches(&self) -> impl Iterator<Item = Range<f64>> {
        self.0.iter().map(|stretch| stretch.from..stretch.from + stretch.seconds)
    }

    /// Where in the recording something begins that begins at so many seconds of the excerpt.
    pub fn start(&self, seconds: f64) -> f64 {
        self.within(self.0.partition_point(|stretch| stretch.at <= seconds), seconds)
    }

    /// The same for an end: it belongs to the sound before a cut, as a start belongs to the sound after it.
    pub fn end(&self, seconds: f64) -> f64 {
        self.within(self.0.partition_point(|stretch| stretch.at < seconds), seconds)
    }

    /// In the last of the first `count` stretches.
    fn within(&self, count: usize, seconds: f64) -> f64 {
        let stretch = self.0.get(count.saturating_sub(1));
        stretch.map_or(seconds, |stretch| stretch.from + (seconds - stretch.at).clamp(0.0, stretch.seconds))
    }
}

#[cfg(test)]
mod tests;
