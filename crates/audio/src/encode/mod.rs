//! Sound to files and streams.
//!
//! [`Encoder`] takes samples as they are made and gives bytes as early as the format can; [`encode`] has all samples
//! and writes their number where a format has a place for it. Both give the same frames. An encoder holds at most a
//! block of the resampler, a frame of the codec and, for Opus, a page, whatever is pushed.
//!
//! `docs/AUDIO.md` says for each format which library makes it, at which rates, with which delay and loss.

mod aac;
mod bit_rate;
mod codec;
mod flac;
mod format;
mod mp3;
mod opus;
mod wav;

pub use format::{AudioFormat, EncodeError};
pub use wav::{encode_float_wav, encode_wav};

use codec::Codec;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Pcm, Resampler, resample::check_rate};

/// Frames that are worked on at a time, so that a huge push needs no copy of itself.
const STRIDE: usize = 4096;

/// Encodes a stream of interleaved samples.
///
/// Samples beyond ±1 are clipped; what is not a number is silence. Where the format cannot hold the rate, the sound is
/// resampled to [`AudioFormat::nearest_rate`].
pub struct Encoder {
    format: AudioFormat,
    channels: usize,
    resampler: Resampler,
    codec: Box<dyn Codec>,
    /// Bytes of the start of the stream, once it was given.
    started: Option<usize>,
    /// Samples of a frame that is not whole yet.
    partial: Vec<f32>,
    clipped: Vec<f32>,
    resampled: Vec<f32>,
    rate: u32,
}

/// A file of the whole sound, at its rate or the nearest that the format can hold.
///
/// # Errors
/// As of [`Encoder::new`].
pub fn encode(pcm: &Pcm, format: AudioFormat) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(format, pcm.rate(), pcm.channels())?;
    let mut file = encoder.push(&[])?;
    let start = file.len();
    file.append(&mut encoder.push(pcm.samples())?);
    encoder.end(&mut file)?;
    if let Some(head) = encoder.codec.head() {
        file.splice(..start, head);
    }
    Ok(file)
}

// === impl Encoder ===

impl Encoder {
    /// For sound of this rate in hertz, and of one or two channels.
    ///
    /// # Errors
    /// [`EncodeError::Rate`] if no sound has this rate, [`EncodeError::Channels`] for none or more than two.
    pub fn new(format: AudioFormat, rate: u32, channels: usize) -> Result<Self, EncodeError> {
        Self::resampled(format, rate, rate, channels)
    }

    /// For sound of the rate `from` that is to be heard at the rate `to`.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn resampled(format: AudioFormat, from: u32, to: u32, channels: usize) -> Result<Self, EncodeError> {
        if !(1..=2).contains(&channels) {
            return Err(EncodeError::Channels(channels));
        }
        check_rate(to)?; // itself, not the nearest that the format has
        let rate = format.nearest_rate(to);
        Ok(Self {
            format,
            channels,
            resampler: Resampler::with_channels(from, rate, channels)?,
            codec: contained(format, || codec(format, rate, channels))?,
            started: None,
            partial: Vec::new(),
            clipped: Vec::new(),
            resampled: Vec::new(),
            rate,
        })
    }

    /// The rate that is written, in hertz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes samples, as many as there are, and gives what is ready. The first push, be it of none, gives the start of
    /// the stream.
    ///
    /// # Errors
    /// [`EncodeError::Codec`], after which the stream is of no use.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.start(&mut out)?;
        let mut rest = self.complete(samples, &mut out)?;
        while rest.len() >= self.channels {
            let frames = (rest.len() / self.channels).min(STRIDE);
            let (piece, after) = rest.split_at(frames * self.channels);
            self.encode(piece, &mut out)?;
            rest = after;
        }
        self.partial.extend(rest);
        Ok(out)
    }

    /// What is held back, and the end of the stream. A frame that was not pushed whole is left out.
    ///
    /// # Errors
    /// As of [`push`](Self::push).
    pub fn finish(mut self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.end(&mut out)?;
        Ok(out)
    }

    /// As [`finish`](Self::finish), and what the first bytes of a file are to be instead of those of the stream, now that
    /// its length is known; `None` where the format has no place for it at its start.
    ///
    /// # Errors
    /// As of [`push`](Self::push).
    pub fn finish_file(mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), EncodeError> {
        let mut out = Vec::new();
        self.end(&mut out)?;
        let head = self.codec.head().filter(|head| Some(head.len()) == self.started);
        Ok((out, head))
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.started.is_none() {
            self.codec.start(out)?;
            self.started = Some(out.len());
        }
        Ok(())
    }

    /// Fills up the frame that is not whole yet; returns the samples after it.
    fn complete<'a>(&mut self, samples: &'a [f32], out: &mut Vec<u8>) -> Result<&'a [f32], EncodeError> {
        if self.partial.is_empty() {
            return Ok(samples);
        }
        let missing = (self.channels - self.partial.len()).min(samples.len());
        let (piece, rest) = samples.split_at(missing);
        self.partial.extend(piece);
        if self.partial.len() == self.channels {
            let frame = std::mem::take(&mut self.partial);
            self.encode(&frame, out)?;
        }
        Ok(rest)
    }

    /// Whole frames, as they came.
    fn encode(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.clipped.clear();
        self.clipped.extend(samples.iter().copied().map(clip));
        self.resampled.clear();
        self.resampler.push(&self.clipped, &mut self.resampled);
        self.deliver(out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.start(out)?;
        self.resampled.clear();
        self.resampler.drain(&mut self.resampled);
        self.deliver(out)?;
        contained(self.format, || self.codec.finish(out))
    }

    /// What came out of the resampler, which may swing a little beyond what went in.
    fn deliver(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.resampled.iter_mut().for_each(|sample| *sample = clip(*sample));
        contained(self.format, || self.codec.push(&self.resampled, out))
    }
}

/// A panic in a library is an error of this stream; nothing of its encoder is used after it.
fn contained<T>(format: AudioFormat, work: impl FnOnce() -> Result<T, EncodeError>) -> Result<T, EncodeError> {
    let panicked = || Err(EncodeError::Codec { format, reason: "it panicked".to_owned() });
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked())
}

fn codec(format: AudioFormat, rate: u32, channels: usize) -> Result<Box<dyn Codec>, EncodeError> {
    Ok(match format {
        AudioFormat::Wav => Box::new(wav::Wav::new(rate, channels)),
        AudioFormat::Pcm => Box::new(wav::Raw),
        AudioFormat::Mp3 => Box::new(mp3::Mp3::new(rate, channels)?),
        AudioFormat::Opus => Box::new(opus::Opus::new(rate, channels)?),
        AudioFormat::Flac => Box::new(flac::Flac::new(rate, channels)?),
        AudioFormat::Aac => Box::new(aac::Aac::new(rate, channels)?),
    })
}

fn clip(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) }
}

#[cfg(test)]
mod tests;
