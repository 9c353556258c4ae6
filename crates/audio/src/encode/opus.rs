//! Opus in Ogg (RFC 7845), by libopus translated to Rust and by `ogg`.
#![allow(unsafe_code, reason = "libopus is C in Rust: pointers and lengths")]

use std::ptr::NonNull;

use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use unsafe_libopus::{OPUS_APPLICATION_AUDIO, OPUS_GET_LOOKAHEAD_REQUEST, OPUS_OK, OPUS_SET_BITRATE_REQUEST};

use super::{AudioFormat, EncodeError, bit_rate::bit_rate, codec::Codec};

/// Positions in the file count samples at this rate, in hertz, whatever the rate of the sound.
const CLOCK: u32 = 48_000;
/// Milliseconds of a packet.
const PACKET: u32 = 20;
/// Packets of a page, after the first: few, so that little waits; not one, since a page costs 28 bytes.
const PAGE: u32 = 5;
/// The most bytes of a packet of 20 ms (RFC 6716, §3.4).
const LONGEST: usize = 1275;
/// One stream in each file, so any number will do.
const SERIAL: u32 = 1;

pub(super) struct Opus {
    encoder: Libopus,
    writer: PacketWriter<'static, Vec<u8>>,
    rate: u32,
    channels: usize,
    /// Samples of a packet that is not full yet, interleaved.
    pending: Vec<f32>,
    /// Frames that decoders leave out at the start, by the clock of the file.
    pre_skip: u64,
    /// Frames taken, at the rate of the sound.
    taken: u64,
    /// Packets made, of which the last is kept here: nobody knows before the end whether it is the last.
    packets: u64,
    last: Vec<u8>,
}

/// The encoder of libopus.
struct Libopus(NonNull<unsafe_libopus::OpusEncoder>);

// === impl Opus ===

impl Opus {
    pub fn new(rate: u32, channels: usize) -> Result<Self, EncodeError> {
        let mut encoder = Libopus::new(rate, channels)?;
        encoder.set_bit_rate(bit_rate(rate, channels))?;
        let pre_skip = u64::from(encoder.lookahead()?) * u64::from(CLOCK / rate);
        Ok(Self {
            encoder,
            writer: PacketWriter::new(Vec::new()),
            rate,
            channels,
            pending: Vec::new(),
            pre_skip,
            taken: 0,
            packets: 0,
            last: Vec::new(),
        })
    }

    /// Samples of a packet, over all channels.
    fn full(&self) -> usize {
        (self.rate * PACKET / 1000) as usize * self.channels
    }

    /// Encodes what is pending, which is a full packet, and writes the packet before it.
    fn encode_packet(&mut self) -> Result<(), EncodeError> {
        let packet = self.encoder.encode(&self.pending, self.channels)?;
        self.pending.clear();
        if self.packets > 0 {
            let ends_page = (self.packets - 1).is_multiple_of(PAGE.into());
            let how = if ends_page { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            let position = self.position();
            self.write_last(how, position)?;
        }
        self.packets += 1;
        self.last = packet;
        Ok(())
    }

    /// Where the last packet ends, by the clock of the file.
    fn position(&self) -> u64 {
        self.packets * u64::from(CLOCK * PACKET / 1000)
    }

    fn write_last(&mut self, how: PacketWriteEndInfo, position: u64) -> Result<(), EncodeError> {
        let packet = std::mem::take(&mut self.last);
        self.writer.write_packet(packet, SERIAL, how, position).map_err(failed)
    }

    /// What the pages of the file hold so far.
    fn give(&mut self, out: &mut Vec<u8>) {
        out.append(self.writer.inner_mut());
    }

    /// The identification header, RFC 7845 §5.1.
    fn head(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(self.channels as u8);
        head.extend((self.pre_skip as u16).to_le_bytes());
        head.extend(self.rate.to_le_bytes());
        head.extend([0, 0, 0]); // gain, mapping family
        head
    }
}

impl Codec for Opus {
    /// Both headers, on a page each.
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for header in [self.head(), tags()] {
            self.writer.write_packet(header, SERIAL, PacketWriteEndInfo::EndPage, 0).map_err(failed)?;
        }
        self.give(out);
        Ok(())
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.taken += (samples.len() / self.channels) as u64;
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(self.full() - self.pending.len()));
            self.pending.extend(piece);
            if self.pending.len() == self.full() {
                self.encode_packet()?;
            }
            rest = after;
        }
        self.give(out);
        Ok(())
    }

    /// Silence pushes out what is still on its way through the encoder; the position of the last page says where the
    /// sound ended.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let end = self.pre_skip + self.taken * u64::from(CLOCK / self.rate);
        while self.position() < end {
            self.pending.resize(self.full(), 0.0);
            self.encode_packet()?;
        }
        self.write_last(PacketWriteEndInfo::EndStream, end)?;
        self.give(out);
        Ok(())
    }
}

