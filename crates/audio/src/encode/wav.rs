//! 16-bit samples, bare and in RIFF.

use super::{
    EncodeError,
    codec::{Codec, quantise},
};
use crate::Pcm;

/// Bytes before the first sample.
const HEADER: usize = 44;
/// The formats of samples, as Microsoft numbers them.
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;
/// RIFF's usual word for a length that is not known.
const UNKNOWN: u32 = u32::MAX;

/// A stream whose header says that its length is unknown.
pub(super) struct Wav {
    rate: u32,
    channels: usize,
    /// Bytes of samples.
    data: usize,
}

/// Samples and nothing else.
pub(super) struct Raw;

/// A WAV file of signed 16-bit little-endian samples. Samples beyond ±1 are clipped; what is not a number is silence. A
/// recording beyond 4 GiB (37 hours at 16 kHz, mono) says in its header that its length is unknown.
pub fn encode_wav(pcm: &Pcm) -> Vec<u8> {
    let data = pcm.samples().len() * 2;
    let mut file = Vec::with_capacity(HEADER + data);
    file.extend(header(INTEGERS, pcm.rate(), pcm.channels(), 2, Some(data)));
    extend(&mut file, pcm.samples());
    file
}

/// A WAV file of 32-bit float samples, one channel, given as their little-endian bytes. `rate` is in hertz.
pub fn encode_float_wav(samples: &[u8], rate: u32) -> Vec<u8> {
    let mut file = header(FLOATS, rate, 1, 4, Some(samples.len()));
    file.extend(samples);
    file
}

// === impl Wav ===

impl Wav {
    pub fn new(rate: u32, channels: usize) -> Self {
        Self { rate, channels, data: 0 }
    }
}

impl Codec for Wav {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend(header(INTEGERS, self.rate, self.channels, 2, None));
        Ok(())
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.data += samples.len() * 2;
        extend(out, samples);
        Ok(())
    }

    fn head(&self) -> Option<Vec<u8>> {
        Some(header(INTEGERS, self.rate, self.channels, 2, Some(self.data)))
    }
}

// === impl Raw ===

impl Codec for Raw {
    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        extend(out, samples);
        Ok(())
    }
}

fn extend(out: &mut Vec<u8>, samples: &[f32]) {
    out.extend(samples.iter().flat_map(|&sample| quantise(sample).to_le_bytes()));
}

/// Everything before the first sample; `width` is the bytes of a sample, `data` those of all, if that is known.
fn header(format: u16, rate: u32, channels: usize, width: u16, data: Option<usize>) -> Vec<u8> {
    let frame = width.saturating_mul(channels as u16);
    let mut file = Vec::with_capacity(HEADER);
    file.extend(b"RIFF");
    file.extend(size(data.map(|data| HEADER - 8 + data)));
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes()); // length of the format chunk
    file.extend(format.to_le_bytes());
    file.extend((channels as u16).to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.saturating_mul(frame.into()).to_le_bytes()); // bytes per second
    file.extend(frame.to_le_bytes());
    file.extend((8 * width).to_le_bytes()); // bits per sample
    file.extend(b"data");
    file.extend(size(data));
    file
}

/// A length field.
fn size(bytes: Option<usize>) -> [u8; 4] {
    bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(UNKNOWN).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_follows() {
        let file = encode_wav(&Pcm::new(vec![0.0, 0.5, -0.5], 16_000));
        assert_eq!(file.len(), HEADER + 6);
        assert_eq!(file[4..8], 42u32.to_le_bytes());
        assert_eq!(file[24..28], 16_000u32.to_le_bytes());
        assert_eq!(file[28..32], 32_000u32.to_le_bytes());
        assert_eq!(file[40..44], 6u32.to_le_bytes());
        assert_eq!(file[44..], [0, 0, 0x00, 0x40, 0x00, 0xC0]);
    }

    #[test]
    fn floats_come_back_as_they_were() {
        let samples = [0.0f32, 0.25, -1.0, 0.1];
        let file = encode_float_wav(&samples.map(f32::to_le_bytes).concat(), 8000);
        let limit = std::time::Duration::from_secs(1);
        assert_eq!(crate::decode(&file, None, 8000, limit).unwrap().pcm, Pcm::new(samples.to_vec(), 8000));
    }

    #[test]
    fn samples_beyond_full_scale_are_clipped_and_nan_is_silence() {
        assert_eq!([1.5, -1.5, f32::NAN, f32::INFINITY].map(quantise), [i16::MAX, i16::MIN, 0, i16::MAX]);
    }

    #[test]
    fn the_header_counts_channels() {
        let file = encode_wav(&Pcm::interleaved(vec![0.0, 0.5, -0.5, 0.0], 8_000, 2));
        assert_eq!(file[22..24], 2u16.to_le_bytes());
        assert_eq!(file[28..32], 32_000u32.to_le_bytes());
        assert_eq!(file[32..36], [4, 0, 16, 0]);
        assert_eq!(file[40..44], 8u32.to_le_bytes());
    }

    #[test]
    fn sizes_beyond_32_bits_are_unknown() {
        assert_eq!(size(Some(5 << 30)), [0xFF; 4]);
        assert_eq!(size(None), [0xFF; 4]);
    }
}
