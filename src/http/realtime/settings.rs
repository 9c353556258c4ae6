//! What a session is set to, and how clients say so: in the words of today, or in those of the beta.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    format::SoundFormat,
    output_settings::{AUDIO, OutputSettings},
    session::{Audio, BetaSession, Format, Input, Output, Session, ShownSession, Transcription, TurnDetection},
};
use crate::{
    audio::VoiceActivity,
    http::problem::Problem,
    service::live::LiveAsk,
    speech::{Kind, TranscribeOptions},
};

/// Sound that is kept around speech, at most.
const LONGEST_AROUND: Duration = Duration::from_secs(10);
/// The one thing that may be included.
const LOGPROBS: &str = "item.input_audio_transcription.logprobs";

/// What sessions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionType {
    Transcription,
    /// Texts are spoken as well.
    Realtime,
}

/// Which words events are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Of today.
    Ga,
    /// Of the header `OpenAI-Beta: realtime=v1`.
    Beta,
}

/// What a session is set to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub kind: SessionType,
    pub format: SoundFormat,
    pub detection: Option<VoiceActivity>,
    pub model: Option<String>,
    pub language: Option<String>,
    pub prompt: Option<String>,
    pub logprobs: bool,
    /// Whether who speaks interrupts what is spoken.
    pub interrupt: bool,
    pub output: OutputSettings,
}

// === impl Settings ===

impl Settings {
    /// `model` hears.
    pub fn new(model: Option<String>) -> Self {
        Self {
            kind: SessionType::Transcription,
            format: SoundFormat::Pcm,
            detection: Some(VoiceActivity::default()),
            model,
            language: None,
            prompt: None,
            logprobs: false,
            interrupt: true,
            output: OutputSettings::default(),
        }
    }

    /// As the service is asked for it.
    pub fn ask(&self) -> LiveAsk {
        let options = TranscribeOptions {
            language: self.language.clone(),
            prompt: self.prompt.clone(),
            logprobs: self.logprobs,
            ..TranscribeOptions::default()
        };
        LiveAsk { rate: self.format.rate(), detection: self.detection, model: self.model.clone(), options }
    }

    /// The same with what a client wants otherwise.
    pub fn updated(&self, session: Value, dialect: Dialect) -> Result<Self, Problem> {
        let mut settings = self.clone();
        match dialect {
            Dialect::Ga => settings.update(read_field("session", session)?)?,
            Dialect::Beta => settings.update_beta(read_field("session", session)?)?,
        }
        Ok(settings)
    }

    fn update(&mut self, session: Session) -> Result<(), Problem> {
        self.kind = match session.kind.as_deref() {
            Some("transcription") => SessionType::Transcription,
            Some("realtime") => SessionType::Realtime,
            Some(kind) => {
                let message = format!("session.type is {kind:?}; transcription or realtime would be right");
                return Err(Problem::new(Kind::Unsupported, message).about("session.type"));
            }
            None => {
                let message = "session.type is missing; transcription or realtime would be right";
                return Err(Problem::invalid("session.type", message));
            }
        };
        let Audio { input, output } = session.audio.unwrap_or_default();
        self.output.model = session.model.or_else(|| self.output.model.take());
        self.output.update("session", session.instructions, session.output_modalities, output)?;
        let Some(input) = input else { return self.include(session.include) };
        if let Some(format) = input.format {
            self.format = format.read("session.audio.input.format")?;
        }
        self.transcribe(input.transcription);
        self.detect("session.audio.input.turn_detection", input.turn_detection)?;
        self.include(session.include)
    }

    fn update_beta(&mut self, session: BetaSession) -> Result<(), Problem> {
        if let Some(format) = session.input_audio_format {
            self.format = SoundFormat::named("session.input_audio_format", &format, SoundFormat::beta_name)?;
        }
        self.output.model = session.model.or_else(|| self.output.model.take());
        self.output.update_beta(
            "session",
            session.instructions,
            session.voice,
            session.output_audio_format,
            session.speed,
        )?;
        self.transcribe(session.input_audio_transcription);
        self.detect("session.turn_detection", session.turn_detection)?;
        self.include(session.include)
    }

