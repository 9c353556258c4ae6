//! AAC-LC in ADTS by `syom`.
//!
//! ADTS has no place for the length of the run-up (1024 samples) or of the padding, so both are heard as silence.

use syom::{AacError, EncodeContainer, EncodeOptions};

use super::{AudioFormat, EncodeError, bit_rate::bit_rate, codec::Codec};

pub(super) struct Aac {
    encoder: syom::Encoder,
    planes: Vec<Vec<f32>>,
    empty: bool,
}

// === impl Aac ===

impl Aac {
    pub fn new(rate: u32, channels: usize) -> Result<Self, EncodeError> {
        let options = EncodeOptions::default()
            .with_container(EncodeContainer::Adts)
            .with_bitrate_bps(bit_rate(rate, channels).min(most(rate, channels)));
        let encoder = syom::Encoder::new(rate, channels, &options).map_err(failed)?;
        Ok(Self { encoder, planes: vec![Vec::new(); channels], empty: true })
    }
}

impl Codec for Aac {
    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let channels = self.planes.len();
        for (channel, plane) in self.planes.iter_mut().enumerate() {
            plane.clear();
            plane.extend(samples.iter().skip(channel).step_by(channels));
        }
        self.empty &= samples.is_empty();
        let planes: Vec<&[f32]> = self.planes.iter().map(Vec::as_slice).collect();
        self.encoder.feed(&planes, |frame| append(frame.au, out)).map(|_| ()).map_err(failed)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.empty {
            return Ok(()); // the library calls this an error
        }
        self.encoder.finish(|frame| append(frame.au, out)).map(|_| ()).map_err(failed)
    }
}

fn append(frame: &[u8], out: &mut Vec<u8>) -> Result<(), AacError> {
    out.extend(frame);
    Ok(())
}

/// The most bits per second that frames of 6144 bits a channel can hold.
fn most(rate: u32, channels: usize) -> u32 {
    6 * rate * channels as u32
}

fn failed(error: AacError) -> EncodeError {
    EncodeError::Codec { format: AudioFormat::Aac, reason: error.to_string() }
}
