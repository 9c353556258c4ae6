//! The configuration of AAC, ISO/IEC 14496-3 §1.6.2.1.
//!
//! HE-AAC is AAC-LC at half the rate and, beside it, how to guess the upper half of the spectrum (SBR) and the second
//! channel (PS). Speech is in the lower half, so the core is decoded alone.

/// Object types.
const LC: u128 = 2;
const SBR: u128 = 5;
const PS: u128 = 29;
/// In place of an index of the table: the rate follows in 24 bits.
const EXPLICIT: u128 = 15;

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The part of a stream that an AAC-LC decoder hears.
#[derive(Debug, PartialEq)]
pub(super) struct Core {
    /// Its `AudioSpecificConfig`, without any extension.
    pub config: Vec<u8>,
    /// In hertz.
    pub rate: u32,
}

struct Bits {
    bits: u128,
    left: u32,
}

/// The core of what a configuration describes, if it is AAC-LC with channels that it names.
pub(super) fn core(config: &[u8]) -> Option<Core> {
    let mut bits = Bits::of(config);
    let object = bits.take(5)?;
    let (index, rate) = bits.rate()?;
    let channels = bits.take(4).filter(|channels| *channels > 0)?;
    let object = if matches!(object, SBR | PS) {
        bits.rate()?;
        bits.take(5)?
    } else {
        object
    };
    let short_frames = bits.take(1)?;
    (object == LC).then(|| Core { config: config_of(index, rate, channels, short_frames), rate })
}

fn config_of(index: u128, rate: u32, channels: u128, short_frames: u128) -> Vec<u8> {
    let (rate, width) = if index == EXPLICIT { (EXPLICIT << 24 | u128::from(rate), 28) } else { (index, 4) };
    // No core coder that it depends on, and no extension.
    let packed = (((LC << width | rate) << 4 | channels) << 1 | short_frames) << 2;
    let bytes = (5 + width + 4 + 3) / 8;
    packed.to_be_bytes()[16 - bytes..].to_vec()
}

// === impl Bits ===

impl Bits {
    fn of(bytes: &[u8]) -> Self {
        let mut word = [0; 16];
        let length = bytes.len().min(word.len());
        word[..length].copy_from_slice(&bytes[..length]);
        Self { bits: u128::from_be_bytes(word), left: 8 * length as u32 }
    }

    fn take(&mut self, count: u32) -> Option<u128> {
        self.left = self.left.checked_sub(count)?;
        let taken = self.bits >> (128 - count);
        self.bits <<= count;
        Some(taken)
    }

    /// An index and the rate that it stands for.
    fn rate(&mut self) -> Option<(u128, u32)> {
        let index = self.take(4)?;
        let rate = if index == EXPLICIT { self.take(24)? as u32 } else { *RATES.get(index as usize)? };
        (rate > 0).then_some((index, rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_of_explicit_signalling_is_plain_lc() {
        // SBR at 16 kHz over a core of 8 kHz in one channel: 00101 1011 0001 1000 00010 0 0 0.
        let sbr = [0b0010_1101, 0b1000_1100, 0b0000_1000, 0];
        assert_eq!(core(&sbr), Some(Core { config: vec![0b0001_0101, 0b1000_1000], rate: 8_000 }));
        // The same with parametric stereo, 11101.
        assert_eq!(core(&[0b1110_1101, 0b1000_1100, 0b0000_1000, 0]), core(&sbr));
        // Plain LC stays itself, and loses what backward compatible signalling appends.
        let plain = Some(Core { config: vec![0x12, 0x10], rate: 44_100 });
        assert_eq!(core(&[0x12, 0x10]), plain);
        assert_eq!(core(&[0x12, 0x10, 0x56, 0xE5, 0x00]), plain);
        // 96 kHz is index 0; a rate of no table is written out.
        assert_eq!(core(&[0x10, 0x08]), Some(Core { config: vec![0x10, 0x08], rate: 96_000 }));
        let odd = [0x17, 0x80, 0x17, 0x70, 0x08]; // 12000 Hz
        assert_eq!(core(&odd), Some(Core { config: odd.to_vec(), rate: 12_000 }));
    }

    #[test]
    fn other_profiles_and_halves_of_a_configuration_have_none() {
        assert_eq!(core(&[0x0A, 0x10]), None); // Main
        assert_eq!(core(&[0x12, 0x00]), None); // channels in a program of their own
        assert_eq!(core(&[0x16, 0xF0]), None); // an index beyond the table
        for length in 0..2 {
            assert_eq!(core(&[0x2D, 0x8C, 0x08][..length]), None);
        }
    }
}
