//! From files to a model.

use super::{
    config::{self, HiggsConfig},
    names,
    net::{HiggsNet, PrefixCache, is_quantized},
    repository::{self, CODEC, MODEL, TOKENIZER},
    synthesizer::Synthesizer,
    voices::{LONGEST, Voices},
    words::Words,
};
use crate::{
    families::{context, weight_files},
    model::{LoadError, ModelFiles, Placement, Precision},
    nn::{
        ComputeContext, Threads,
        codec::{XCodec, XCodecConfig, is_unneeded_by_xcodec},
        weights::{Loader, Weights},
    },
};

/// Requests that are worked on at once, at most, whatever the configuration allows: the keys and values of each take up to a
/// gigabyte at the published sizes.
const MOST_REQUESTS: usize = 8;
/// Positions of a sequence, for its memory: scene and voice, a block of text before and its sound, text and sound.
const POSITIONS: u64 = 3072;
/// Positions of beginnings that are kept: the scenes and voices of some requests.
const KEPT: u64 = 4096;
/// Width of the published HuBERT, where no header tells it.
const HUBERT: usize = 768;

/// What a model is loaded from, and where to.
struct Source<'a> {
    files: &'a ModelFiles,
    place: &'a Placement,
}

pub fn load(files: &ModelFiles, place: &Placement) -> Result<Synthesizer, LoadError> {
    let config = HiggsConfig::read(files, MODEL)?;
    let words = Words::new(&files.open(MODEL, TOKENIZER)?)?;
    let threads = Threads::start("higgs", place.threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let source = Source { files, place };
    let (net, codec) = threads.install(|| Ok::<_, LoadError>((source.net(&config)?, source.codec()?)))?;
    matching(&net, &codec)?;
    let voices = Voices { references: place.references.clone(), fingerprint: files.fingerprint(CODEC)? };
    let prefixes = PrefixCache::new(net.position_bytes().saturating_mul(KEPT));
    let max_batch = place.max_batch.min(MOST_REQUESTS);
    Ok(Synthesizer { threads, net, codec, words, voices, prefixes, max_batch })
}

/// The parts come from several places, and have to be of one kind.
fn matching(net: &HiggsNet, codec: &XCodec) -> Result<(), LoadError> {
    let (said, heard) = ((net.ids().books, net.ids().codes as usize), (codec.books(), codec.codes()));
    if said == heard {
        return Ok(());
    }
    let reason =
        format!("its model writes {} books of {} codes, and its codec has {} of {}", said.0, said.1, heard.0, heard.1);
    Err(LoadError::Malformed { file: config::FILE.to_owned(), reason })
}

// === impl Source ===

impl Source<'_> {
    fn weights(
        &self,
        part: &str,
        names: impl IntoIterator<Item = String>,
        context: &ComputeContext,
        needed: impl Fn(&str) -> bool,
    ) -> Result<Weights, LoadError> {
        let open = |name: String| {
            let bytes = context::needed_weights(context, self.files, part, &name, self.place, &needed)?;
            Ok::<_, LoadError>((name, bytes))
        };
        let files = names.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Weights::open(&files, "")?)
    }

    fn net(&self, config: &HiggsConfig) -> Result<HiggsNet, LoadError> {
        // It speaks column by column, and each takes half of its weights: there eight bits are worth the most.
        let files = weight_files::names(self.files, MODEL)?;
        let context = context::with_kept(context::quantized(self.place), self.place, self.files, MODEL, &files)?;
        let mut weights = self.weights(MODEL, files, &context, |name| !names::is_unneeded(name))?;
        names::unify(&mut weights)?;
        let net = HiggsNet::load(&mut Loader { weights: &mut weights, context: &context }, config)?;
        weights.finish()?;
        context::keep(&context);
        Ok(net)
    }

    fn codec(&self) -> Result<XCodec, LoadError> {
        let config: XCodecConfig = self.files.json(CODEC, config::FILE)?;
        let context = context::exact(self.place);
        let files = repository::codec_weights(self.files)?;
        let mut weights = self.weights(CODEC, files, &context, |name| !is_unneeded_by_xcodec(name))?;
        let of_decoder = context::halved(self.place);
        let codec = XCodec::load(&mut Loader { weights: &mut weights, context: &context }, &of_decoder, &config)?;
        weights.finish()?;
        Ok(codec)
    }
}

/// Weights that are needed, the memory of a full batch and of beginnings that are kept, and what a pass works with.
pub fn footprint(files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let config = HiggsConfig::read(files, MODEL)?;
    let codec: XCodecConfig = files.json(CODEC, config::FILE)?;
    let needed = |name: &str| !names::is_unneeded(name);
    let mut bytes = 0u64;
    for name in weight_files::names(files, MODEL)? {
        let size = weight_files::size_of_file(files, MODEL, &name, needed)?;
        let of_type = size.numbers.saturating_mul(place.dtype.dtype().size_in_bytes() as u64);
        bytes = bytes.saturating_add(match place.dtype {
            Precision::Q8 => {
                let eight = weight_files::size_of_file(files, MODEL, &name, is_quantized)?;
                (size.bytes - eight.bytes).saturating_add(eight.q8_bytes)
            }
            // On the CPU each weight keeps at most the width that it has in the file.
            _ if place.device.is_cpu() => size.bytes,
            _ => of_type,
        });
    }
    for name in repository::codec_weights(files)? {
        let size = weight_files::size_of_file(files, CODEC, &name, |name| !is_unneeded_by_xcodec(name))?;
        let of_type = size.numbers.saturating_mul(place.dtype.dtype().size_in_bytes() as u64);
        bytes = bytes.saturating_add(if place.device.is_cpu() { size.bytes } else { of_type });
    }
    let requests = place.max_batch.min(MOST_REQUESTS) as u64;
    let positions = POSITIONS.saturating_mul(requests).saturating_add(KEPT);
    let memory = position_bytes(&config, files, place)?.saturating_mul(positions);
    let samples = LONGEST.as_secs() as usize * codec.sample_rate as usize;
    let working = codec.working_bytes(samples, HUBERT);
    // What is small is small in the middle, too.
    Ok(bytes.saturating_add(memory).saturating_add(working.min(bytes)))
}

/// Of keys and values: all layers together.
fn position_bytes(config: &HiggsConfig, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let count = |ending: &'static str| -> Result<u64, LoadError> {
        Ok(weight_files::size(files, MODEL, |name| name.ends_with(ending))?.numbers)
    };
    let width = count("embed_audio_tokens.weight")?.max(count("audio_codebook_embeddings.weight")?)
        / (config.codes.books * config.codes.of_book()).max(1) as u64;
    // Each layer has one such norm.
    let layers = count(".audio_input_layernorm.weight")? / width.max(1);
    let head_dim = config.head_dim(usize::try_from(width).unwrap_or(usize::MAX)) as u64;
    let exact = place.dtype == Precision::F32;
    let number = if exact { size_of::<f32>() } else { 2 } as u64;
    Ok((config.shared as u64).saturating_mul(head_dim).saturating_mul(2 * number).saturating_mul(layers))
}
