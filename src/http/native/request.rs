//! A request in our own words: an instance with its `parameters`, or a body without an envelope with its query.

use std::{collections::BTreeSet, sync::LazyLock};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, ObjectBuilder, Schema, Type},
    },
};

use super::{
    audio,
    content::{Content, ContentFields, Matter},
    fields::{self, Fields},
    format::{Format, TextFormat},
    sound_format::SoundFormat,
    speak::{ConvertFields, SpeakFields},
    voice::{AskedVoice, Speaker},
};
use crate::{
    audio::AudioFormat,
    http::{api::Api, call::KeepAliveSchema, problem::Problem, unknown::Unknown},
    jobs::Estimate,
    lifecycle::KeepAlive,
    service::{AudioInput, Service, SpeakRequest},
    speech::{Kind, SpeechEstimate, TaskKind, TranscribeOptions, VoiceInput},
};

/// What is said whatever is to be done.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(in crate::http) struct Common {
    /// A name or an alias; the default model if absent.
    pub model: Option<String>,
    /// The same, as jobs of RunPod workers say it.
    model_type: Option<String>,
    /// Seconds to wait for the model.
    pub wait: Option<f64>,
    /// Seconds in which the whole answer is wanted; the header `X-Request-Timeout` says the same.
    pub timeout: Option<f64>,
    /// How long the model is to stay in memory afterwards.
    #[schema(value_type = Option<KeepAliveSchema>)]
    pub keep_alive: Option<KeepAlive>,
    response_format: Option<Format>,
}

/// A request, understood but for what it works on and with, which is as it was sent.
#[derive(Clone, Debug)]
pub(in crate::http) struct NativeRequest {
    pub common: Common,
    pub content: Content,
    pub options: TaskOptions,
}

/// What is said of the task.
#[derive(Clone, Debug)]
pub(in crate::http) enum TaskOptions {
    Transcribe(TranscribeOptions, TextFormat),
    Synthesize(SpeakFields, SoundAnswer),
    Convert(ConvertFields, SoundAnswer),
}

/// How an answer that is sound is given.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct SoundAnswer {
    pub format: SoundFormat,
    /// As a file, where it stands by itself; else as an object with the file in it.
    pub as_file: bool,
}

/// Bytes of text in a field that is no content. No model hears more than a few hundred words of a prompt.
const LONGEST_OPTION: usize = 64 << 10;

static COMMON: LazyLock<Vec<String>> = LazyLock::new(names::<Common>);
static ALL: LazyLock<BTreeSet<String>> = LazyLock::new(|| names::<NativeRequest>().into_iter().collect());
static CONTENT: LazyLock<Vec<String>> = LazyLock::new(names::<ContentFields>);

/// The names of the fields of a struct.
fn names<T: PartialSchema>() -> Vec<String> {
    fields::described::<T>().properties.into_keys().collect()
}

/// What `task` may say of speech that is made, in our words and in those of RunPod workers.
const SPEECH_TASKS: [(&str, TaskKind); 8] = [
    ("synthesize", TaskKind::Synthesize),
    ("tts", TaskKind::Synthesize),
    ("text_to_speech", TaskKind::Synthesize),
    ("text-to-speech", TaskKind::Synthesize),
    ("convert", TaskKind::Convert),
    ("vc", TaskKind::Convert),
    ("voice_conversion", TaskKind::Convert),
    ("voice-conversion", TaskKind::Convert),
];

/// The task of making speech that is asked for by name, if one is. Other names are for the options of transcription.
fn speech_task(options: &mut Fields) -> Option<TaskKind> {
    let name = options.get("task")?.as_str()?;
    let (_, task) = *SPEECH_TASKS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    options.remove("task");
    Some(task)
}

// === impl Common ===

impl Common {
    fn with_one_model(mut self) -> Result<Self, Problem> {
        match (&self.model, self.model_type.take()) {
            (Some(model), Some(other)) if *model != other => {
                let message = format!("model says {model:?} and model_type {other:?}; send one of them");
                return Err(Problem::invalid("model_type", message));
            }
            (None, Some(model)) => self.model = Some(model),
            _ => {}
        }
        Ok(self)
    }
}

// === impl NativeRequest ===

impl NativeRequest {
    /// `body` is what is worked on where the body is that, and `defaults` what many requests share.
    pub fn read(
        service: &Service,
        fields: Fields,
        body: Option<Matter>,
        defaults: &Content,
        unknown: &Unknown,
    ) -> Result<Self, Problem> {
        Self::read_where(|model, task| service.can(model, task), fields, body, defaults, unknown)
    }

    /// Leaves out of an instance, or of what holds for all, the fields that belong to no task: before an answer begins that
    /// could not name them any more.
    pub fn leave_out_unknown(unknown: &Unknown, fields: &mut Fields) {
        unknown.keep(fields, |name| ALL.contains(name) || name == "output_uri");
    }

