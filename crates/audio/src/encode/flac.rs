//! FLAC by `flacenc`.

use flacenc::{
    bitsink::ByteSink,
    component::{BitRepr, StreamInfo},
    config,
    error::{Verified, Verify},
    source::{Context, Fill, FrameBuf},
};

use super::{
    AudioFormat, EncodeError,
    codec::{Codec, quantise},
};

/// The stream's mark, and the header of the only, hence last, metadata block: type 0, 34 bytes.
const START: [u8; 8] = [b'f', b'L', b'a', b'C', 0x80, 0, 0, 34];
const BITS: usize = 16;

pub(super) struct Flac {
    config: Verified<config::Encoder>,
    info: StreamInfo,
    block: FrameBuf,
    /// Counts, and makes the checksum of everything.
    context: Context,
    /// Samples of a block that is not full yet, interleaved.
    pending: Vec<i32>,
    channels: usize,
}

// === impl Flac ===

impl Flac {
    pub fn new(rate: u32, channels: usize) -> Result<Self, EncodeError> {
        let length = block_length(rate);
        let config = config::Encoder::default().into_verified().map_err(|(_, error)| failed(error))?;
        let mut info = StreamInfo::new(rate as usize, channels, BITS).map_err(failed)?;
        info.set_block_sizes(length, length).map_err(failed)?;
        info.set_frame_sizes(0, 0).map_err(failed)?; // unknown
        let block = FrameBuf::with_size(channels, length).map_err(failed)?;
        Ok(Self { config, info, block, context: Context::new(BITS, channels), pending: Vec::new(), channels })
    }

    fn encode_block(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.block.fill_interleaved(&self.pending).map_err(failed)?;
        self.context.fill_interleaved(&self.pending).map_err(failed)?;
        self.pending.clear();
        let number = self.context.current_frame_number().unwrap_or_default();
        let frame = flacenc::encode_fixed_size_frame(&self.config, &self.block, number, &self.info).map_err(failed)?;
        write(&frame, out)
    }
}

impl Codec for Flac {
    /// Says of the length and the checksum that they are unknown.
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend(START);
        write(&self.info, out)
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let full = self.block.size() * self.channels;
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(full - self.pending.len()));
            self.pending.extend(piece.iter().map(|&sample| i32::from(quantise(sample))));
            if self.pending.len() == full {
                self.encode_block(out)?;
            }
            rest = after;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.pending.is_empty() { Ok(()) } else { self.encode_block(out) }
    }

    fn head(&self) -> Option<Vec<u8>> {
        let mut info = self.info.clone();
        info.set_total_samples(self.context.total_samples());
        info.set_md5_digest(&self.context.md5_digest());
        let mut head = START.to_vec();
        write(&info, &mut head).ok()?;
        Some(head)
    }
}

/// Samples in a block: about 43 ms, so that a stream begins early.
fn block_length(rate: u32) -> usize {
    if rate <= 24_000 { 1024 } else { 2048 }
}

fn write(part: &impl BitRepr, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut sink = ByteSink::new();
    part.write(&mut sink).map_err(failed)?;
    out.extend(sink.as_slice());
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> EncodeError {
    EncodeError::Codec { format: AudioFormat::Flac, reason: error.to_string() }
}
