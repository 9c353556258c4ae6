//! Voices: the model's own, and what its networks heard in recordings, kept for the next request.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::{
    conditionals::{Listener, PromptLength, Recording, SpokenPrompt, VoicePrompt},
    error::ChatterboxError,
    flow::FlowReference,
    prompt_mel::{BANDS, RATE},
    s3_tokenizer,
    voice_encoder::VoiceEncoder,
};
use crate::{
    audio::{Pcm, normalize, resample},
    model::{LoadError, ReferenceCache, ReferenceKey, ReferenceTensors, RequestError},
    nn::{ComputeContext, weights::Weights},
    speech::{ReferenceVoice, VoiceInput},
};

/// The name of a model's own voice.
pub const OWN: &str = "chatterbox";

/// Changes when what is computed of a recording does.
const VERSION: f64 = 1.0;
/// Loudness that Turbo's reference brings a recording to, in LUFS.
const TURBO_LOUDNESS: f64 = -27.0;

/// A voice, as T3 and S3Gen are given it.
#[derive(Debug)]
pub struct Voice {
    /// `None`: it was heard by a model that only converts.
    pub t3: Option<VoicePrompt>,
    pub flow: FlowReference,
}

/// The voices of a model.
pub struct Voices {
    pub listener: Listener,
    /// `None`: it only converts.
    pub voice_encoder: Option<VoiceEncoder>,
    pub hearing: Hearing,
    pub own: Option<Arc<Voice>>,
    pub references: ReferenceCache,
    /// Of the files that the model was loaded from.
    pub fingerprint: String,
    pub context: ComputeContext,
}

/// How a variant listens to a recording.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    pub length: PromptLength,
    /// Seconds that a recording must have, where that is more than any voice must have.
    pub least: f64,
    /// In LUFS; as it is if absent.
    pub loudness: Option<f64>,
}

// === impl Hearing ===

impl Hearing {
    /// Of the English and the multilingual model.
    pub const LLAMA: Self = Self { length: PromptLength::LLAMA, least: 0.0, loudness: None };
    /// Of Turbo and Nano, as their reference has it.
    pub const GPT2: Self = Self { length: PromptLength::GPT2, least: 5.0, loudness: Some(TURBO_LOUDNESS) };
}

// === impl Voices ===

impl Voices {
    /// The model's own if absent.
    pub fn get(&self, voice: Option<&VoiceInput>) -> Result<Arc<Voice>, ChatterboxError> {
        match voice {
            None => self.own.clone().ok_or_else(|| invalid("this model has no voice of its own; give a recording")),
            Some(VoiceInput::Named(name)) if name == OWN => self.get(None),
            Some(VoiceInput::Named(name)) => {
                Err(invalid(&format!("there is no voice {name:?}; there is {OWN}, and that of any recording")))
            }
            Some(VoiceInput::Reference(reference)) => self.of_recording(reference).map(Arc::new),
            Some(VoiceInput::Blend(_) | VoiceInput::Cast(_)) => {
                let message = "this model does not blend voices, and speaks with one; give it one".to_owned();
                Err(RequestError::Unsupported { param: "voice", message }.into())
            }
        }
    }

    /// The samples of a recording that is to be converted, as the tokenizer hears them.
    pub fn source(&self, audio: &Pcm) -> Result<Vec<f32>, ChatterboxError> {
        if audio.samples().len() < RATE as usize / 10 {
            let message = format!("the recording has {:.2} s; at least 0.1 s would be right", audio.seconds());
            return Err(RequestError::Invalid { param: "audio", message }.into());
        }
        Ok(at(audio, s3_tokenizer::RATE)?.samples().to_vec())
    }

    /// As it was heard when the recording was first given.
    fn of_recording(&self, reference: &ReferenceVoice) -> Result<Voice, ChatterboxError> {
        let parameters = [("version", VERSION)];
        let encoder = ("chatterbox", self.fingerprint.as_str());
        let key = ReferenceKey { recording: &reference.sha256, encoder, parameters: &parameters };
        let kept = self.references.get_or_compute(&key, || self.hear(&reference.audio))?;
        Ok(Voice::from_tensors(&kept, &self.context)?)
    }

    fn hear(&self, audio: &Pcm) -> Result<ReferenceTensors, ChatterboxError> {
        self.check(audio)?;
        let audio = match self.hearing.loudness {
            // What is too quiet to be measured is heard as it is.
            Some(target) => normalize(audio, target).unwrap_or_else(|_| audio.clone()),
            None => audio.clone(),
        };
        let at_16k = at(&audio, s3_tokenizer::RATE)?;
        let recording = Recording { at_24k: audio.samples(), at_16k: at_16k.samples() };
        let spoken = self.listener.spoken_prompt(recording)?;
        let prompt = |encoder| self.listener.voice_prompt(encoder, recording, self.hearing.length);
        let t3 = self.voice_encoder.as_ref().map(prompt).transpose()?;
        Ok(tensors(t3, spoken)?)
    }