    /// Where `can` says which model does what.
    fn read_where(
        can: impl Fn(Option<&str>, TaskKind) -> bool,
        mut fields: Fields,
        body: Option<Matter>,
        defaults: &Content,
        unknown: &Unknown,
    ) -> Result<Self, Problem> {
        let content = Content::take(&mut fields)?.with_body(body)?.or(defaults);
        check_texts(&fields)?;
        let is_common = |(name, _): &(String, Value)| COMMON.contains(name);
        let (common, mut options): (Fields, Fields) = fields::without_nulls(fields).into_iter().partition(is_common);
        let common = fields::read::<Common>(common)?.with_one_model()?;
        let (tasks, asked) = (content.tasks(), speech_task(&mut options));
        // What the model does of what can be asked for; if nothing, it is the service that says so.
        let likely = || *tasks.iter().find(|task| can(common.model.as_deref(), **task)).unwrap_or(&tasks[0]);
        let task = asked.unwrap_or_else(likely);
        if !tasks.contains(&task) {
            let needed = if task == TaskKind::Synthesize { "text" } else { "audio" };
            return Err(Problem::invalid(
                "task",
                format!("the task {task} takes the field {needed}, which is not there"),
            ));
        }
        let options = TaskOptions::read(task, options, common.response_format.unwrap_or_default(), unknown)?;
        Ok(Self { common, content, options })
    }

    pub fn task(&self) -> TaskKind {
        match self.options {
            TaskOptions::Transcribe(..) => TaskKind::Transcribe,
            TaskOptions::Synthesize(..) => TaskKind::Synthesize,
            TaskOptions::Convert(..) => TaskKind::Convert,
        }
    }

    /// Of a file that holds the answer.
    pub fn extension(&self) -> &'static str {
        match &self.options {
            TaskOptions::Transcribe(_, format) => format.extension(),
            TaskOptions::Synthesize(_, answer) | TaskOptions::Convert(_, answer) => answer.format.format.extension(),
        }
    }

    /// Whether it takes longer than somebody at a connection waits.
    pub fn takes_long(&self, service: &Service) -> bool {
        self.speaks().is_some_and(|(asked, _)| service.takes_long(self.common.model.as_deref(), &asked))
    }

    /// What becomes of a text at most, where that can be told.
    pub fn estimate(&self, service: &Service) -> Option<Estimate> {
        let (asked, answer) = self.speaks()?;
        let SpeechEstimate { sections, seconds, rate } = service.estimate(self.common.model.as_deref(), &asked)?;
        let SoundFormat { format, rate: wanted } = answer.format;
        let of_second = format.bytes_per_second(format.nearest_rate(wanted.unwrap_or(rate)));
        let sounds = asked.options.stems.len().max(1) as f64;
        Some(Estimate { sections, seconds, bytes: (seconds * of_second as f64 * sounds) as u64 })
    }

    /// What is to be said, without a voice, and how its sound is to be given, if it is a text.
    fn speaks(&self) -> Option<(SpeakRequest, SoundAnswer)> {
        match (&self.options, &self.content.matter) {
            (TaskOptions::Synthesize(fields, answer), Some(Matter::Text(text))) => {
                Some((fields.clone().request(text.to_string(), None), *answer))
            }
            _ => None,
        }
    }

    /// As its answer is written.
    pub fn media_type(&self) -> &'static str {
        match &self.options {
            TaskOptions::Transcribe(_, format) => format.media_type(),
            TaskOptions::Synthesize(_, answer) | TaskOptions::Convert(_, answer) => answer.format.format.media_type(),
        }
    }

    /// The stem that is the answer's own sound, where one is asked for by its name.
    pub fn stem(&self) -> Option<&str> {
        match &self.options {
            TaskOptions::Synthesize(fields, _) => fields.stems.0.first().map(String::as_str),
            _ => None,
        }
    }

    /// What chance begins with, where a text that is to be spoken says nothing of it.
    pub fn seed(&mut self, seed: u64) {
        if let TaskOptions::Synthesize(fields, _) = &mut self.options {
            fields.seed.get_or_insert(seed);
        }
    }

    /// The voice that is asked for, if one is, as a model is given it.
    pub async fn find_voice(&self, api: &Api) -> Result<Option<VoiceInput>, Problem> {
        match self.asked_voice()? {
            Some(voice) => voice.find(api, self.speaker(&api.service)).await,
            None => Ok(None),
        }
    }

    /// [`Self::find_voice`] where nothing is read from elsewhere.
    pub async fn find_named_voice(&self, service: &Service) -> Result<Option<VoiceInput>, Problem> {
        match self.asked_voice()? {
            Some(voice) => voice.find_named(self.speaker(service)).await,
            None => Ok(None),
        }
    }

    fn asked_voice(&self) -> Result<Option<AskedVoice>, Problem> {
        let asked = self.content.voice.as_ref().filter(|_| self.task() != TaskKind::Transcribe);
        asked.map(AskedVoice::read).transpose()
    }

    fn speaker<'a>(&'a self, service: &'a Service) -> Speaker<'a> {
        Speaker { service, model: self.common.model.as_deref(), task: self.task() }
    }

    /// Has the recording here, if there is one and it is elsewhere, or base64.
    pub async fn take_audio(&mut self, api: &Api) -> Result<Option<AudioInput>, Problem> {
        match self.content.matter.take_if(|matter| matches!(matter, Matter::Audio(_))) {
            Some(Matter::Audio(audio)) => Ok(Some(audio::recording(api, audio).await?.into())),
            _ => Ok(self.take_sound()),
        }
    }

    /// The recording, if it is here.
    pub fn take_sound(&mut self) -> Option<AudioInput> {
        match self.content.matter.take_if(|matter| matches!(matter, Matter::Sound(_))) {
            Some(Matter::Sound(sound)) => Some(sound),
            _ => None,
        }
    }
}

