//! The sound of a song: codes of two tracks to 44.1 kHz, and a reference recording to codes.
//!
//! X-Codec makes sound of 16 kHz of a track's codes; a Vocos for each track makes it at 44.1 kHz of what the codes stand for, in
//! which the high frequencies are better and the low ones worse. The mix takes each from where it is good (`post_filter`), as
//! the reference does, but for its files in between: what it writes as MP3 and reads again is handed on as it is. The stems are
//! what the two Vocos make.

mod biquad;
mod post_filter;
#[cfg(test)]
mod tests;

use std::ops::Range;

use candle_core::Result;

use self::post_filter::replace_low_band;
use crate::{
    families::context,
    model::{LoadError, ModelFiles, Placement},
    nn::{
        ComputeContext, HubertConfig, SincResampler,
        codec::{Vocos, XCodec, XCodecConfig},
        weights::{Loader, WeightError, Weights},
    },
};

/// The part of a model that this is made of.
const CODEC: &str = "codec";
/// X-Codec's weights, its HuBERT among them.
const XCODEC: &str = "final_ckpt/ckpt_00360000.pth";
/// What the names of its tensors may begin with.
const PREFIX: &str = "codec_model.";
/// Of that HuBERT, where it is not as published.
const HUBERT: &str = "semantic_ckpts/hf_1_325000/config.json";
const VOCALS: &str = "decoders/decoder_131000.pth";
const INSTRUMENTAL: &str = "decoders/decoder_151000.pth";

/// Codes of a frame.
const BOOKS: usize = 8;
/// Hertz of the sound.
const RATE: u32 = 44_100;
/// No sample of a track or of both is louder, as in the files of the reference.
const LIMIT: f32 = 0.99;
/// Seconds of a reference recording that is encoded, at most, for the memory that it takes.
const LONGEST_REFERENCE: usize = 60;

/// The weights.
#[derive(Debug)]
pub struct SongDecoder {
    codec: XCodec,
    vocals: Vocos,
    instrumental: Vocos,
    resampler: SincResampler,
}

/// Sounds of a song, all as long, at 44.1 kHz.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stems {
    pub mix: Vec<f32>,
    pub vocals: Vec<f32>,
    pub instrumental: Vec<f32>,
}

/// What of a repository is needed.
pub fn files(listing: &[String]) -> std::result::Result<Vec<String>, LoadError> {
    let has = |name: &str| listing.iter().any(|file| file == name);
    let need = |name: &str| if has(name) { Ok(name.to_owned()) } else { Err(LoadError::Missing(name.to_owned())) };
    let mut files = vec![need(XCODEC)?, need(VOCALS)?, need(INSTRUMENTAL)?];
    files.extend(has(HUBERT).then(|| HUBERT.to_owned()));
    Ok(files)
}

/// Bytes of weights and of what a pass works with.
pub fn footprint(files: &ModelFiles, _place: &Placement) -> std::result::Result<u64, LoadError> {
    // Four bytes a number, as in the files, whatever the language models compute in.
    let mut bytes = 0u64;
    for name in [XCODEC, VOCALS, INSTRUMENTAL] {
        bytes = bytes.saturating_add(files.size(CODEC, name)?);
    }
    let hubert = hubert(files)?;
    let (rate, width) = (16_000, 64 * hubert.num_attention_heads.unwrap_or(12));
    let encoding = XCodecConfig::at_16_khz(hubert, BOOKS).working_bytes(LONGEST_REFERENCE * rate, width);
    let working = encoding.max(Vocos::working_bytes());
    // What is small is small in the middle, too.
    Ok(bytes.saturating_add(working.min(bytes)))
}

fn hubert(files: &ModelFiles) -> std::result::Result<HubertConfig, LoadError> {
    Ok(files.optional_json(CODEC, HUBERT)?.unwrap_or_default())
}

// === impl SongDecoder ===

impl SongDecoder {
    /// Everything computes in `f32`: codes are found by distances, and sound is heard.
    pub fn load(files: &ModelFiles, place: &Placement) -> std::result::Result<Self, LoadError> {
        let exact = context::exact(place);
        let context = ComputeContext { dtype: candle_core::DType::F32, ..exact };
        let codec = Self::codec(files, &context)?;
        let vocals = vocoder(files, VOCALS, &context)?;
        let instrumental = vocoder(files, INSTRUMENTAL, &context)?;
        for (name, vocoder) in [(VOCALS, &vocals), (INSTRUMENTAL, &instrumental)] {
            matching(name, &codec, vocoder)?;
        }
        Ok(Self { resampler: SincResampler::new(codec.rate(), RATE), codec, vocals, instrumental })
    }

