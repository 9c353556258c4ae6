//! From files to a model.

use super::{
    config::{self, ZonosConfig},
    net::{CodeModel, is_quantized},
    prefix::Prefixes,
    repository::{CODEC, MODEL, SPEAKER},
    speaker::{self, MOST_SECONDS, SpeakerEncoder, SpeakerFiles},
    synthesizer::Synthesizer,
    text::FrontEnd,
    voices::Voices,
};
use crate::{
    families::{context, espeak_ng::PROGRAM, weight_files},
    model::{LoadError, ModelFiles, Placement, Precision},
    nn::{
        ComputeContext, Mamba2Sizes, Threads,
        codec::{Dac, DacConfig},
        weights::{Loader, Weights},
    },
};

/// Requests that are worked on at once, at most, whatever the configuration allows: the keys and values of each take more
/// than half a gigabyte at the published sizes.
const MOST_REQUESTS: usize = 4;
/// The same on an accelerator, to which a step of eight is little more than one of one, and which keeps halves.
const MOST_ON_ACCELERATOR: usize = 8;
/// Positions of a sequence, for its memory: phonemes, and 45 s of what was said before and of sound.
const POSITIONS: u64 = 512 + 86 * 45;
/// Sequences of a request: with every condition and with the text alone.
const SEQUENCES: u64 = 2;
/// Of the published hybrid, where a header tells nothing: no state of a sequence is larger.
const TAPS: usize = 4;
/// Of the first stage of the published speaker network: a pickle tells nothing before it is read.
const PLANES: u64 = 64;

/// What a checkpoint of the speaker may be wrapped in.
const WRAPPED: &str = "model.";

/// What a model is loaded from, and where to.
struct Source<'a> {
    files: &'a ModelFiles,
    place: &'a Placement,
    /// Of all networks but the language model.
    context: ComputeContext,
}

pub fn config(files: &ModelFiles) -> Result<ZonosConfig, LoadError> {
    let config: ZonosConfig = files.json(MODEL, config::FILE)?;
    config.check()?;
    Ok(config)
}

pub fn load(files: &ModelFiles, place: &Placement) -> Result<Synthesizer, LoadError> {
    let front_end = FrontEnd::new(place.programs.survey(&PROGRAM)?);
    let config = config(files)?;
    let threads = Threads::start("zonos", place.threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let source = Source { files, place, context: context::exact(place) };
    let (codes, dac, encoder) = threads.install(|| {
        let (codes, dac) = (source.codes(&config)?, source.dac()?);
        let encoder = files.has_part(SPEAKER).then(|| source.speaker()).transpose()?;
        Ok::<_, LoadError>((codes, dac, encoder))
    })?;
    matching(&codes, &dac, encoder.as_ref())?;
    let fingerprint = if encoder.is_some() { files.fingerprint(SPEAKER)? } else { String::new() };
    let voices = Voices { encoder, references: place.references.clone(), fingerprint };
    let prefixes = Prefixes { references: place.references.clone(), fingerprint: files.fingerprint(CODEC)? };
    let max_batch = most_requests(place);
    Ok(Synthesizer { threads, codes, dac, voices, prefixes, front_end, max_batch })
}

fn most_requests(place: &Placement) -> usize {
    place.max_batch.min(if place.device.is_cpu() { MOST_REQUESTS } else { MOST_ON_ACCELERATOR })
}

/// The parts come from several places, and have to be of one kind.
fn matching(codes: &CodeModel, dac: &Dac, encoder: Option<&SpeakerEncoder>) -> Result<(), LoadError> {
    let wrong = |reason: String| Err(LoadError::Malformed { file: config::FILE.to_owned(), reason });
    if (codes.books(), codes.codes()) != (dac.books(), dac.codes()) {
        return wrong(format!(
            "its model writes {} books of {} codes, and its codec has {} of {}",
            codes.books(),
            codes.codes(),
            dac.books(),
            dac.codes()
        ));
    }
    let told = codes.range(super::net::SPEAKER).map(|range| range.size);
    match (told, encoder.map(SpeakerEncoder::width)) {
        (Some(told), Some(heard)) if told != heard => {
            wrong(format!("its model is told {told} numbers of a speaker, and its speaker network hears {heard}"))
        }
        (None, Some(_)) => wrong("its model is told of no speaker, and has a speaker network".to_owned()),
        _ => Ok(()),
    }
}

// === impl Source ===

impl Source<'_> {
    fn weights(
        &self,
        part: &str,
        names: impl IntoIterator<Item = String>,
        context: &ComputeContext,
        prefix: &'static str,
    ) -> Result<Weights, LoadError> {
        let open = |name: String| {
            let bytes = context::weights(context, self.files, part, &name, self.place)?;
            Ok::<_, LoadError>((name, bytes))
        };
        let files = names.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Weights::open(&files, prefix)?)
    }

    fn codes(&self, config: &ZonosConfig) -> Result<CodeModel, LoadError> {
        // It speaks column by column, and each takes all of its weights: there eight bits are worth the most.
        let names = weight_files::names(self.files, MODEL)?;
        let context = context::with_kept(context::quantized(self.place), self.place, self.files, MODEL, &names)?;
        let mut weights = self.weights(MODEL, names, &context, "")?;
        let codes = CodeModel::load(&mut Loader { weights: &mut weights, context: &context }, config)?;
        weights.finish()?;
        context::keep(&context);
        Ok(codes)
    }

    fn dac(&self) -> Result<Dac, LoadError> {
        let config: DacConfig = self.files.json(CODEC, config::FILE)?;
        let mut weights = self.weights(CODEC, weight_files::names(self.files, CODEC)?, &self.context, "")?;
        let of_decoder = context::halved(self.place);
        let dac = Dac::load(&mut Loader { weights: &mut weights, context: &self.context }, &of_decoder, "", &config)?;
        weights.finish()?;
        Ok(dac)
    }

    fn speaker(&self) -> Result<SpeakerEncoder, LoadError> {
        let listing: Vec<String> = self.files.names(SPEAKER).map(str::to_owned).collect();
        let SpeakerFiles { network, lda } = SpeakerFiles::of(&listing)?;
        let mut network = self.weights(SPEAKER, [network], &self.context, WRAPPED)?;
        let mut lda = self.weights(SPEAKER, [lda], &self.context, WRAPPED)?;
        let encoder = SpeakerEncoder::load(
            &mut Loader { weights: &mut network, context: &self.context },
            &mut Loader { weights: &mut lda, context: &self.context },
        )?;
        network.finish()?;
        lda.finish()?;
        Ok(encoder)
    }
}