    fn transcribe(&mut self, transcription: Option<Transcription>) {
        let Some(Transcription { model, language, prompt }) = transcription else { return };
        self.model = model.or_else(|| self.model.take());
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(language) = language {
            self.language = given(language);
        }
        if let Some(prompt) = prompt {
            self.prompt = given(prompt);
        }
    }

    fn detect(&mut self, param: &str, detection: Option<Option<TurnDetection>>) -> Result<(), Problem> {
        let Some(detection) = detection else { return Ok(()) };
        if let Some(interrupt) = detection.as_ref().and_then(|detection| detection.interrupt_response) {
            self.interrupt = interrupt;
        }
        self.detection = detection.map(|detection| detection.over(self.detection, param)).transpose()?;
        Ok(())
    }

    fn include(&mut self, include: Option<Vec<String>>) -> Result<(), Problem> {
        let Some(include) = include else { return Ok(()) };
        if let Some(other) = include.iter().find(|name| *name != LOGPROBS) {
            let message = format!("{other} cannot be included; {LOGPROBS} can");
            return Err(Problem::invalid("session.include", message));
        }
        self.logprobs = !include.is_empty();
        Ok(())
    }

    /// As a client is told; `models` are what those that hear and that speak are called here.
    pub fn shown(&self, id: String, expires_at: u64, models: [Option<String>; 2], dialect: Dialect) -> ShownSession {
        let [hears, speaks] = models;
        let (id, object, expires_at) = (Some(id), Some(self.kind.object().to_owned()), Some(expires_at));
        let transcription = Some(Transcription {
            model: hears,
            language: Some(self.language.clone()),
            prompt: Some(self.prompt.clone()),
        });
        let turn_detection = Some(self.detection.map(|detection| TurnDetection::shown(detection, self.interrupt)));
        let include = Some(self.logprobs.then(|| LOGPROBS.to_owned()).into_iter().collect());
        let instructions = self.output.instructions.clone();
        match dialect {
            Dialect::Ga => {
                let format = Some(Format::shown(self.format));
                let input = Some(Input { format, transcription, turn_detection, noise_reduction: None });
                let kind = Some(self.kind.name().to_owned());
                let audio = |output: Option<Output>| Some(Audio { input, output });
                let session = Session { id, object, kind, expires_at, include, ..Session::default() };
                ShownSession::Today(Box::new(match self.kind {
                    SessionType::Transcription => Session { audio: audio(None), ..session },
                    SessionType::Realtime => Session {
                        model: speaks,
                        instructions,
                        output_modalities: Some(vec![AUDIO.to_owned()]),
                        audio: audio(Some(self.output.shown())),
                        ..session
                    },
                }))
            }
            Dialect::Beta => ShownSession::Beta(Box::new(BetaSession {
                id,
                object,
                expires_at,
                modalities: None,
                model: speaks,
                instructions,
                voice: self.output.voice.clone(),
                output_audio_format: Some(self.output.format.beta_name().to_owned()),
                speed: self.output.speed,
                input_audio_format: Some(self.format.beta_name().to_owned()),
                input_audio_transcription: transcription,
                turn_detection,
                input_audio_noise_reduction: None,
                include,
            })),
        }
    }
}

/// A field of an event; what is wrong is named from there on.
pub(super) fn read_field<T: for<'de> Deserialize<'de>>(field: &str, value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let param = if path == "." { field.to_owned() } else { format!("{field}.{path}") };
        let message = format!("{param}: {}", error.inner());
        Problem::invalid(&param, message)
    })
}

// === impl SessionType ===

