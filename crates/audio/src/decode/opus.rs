//! Opus for Symphonia, over libopus translated to Rust.
//!
//! Streams of one or more channels (mapping families 0 and 1, RFC 7845 §5.1.1). The samples before `pre_skip` only warm
//! the decoder up and are left out here; the padding after the end is what the container says with the packet.
#![allow(unsafe_code, reason = "libopus is C in Rust: pointers and lengths")]

use std::{fmt, ptr::NonNull};

use symphonia::core::{
    audio::{AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, Channels, GenericAudioBufferRef},
    codecs::{
        CodecInfo,
        audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult, well_known::CODEC_ID_OPUS},
        registry::{RegisterableAudioDecoder, SupportedAudioCodec},
    },
    errors::{Error, Result},
    packet::PacketRef,
};

/// Opus always decodes at this rate, in hertz, whatever it was made from.
const RATE: u32 = 48_000;
/// The longest packet is 120 ms.
const MOST_FRAMES: usize = RATE as usize * 120 / 1000;

pub(super) struct OpusDecoder {
    params: AudioCodecParameters,
    streams: Streams,
    gain: f32,
    /// Frames still to be left out at the start.
    skip: usize,
    interleaved: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

/// The identification header, RFC 7845 §5.1.
#[derive(Debug, PartialEq)]
struct Head {
    channels: u8,
    /// Frames to leave out at the start.
    pre_skip: u16,
    /// Factor on the amplitude.
    gain: f32,
    streams: u8,
    coupled: u8,
    /// Which decoded channel each output channel is.
    mapping: Vec<u8>,
}

/// The multistream decoder of libopus.
struct Streams(NonNull<unsafe_libopus::OpusMSDecoder>);

/// Seconds that a decoder with this header leaves out at the start.
pub(super) fn run_up(header: &[u8]) -> Option<f64> {
    Head::parse(header).map(|head| f64::from(head.pre_skip) / f64::from(RATE))
}

// === impl OpusDecoder ===

impl OpusDecoder {
    fn new(params: &AudioCodecParameters) -> Result<Self> {
        let head = Head::of(params)?;
        let count = usize::from(head.channels);
        let channels = params
            .channels
            .clone()
            .filter(|channels| channels.count() == count)
            .unwrap_or(Channels::Discrete(u16::from(head.channels)));
        Ok(Self {
            params: params.clone(),
            streams: Streams::new(&head)?,
            gain: head.gain,
            skip: usize::from(head.pre_skip),
            interleaved: vec![0.0; MOST_FRAMES * count],
            buffer: AudioBuffer::new(AudioSpec::new(RATE, channels), MOST_FRAMES),
        })
    }

    fn decode_packet(&mut self, packet: &PacketRef<'_>) -> Result<()> {
        self.buffer.clear();
        let frames = self.streams.decode(packet.data, &mut self.interleaved)?;
        let samples = &mut self.interleaved[..frames * self.buffer.num_planes()];
        samples.iter_mut().for_each(|sample| *sample *= self.gain);
        self.buffer.render_uninit(Some(frames));
        self.buffer.copy_from_slice_interleaved(&samples);

        let start = (packet.trim_start.get() as usize).max(self.skip).min(frames);
        self.skip = self.skip.saturating_sub(frames);
        let end = (packet.trim_end.get() as usize).min(frames - start);
        self.buffer.trim(start, end);
        Ok(())
    }
}

impl AudioDecoder for OpusDecoder {
    /// After a seek, which nobody does here, there is a start to skip no more.
    fn reset(&mut self) {
        self.streams.reset();
        self.buffer.clear();
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.decode_packet(packet)?;
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for OpusDecoder {
    fn try_registry_new(params: &AudioCodecParameters, _: &AudioDecoderOptions) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Self::new(params)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        const INFO: CodecInfo = CodecInfo { short_name: "opus", long_name: "Opus", profiles: &[] };
        &[SupportedAudioCodec { id: CODEC_ID_OPUS, info: INFO }]
    }
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder").field("skip", &self.skip).finish_non_exhaustive()
    }
}

// === impl Head ===

impl Head {
    /// From the header that the container carries, or, without one, from the number of channels.
    fn of(params: &AudioCodecParameters) -> Result<Self> {
        match &params.extra_data {
            Some(header) => Self::parse(header).ok_or(Error::DecodeError("opus: invalid identification header")),
            None => {
                let channels = params.channels.as_ref().map_or(1, |channels| channels.count());
                let channels = u8::try_from(channels).ok().filter(|channels| *channels <= 2);
                let channels = channels.ok_or(Error::Unsupported("opus: more than two channels without a header"))?;
                Ok(Self::plain(channels, 0, 1.0))
            }
        }
    }

