//! Whose voice is to speak, by its name.

use crate::{
    http::{api::Api, problem::Problem},
    speech::VoiceInput,
};

/// OpenAI's own voices, which clients have built in: here they are the model's default voice.
const OPENAI: [&str; 13] =
    ["alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"];

/// A recording among this server's voices, else one of the model's own, which the model knows by its name.
pub(in crate::http) async fn named(api: &Api, name: &str) -> Result<Option<VoiceInput>, Problem> {
    let voices = api.service.voices();
    if voices.list().await?.iter().any(|voice| voice.name == name) {
        return Ok(Some(VoiceInput::Reference(voices.reference(name.to_owned()).await?)));
    }
    Ok((!OPENAI.contains(&name)).then(|| VoiceInput::Named(name.to_owned())))
}