impl SessionType {
    fn name(self) -> &'static str {
        match self {
            Self::Transcription => "transcription",
            Self::Realtime => "realtime",
        }
    }

    /// What the server calls such a session.
    fn object(self) -> &'static str {
        match self {
            Self::Transcription => "realtime.transcription_session",
            Self::Realtime => "realtime.session",
        }
    }
}

// === impl TurnDetection ===

impl TurnDetection {
    fn shown(detection: VoiceActivity, interrupt: bool) -> Self {
        let millis = |time: Duration| Some(time.as_millis() as u64);
        Self {
            kind: Some("server_vad".to_owned()),
            threshold: Some(detection.threshold),
            prefix_padding_ms: millis(detection.before),
            silence_duration_ms: millis(detection.silence),
            interrupt_response: Some(interrupt),
            ..Self::default()
        }
    }

    /// What it says, and what held before where it says nothing.
    fn over(self, before: Option<VoiceActivity>, param: &str) -> Result<VoiceActivity, Problem> {
        let wrong = |field: &str, message: String| Problem::invalid(&format!("{param}.{field}"), message);
        match self.kind.as_deref() {
            None | Some("server_vad") => {}
            Some(kind) => {
                let message = format!("{param}.type is {kind:?}; server_vad or null would be right");
                return Err(Problem::new(Kind::Unsupported, message).about(&format!("{param}.type")));
            }
        }
        if self.idle_timeout_ms.is_some() {
            let message = "idle_timeout_ms is for servers that answer; null would be right".to_owned();
            return Err(wrong("idle_timeout_ms", message));
        }
        let before = before.unwrap_or_default();
        let threshold = self.threshold.unwrap_or(before.threshold);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(wrong("threshold", format!("threshold is {threshold}; 0 to 1 would be right")));
        }
        let around = |field: &str, millis: Option<u64>, before: Duration| {
            let time = millis.map_or(before, Duration::from_millis);
            if time <= LONGEST_AROUND {
                return Ok(time);
            }
            let (given, most) = (time.as_millis(), LONGEST_AROUND.as_millis());
            Err(wrong(field, format!("{field} is {given}; at most {most} would be right")))
        };
        Ok(VoiceActivity {
            threshold,
            before: around("prefix_padding_ms", self.prefix_padding_ms, before.before)?,
            silence: around("silence_duration_ms", self.silence_duration_ms, before.silence)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audio::Companding;

    fn update(session: Value) -> Result<Settings, Problem> {
        Settings::new(Some("m".to_owned())).updated(session, Dialect::Ga)
    }

    fn input(input: Value) -> Result<Settings, Problem> {
        update(json!({"type": "transcription", "audio": {"input": input}}))
    }

    #[test]
    fn what_is_not_said_stays() {
        let settings = input(json!({"transcription": {"language": "de"}})).unwrap();
        assert_eq!(settings, Settings { language: Some("de".to_owned()), ..Settings::new(Some("m".to_owned())) });
        let settings = settings.updated(
            json!({"type": "transcription", "audio": {"input": {
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 200, "create_response": false},
                "transcription": {"model": "n", "language": null, "prompt": "Sconce"},
                "format": {"type": "audio/pcma"},
                "noise_reduction": {"type": "near_field"}}}, "include": [LOGPROBS]}),
            Dialect::Ga,
        );
        let settings = settings.unwrap();
        let silence = Duration::from_millis(200);
        assert_eq!(settings.detection, Some(VoiceActivity { silence, ..VoiceActivity::default() }));
        assert_eq!((settings.model.as_deref(), settings.language.as_deref()), (Some("n"), None));
        assert_eq!((settings.prompt.as_deref(), settings.logprobs), (Some("Sconce"), true));
        assert_eq!(settings.format, SoundFormat::Telephone(Companding::ALaw));
        assert_eq!(settings.ask().rate, 8000);
        assert_eq!(input(json!({"turn_detection": null})).unwrap().detection, None);
    }

    #[test]
    fn what_is_shown_is_taken_back() {
        let spoken = OutputSettings {
            format: SoundFormat::Telephone(Companding::ALaw),
            model: Some("n".to_owned()),
            voice: Some(json!("anna")),
            speed: Some(1.5),
            instructions: Some("softly".to_owned()),
            ..OutputSettings::default()
        };
        let sessions = [
            (Dialect::Ga, SessionType::Transcription, OutputSettings::default()),
            (Dialect::Ga, SessionType::Realtime, OutputSettings { language: Some("fr".to_owned()), ..spoken.clone() }),
            (Dialect::Beta, SessionType::Transcription, spoken),
        ];
        for (dialect, kind, output) in sessions {
            let settings = Settings {
                kind,
                interrupt: false,
                output,
                format: SoundFormat::Telephone(Companding::MuLaw),
                language: Some("fr".to_owned()),
                logprobs: true,
                ..Settings::new(Some("m".to_owned()))
            };
            let models = [Some("m".to_owned()), settings.output.model.clone()];
            let shown = settings.shown("sess_1".to_owned(), 7, models, dialect);
            let again = Settings::new(None).updated(json!(shown), dialect).unwrap();
            assert_eq!(again, settings, "{dialect:?}");
        }
    }

    #[test]
    fn each_mistake_is_told_with_its_field_and_what_would_be_right() {
        let cases = [
            (json!({"audio": {}}), "session.type", "transcription or realtime would be right"),
            (json!({"type": "translation"}), "session.type", "transcription or realtime would be right"),
            (
                json!({"type": "realtime", "output_modalities": ["text"]}),
                "session.output_modalities",
                "which comes with the text",
            ),
            (json!({"type": "realtime", "tools": []}), "session.tools", "unknown field `tools`"),
            (json!({"type": "transcription", "voice": "x"}), "session.voice", "unknown field `voice`"),
            (json!({"type": "transcription", "include": ["x"]}), "session.include", "logprobs can"),
            (json!([]), "session", "invalid length 0"),
        ];
        for (session, param, message) in cases {
            let problem = update(session).unwrap_err();
            assert!(problem.message.contains(message), "{problem}");
            assert_eq!(problem.param.as_deref(), Some(param), "{problem}");
        }
        let cases = [
            (json!({"format": {"type": "audio/mp3"}}), "format.type", "audio/pcm, audio/pcmu, audio/pcma"),
            (json!({"format": {"type": "audio/pcm", "rate": 16_000}}), "format.rate", "is 24000 Hz, and not 16000"),
            (json!({"turn_detection": {"type": "semantic_vad"}}), "turn_detection.type", "server_vad or null"),
            (json!({"turn_detection": {"threshold": 2}}), "turn_detection.threshold", "0 to 1 would be right"),
            (json!({"turn_detection": {"threshold": "x"}}), "turn_detection.threshold", "expected f32"),
            (json!({"turn_detection": {"prefix_padding_ms": 10_001}}), "turn_detection.prefix_padding_ms", "at most"),
            (json!({"turn_detection": {"silence_duration_ms": -1}}), "turn_detection.silence_duration_ms", "u64"),
            (json!({"turn_detection": {"idle_timeout_ms": 5}}), "turn_detection.idle_timeout_ms", "null"),
            (json!({"transcription": {"keywords": []}}), "transcription.keywords", "unknown field `keywords`"),
        ];
        for (given, param, message) in cases {
            let problem = input(given).unwrap_err();
            assert!(problem.message.contains(message), "{problem}");
            assert_eq!(problem.param, Some(format!("session.audio.input.{param}")), "{problem}");
        }
        let beta = json!({"input_audio_format": "mp3"});
        let problem = Settings::new(None).updated(beta, Dialect::Beta).unwrap_err();
        assert!(problem.message.contains("pcm16, g711_ulaw, g711_alaw"), "{problem}");
    }
}
