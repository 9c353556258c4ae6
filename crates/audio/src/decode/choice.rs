//! Which audio track of a file is read, and what decodes it.

use std::sync::LazyLock;

use symphonia::{
    core::{
        codecs::{
            audio::{
                AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions, CODEC_ID_NULL_AUDIO,
                well_known::*,
            },
            registry::CodecRegistry,
        },
        errors::Error,
        formats::{FormatReader, Track, TrackType, well_known::FORMAT_ID_ISOMP4},
    },
    default::register_enabled_codecs,
};

use super::{DecodeError, aac, error::reading, mp4, opus::OpusDecoder};

/// More than any layout of loudspeakers; a header that says so is wrong.
const MOST_CHANNELS: usize = 255;
/// Audio tracks of a file among which the first that is not silent is looked for.
pub const MOST_TRACKS: usize = 16;
/// Samples that a decoder may set room aside for before it has seen a packet, over all channels.
const MOST_RESERVED: u64 = 1 << 24;

static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// Which audio track of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Among those that can be decoded, in the order in which a player would choose them.
    Decodable(usize),
    /// Among all, in the order of the file.
    Number(usize),
}

/// An audio track, and what decodes it.
pub(super) type Chosen<'f> = (&'f Track, Box<dyn AudioDecoder>);

// === impl Choice ===

impl Choice {
    /// Of a recording that was appended to another.
    pub fn again(self) -> Self {
        match self {
            Self::Decodable(_) => Self::Decodable(0),
            number @ Self::Number(_) => number,
        }
    }
}

pub(super) fn choose<'f>(
    format: &'f (dyn FormatReader + '_),
    choice: Choice,
    bytes: &[u8],
) -> Result<Option<Chosen<'f>>, DecodeError> {
    match choice {
        Choice::Decodable(nth) => decodable(format, nth),
        Choice::Number(number) => {
            let mut tracks = Vec::new();
            for track in format.tracks() {
                if is_sound(format, track, bytes)? {
                    tracks.push(track);
                }
            }
            let missing = DecodeError::NoSuchTrack { track: number, tracks: Some(tracks.len()) };
            let track = *tracks.get(number).ok_or(if tracks.is_empty() { DecodeError::NoSound } else { missing })?;
            Ok(Some((track, decoder_for(track)?)))
        }
    }
}

/// The one that a player would play, then the others in their order.
fn decodable<'f>(format: &'f (dyn FormatReader + '_), nth: usize) -> Result<Option<Chosen<'f>>, DecodeError> {
    let first = format.default_track(TrackType::Audio).or_else(|| format.first_track(TrackType::Audio));
    let first = first.ok_or(DecodeError::NoSound)?;
    let others = format.tracks().iter().filter(|track| track.id != first.id && is_audio(track));
    let (mut reason, mut found) = (None, 0);
    for track in std::iter::once(first).chain(others).take(MOST_TRACKS) {
        match decoder_for(track) {
            Ok(decoder) if found == nth => return Ok(Some((track, decoder))),
            Ok(_) => found += 1,
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    match reason {
        Some(error) if nth == 0 => Err(error),
        _ => Ok(None),
    }
}

fn is_audio(track: &Track) -> bool {
    track.codec_params.as_ref().is_some_and(|params| params.audio().is_some())
}

/// The same of tracks whose codec is not known here either, so that they are counted: an MP4 says what they are.
fn is_sound(format: &(dyn FormatReader + '_), track: &Track, bytes: &[u8]) -> Result<bool, DecodeError> {
    match track.codec_params {
        Some(_) => Ok(is_audio(track)),
        None if format.format_info().format == FORMAT_ID_ISOMP4 => Ok(mp4::is_sound(bytes, track.id)),
        None => {
            Err(DecodeError::Unsupported("a track of an unknown kind, beside which none can be counted".to_owned()))
        }
    }
}

fn decoder_for(track: &Track) -> Result<Box<dyn AudioDecoder>, DecodeError> {
    let mut params = track.codec_params.as_ref().and_then(|params| params.audio()).ok_or(DecodeError::NoSound)?.clone();
    let core = params.extra_data.as_deref().filter(|_| params.codec == CODEC_ID_AAC).and_then(aac::core);
    if let Some(core) = core {
        // A rate above 65535 Hz does not fit into the field of the container.
        params.sample_rate = Some(core.rate);
        params.extra_data = Some(core.config.into());
    }
    check(&params)?;
    if CODECS.get_audio_decoder(params.codec).is_none() {
        return Err(DecodeError::Unsupported(format!("the codec {}", codec_name(params.codec))));
    }
    CODECS.make_audio_decoder(&params, &AudioDecoderOptions::default()).map_err(|error| match error {
        Error::Unsupported(_) if params.codec == CODEC_ID_AAC => {
            DecodeError::Unsupported("AAC of another profile than LC, or of more than two channels".to_owned())
        }
        error => reading(error),
    })
}

/// Refuses what no file has, before a decoder sets memory aside for it.
fn check(params: &AudioCodecParameters) -> Result<(), DecodeError> {
    let channels = params.channels.as_ref().map_or(1, |channels| channels.count());
    if channels == 0 || params.sample_rate == Some(0) {
        return Err(DecodeError::Corrupt("it declares no channels or a sample rate of 0".to_owned()));
    }
    let reserved = params.max_frames_per_packet.max(params.frames_per_block).unwrap_or(0);
    if channels > MOST_CHANNELS || reserved.saturating_mul(channels as u64) > MOST_RESERVED {
        return Err(DecodeError::Unsupported(format!("{channels} channels in packets of {reserved} samples")));
    }
    Ok(())
}

/// Names of codecs that files hold and nothing here decodes.
fn codec_name(codec: AudioCodecId) -> String {
    let name = match codec {
        CODEC_ID_NULL_AUDIO => "of its audio track, which is not known here",
        CODEC_ID_AC3 => "AC-3",
        CODEC_ID_EAC3 => "E-AC-3",
        CODEC_ID_AC4 => "AC-4",
        CODEC_ID_DCA => "DTS",
        CODEC_ID_WMA => "Windows Media Audio",
        CODEC_ID_SPEEX => "Speex",
        CODEC_ID_MUSEPACK => "Musepack",
        CODEC_ID_MP1 => "MPEG layer 1",
        CODEC_ID_MP2 => "MPEG layer 2",
        CODEC_ID_ADPCM_G722 => "G.722",
        CODEC_ID_ADPCM_G726 | CODEC_ID_ADPCM_G726LE => "G.726",
        other => return other.to_string(),
    };
    name.to_owned()
}
