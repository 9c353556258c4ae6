//! Loudness after EBU R128 (ITU-R BS.1770), by `ebur128`.
//!
//! [`normalize`] knows the whole sound: one gain brings it to the target, or as near as its true peak allows.
//! [`Leveler`] does not. It listens for 0.4 s, the shortest stretch that has a loudness, before it gives anything; from
//! then on its gain follows the loudness so far, slowly, and a limiter that looks 5 ms ahead keeps the true peak below
//! the ceiling.

mod limiter;

use ebur128::{EbuR128, Mode};

use super::{Pcm, pcm::finite};
use limiter::Limiter;

/// The true peak is kept below this, in dB of full scale: what lossy codecs add to a peak still fits.
pub const CEILING: f64 = -1.0;
/// What is so quiet, in LUFS, is no programme: its gain stays as it is. (The gate of R128.)
const SILENCE: f64 = -70.0;
/// The most that anything is turned up or down, in dB.
const MOST: f64 = 30.0;
/// What a loudness is measured over at least, and how often it is measured, in milliseconds.
const WINDOW: usize = 400;
const STEP: usize = 100;
/// How fast the gain of a stream moves, in dB each step.
const SLEW: f64 = 0.3;

/// A sound of which nothing can be measured: its rate or its channels are beyond the standard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the loudness of {channels} channels at {rate} Hz cannot be measured")]
pub struct Immeasurable {
    pub rate: u32,
    pub channels: usize,
}

/// Brings a stream to a loudness. It holds back 0.4 s at the start, and 5 ms from then on.
pub struct Leveler {
    meter: EbuR128,
    limiter: Limiter,
    target: f64,
    channels: usize,
    /// Frames of a step.
    step: usize,
    /// Samples that wait for their gain: of the window at first, then of a step that is not full yet.
    pending: Vec<f32>,
    /// In dB; `None` until a window was heard that is not silence.
    gain: Option<f64>,
}

/// Integrated loudness in LUFS, or `None` for silence. A sound shorter than 0.4 s is measured as if it went on.
///
/// # Errors
/// [`Immeasurable`].
pub fn loudness(pcm: &Pcm) -> Result<Option<f64>, Immeasurable> {
    Ok(integrated(&measure(pcm)?))
}

/// The same sound at `target` LUFS, or nearer to it, as far as the true peak stays below [`CEILING`] and no more than
/// 30 dB are needed. Silence stays silence.
///
/// # Errors
/// [`Immeasurable`].
pub fn normalize(pcm: &Pcm, target: f64) -> Result<Pcm, Immeasurable> {
    let meter = measure(pcm)?;
    let Some(loudness) = integrated(&meter) else { return Ok(pcm.clone()) };
    let peak = (0..pcm.channels() as u32).filter_map(|channel| meter.true_peak(channel).ok()).fold(0.0, f64::max);
    let room = CEILING - 20.0 * peak.log10();
    let gain = factor((target - loudness).clamp(-MOST, MOST).min(room));
    let samples = pcm.samples().iter().map(|sample| finite(*sample) * gain).collect();
    Ok(Pcm::interleaved(samples, pcm.rate(), pcm.channels()))
}

// === impl Leveler ===

impl Leveler {
    /// For sound at `rate` hertz, to be at `target` LUFS.
    ///
    /// # Errors
    /// [`Immeasurable`].
    pub fn new(rate: u32, channels: usize, target: f64) -> Result<Self, Immeasurable> {
        Ok(Self {
            meter: meter(rate, channels, Mode::I | Mode::HISTOGRAM)?,
            limiter: Limiter::new(rate, channels, factor(CEILING)),
            target,
            channels,
            step: (rate as usize * STEP / 1000).max(1),
            pending: Vec::new(),
            gain: None,
        })
    }

    /// Takes whole frames, appends to `out` what is ready.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let mut rest = samples;
        while !rest.is_empty() {
            let missing = self.wanted() - self.pending.len();
            let (piece, after) = rest.split_at(missing.min(rest.len()));
            self.pending.extend(piece.iter().copied().map(finite));
            if self.pending.len() == self.wanted() {
                let pending = std::mem::take(&mut self.pending);
                self.hear(&pending);
                self.pending = pending;
                self.apply(out);
            }
            rest = after;
        }
    }

    /// Appends what is held back.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        if self.gain.is_none() && !self.pending.is_empty() {
            // As if it went on.
            let window: Vec<f32> = self.pending.iter().copied().cycle().take(self.wanted()).collect();
            self.hear(&window);
        }
        self.apply(out);
        self.limiter.finish(out);
    }

    /// Samples that the next gain is for.
    fn wanted(&self) -> usize {
        let frames = if self.gain.is_some() { self.step } else { self.step * WINDOW / STEP };
        frames * self.channels
    }

    fn hear(&mut self, samples: &[f32]) {
        // Fails for a part of a frame only, and there is none.
        let _ = self.meter.add_frames_f32(samples);
    }

    /// Gives what is pending, with a gain that moves evenly from the last one to the one that the loudness asks for.
    fn apply(&mut self, out: &mut Vec<f32>) {
        let wish = self.wish();
        let before = self.gain.or(wish).unwrap_or(0.0);
        let after = before + wish.map_or(0.0, |wish| (wish - before).clamp(-SLEW, SLEW));
        let frames = self.pending.len() / self.channels;
        for (at, frame) in self.pending.chunks_mut(self.channels).enumerate() {
            let gain = factor(before + (after - before) * (at + 1) as f64 / frames as f64);
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
        self.limiter.push(&self.pending, out);
        self.pending.clear();
        self.gain = self.gain.or(wish).map(|_| after);
    }

    /// The gain that what was heard so far asks for, unless that was silence.
    fn wish(&self) -> Option<f64> {
        integrated(&self.meter).map(|loudness| (self.target - loudness).clamp(-MOST, MOST))
    }
}

fn meter(rate: u32, channels: usize, mode: Mode) -> Result<EbuR128, Immeasurable> {
    EbuR128::new(channels as u32, rate, mode).map_err(|_| Immeasurable { rate, channels })
}

/// Hears the whole, or if it is shorter than a window, as often as it fits.
fn measure(pcm: &Pcm) -> Result<EbuR128, Immeasurable> {
    let mut meter = meter(pcm.rate(), pcm.channels(), Mode::I | Mode::TRUE_PEAK)?;
    let samples: Vec<f32> = pcm.samples().iter().copied().map(finite).collect();
    let window = pcm.rate() as usize * WINDOW / 1000 * pcm.channels();
    let times = if samples.is_empty() { 0 } else { (window + samples.len()) / samples.len() };
    for _ in 0..times.max(1) {
        meter.add_frames_f32(&samples).map_err(|_| Immeasurable { rate: pcm.rate(), channels: pcm.channels() })?;
    }
    Ok(meter)
}

fn integrated(meter: &EbuR128) -> Option<f64> {
    meter.loudness_global().ok().filter(|loudness| *loudness > SILENCE)
}

/// The factor of so many decibels.
fn factor(decibels: f64) -> f32 {
    10f64.powf(decibels / 20.0) as f32
}

#[cfg(test)]
mod tests;
