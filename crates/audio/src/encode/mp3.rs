//! MP3 by `rusty_mp3`.
//!
//! Frames are made one by one at a constant bit rate and without the bit reservoir, so that each goes out when it is
//! full. (The library's own stream keeps everything to the end at the rates of MPEG-1, for the reservoir.)

use rusty_mp3::{
    encode::{
        Mp3Encode,
        lametag::{self, ENCODER_DELAY, TagInfo, TagStats},
    },
    header::FrameHeader,
};

use super::{AudioFormat, EncodeError, bit_rate::bit_rate, codec::Codec};

/// A file begins with a tag (Xing, LAME) that says how much of the sound is run-up and padding, so that players leave
/// them out. A stream cannot: a tag without the number of frames makes some players take the stream for empty.
pub(super) struct Mp3 {
    state: Mp3Encode,
    header: FrameHeader,
    /// Samples of a frame that is not full yet, by channel.
    planes: Vec<Vec<f32>>,
    stats: TagStats,
    /// Frames of sound that were pushed.
    taken: u64,
}

// === impl Mp3 ===

impl Mp3 {
    pub fn new(rate: u32, channels: usize) -> Result<Self, EncodeError> {
        let header =
            rusty_mp3::encoder_header(rate, channels as u16, bit_rate(rate, channels) / 1000).map_err(failed)?;
        let stats = TagStats::new(lametag::tag_header(&header).frame_size());
        Ok(Self { state: Mp3Encode::new(), header, planes: vec![Vec::new(); channels], stats, taken: 0 })
    }

    /// Samples of a frame, for each channel.
    fn length(&self) -> usize {
        self.header.version.samples_per_frame()
    }

    fn encode_frame(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let frame = self.state.encode_frame(&self.header, &self.planes, None).map_err(failed)?;
        self.stats.add_frame(&frame);
        out.extend(frame);
        self.planes.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

impl Codec for Mp3 {
    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for frame in samples.chunks_exact(self.planes.len()) {
            self.planes.iter_mut().zip(frame).for_each(|(plane, sample)| plane.push(*sample));
            if self.planes[0].len() == self.length() {
                self.encode_frame(out)?;
            }
        }
        self.taken += (samples.len() / self.planes.len()) as u64;
        Ok(())
    }

    /// Silence pushes out what is still on its way through both filter banks.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (length, frames) = (self.length(), lametag::frames_for(self.taken, ENCODER_DELAY, self.length()));
        while u64::from(self.stats.frames()) < frames {
            self.planes.iter_mut().for_each(|plane| plane.resize(length, 0.0));
            self.encode_frame(out)?;
        }
        Ok(())
    }

    fn head(&self) -> Option<Vec<u8>> {
        let padding = lametag::padding_for(self.taken, ENCODER_DELAY, self.length()) as usize;
        let info = TagInfo { vbr: false, delay: ENCODER_DELAY, padding };
        Some(lametag::tag_frame(&lametag::tag_header(&self.header), &self.stats, &info))
    }
}

fn failed(error: rusty_mp3::Error) -> EncodeError {
    EncodeError::Codec { format: AudioFormat::Mp3, reason: error.to_string() }
}
