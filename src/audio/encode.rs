//! Sound to files.

use super::Pcm;

/// Bytes before the first sample.
const HEADER: usize = 44;
/// The formats of samples, as Microsoft numbers them.
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;

/// A WAV file of signed 16-bit little-endian samples, one channel. Samples beyond ±1 are clipped; what is not a number
/// is silence. A recording beyond 4 GiB (37 hours at 16 kHz) says in its header that its length is unknown.
pub fn encode_wav(pcm: &Pcm) -> Vec<u8> {
    let data = pcm.samples().len() * 2;
    let mut file = header(INTEGERS, pcm.rate(), 2, data);
    file.extend(pcm.samples().iter().flat_map(|&sample| quantise(sample).to_le_bytes()));
    file
}

/// A WAV file of 32-bit float samples, one channel, given as their little-endian bytes. `rate` is in hertz.
pub fn encode_float_wav(samples: &[u8], rate: u32) -> Vec<u8> {
    let mut file = header(FLOATS, rate, 4, samples.len());
    file.extend(samples);
    file
}

/// Everything before the first sample; `width` is the bytes of a sample, `data` those of all.
fn header(format: u16, rate: u32, width: u16, data: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER + data);
    file.extend(b"RIFF");
    file.extend(size(HEADER - 8 + data));
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes()); // length of the format chunk
    file.extend(format.to_le_bytes());
    file.extend(1u16.to_le_bytes()); // channels
    file.extend(rate.to_le_bytes());
    file.extend(rate.saturating_mul(width.into()).to_le_bytes()); // bytes per second
    file.extend(width.to_le_bytes()); // bytes per frame
    file.extend((8 * width).to_le_bytes()); // bits per sample
    file.extend(b"data");
    file.extend(size(data));
    file
}

/// A length field; all ones is RIFF's usual word for "unknown".
fn size(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

/// The inverse of how decoders read 16 bits (`value / 32768`). The cast saturates, and takes NaN to 0.
fn quantise(sample: f32) -> i16 {
    (sample * 32768.0).round() as i16
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
        assert_eq!(crate::audio::decode(&file, None, 8000, limit).unwrap().pcm, Pcm::new(samples.to_vec(), 8000));
    }

    #[test]
    fn samples_beyond_full_scale_are_clipped_and_nan_is_silence() {
        assert_eq!([1.5, -1.5, f32::NAN, f32::INFINITY].map(quantise), [i16::MAX, i16::MIN, 0, i16::MAX]);
    }

    #[test]
    fn sizes_beyond_32_bits_are_unknown() {
        assert_eq!(size(5 << 30), [0xFF; 4]);
    }
}
