//! From files to a model.

use super::{
    config::{self, StageConfig},
    net::is_quantized,
    options::{MOST_BLOCKS, MOST_TOKENS},
    references::References,
    repository::{CODEC, MODEL, STAGE_2},
    sound::{self, SongDecoder},
    stages::{StageSource, Stages},
    synthesizer::{Singer, Synthesizer},
    tokens::{self, SongIds, Words},
    track::{BLOCK, block_positions},
};
use crate::{
    families::weight_files,
    model::{LoadError, ModelFiles, Placement, Precision, Residency},
    nn::Threads,
};

/// Songs that are sung at once, at most, whatever the configuration allows: the keys and values of each take a gigabyte at the
/// published sizes, and a song takes minutes alone.
const MOST_SONGS: usize = 4;
/// Positions of a sequence, at most: the models were trained on no more.
const MOST_POSITIONS: usize = 16_384;
/// Tokens that are read at once, for the scores of attention.
const READ: u64 = 512;

pub fn load(files: &ModelFiles, place: &Placement) -> Result<Synthesizer, LoadError> {
    let words = Words::read(files.open(STAGE_2, tokens::FILE)?)?;
    let config = StageConfig::read(files, MODEL)?;
    let threads = Threads::start("yue", place.threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let source = StageSource { files: files.clone(), place: place.clone(), ids: words.ids };
    let (stages, decoder) =
        threads.install(|| Ok::<_, LoadError>((Stages::load(source)?, SongDecoder::load(files, place)?)))?;
    matching(&words.ids, &decoder)?;
    let fingerprint = [files.fingerprint(MODEL)?, files.fingerprint(STAGE_2)?, files.fingerprint(CODEC)?].concat();
    let singer = Singer {
        stages,
        decoder,
        words,
        references: References { cache: place.references.clone(), fingerprint: files.fingerprint(CODEC)? },
        fingerprint: format!("{fingerprint} {} {:?}", place.dtype.as_str(), place.device.location()),
        positions: config.positions.min(MOST_POSITIONS),
        position_bytes: [position_bytes(files, MODEL, place)?, position_bytes(files, STAGE_2, place)?],
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

// === footprint ===

/// Weights, the memory of as many songs as are sung at once, and what a pass works with: of both stages and the codec, or of the
/// codec and the stage that takes more.
pub fn footprint(files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let songs = place.max_batch.min(MOST_SONGS) as u64;
    let weights = [weight_bytes(files, MODEL, place)?, weight_bytes(files, STAGE_2, place)?];
    let config = StageConfig::read(files, MODEL)?;
    let positions = config.positions.min(MOST_POSITIONS) as u64;
    // With guidance there is a second sequence, of what is sung alone.
    let of_song = positions + (MOST_TOKENS as u64).min(positions);
    let sung = position_bytes(files, MODEL, place)?.saturating_mul(of_song).saturating_mul(songs);
    let of_blocks = (block_positions(BLOCK) * MOST_BLOCKS) as u64;
    let refined = position_bytes(files, STAGE_2, place)?.saturating_mul(of_blocks);
    // Scores, and what softmax makes of them; what is small is small in the middle, too.
    let scores = (config.llama.heads as u64).saturating_mul(READ * positions * 2 * size_of::<f32>() as u64);
    let first = weights[0].saturating_add(sung).saturating_add(scores.min(weights[0]));
    let second = weights[1].saturating_add(refined);
    let stages = match place.residency {
        Residency::Together => first.saturating_add(second),
        Residency::InTurns => first.max(second),
    };
    Ok(stages.saturating_add(sound::footprint(files, place)?))
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
