//! From files to a model.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    conditionals::Listener,
    decoder::S3Gen,
    flow::{self, Flow},
    front_end::FrontEnd,
    hift::Hift,
    options::Defaults,
    repository::{Repository, SpeechFiles, TextFiles, WATERMARK},
    speaker::{Speaker, Speech},
    t3::{self, SamplingOptions, T3, T3Ids},
    text::LetterCase,
    utterance::Ending,
    voice_encoder::VoiceEncoder,
    voices::{Hearing, Voice, Voices},
    watermark::Watermark,
};
use crate::{
    families::{
        context,
        weight_files::{q8_bytes_of_file, size_of_file},
    },
    model::{LoadError, ModelFiles, Placement, Precision},
    nn::{
        ComputeContext, Threads,
        weights::{Loaded, Loader, WeightError, Weights, header_bytes},
    },
};

/// Requests that are worked on at once, at most, whatever the configuration allows: the keys and values of each take about
/// half a gigabyte at the published sizes.
const MOST_REQUESTS: usize = 4;
/// The same on an accelerator, to which a step of eight is little more than one of one.
const MOST_ON_ACCELERATOR: usize = 8;
/// Positions of a sequence of T3, for its memory: voice, text, and a thousand tokens.
const POSITIONS: u64 = 34 + 256 + 1000;
/// Sequences of a request: with the text and without.
const SEQUENCES: u64 = 2;
/// Activations of a pass of flow and vocoder at their widest, on the safe side: with 40 s of speech and 10 s of reference
/// each of the estimator's widest takes 20 MB (2 rows, 2500 frames, 1024 numbers), and a dozen are there at once.
const WORKSPACE: u64 = 768 << 20;

/// What a T3 in a file of PyTorch may be wrapped in.
const WRAPPED: &str = "model.0.";
/// What Perth's tensors lie in, beside the number of steps.
const WATERMARK_WRAPPED: &str = "model.";

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

/// What a model is loaded from, and where to.
struct Source<'a> {
    part: &'a str,
    files: &'a ModelFiles,
    place: &'a Placement,
    /// Of all networks but T3.
    context: ComputeContext,
}

pub fn load(repository: &Repository, files: &ModelFiles, place: &Placement) -> Result<Speaker, LoadError> {
    let context = context::exact(place);
    let threads = Threads::start("chatterbox", place.threads);
    let threads = threads.map_err(|error| LoadError::Device(candle_core::Error::wrap(error)))?;
    let source = Source { part: &repository.part, files, place, context };
    let (s3gen, voices, speech) = threads.install(|| {
        let (mut s3gen, listener) = source.s3gen(&repository.s3gen)?;
        s3gen.watermark = repository.watermark.as_ref().map(|file| source.watermark(file)).transpose()?;
        let codes = listener.tokenizer.vocabulary();
        let speech = repository.speech.as_ref();
        let voice_encoder = speech.map(|speech| source.voice_encoder(&speech.voice_encoder)).transpose()?;
        let speech = speech.map(|speech| source.speech(speech, codes)).transpose()?;
        let own = repository.conditionals.as_ref().map(|file| source.own_voice(file)).transpose()?;
        let voices = Voices {
            listener,
            voice_encoder,
            hearing: if is_gpt2(repository) { Hearing::GPT2 } else { Hearing::LLAMA },
            own: own.map(Arc::new),
            references: place.references.clone(),
            fingerprint: files.fingerprint(&repository.part)?,
            context: source.context.clone(),
        };
        Ok::<_, LoadError>((s3gen, voices, speech))
    })?;
    let sampling = if is_gpt2(repository) { SamplingOptions::GPT2 } else { SamplingOptions::LLAMA };
    let defaults = Defaults { sampling, flow: s3gen.flow.options(), expressive: !is_gpt2(repository) };
    Ok(Speaker { threads, s3gen, voices, speech, defaults, max_batch: most_requests(place) })
}

fn most_requests(place: &Placement) -> usize {
    place.max_batch.min(if place.device.is_cpu() { MOST_REQUESTS } else { MOST_ON_ACCELERATOR })
}

/// Turbo and Nano.
fn is_gpt2(repository: &Repository) -> bool {
    repository.speech.as_ref().is_some_and(|speech| speech.text.is_gpt2())
}

// === impl Source ===

