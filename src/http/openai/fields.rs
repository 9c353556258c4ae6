//! The fields of `POST /v1/audio/transcriptions` and `…/translations`.

use super::{Form, Problem};
use crate::{
    http::ask,
    service::Listen,
    speech::{Goal, Kind, Timestamps},
};

const FORMATS: &str = "json, text, srt, verbose_json or vtt";
const KNOWN: &str = "file, model, language, prompt, response_format, temperature, timestamp_granularities[], stream, \
                     chunking_strategy, wait";

/// A request, understood.
pub(super) struct Fields {
    pub model: String,
    pub wait: Option<f64>,
    pub format: Format,
    pub listen: Listen,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text,
    Srt,
    Vtt,
    Verbose { segments: bool, words: bool },
    Stream,
}

// === impl Fields ===

impl Fields {
    pub fn take(mut form: Form, goal: Goal) -> Result<Self, Problem> {
        refuse_what_no_model_does(&mut form)?;
        let recording = form.file()?;
        let format = format(&mut form)?;
        let temperature = form.parse("temperature", "a number from 0 to 1")?.map(ask::temperature).transpose()?;
        let fields = Self {
            model: form.text("model")?.ok_or_else(|| Problem::invalid("model", "the field model is missing"))?,
            wait: form.parse("wait", "a number of seconds")?,
            format,
            listen: Listen {
                recording,
                language: form.text("language")?,
                goal,
                prompt: form.text("prompt")?,
                // Their default is 0, which lets the temperature rise where the text looks wrong; so does ours.
                temperature: temperature.filter(|temperature| *temperature > 0.0),
                timestamps: format.timestamps(),
                options: serde_json::Map::new(),
            },
        };
        form.finish(KNOWN)?;
        Ok(fields)
    }
}

/// Fields of the API that ask for what no recogniser here does.
fn refuse_what_no_model_does(form: &mut Form) -> Result<(), Problem> {
    for name in ["include", "known_speaker_names", "known_speaker_references"] {
        if let Some(value) = form.list(name).first() {
            let message = format!("no model here does {name} ({value:?}); leave the field out");
            return Err(unsupported(name, message));
        }
    }
    match form.text("chunking_strategy")?.as_deref() {
        // Long recordings are always cut where the model hears a pause: that is what "auto" leaves to the server.
        None | Some("auto") => Ok(()),
        Some(_) => Err(unsupported("chunking_strategy", "chunking_strategy can be \"auto\" only".to_owned())),
    }
}

fn unsupported(param: &str, message: String) -> Problem {
    Problem::new(Kind::Unsupported, message).about(param)
}

fn format(form: &mut Form) -> Result<Format, Problem> {
    let name = form.text("response_format")?.unwrap_or_else(|| "json".to_owned());
    let granularities = form.list("timestamp_granularities");
    let stream = form.parse::<bool>("stream", "true or false")?.unwrap_or(false);
    let verbose = name == "verbose_json";
    if !granularities.is_empty() && !verbose {
        let message = "timestamp_granularities needs response_format verbose_json";
        return Err(Problem::invalid("timestamp_granularities", message));
    }
    match name.as_str() {
        "json" | "text" if stream => Ok(Format::Stream),
        _ if stream => Err(Problem::invalid("stream", "stream needs response_format json or text")),
        "json" => Ok(Format::Json),
        "text" => Ok(Format::Text),
        "srt" => Ok(Format::Srt),
        "vtt" => Ok(Format::Vtt),
        "verbose_json" => verbose_format(&granularities),
        "diarized_json" => {
            Err(unsupported("response_format", format!("no model here tells speakers apart; {FORMATS}")))
        }
        _ => Err(Problem::invalid(
            "response_format",
            format!("there is no response_format {name:?}; there are {FORMATS}"),
        )),
    }
}

fn verbose_format(granularities: &[String]) -> Result<Format, Problem> {
    let has = |name: &str| granularities.iter().any(|granularity| granularity == name);
    match granularities.iter().find(|name| !matches!(name.as_str(), "word" | "segment")) {
        None => Ok(Format::Verbose { segments: granularities.is_empty() || has("segment"), words: has("word") }),
        Some(other) => {
            let message = format!("there is no granularity {other:?}; there are word and segment");
            Err(Problem::invalid("timestamp_granularities", message))
        }
    }
}

// === impl Format ===

impl Format {
    fn timestamps(self) -> Timestamps {
        match self {
            Self::Verbose { words: true, .. } => Timestamps::Word,
            _ => Timestamps::Segment,
        }
    }
}
