//! What a session is set to, and how clients say so: in the words of today, or in those of the beta.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    format::SoundFormat,
    session::{Audio, BetaSession, Format, Input, Session, ShownSession, Transcription, TurnDetection},
};
use crate::{
    audio::VoiceActivity,
    http::problem::Problem,
    service::live::LiveAsk,
    speech::{Kind, TranscribeOptions},
};

/// What is said to who wants more than text.
pub(super) const ONLY_HEARS: &str = "this server hears and does not answer, so that transcription would be right";
/// Sound that is kept around speech, at most.
const LONGEST_AROUND: Duration = Duration::from_secs(10);
/// The one thing that may be included.
const LOGPROBS: &str = "item.input_audio_transcription.logprobs";

/// What the server calls a session.
const OBJECT: &str = "realtime.transcription_session";

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
    pub format: SoundFormat,
    pub detection: Option<VoiceActivity>,
    pub model: Option<String>,
    pub language: Option<String>,
    pub prompt: Option<String>,
    pub logprobs: bool,
}

// === impl Settings ===

impl Settings {
    pub fn new(model: Option<String>) -> Self {
        Self {
            format: SoundFormat::Pcm,
            detection: Some(VoiceActivity::default()),
            model,
            language: None,
            prompt: None,
            logprobs: false,
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
            Dialect::Ga => settings.update(read(session)?)?,
            Dialect::Beta => settings.update_beta(read(session)?)?,
        }
        Ok(settings)
    }

    fn update(&mut self, session: Session) -> Result<(), Problem> {
        match session.kind.as_deref() {
            Some("transcription") => {}
            Some(kind) => {
                let message = format!("session.type is {kind:?}; {ONLY_HEARS}");
                return Err(Problem::new(Kind::Unsupported, message).about("session.type"));
            }
            None => {
                let message = "session.type is missing; transcription would be right";
                return Err(Problem::invalid("session.type", message));
            }
        }
        let input = session.audio.and_then(|audio| audio.input);
        let Some(input) = input else { return self.include(session.include) };
        if let Some(format) = input.format {
            self.format = named("session.audio.input.format.type", &format.kind, SoundFormat::media_type)?;
            if let Some(rate) = format.rate.filter(|rate| *rate != self.format.rate()) {
                let (kind, right) = (format.kind, self.format.rate());
                let message = format!("the rate of {kind} is {right} Hz, and not {rate}");
                return Err(Problem::invalid("session.audio.input.format.rate", message));
            }
        }
        self.transcribe(input.transcription);
        self.detect("session.audio.input.turn_detection", input.turn_detection)?;
        self.include(session.include)
    }

    fn update_beta(&mut self, session: BetaSession) -> Result<(), Problem> {
        if let Some(format) = session.input_audio_format {
            self.format = named("session.input_audio_format", &format, SoundFormat::beta_name)?;
        }
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

    /// As a client is told; `model` is what the model is called here.
    pub fn shown(&self, id: String, expires_at: u64, model: String, dialect: Dialect) -> ShownSession {
        let (id, object, expires_at) = (Some(id), Some(OBJECT.to_owned()), Some(expires_at));
        let transcription = Some(Transcription {
            model: Some(model),
            language: Some(self.language.clone()),
            prompt: Some(self.prompt.clone()),
        });
        let turn_detection = Some(self.detection.map(TurnDetection::shown));
        let include = Some(self.logprobs.then(|| LOGPROBS.to_owned()).into_iter().collect());
        match dialect {
            Dialect::Ga => {
                let rate = (self.format == SoundFormat::Pcm).then(|| self.format.rate());
                let format = Some(Format { kind: self.format.media_type().to_owned(), rate });
                let input = Some(Input { format, transcription, turn_detection, noise_reduction: None });
                let (kind, audio) = (Some("transcription".to_owned()), Some(Audio { input }));
                ShownSession::Today(Box::new(Session { id, object, kind, expires_at, audio, include }))
            }
            Dialect::Beta => ShownSession::Beta(Box::new(BetaSession {
                id,
                object,
                expires_at,
                modalities: None,
                input_audio_format: Some(self.format.beta_name().to_owned()),
                input_audio_transcription: transcription,
                turn_detection,
                input_audio_noise_reduction: None,
                include,
            })),
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(session: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(session).map_err(|error| {
        let path = error.path().to_string();
        let param = if path == "." { "session".to_owned() } else { format!("session.{path}") };
        let message = format!("{param}: {}", error.inner());
        Problem::invalid(&param, message)
    })
}

fn named(param: &str, given: &str, name: fn(SoundFormat) -> &'static str) -> Result<SoundFormat, Problem> {
    SoundFormat::ALL.into_iter().find(|format| name(*format) == given).ok_or_else(|| {
        let names = SoundFormat::ALL.map(name).join(", ");
        Problem::invalid(param, format!("{param} is {given:?}; one of {names} would be right"))
    })
}

// === impl TurnDetection ===

impl TurnDetection {
    fn shown(detection: VoiceActivity) -> Self {
        let millis = |time: Duration| Some(time.as_millis() as u64);
        Self {
            kind: Some("server_vad".to_owned()),
            threshold: Some(detection.threshold),
            prefix_padding_ms: millis(detection.before),
            silence_duration_ms: millis(detection.silence),
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
        for dialect in [Dialect::Ga, Dialect::Beta] {
            let settings = Settings {
                format: SoundFormat::Telephone(Companding::MuLaw),
                language: Some("fr".to_owned()),
                logprobs: true,
                detection: None,
                ..Settings::new(Some("m".to_owned()))
            };
            let shown = settings.shown("sess_1".to_owned(), 7, "m".to_owned(), dialect);
            let again = Settings::new(None).updated(json!(shown), dialect).unwrap();
            assert_eq!(again, settings, "{dialect:?}");
        }
    }

    #[test]
    fn each_mistake_is_told_with_its_field_and_what_would_be_right() {
        let cases = [
            (json!({"audio": {}}), "session.type", "transcription would be right"),
            (json!({"type": "realtime"}), "session.type", "transcription would be right"),
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