impl Source<'_> {
    /// Makes something of all tensors of a file of a part.
    fn read<T, E>(
        &self,
        part: &str,
        context: &ComputeContext,
        file: &str,
        prefix: &'static str,
        make: impl FnOnce(&mut Loader<'_>) -> Result<T, E>,
    ) -> Result<T, LoadError>
    where
        LoadError: From<E>,
    {
        let bytes = context::weights(context, self.files, part, file, self.place)?;
        let mut weights = Weights::open(&[(file.to_owned(), bytes)], prefix)?;
        let made = make(&mut Loader { weights: &mut weights, context })?;
        weights.finish()?;
        Ok(made)
    }

    fn s3gen(&self, file: &str) -> Result<(S3Gen, Listener), LoadError> {
        let of_flow =
            context::with_kept(context::halved_with_q8(self.place), self.place, self.files, self.part, [file])?;
        let halved = context::halved(self.place);
        let read = |loader: &mut Loader<'_>| {
            let listener = Listener::load(loader)?;
            let flow = Flow::load(&mut Loader { weights: &mut *loader.weights, context: &of_flow }, "flow")?;
            let mut loader = Loader { weights: &mut *loader.weights, context: &halved };
            Loaded::Ok((flow, Hift::load(&mut loader, "mel2wav.")?, listener))
        };
        let (flow, hift, listener) = self.read(self.part, &self.context, file, "", read)?;
        context::keep(&of_flow);
        if flow.bands() != hift.bands() {
            let reason = format!("is of {} bands, where the flow has {}", hift.bands(), flow.bands());
            return Err(WeightError::tensor("mel2wav.conv_pre.weight", reason).into());
        }
        Ok((S3Gen { flow, hift, watermark: None }, listener))
    }

    fn watermark(&self, file: &str) -> Result<Watermark, LoadError> {
        self.read(WATERMARK, &self.context, file, WATERMARK_WRAPPED, Watermark::load)
    }

    fn voice_encoder(&self, file: &str) -> Result<VoiceEncoder, LoadError> {
        self.read(self.part, &self.context, file, "", VoiceEncoder::load)
    }

    fn speech(&self, found: &SpeechFiles, codes: u32) -> Result<Speech, LoadError> {
        let ids = T3Ids { start: codes, stop: codes + 1, codes };
        // It speaks token by token, and each takes all of its weights: there eight bits are worth the most.
        let context =
            context::with_kept(context::quantized(self.place), self.place, self.files, self.part, [&found.t3])?;
        let t3 = self.read(self.part, &context, &found.t3, WRAPPED, |loader| T3::load(loader, "", ids))?;
        context::keep(&context);
        let letters = letter_case(&self.files.beginning(self.part, &found.t3)?.0);
        let front_end = FrontEnd::load(self.files, self.part, &found.text, letters)?;
        Ok(Speech { t3, front_end, ending: ending(&found.text, codes) })
    }

    fn own_voice(&self, file: &str) -> Result<Voice, LoadError> {
        let mut weights = Weights::open(&[(file.to_owned(), self.files.open(self.part, file)?)], "")?;
        Voice::take(&mut weights, &self.context)
    }
}

/// Weights, the caches of a full batch, and what a pass works with.
pub fn footprint(repository: &Repository, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
    let mut bytes = 0u64;
    for file in repository.weights() {
        bytes = bytes.saturating_add(weights(repository, files, place, file)?);
    }
    if let Some(file) = &repository.watermark {
        bytes = bytes.saturating_add(size_of_file(files, WATERMARK, file, |_| true)?.bytes);
    }
    if let Some(speech) = &repository.speech {
        let requests = most_requests(place) as u64;
        let position = widths(files, &repository.part, &speech.t3)?.saturating_mul(2 * size_of::<f32>() as u64);
        bytes = bytes.saturating_add(position.saturating_mul(POSITIONS * SEQUENCES * requests));
    }
    // What is small is small in the middle, too.
    Ok(bytes.saturating_add(WORKSPACE.min(bytes)))
}

/// Bytes of the weights of a file.
fn weights(repository: &Repository, files: &ModelFiles, place: &Placement, file: &str) -> Result<u64, LoadError> {
    let is_t3 = repository.speech.as_ref().is_some_and(|speech| speech.t3 == file);
    if place.dtype == Precision::Q8 && (is_t3 || repository.s3gen == file) {
        let is_quantized = if is_t3 { t3::is_quantized } else { flow::is_quantized };
        return q8_bytes_of_file(files, &repository.part, file, is_quantized);
    }
    let size = size_of_file(files, &repository.part, file, |_| true)?;
    // On the CPU each weight keeps at most the width that it has in the file.
    let of_type = size.numbers.saturating_mul(place.dtype.dtype().size_in_bytes() as u64);
    Ok(if place.device.is_cpu() { size.bytes } else { of_type })
}

/// The widths of all layers of a T3 together: each has one norm before its attention.
fn widths(files: &ModelFiles, part: &str, t3: &str) -> Result<u64, LoadError> {
    let before_attention = |name: &str| name.ends_with(".input_layernorm.weight") || name.ends_with(".ln_1.weight");
    let counted = size_of_file(files, part, t3, before_attention)?.numbers;
    // Of a file of PyTorch only its length is known: sixteen squares of a width of 1024 a layer.
    let of_torch = counted / (16 << 10);
    Ok(if t3.ends_with(".safetensors") { counted } else { of_torch })
}

fn ending(text: &TextFiles, codes: u32) -> Ending {
    match text {
        TextFiles::English(_) => Ending::default(),
        TextFiles::Multilingual(..) => Ending { cut: 1, ..Ending::default() },
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