    /// Version 0 is the form of MP4, big-endian; others are the form of Ogg and Matroska, little-endian.
    fn parse(header: &[u8]) -> Option<Self> {
        let body = header.strip_prefix(b"OpusHead")?;
        let u16_at = |at: usize| -> Option<u16> {
            let bytes = [*body.get(at)?, *body.get(at + 1)?];
            Some(if body[0] == 0 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let (channels, pre_skip, gain) = (*body.get(1)?, u16_at(2)?, u16_at(8)? as i16);
        let gain = 10f32.powf(f32::from(gain) / (20.0 * 256.0));
        match *body.get(10)? {
            0 if matches!(channels, 1 | 2) => Some(Self::plain(channels, pre_skip, gain)),
            0 => None,
            _ => {
                let (streams, coupled) = (*body.get(11)?, *body.get(12)?);
                let mapping = body.get(13..13 + usize::from(channels))?.to_vec();
                Some(Self { channels, pre_skip, gain, streams, coupled, mapping })
            }
        }
    }

    fn plain(channels: u8, pre_skip: u16, gain: f32) -> Self {
        Self { channels, pre_skip, gain, streams: 1, coupled: channels - 1, mapping: (0..channels).collect() }
    }
}

// === impl Streams ===

// SAFETY: libopus keeps no state outside of the decoder, which has one owner; shared references reach nothing in it.
unsafe impl Send for Streams {}
// SAFETY: as above.
unsafe impl Sync for Streams {}

impl Streams {
    fn new(head: &Head) -> Result<Self> {
        debug_assert_eq!(head.mapping.len(), usize::from(head.channels));
        let mut status = unsafe_libopus::OPUS_OK;
        // SAFETY: `mapping` has one byte for each channel; libopus checks the numbers before it uses them.
        let decoder = unsafe {
            unsafe_libopus::opus_multistream_decoder_create(
                RATE as i32,
                i32::from(head.channels),
                i32::from(head.streams),
                i32::from(head.coupled),
                head.mapping.as_ptr(),
                &mut status,
            )
        };
        NonNull::new(decoder)
            .filter(|_| status == unsafe_libopus::OPUS_OK)
            .map(Self)
            .ok_or(Error::DecodeError("opus: invalid channel mapping"))
    }

    /// Interleaved samples into `out`, which has room for the longest packet; returns the number of frames.
    fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize> {
        let length = i32::try_from(packet.len()).map_err(|_| Error::DecodeError("opus: packet too long"))?;
        if length == 0 {
            return Err(Error::DecodeError("opus: empty packet"));
        }
        // SAFETY: `packet` has `length` bytes, and `out` holds `MOST_FRAMES` of every channel.
        let frames = unsafe {
            unsafe_libopus::opus_multistream_decode_float(
                self.0.as_ptr(),
                packet.as_ptr(),
                length,
                out.as_mut_ptr(),
                MOST_FRAMES as i32,
                0,
            )
        };
        usize::try_from(frames).map_err(|_| Error::DecodeError("opus: invalid packet"))
    }

    fn reset(&mut self) {
        let nothing = unsafe_libopus::varargs::VarArgs::new(Vec::new());
        // SAFETY: the decoder is alive, and this request takes no argument.
        unsafe {
            unsafe_libopus::opus_multistream_decoder_ctl_impl(
                self.0.as_ptr(),
                unsafe_libopus::OPUS_RESET_STATE,
                nothing,
            )
        };
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // SAFETY: made by `opus_multistream_decoder_create`, and destroyed once.
        unsafe { unsafe_libopus::opus_multistream_decoder_destroy(self.0.as_ptr()) }
    }
}
