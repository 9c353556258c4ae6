//! One folder per family. [`FAMILIES`] is the registry: routes, metric labels, the catalog and the tests read it.

pub mod chatterbox;
mod code_speech;
mod context;
mod described;
pub mod espeak;
mod espeak_ng;
#[cfg(test)]
mod fixtures;
pub mod higgs;
pub mod kokoro;
pub mod lark;
mod load_error;
mod named_language;
mod normal;
mod onnx;
mod option_values;
pub mod piper;
mod protobuf;
mod shared_library;
mod speech_error;
mod step;
pub mod vosk;
pub mod vosk_tts;
pub mod voxtral;
mod weight_files;
pub mod whisper;
pub mod worker;
pub mod yue;
pub mod zipformer;
pub mod zonos;

use crate::model::Family;

/// Every family in this build.
pub const FAMILIES: &[&dyn Family] = &[
    &whisper::Whisper,
    &voxtral::Voxtral,
    &vosk::Vosk::ANY,
    &zipformer::Zipformer::ANY,
    &lark::Lark,
    &chatterbox::Chatterbox,
    &zonos::Zonos,
    &higgs::Higgs,
    &yue::Yue,
    &vosk_tts::VoskTts::ANY,
    &piper::Piper::ANY,
    &kokoro::Kokoro::ANY,
    &espeak::Espeak,
    &worker::Worker,
];
