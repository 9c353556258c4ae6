//! Sound as numbers: decode, resample, spectra, encode. No model and no HTTP in here.
//!
//! - [`decode()`] turns the bytes of a file, whatever its format, into [`Pcm`] at the rate that is wanted;
//!   ([`decode_selected`] asks for the memory, and hears one track or each channel; [`probe()`] only looks whether they
//!   are such a file);
//! - [`decode_live`] does so while they still come in;
//! - [`conform`] does the same for samples;
//! - [`resample()`] brings [`Pcm`] to another rate;
//! - [`Stft`], [`LogMel`], [`MelSpectrogram`], [`Fbank`] and [`FbankStream`] make the spectra that models hear;
//! - [`InverseStft`] makes sound of spectra, frame by frame;
//! - [`trim_silence`] takes the quiet off both ends of a recording;
//! - [`VoiceActivity`] finds where somebody speaks, and leaves out the rest; [`VoiceDetector`] does while they speak;
//! - [`Companding`] makes samples of what telephones send;
//! - [`Joiner`] makes one sound of blocks, without clicks and without what models leave at their ends;
//! - [`normalize`] and [`Leveler`] bring sound to a loudness;
//! - [`encode()`] turns [`Pcm`] into a file of any [`AudioFormat`], and [`Encoder`] a stream of samples into one of bytes.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![deny(unsafe_code)] // what needs it says `allow` and why; `tests/architecture` lists the homes
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod decode;
mod encode;
mod fbank;
mod fbank_stream;
mod g711;
mod istft;
mod join;
mod loudness;
pub mod mel;
mod noise_score;
mod pcm;
mod resample;
mod silence;
pub mod stft;
#[cfg(test)]
mod testing;
mod voice;
mod voice_detector;
mod voice_score;

pub use decode::{
    DecodeError, Decoded, LiveSound, MOST_APART, MOST_TRACKS, Selected, Selection, SourceFormat, TimeOrigin, conform,
    decode, decode_live, decode_selected, probe,
};
pub use encode::{AudioFormat, EncodeError, Encoder, encode, encode_float_wav, encode_wav};
pub use fbank::Fbank;
pub use fbank_stream::FbankStream;
pub use g711::Companding;
pub use istft::{Fourier, InverseStft};
pub use join::{JoinSettings, Joiner};
pub use loudness::{CEILING, Immeasurable, Leveler, loudness, normalize};
pub use mel::{LogMel, MelSpec, MelSpectrogram, Spectrum, slaney_matrix};
pub use pcm::{Pcm, samples_of_pcm16};
pub use resample::{Resampler, UnusableRate, resample};
pub use silence::trim_silence;
pub use stft::Stft;
pub use voice::{Excerpt, Timeline, VoiceActivity};
pub use voice_detector::{VoiceChange, VoiceDetector};
pub use voice_score::VoiceScore;