/// Weights, the memory of a full batch, and what a pass works with.
pub fn footprint(files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let config = config(files)?;
    let codec: DacConfig = files.json(CODEC, config::FILE)?;
    let mut bytes = match place.dtype {
        Precision::Q8 => weight_files::q8_bytes(files, MODEL, is_quantized)?,
        _ => weights_of(files, MODEL, weight_files::names(files, MODEL)?, place)?,
    };
    bytes = bytes.saturating_add(weights_of(files, CODEC, weight_files::names(files, CODEC)?, place)?);
    let mut working = codec.working_bytes();
    if files.has_part(SPEAKER) {
        let listing: Vec<String> = files.names(SPEAKER).map(str::to_owned).collect();
        bytes = bytes.saturating_add(weights_of(files, SPEAKER, SpeakerFiles::of(&listing)?.into_vec(), place)?);
        working = working.max(speaker::working_bytes(MOST_SECONDS as u64, PLANES));
    }
    let requests = most_requests(place) as u64;
    let memory = sequence_bytes(&config, files, place)?.saturating_mul(SEQUENCES * requests);
    // What is small is small in the middle, too.
    Ok(bytes.saturating_add(memory).saturating_add(working.min(bytes)))
}

/// Of what one sequence remembers at its longest.
fn sequence_bytes(config: &ZonosConfig, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let backbone = &config.backbone;
    let count = |ending: &'static str| -> Result<u64, LoadError> {
        Ok(weight_files::size(files, MODEL, |name| name.ends_with(ending))?.numbers)
    };
    let layers = if backbone.is_hybrid() { backbone.attn_layer_idx.len() } else { backbone.n_layer } as u64;
    let position = (backbone.attn_cfg.num_heads_kv as u64).saturating_mul(backbone.head_dim() as u64);
    let number = if place.device.is_cpu() { size_of::<f32>() } else { place.dtype.dtype().size_in_bytes() };
    let attention = position.saturating_mul(2 * number as u64 * POSITIONS).saturating_mul(layers);
    // All state-space layers together: one norm each, and a convolution of what they read and write with as well.
    let (inner, channels) = (count(".mixer.norm.weight")?, count(".mixer.conv1d.bias")?);
    let mixers = (backbone.n_layer as u64).saturating_sub(layers).max(1);
    let state = usize::try_from(channels.saturating_sub(inner) / 2 / mixers).unwrap_or(usize::MAX);
    let inner = usize::try_from(inner / mixers).unwrap_or(usize::MAX);
    let of_layer = Mamba2Sizes { inner, heads: 1, state, taps: TAPS }.bytes().map_or(u64::MAX, |bytes| bytes as u64);
    Ok(attention.saturating_add(of_layer.saturating_mul(mixers)))
}

fn weights_of(
    files: &ModelFiles,
    part: &str,
    names: impl IntoIterator<Item = String>,
    place: &Placement,
) -> Result<u64, LoadError> {
    let mut sum = 0u64;
    for name in names {
        let size = weight_files::size_of_file(files, part, &name, |_| true)?;
        // On the CPU each weight keeps at most the width that it has in the file.
        let of_type = size.numbers.saturating_mul(place.dtype.dtype().size_in_bytes() as u64);
        sum = sum.saturating_add(if place.device.is_cpu() { size.bytes } else { of_type });
    }
    Ok(sum)
}
