//! From files to a model.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    conditionals::Listener,
    decoder::S3Gen,
    flow::Flow,
    front_end::FrontEnd,
    hift::Hift,
    options::Defaults,
    repository::{Repository, SpeechFiles, TextFiles},
    speaker::{Speaker, Speech},
    t3::{SamplingOptions, T3, T3Ids},
    text::LetterCase,
    utterance::Ending,
    voice_encoder::VoiceEncoder,
    voices::{Hearing, Voice, Voices},
};
use crate::{
    model::{LoadError, ModelFiles, Placement},
    nn::{
        ComputeContext, Threads,
        weights::{Loader, WeightSize, Weights, header_bytes, measure_some},
    },
};

/// Requests that are worked on at once, at most, whatever the configuration allows: the keys and values of each take about
/// half a gigabyte at the published sizes.
const MOST_REQUESTS: usize = 4;
/// Positions of a sequence of T3, for its memory: voice, text, and a thousand tokens.
const POSITIONS: u64 = 34 + 256 + 1000;
/// Sequences of a request: with the text and without.
const SEQUENCES: u64 = 2;
/// Activations of a pass of flow and vocoder at their widest, seen at the published sizes with 40 s of speech.
const WORKSPACE: u64 = 768 << 20;

/// What a T3 in a file of PyTorch may be wrapped in.
const WRAPPED: &str = "model.0.";

/// Turbo's reference has three tokens of silence after the last.
const TURBO_SILENCE: (u32, usize) = (4299, 3);

/// What the header of safetensors may say about a T3.
#[derive(Default, Deserialize)]
struct Header {
    #[serde(default, rename = "__metadata__")]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// How its texts were prepared, for example `NFKD,fullcase`.
    #[serde(default)]
    text_preproc: String,
}