// === impl TaskOptions ===

impl TaskOptions {
    fn read(task: TaskKind, options: Fields, format: Format, unknown: &Unknown) -> Result<Self, Problem> {
        match task {
            TaskKind::Transcribe => {
                Ok(Self::Transcribe(known::<TranscribeOptions>(options, unknown)?.checked()?, format.of_text()?))
            }
            TaskKind::Synthesize => {
                let fields = known::<SpeakFields>(options, unknown)?.checked()?;
                let answer = SoundAnswer::new(format, task, fields.sample_rate)?;
                Ok(Self::Synthesize(fields, answer))
            }
            TaskKind::Convert => {
                let fields = known::<ConvertFields>(options, unknown)?;
                let answer = SoundAnswer::new(format, task, fields.sample_rate)?;
                Ok(Self::Convert(fields, answer))
            }
        }
    }
}

// === impl SoundAnswer ===

impl SoundAnswer {
    fn new(format: Format, task: TaskKind, rate: Option<u32>) -> Result<Self, Problem> {
        let as_file = format != Format::Json;
        let format: AudioFormat = format.of_sound(task)?;
        Ok(Self { format: SoundFormat::new(format, rate)?, as_file })
    }
}

/// What is said of a request is held for as long as it waits, and once for each instance: there it is no document.
fn check_texts(fields: &Fields) -> Result<(), Problem> {
    for (name, value) in fields {
        let length = text_in(value);
        if length > LONGEST_OPTION {
            let message = format!("{name} has {length} bytes of text; {LONGEST_OPTION} at most would be right");
            return Err(Problem::new(Kind::TooLarge, message).about(name));
        }
    }
    Ok(())
}

/// Bytes of all texts and names in a value.
fn text_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_in).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + text_in(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Options as a `T`, if it has fields of these names.
fn known<T: DeserializeOwned + PartialSchema>(mut options: Fields, unknown: &Unknown) -> Result<T, Problem> {
    let names = names::<T>();
    unknown.keep(&mut options, |name| names.iter().any(|known| known == name));
    match options.keys().find(|name| !names.contains(name)) {
        None => fields::read(options),
        Some(name) => {
            let known = CONTENT.iter().chain(&*COMMON).chain(&names).map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(Problem::invalid(name, format!("there is no field {name:?} here; there are {known}")))
        }
    }
}

/// The fields of all tasks. What belongs to another task than the one that is asked for is refused by name.
impl PartialSchema for NativeRequest {
    fn schema() -> RefOr<Schema> {
        let mut all = fields::described::<ContentFields>();
        for fields in [
            fields::described::<Common>(),
            fields::described::<ConvertFields>(),
            fields::described::<SpeakFields>(),
            fields::described::<TranscribeOptions>(),
        ] {
            all.properties.extend(fields.properties);
        }
        all.properties.insert("task".to_owned(), task_schema());
        all.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        RefOr::T(Schema::Object(all))
    }
}

/// Of what may be asked for by name.
fn task_schema() -> RefOr<Schema> {
    let names = ["transcribe", "translate"].into_iter().chain(SPEECH_TASKS.map(|(name, _)| name));
    let description =
        "What is to be done. What the request works on says it as well, so it may be left out, but for translation.";
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).description(Some(description));
    RefOr::T(Schema::Object(schema.build()))
}

impl ToSchema for NativeRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <ContentFields as ToSchema>::schemas(schemas);
        <Common as ToSchema>::schemas(schemas);
        <ConvertFields as ToSchema>::schemas(schemas);
        <SpeakFields as ToSchema>::schemas(schemas);
        <TranscribeOptions as ToSchema>::schemas(schemas);
    }
}

#[cfg(test)]
mod tests;
