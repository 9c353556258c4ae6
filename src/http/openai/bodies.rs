//! Models and voices of OpenAI's API, as they are written and as `/openapi.json` describes them.

use serde::Serialize;
use utoipa::ToSchema;

/// The list of `GET /v1/models`.
#[derive(Serialize, ToSchema)]
pub(super) struct Models {
    /// `list`
    pub object: &'static str,
    pub data: Vec<Model>,
}

/// A model that can be asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Model {
    pub id: String,
    /// `model`
    pub object: &'static str,
    /// Always 0: a repository has no time of creation that a client could use.
    pub created: u64,
    pub owned_by: String,
}

/// The form of `POST /v1/audio/voices`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
pub(super) struct VoiceForm {
    /// 1 to 64 letters, digits, `-` and `_`.
    name: String,
    /// A recording of one speaker, 1 to 60 seconds long, in any format that is decoded here.
    #[schema(value_type = String, format = Binary)]
    audio_sample: Vec<u8>,
    /// `audio_sample`, if anything.
    r#type: Option<String>,
    /// What is said in the recording, for models that want to know it; at most 4096 bytes.
    transcript: Option<String>,
    /// That the speaker agreed, in whatever words; at most 4096 bytes. Kept beside the recording, and not looked at.
    consent: Option<String>,
}

/// A voice that speech can be made with.
#[derive(Serialize, ToSchema)]
pub(super) struct Voice {
    /// The name.
    pub id: String,
    /// `audio.voice`
    pub object: &'static str,
    pub name: String,
    pub origin: VoiceOrigin,
    /// `audio_sample` of a recording, `model` of a model's own.
    pub r#type: &'static str,
    /// Who has it, of a model's own; a recording is for whichever model speaks by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// ISO 639-1 codes of what a model's own voice speaks; empty: whatever it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Of a recording: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
    /// Of a recording: seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Hertz.
    pub sample_rate: u32,
}

/// Where a voice comes from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum VoiceOrigin {
    /// A model has it itself.
    Model,
    /// The folder of voices, put there by hand or by `POST /v1/audio/voices`.
    Folder,
}

/// The list of `GET /v1/audio/voices`.
#[derive(Serialize, ToSchema)]
pub(super) struct Voices {
    /// `list`
    pub object: &'static str,
    pub data: Vec<Voice>,
    /// The same by id and name only, where Open WebUI looks for them.
    pub voices: Vec<Named>,
}

/// What somebody can choose.
#[derive(Serialize, ToSchema)]
pub(super) struct Named {
    pub id: String,
    pub name: String,
}

/// The list of `GET /v1/audio/models`.
#[derive(Serialize, ToSchema)]
pub(super) struct AudioModels {
    pub models: Vec<Named>,
}

/// The answer to `DELETE /v1/audio/voices/{name}`.
#[derive(Serialize, ToSchema)]
pub(super) struct VoiceDeleted {
    pub id: String,
    /// `audio.voice.deleted`
    pub object: &'static str,
    pub deleted: bool,
}