pub fn load(repository: &Repository, files: &ModelFiles, place: &Placement) -> Result<Speaker, LoadError> {
    let context = ComputeContext::new(&place.device, place.dtype);
    let threads = Threads::start("chatterbox", place.threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let (s3gen, voices, speech) = threads.install(|| {
        let (s3gen, listener) = s3gen(repository, files, place, &context)?;
        let (mut voice_encoder, mut speech) = (None, None);
        if let Some(found) = &repository.speech {
            voice_encoder = Some(self::voice_encoder(&repository.part, &found.voice_encoder, files, place, &context)?);
            speech =
                Some(self::speech(&repository.part, found, listener.tokenizer.vocabulary(), files, place, &context)?);
        }
        let voices = Voices {
            listener,
            voice_encoder,
            hearing: if is_gpt2(repository) { Hearing::GPT2 } else { Hearing::LLAMA },
            own: own_voice(repository, files, &context)?.map(Arc::new),
            references: place.references.clone(),
            fingerprint: files.fingerprint(&repository.part)?,
            context: context.clone(),
        };
        Ok::<_, LoadError>((s3gen, voices, speech))
    })?;
    let flow = s3gen.flow.options();
    Ok(Speaker {
        defaults: Defaults { sampling: sampling(repository), flow, expressive: !is_gpt2(repository) },
        max_batch: place.max_batch.min(MOST_REQUESTS),
        threads,
        s3gen,
        voices,
        speech,
    })
}

/// Weights, the caches of a full batch, and what a pass works with.
pub fn footprint(repository: &Repository, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let mut bytes = 0u64;
    for file in repository.weights() {
        let size = size(files, &repository.part, file, |_| true)?;
        let of_type = size.numbers.saturating_mul(place.dtype.size_in_bytes() as u64);
        // On the CPU each weight keeps at most the width that it has in the file.
        bytes = bytes.saturating_add(if place.device.is_cpu() { size.bytes } else { of_type });
    }
    if let Some(speech) = &repository.speech {
        let requests = place.max_batch.min(MOST_REQUESTS) as u64;
        let position = widths(files, &repository.part, &speech.t3)?.saturating_mul(2 * size_of::<f32>() as u64);
        bytes = bytes.saturating_add(position.saturating_mul(POSITIONS * SEQUENCES * requests));
    }
    // What is small is small in the middle, too.
    Ok(bytes.saturating_add(WORKSPACE.min(bytes)))
}

/// The widths of all layers of a T3 together: each has one norm before its attention.
fn widths(files: &ModelFiles, part: &str, t3: &str) -> Result<u64, LoadError> {
    let before_attention = |name: &str| name.ends_with(".input_layernorm.weight") || name.ends_with(".ln_1.weight");
    let counted = size(files, part, t3, before_attention)?.numbers;
    // Of a file of PyTorch only its length is known: sixteen squares of a width of 1024 a layer.
    let of_torch = counted / (16 << 10);
    Ok(if t3.ends_with(".safetensors") { counted } else { of_torch })
}

fn size(files: &ModelFiles, part: &str, file: &str, counted: impl Fn(&str) -> bool) -> Result<WeightSize, LoadError> {
    let (beginning, size) = files.beginning(part, file)?;
    if header_bytes(&beginning).is_some_and(|header| (beginning.len() as u64) < header && header <= size) {
        return Err(LoadError::Ahead(file.to_owned()));
    }
    Ok(measure_some(file, &beginning, size, counted)?)
}

fn open(
    part: &str,
    file: &str,
    prefix: &'static str,
    files: &ModelFiles,
    place: &Placement,
) -> Result<Weights, LoadError> {
    Ok(Weights::open(&[(file.to_owned(), files.weights(part, file, place.weights)?)], prefix)?)
}

fn s3gen(
    repository: &Repository,
    files: &ModelFiles,
    place: &Placement,
    context: &ComputeContext,
) -> Result<(S3Gen, Listener), LoadError> {
    let mut weights = open(&repository.part, &repository.s3gen, "", files, place)?;
    let loader = &mut Loader { weights: &mut weights, context };
    let listener = Listener::load(loader)?;
    let s3gen = S3Gen { flow: Flow::load(loader, "flow")?, hift: Hift::load(loader, "mel2wav.")? };
    weights.finish()?;
    let (made, sounded) = (s3gen.flow.bands(), s3gen.hift.bands());
    if made != sounded {
        let reason = format!("is of {sounded} bands, where the flow has {made}");
        return Err(LoadError::Tensor { tensor: "mel2wav.conv_pre.weight".to_owned(), reason });
    }
    Ok((s3gen, listener))
}

fn voice_encoder(
    part: &str,
    file: &str,
    files: &ModelFiles,
    place: &Placement,
    context: &ComputeContext,
) -> Result<VoiceEncoder, LoadError> {
    let mut weights = open(part, file, "", files, place)?;
    let encoder = VoiceEncoder::load(&mut Loader { weights: &mut weights, context })?;
    weights.finish()?;
    Ok(encoder)
}

fn speech(
    part: &str,
    found: &SpeechFiles,
    codes: u32,
    files: &ModelFiles,
    place: &Placement,
    context: &ComputeContext,
) -> Result<Speech, LoadError> {
    let mut weights = open(part, &found.t3, WRAPPED, files, place)?;
    let t3 =
        T3::load(&mut Loader { weights: &mut weights, context }, "", T3Ids { start: codes, stop: codes + 1, codes })?;
    weights.finish()?;
    let letters = letter_case(&files.beginning(part, &found.t3)?.0);
    let front_end = FrontEnd::load(files, part, &found.text, letters)?;
    Ok(Speech { t3, front_end, ending: ending(&found.text, codes) })
}

fn ending(text: &TextFiles, codes: u32) -> Ending {
    match text {
        TextFiles::English(_) => Ending::default(),
        TextFiles::Multilingual(_) => Ending { cut: 1, ..Ending::default() },
        TextFiles::Gpt2(_) | TextFiles::Gpt2Parts(_) => {
            Ending { silence: Some(TURBO_SILENCE).filter(|(token, _)| *token < codes), ..Ending::default() }
        }
    }
}

/// Lower case unless the file says otherwise.
fn letter_case(beginning: &[u8]) -> LetterCase {
    let end = header_bytes(beginning).and_then(|end| usize::try_from(end).ok());
    let header = end.and_then(|end| beginning.get(size_of::<u64>()..end));
    let header = header.and_then(|header| serde_json::from_slice::<Header>(header).ok()).unwrap_or_default();
    match header.metadata.text_preproc.contains("fullcase") {
        true => LetterCase::AsWritten,
        false => LetterCase::Lower,
    }
}

fn own_voice(
    repository: &Repository,
    files: &ModelFiles,
    context: &ComputeContext,
) -> Result<Option<Voice>, LoadError> {
    let Some(file) = &repository.conditionals else { return Ok(None) };
    let mut weights = Weights::open(&[(file.clone(), files.open(&repository.part, file)?)], "")?;
    Voice::take(&mut weights, context).map(Some)
}

/// Turbo and Nano.
fn is_gpt2(repository: &Repository) -> bool {
    repository.speech.as_ref().is_some_and(|speech| speech.text.is_gpt2())
}

fn sampling(repository: &Repository) -> SamplingOptions {
    match repository.speech.as_ref().map(|speech| &speech.text) {
        None | Some(TextFiles::English(_)) => SamplingOptions::ENGLISH,
        Some(TextFiles::Multilingual(_)) => SamplingOptions::MULTILINGUAL,
        Some(TextFiles::Gpt2(_) | TextFiles::Gpt2Parts(_)) => SamplingOptions::TURBO,
    }
}
