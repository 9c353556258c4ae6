//! What a client wants to be said.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    http::{
        problem::Problem,
        realtime::{output_settings::OutputSettings, session::Audio},
    },
    speech::Kind,
};

/// A text of the client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http::realtime) struct Message {
    pub id: Option<String>,
    /// Said by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// `message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `user`, `assistant` or `system`; they are said alike.
    pub role: Option<String>,
    /// Said by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    pub content: Vec<TextPart>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http::realtime) struct TextPart {
    /// `input_text`, `output_text` or `text`.
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
}

/// How a response differs from how the session is set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http::realtime) struct ResponseRequest {
    /// What is to be said; if absent, what was created since the response before.
    pub input: Option<Vec<Message>>,
    /// How to say it, in words.
    pub instructions: Option<String>,
    /// `["audio"]`, which comes with the text.
    pub output_modalities: Option<Vec<String>>,
    /// Its `output`.
    pub audio: Option<Audio>,
    /// In the beta: a voice, as `audio.output` names it today.
    #[schema(value_type = Option<Value>)]
    pub voice: Option<Value>,
    /// In the beta: `pcm16`, `g711_ulaw` or `g711_alaw`.
    pub output_audio_format: Option<String>,
    /// In the beta: means nothing here.
    pub modalities: Option<Value>,
    /// Means nothing here, where nobody remembers.
    pub conversation: Option<String>,
    /// Comes back with the response.
    pub metadata: Option<Map<String, Value>>,
}

// === impl Message ===

impl Message {
    /// What it says.
    pub fn text(&self, param: &str) -> Result<String, Problem> {
        if self.kind != "message" {
            let message = format!("{param}.type is {:?}; message would be right: this server reads aloud", self.kind);
            return Err(Problem::new(Kind::Unsupported, message).about(&format!("{param}.type")));
        }
        let mut parts = Vec::new();
        for (at, part) in self.content.iter().enumerate() {
            match (part.kind.as_str(), &part.text) {
                ("input_text" | "output_text" | "text", Some(text)) => parts.push(text.as_str()),
                (kind, _) => {
                    let param = format!("{param}.content[{at}]");
                    let message = format!("{param} is {kind:?}; input_text with its text would be right");
                    return Err(Problem::new(Kind::Unsupported, message).about(&param));
                }
            }
        }
        Ok(parts.join("\n"))
    }
}

// === impl ResponseRequest ===

impl ResponseRequest {
    /// What its own messages say, a paragraph each; `None`: it has none.
    pub fn text(&self) -> Result<Option<String>, Problem> {
        let Some(input) = &self.input else { return Ok(None) };
        let texts = input.iter().enumerate().map(|(at, message)| message.text(&format!("response.input[{at}]")));
        Ok(Some(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n")))
    }

    /// How it is spoken in a session that is set so.
    pub fn over(&self, session: &OutputSettings) -> Result<OutputSettings, Problem> {
        let mut settings = session.clone();
        let Self { instructions, output_modalities, audio, voice, output_audio_format, .. } = self.clone();
        let output = audio.unwrap_or_default().output;
        settings.update("response", instructions, output_modalities, output)?;
        settings.update_beta("response", None, voice, output_audio_format, None)?;
        Ok(settings)
    }
}