    fn codec(files: &ModelFiles, context: &ComputeContext) -> std::result::Result<XCodec, LoadError> {
        let config = XCodecConfig::at_16_khz(hubert(files)?, BOOKS);
        let mut weights = Weights::open(&[(XCODEC.to_owned(), files.open(CODEC, XCODEC)?)], PREFIX)?;
        let codec = XCodec::load(&mut Loader { weights: &mut weights, context }, context, &config)?;
        // What else a training left in the file is none of ours.
        if codec.books() < BOOKS {
            let reason = format!("has {} books of codes, where {BOOKS} are decoded", codec.books());
            return Err(LoadError::Malformed { file: XCODEC.to_owned(), reason });
        }
        Ok(codec)
    }

    /// How many codes a book has.
    pub fn codes(&self) -> usize {
        self.codec.codes()
    }

    /// Samples at 16 kHz to codes of the first book, 50 a second.
    ///
    /// # Errors
    /// For samples that are too few for a frame.
    pub fn encode(&self, samples_16k: &[f32]) -> Result<Vec<u16>> {
        // The others are found in what the first leaves, so that it is the same without them.
        let codes = self.codec.encode(samples_16k)?;
        Ok(codes.into_iter().step_by(self.codec.books()).map(|code| code as u16).collect())
    }

    /// Both tracks, of as many frames as the shorter of them has. However long they are, a pass takes a few seconds of them.
    ///
    /// # Errors
    /// For codes that no book has.
    pub fn decode(&mut self, vocals: &[[u16; BOOKS]], instrumental: &[[u16; BOOKS]]) -> Result<Stems> {
        let frames = vocals.len().min(instrumental.len());
        if frames == 0 {
            return Ok(Stems::default());
        }
        let (vocals, instrumental) = (flat(&vocals[..frames]), flat(&instrumental[..frames]));
        let mut rough = limited(self.codec.decode(&vocals)?, LIMIT);
        add(&mut rough, &limited(self.codec.decode(&instrumental)?, LIMIT));
        // As a file has it.
        let rough = self.resampler.resample(&limited(rough, 1.0));
        let embedded =
            |codes: &[u32], some: Range<usize>| self.codec.embed(&codes[some.start * BOOKS..some.end * BOOKS]);
        let vocals = self.vocals.decode_each(frames, |some| embedded(&vocals, some))?;
        let instrumental = self.instrumental.decode_each(frames, |some| embedded(&instrumental, some))?;
        let mut fine = vocals.clone();
        add(&mut fine, &instrumental);
        let mix = limited(replace_low_band(&rough, &limited(fine, LIMIT), RATE), 1.0);
        Ok(Stems { mix, vocals: limited(vocals, LIMIT), instrumental: limited(instrumental, LIMIT) })
    }
}

fn vocoder(files: &ModelFiles, name: &str, context: &ComputeContext) -> std::result::Result<Vocos, LoadError> {
    let mut weights = Weights::open(&[(name.to_owned(), files.open(CODEC, name)?)], "")?;
    let vocoder = Vocos::load(&mut Loader { weights: &mut weights, context })?;
    weights.finish()?;
    Ok(vocoder)
}

/// Whether a vocoder takes what the codec's codes stand for, and makes as much sound of a frame as belongs to it.
fn matching(file: &str, codec: &XCodec, vocoder: &Vocos) -> std::result::Result<(), LoadError> {
    let wrong = |reason: String| Err(WeightError::File { file: file.to_owned(), reason }.into());
    let samples = codec.hop() as u64 * u64::from(RATE) / u64::from(codec.rate());
    if vocoder.hop() as u64 != samples {
        let hop = vocoder.hop();
        return wrong(format!("it makes {hop} samples of a frame, where {samples} of {RATE} Hz are expected"));
    }
    if vocoder.depth() != codec.hidden() {
        let (takes, makes) = (vocoder.depth(), codec.hidden());
        return wrong(format!("it takes {takes} numbers of a frame, where the codec's codes stand for {makes}"));
    }
    Ok(())
}

fn flat(codes: &[[u16; BOOKS]]) -> Vec<u32> {
    codes.iter().flatten().map(|&code| u32::from(code)).collect()
}

fn limited(mut samples: Vec<f32>, limit: f32) -> Vec<f32> {
    samples.iter_mut().for_each(|sample| *sample = sample.clamp(-limit, limit));
    samples
}

fn add(sum: &mut [f32], samples: &[f32]) {
    sum.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample);
}