    fn check(&self, audio: &Pcm) -> Result<(), ChatterboxError> {
        let (seconds, least) = (audio.seconds(), self.hearing.least);
        if seconds < least {
            return Err(invalid(&format!(
                "the voice's recording has {seconds:.1} s; at least {least} s would be right"
            )));
        }
        Ok(())
    }
}

/// Sound at another rate.
fn at(audio: &Pcm, rate: u32) -> Result<Pcm, ChatterboxError> {
    debug_assert_eq!(audio.rate(), RATE, "sound comes at the rate of the family");
    resample(audio, rate).map_err(|error| ChatterboxError::Network(candle_core::Error::wrap(error)))
}

fn invalid(message: &str) -> ChatterboxError {
    RequestError::Invalid { param: "voice", message: message.to_owned() }.into()
}

// === impl Voice ===

impl Voice {
    /// From `conds.pt`, or the same tensors in a file of safetensors: what the reference keeps of a voice.
    pub fn take(weights: &mut Weights, context: &ComputeContext) -> Result<Self, LoadError> {
        let mut numbers = |name: &str| {
            let shape = weights.shape(name)?.to_vec();
            Ok::<_, LoadError>((weights.take(name, &shape)?, shape))
        };
        let ((mel, shape), (speaker, _)) = (numbers("gen.prompt_feat")?, numbers("gen.embedding")?);
        let voice = numbers("t3.speaker_emb").ok().map(|(voice, _)| voice);
        if shape.last() != Some(&BANDS) {
            let reason = format!("has the shape {shape:?}, where [1, frames, {BANDS}] is expected");
            return Err(LoadError::Tensor { tensor: "gen.prompt_feat".to_owned(), reason });
        }
        let tokens = weights.take_ids("gen.prompt_token")?;
        let t3 = match voice {
            Some(voice) => Some(VoicePrompt { voice, tokens: weights.take_ids("t3.cond_prompt_speech_tokens")? }),
            None => None,
        };
        let flow = reference(SpokenPrompt { tokens, mel, speaker }, context)?;
        Ok(Self { t3, flow })
    }

    fn from_tensors(kept: &ReferenceTensors, context: &ComputeContext) -> candle_core::Result<Self> {
        let get = |name: &str| {
            kept.get(name).ok_or_else(|| candle_core::Error::Msg(format!("what is kept of a voice has no {name}")))
        };
        let numbers = |name: &str| get(name)?.flatten_all()?.to_vec1::<f32>();
        let ids = |name: &str| get(name)?.to_vec1::<u32>();
        let t3 = match kept.contains_key("voice") {
            true => Some(VoicePrompt { voice: numbers("voice")?, tokens: ids("voice_tokens")? }),
            false => None,
        };
        let spoken =
            SpokenPrompt { tokens: ids("spoken_tokens")?, mel: numbers("spoken_mel")?, speaker: numbers("speaker")? };
        Ok(Self { t3, flow: reference(spoken, context)? })
    }
}

fn reference(spoken: SpokenPrompt, context: &ComputeContext) -> candle_core::Result<FlowReference> {
    let SpokenPrompt { tokens, mel, speaker } = spoken;
    let (frames, numbers) = (mel.len() / BANDS, speaker.len());
    Ok(FlowReference {
        prompt_tokens: tokens,
        prompt_mel: context.tensor(mel, &[frames, BANDS])?,
        xvector: context.tensor(speaker, &[1, numbers])?,
    })
}

fn tensors(t3: Option<VoicePrompt>, spoken: SpokenPrompt) -> candle_core::Result<ReferenceTensors> {
    let SpokenPrompt { tokens, mel, speaker } = spoken;
    let frames = mel.len() / BANDS;
    let mut tensors = ReferenceTensors::new();
    let mut put = |name: &str, tensor: Tensor| tensors.insert(name.to_owned(), tensor);
    put("spoken_tokens", Tensor::new(tokens, &Device::Cpu)?);
    put("spoken_mel", Tensor::from_vec(mel, (frames, BANDS), &Device::Cpu)?);
    put("speaker", Tensor::new(speaker, &Device::Cpu)?);
    if let Some(VoicePrompt { voice, tokens }) = t3 {
        put("voice", Tensor::new(voice, &Device::Cpu)?);
        put("voice_tokens", Tensor::new(tokens, &Device::Cpu)?);
    }
    Ok(tensors)
}