/// The comment header, RFC 7845 §5.2: who wrote the file, and no comments.
fn tags() -> Vec<u8> {
    const VENDOR: &str = "sconce";
    let mut tags = b"OpusTags".to_vec();
    tags.extend((VENDOR.len() as u32).to_le_bytes());
    tags.extend(VENDOR.as_bytes());
    tags.extend(0u32.to_le_bytes());
    tags
}

fn failed(reason: impl std::fmt::Display) -> EncodeError {
    EncodeError::Codec { format: AudioFormat::Opus, reason: reason.to_string() }
}

// === impl Libopus ===

// SAFETY: libopus keeps no state outside of the encoder, which has one owner; nothing is reached by a shared reference.
unsafe impl Send for Libopus {}

impl Libopus {
    fn new(rate: u32, channels: usize) -> Result<Self, EncodeError> {
        let mut status = OPUS_OK;
        // SAFETY: libopus checks the numbers; `status` outlives the call.
        let encoder = unsafe {
            unsafe_libopus::opus_encoder_create(rate as i32, channels as i32, OPUS_APPLICATION_AUDIO, &mut status)
        };
        let encoder = NonNull::new(encoder).filter(|_| status == OPUS_OK);
        encoder.map(Self).ok_or_else(|| failed(format_args!("status {status}")))
    }

    fn set_bit_rate(&mut self, bits: u32) -> Result<(), EncodeError> {
        // SAFETY: the encoder is alive, and this request takes one number.
        let status = unsafe {
            let arguments = unsafe_libopus::varargs!(bits as i32);
            unsafe_libopus::opus_encoder_ctl_impl(self.0.as_ptr(), OPUS_SET_BITRATE_REQUEST, arguments)
        };
        check(status).map(|_| ())
    }

    /// Frames that the output is late by, at the rate of the encoder.
    fn lookahead(&mut self) -> Result<u32, EncodeError> {
        let mut frames = 0i32;
        // SAFETY: the encoder is alive, and this request takes a place for one number, which outlives the call.
        let status = unsafe {
            let arguments = unsafe_libopus::varargs!(&mut frames);
            unsafe_libopus::opus_encoder_ctl_impl(self.0.as_ptr(), OPUS_GET_LOOKAHEAD_REQUEST, arguments)
        };
        check(status)?;
        u32::try_from(frames).map_err(failed)
    }

    /// A packet of these interleaved samples, which are of a length that Opus has.
    fn encode(&mut self, samples: &[f32], channels: usize) -> Result<Vec<u8>, EncodeError> {
        let mut packet = vec![0; LONGEST];
        // SAFETY: `samples` has so many frames of all channels of the encoder, and `packet` has `LONGEST` bytes.
        let length = unsafe {
            unsafe_libopus::opus_encode_float(
                self.0.as_ptr(),
                samples.as_ptr(),
                (samples.len() / channels) as i32,
                packet.as_mut_ptr(),
                LONGEST as i32,
            )
        };
        packet.truncate(check(length)?);
        Ok(packet)
    }
}

impl Drop for Libopus {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and destroyed once.
        unsafe { unsafe_libopus::opus_encoder_destroy(self.0.as_ptr()) }
    }
}

/// libopus answers with a number, which if negative is an error.
fn check(answer: i32) -> Result<usize, EncodeError> {
    usize::try_from(answer).map_err(|_| failed(format_args!("status {answer}")))
}
