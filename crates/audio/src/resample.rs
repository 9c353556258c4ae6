//! From one sample rate to another.
//!
//! Synchronous resampling in the frequency domain (rubato), with its delay taken out: sample `n` of the output is the
//! sound at `n / to` seconds of the input, and the output has `round(samples × to / from)` samples. How the input is
//! cut into pieces makes no difference to the output.

use rubato::{Fft, FixedSync, Resampler as _, audioadapter_buffers::direct::InterleavedSlice};

use super::Pcm;

/// Rates outside are no sound that anyone records; the transform of an awkward rate is as long as the rate is high.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;
/// Length of the shorter transform at least, in samples: the longer, the steeper the filter. At 1024 the pass band
/// reaches to about 98 % of the lower Nyquist frequency.
const BLOCK: usize = 1024;

/// Brings a stream of interleaved samples from one rate to another, piece by piece. It holds less than a block, and
/// what was pushed last.
pub struct Resampler {
    from: u32,
    to: u32,
    channels: usize,
    /// `None` if the rates are equal.
    fft: Option<Fft<f32>>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    block: Vec<f32>,
    /// Output frames that are still the delay of the filter.
    delay: usize,
    /// Frames.
    taken: u64,
    given: u64,
}

/// A sample rate, in hertz, that nothing can be brought from or to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sample rate of {0} Hz is not supported; {low} to {high} Hz are", low = RATES.start(), high = RATES.end())]
pub struct UnusableRate(pub u32);

/// The same sound at another rate.
pub fn resample(pcm: &Pcm, to: u32) -> Result<Pcm, UnusableRate> {
    let mut resampler = Resampler::with_channels(pcm.rate(), to, pcm.channels())?;
    let mut samples = Vec::with_capacity(resampler.expected(pcm.frames() as u64) as usize * pcm.channels());
    resampler.push(pcm.samples(), &mut samples);
    resampler.finish(&mut samples);
    Ok(Pcm::interleaved(samples, to, pcm.channels()))
}

/// Refuses a rate that no sound has.
pub(super) fn check_rate(rate: u32) -> Result<(), UnusableRate> {
    if RATES.contains(&rate) { Ok(()) } else { Err(UnusableRate(rate)) }
}

// === impl Resampler ===

impl Resampler {
    /// Of one channel. Rates in hertz.
    pub fn new(from: u32, to: u32) -> Result<Self, UnusableRate> {
        Self::with_channels(from, to, 1)
    }

    /// Of interleaved channels, at least one.
    pub fn with_channels(from: u32, to: u32, channels: usize) -> Result<Self, UnusableRate> {
        check_rate(from)?;
        check_rate(to)?;
        let fft = if from == to { None } else { Some(plan(from, to, channels)?) };
        let (delay, block) = fft.as_ref().map_or((0, 0), |fft| (fft.output_delay(), fft.output_frames_max()));
        let block = vec![0.0; block * channels];
        Ok(Self { from, to, channels, fft, pending: Vec::new(), block, delay, taken: 0, given: 0 })
    }

    /// Rate of the input in hertz.
    pub fn from(&self) -> u32 {
        self.from
    }

    /// Takes whole frames, appends to `out` what is ready.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        debug_assert!(samples.len().is_multiple_of(self.channels));
        self.taken += (samples.len() / self.channels) as u64;
        let Some(length) = self.fft.as_ref().map(|fft| fft.input_frames_next()) else {
            return out.extend(samples);
        };
        self.pending.extend(samples);
        let stride = length * self.channels;
        let whole = self.pending.len() / stride * stride;
        for start in (0..whole).step_by(stride) {
            self.process(start, length, u64::MAX, out);
        }
        self.pending.drain(..whole);
    }

    /// Appends what the filter still holds.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        self.drain(out);
    }

    /// [`finish`](Self::finish) for who cannot give the resampler away; nothing is pushed after it.
    pub(super) fn drain(&mut self, out: &mut Vec<f32>) {
        let Some(length) = self.fft.as_ref().map(|fft| fft.input_frames_next()) else { return };
        let expected = self.expected(self.taken);
        while self.given < expected {
            self.pending.resize(length * self.channels, 0.0);
            self.process(0, length, expected, out);
            self.pending.clear();
        }
    }

    /// Frames that the next so many input frames may give.
    pub(super) fn at_most(&self, frames: usize) -> usize {
        let made = (frames as u64 * u64::from(self.to)).div_ceil(u64::from(self.from));
        made as usize + self.block.len() / self.channels
    }

    /// Frames that so many input frames give in all.
    fn expected(&self, taken: u64) -> u64 {
        let (from, to) = (u128::from(self.from), u128::from(self.to));
        ((u128::from(taken) * to + from / 2) / from) as u64
    }

    /// One block of `pending`, `length` frames; gives no more than `most` frames in all.
    fn process(&mut self, start: usize, length: usize, most: u64, out: &mut Vec<f32>) {
        let Some(fft) = &mut self.fft else { return };
        let channels = self.channels;
        let room = self.block.len() / channels;
        let input = InterleavedSlice::new(&self.pending[start..start + length * channels], channels, length);
        let output = InterleavedSlice::new_mut(&mut self.block, channels, room);
        let (Ok(input), Ok(mut output)) = (input, output) else { unreachable!("the slices have these lengths") };
        let (_, made) = fft.process_into_buffer(&input, &mut output, None).expect("the blocks have these lengths");

        let skip = self.delay.min(made);
        self.delay -= skip;
        let wanted = (most - self.given).min((made - skip) as u64) as usize;
        out.extend(&self.block[skip * channels..(skip + wanted) * channels]);
        self.given += wanted as u64;
    }
}

/// A block is an even number of the smallest steps that both rates share, so that half a block, the delay of the
/// filter, is a whole number of samples on either side.
fn plan(from: u32, to: u32, channels: usize) -> Result<Fft<f32>, UnusableRate> {
    let (from, to) = (from as usize, to as usize);
    let shared = gcd(from, to);
    let steps = BLOCK.div_ceil(from.min(to) / shared).next_multiple_of(2);
    Fft::new(from, to, steps * from / shared, channels, FixedSync::Both).map_err(|_| UnusableRate(from as u32))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
