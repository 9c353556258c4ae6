//! Sound as telephones send it: a byte a sample, finer where it is quiet (ITU-T G.711).

/// How sixteen bits became eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companding {
    /// North America and Japan.
    MuLaw,
    /// Everywhere else.
    ALaw,
}

// === impl Companding ===

impl Companding {
    /// One sample of each byte, -1 to 1.
    pub fn expand(self, bytes: &[u8]) -> impl Iterator<Item = f32> {
        let expand = match self {
            Self::MuLaw => mu_law,
            Self::ALaw => a_law,
        };
        bytes.iter().map(move |byte| f32::from(expand(*byte)) / 32_768.0)
    }

    /// One byte of each sample of sixteen bits.
    pub fn compress(self, samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
        let compress = match self {
            Self::MuLaw => to_mu_law,
            Self::ALaw => to_a_law,
        };
        samples.into_iter().map(compress).collect()
    }
}

/// What is added before the logarithm, so that it has no pole.
const BIAS: i16 = 0x84;

fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let (exponent, mantissa) = ((byte >> 4) & 7, i16::from(byte & 15));
    let magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS;
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}

fn to_mu_law(sample: i16) -> u8 {
    let biased = (i32::from(sample).abs() + i32::from(BIAS)).min(0x7fff);
    // From 2^7, the bias, on; below 2^15.
    let exponent = biased.ilog2() - 7;
    let byte = (exponent << 4) as u8 | ((biased >> (exponent + 3)) & 15) as u8;
    !(byte | if sample < 0 { 0x80 } else { 0 })
}

fn to_a_law(sample: i16) -> u8 {
    // What is below 0 begins at -1, so that both halves have as many steps.
    let magnitude = i32::from(if sample < 0 { !sample } else { sample });
    let exponent = (magnitude.max(0x80).ilog2() - 7).min(7);
    let mantissa = (magnitude >> if exponent == 0 { 4 } else { exponent + 3 }) & 15;
    let byte = (exponent << 4) as u8 | mantissa as u8;
    (byte | if sample < 0 { 0 } else { 0x80 }) ^ 0x55
}

fn a_law(byte: u8) -> i16 {
    // Every other bit is inverted on the line.
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, i16::from(byte & 15) << 4);
    let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::{super::decode, *};

    /// A WAV file of all 256 bytes, of this format.
    fn wav(format: u16) -> Vec<u8> {
        let mut wav = b"RIFF\x26\x01\0\0WAVEfmt \x12\0\0\0".to_vec();
        for field in [format, 1, 8000, 0, 8000, 0, 1, 8, 0] {
            wav.extend(u16::to_le_bytes(field));
        }
        wav.extend(b"data\0\x01\0\0");
        wav.extend(0..=255);
        wav
    }

    #[test]
    fn every_byte_is_what_the_decoder_of_files_makes_of_it() {
        for (law, format) in [(Companding::MuLaw, 7), (Companding::ALaw, 6)] {
            let file = decode(&wav(format), None, 8000, std::time::Duration::from_secs(1)).unwrap();
            let bytes: Vec<u8> = (0..=255).collect();
            assert_eq!(law.expand(&bytes).collect::<Vec<_>>(), file.pcm.samples(), "{law:?}");
        }
    }

    #[test]
    fn samples_come_back_from_their_bytes_as_they_were_or_nearly() {
        for law in [Companding::MuLaw, Companding::ALaw] {
            let value = |byte: u8| law.expand(&[byte]).next().unwrap() * 32_768.0;
            let again = |sample: i16| value(law.compress([sample])[0]) as i32;
            for byte in 0..=255 {
                assert_eq!(again(value(byte) as i16), value(byte) as i32, "{law:?}: {byte}");
            }
            for sample in i16::MIN..=i16::MAX {
                let (sample, again) = (i32::from(sample), again(sample));
                assert!((again - sample).abs() <= 8 + sample.abs() / 24, "{law:?}: {sample} as {again}");
            }
        }
    }
}
