//! From files to a model.

use super::{
    config::{self, StageConfig},
    net::{Stage1, Stage2, is_quantized},
    options::{MOST_BLOCKS, MOST_TOKENS},
    references::References,
    repository::{CODEC, MODEL, STAGE_2},
    sound::{self, SongDecoder},
    synthesizer::{Singer, Synthesizer},
    tokens::{self, BOOKS, SongIds, Words},
    track::BLOCK,
};
use crate::{
    families::{context, weight_files},
    model::{LoadError, ModelFiles, Placement, Precision},
    nn::{
        Threads,
        llama::Llama,
        sampler::Chooser,
        weights::{Loader, Weights},
    },
};

/// Songs that are sung at once, at most, whatever the configuration allows: the keys and values of each take a gigabyte at the
/// published sizes, and a song takes minutes alone.
const MOST_SONGS: usize = 4;
/// Positions of a sequence, at most: the models were trained on no more.
const MOST_POSITIONS: usize = 16_384;
/// Tokens that are read at once, for the scores of attention.
const READ: u64 = 512;

/// What a model is loaded from, and where to.
struct Source<'a> {
    files: &'a ModelFiles,
    place: &'a Placement,
}

pub fn load(files: &ModelFiles, place: &Placement) -> Result<Synthesizer, LoadError> {
    let source = Source { files, place };
    let words = Words::read(files.open(STAGE_2, tokens::FILE)?)?;
    let config = StageConfig::read(files, MODEL)?;
    let threads = Threads::start("yue", place.threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let (stage1, stage2, decoder) = threads.install(|| {
        let (ids, llama) = (words.ids, source.stage(MODEL, &words.ids)?);
        let stage1 = Stage1 { llama, ids, chooser: Chooser::default() };
        let stage2 = Stage2 { llama: source.stage(STAGE_2, &ids)?, ids, chooser: Chooser::default() };
        Ok::<_, LoadError>((stage1, stage2, SongDecoder::load(files, place)?))
    })?;
    matching(&words.ids, &decoder)?;
    let fingerprint = [files.fingerprint(MODEL)?, files.fingerprint(STAGE_2)?, files.fingerprint(CODEC)?].concat();
    let singer = Singer {
        stage1,
        stage2,
        decoder,
        words,
        references: References { cache: place.references.clone(), fingerprint: files.fingerprint(CODEC)? },
        fingerprint: format!("{fingerprint} {} {:?}", place.dtype.as_str(), place.device.location()),
        positions: config.positions.min(MOST_POSITIONS),
        top_k: config::usual_top_k(files, MODEL)?,
    };
    Ok(Synthesizer { threads, singer, max_batch: place.max_batch.min(MOST_SONGS) })
}

/// The parts come from several places, and have to be of one kind.
fn matching(ids: &SongIds, decoder: &SongDecoder) -> Result<(), LoadError> {
    let (said, heard) = (ids.of_book as usize, decoder.codes());
    if said == heard {
        return Ok(());
    }
    let reason = format!("its stages know {said} codes of a book, and its codec {heard}");
    Err(LoadError::Malformed { file: tokens::FILE.to_owned(), reason })
}

// === impl Source ===

impl Source<'_> {
    /// It says token by token, and each takes all of its weights: there eight bits are worth the most.
    fn stage(&self, part: &str, ids: &SongIds) -> Result<Llama, LoadError> {
        let config = StageConfig::read(self.files, part)?;
        let files = weight_files::names(self.files, part)?;
        let context = context::with_kept(context::quantized(self.place), self.place, self.files, part, &files)?;
        let open = |name: String| {
            let bytes = context::weights(&context, self.files, part, &name, self.place)?;
            Ok::<_, LoadError>((name, bytes))
        };
        let files = files.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let mut weights = Weights::open(&files, "")?;
        let written = ids.written();
        let logits = (part == STAGE_2).then_some(written.start as usize..written.end as usize);
        let llama = Llama::load(&mut Loader { weights: &mut weights, context: &context }, &config.llama, logits)?;
        weights.finish()?;
        let (found, most) = (llama.vocabulary(), written.end as usize);
        if found < most {
            let reason = format!("its model {part} knows {found} tokens, and there are {most}");
            return Err(LoadError::Malformed { file: tokens::FILE.to_owned(), reason });
        }
        context::keep(&context);
        Ok(llama)
    }
}

// === footprint ===

/// Weights of all parts, the memory of as many songs as are sung at once, and what a pass works with.
pub fn footprint(files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let songs = place.max_batch.min(MOST_SONGS) as u64;
    let weights = [weight_bytes(files, MODEL, place)?, weight_bytes(files, STAGE_2, place)?];
    let weights = weights[0].saturating_add(weights[1]).saturating_add(sound::footprint(files, place)?);
    let first = StageConfig::read(files, MODEL)?;
    let positions = first.positions.min(MOST_POSITIONS) as u64;
    // With guidance there is a second sequence, of what is sung alone.
    let of_song = positions + (MOST_TOKENS as u64).min(positions);
    let sung = position_bytes(files, MODEL, place)?.saturating_mul(of_song).saturating_mul(songs);
    let of_block = (BLOCK * (BOOKS + 1) + 3) as u64;
    let refined = position_bytes(files, STAGE_2, place)?.saturating_mul(of_block * MOST_BLOCKS as u64);
    // Scores, and what softmax makes of them.
    let scores = (first.llama.heads as u64).saturating_mul(READ * positions * 2 * size_of::<f32>() as u64);
    // What is small is small in the middle, too.
    Ok(weights.saturating_add(sung).saturating_add(refined).saturating_add(scores.min(weights)))
}

fn weight_bytes(files: &ModelFiles, part: &str, place: &Placement) -> Result<u64, LoadError> {
    let size = weight_files::size(files, part, |_| true)?;
    Ok(match place.dtype {
        Precision::Q8 => weight_files::q8_bytes(files, part, is_quantized)?,
        // On the CPU each weight keeps at most the width that it has in the file.
        _ if place.device.is_cpu() => size.bytes,
        _ => size.numbers.saturating_mul(place.dtype.dtype().size_in_bytes() as u64),
    })
}

/// Of keys and values: all layers together.
fn position_bytes(files: &ModelFiles, part: &str, place: &Placement) -> Result<u64, LoadError> {
    let config = StageConfig::read(files, part)?;
    let numbers = |name: fn(&str) -> bool| Ok::<_, LoadError>(weight_files::size(files, part, name)?.numbers);
    let width = numbers(|name| name == "model.norm.weight")?;
    // Each layer has one such norm.
    let layers = numbers(|name| name.ends_with(".input_layernorm.weight"))? / width.max(1);
    let shape = config.llama.shape(usize::try_from(width).unwrap_or(usize::MAX));
    let number = if place.dtype == Precision::F32 { size_of::<f32>() } else { 2 } as u64;
    let of_layer = (shape.shared as u64).saturating_mul(shape.head_dim as u64).saturating_mul(2 * number);
    Ok(of_layer.saturating_mul(layers))
}
