//! Hibari, a voice that others publish (hibari-tts at PyPI): the same way from text to sound as Lark's, by networks of
//! another shape, that come as a graph of ONNX beside a dictionary.
//!
//! `tensors` brings its weights to the names and layouts of the layers here; `net` is what they make.

mod bins;
mod conv;
mod dictionary;
mod encoder;
mod files;
mod front_end;
mod net;
mod tensors;

#[cfg(test)]
mod tests;

pub use self::{
    bins::BinFilter,
    files::{Files, GOLD, SILVER, VOCABULARY, voice},
    net::HibariNet,
};
use super::{error::LarkError, frontend::FrontEnd};

/// The networks of a folder.
pub fn network(files: &Files) -> Result<HibariNet, LarkError> {
    let tensors = tensors::open(files.graph.clone())
        .map_err(|error| LarkError::File { file: files.voice.clone(), reason: error.to_string() })?;
    HibariNet::load(tensors).map_err(|error| match error {
        LarkError::Config(reason) => LarkError::File { file: files.voice.clone(), reason },
        other => other,
    })
}

/// The alphabet and the dictionary of a folder. What it does not know is guessed by the voice inside this program.
pub fn front_end(files: &Files) -> Result<FrontEnd, LarkError> {
    let alphabet = front_end::alphabet(&files.vocabulary)?;
    let lexicon = dictionary::read(&alphabet, &[(GOLD, &files.gold), (SILVER, &files.silver)])?;
    front_end::front_end(alphabet, lexicon)
}
