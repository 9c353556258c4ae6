//! The fields of `POST /v1/audio/transcriptions` and `…/translations`.

use bytes::Bytes;

use super::{
    chunking,
    speakers::{self, Speakers},
};
use crate::{
    http::{form::Form, native::fields, problem::Problem},
    lifecycle::KeepAlive,
    service::{MemoryBudget, Recording, TranscribeRequest},
    speech::{Kind, Timestamps, Tracks, TranscribeMode, TranscribeOptions},
};

const FORMATS: &str = "json, text, srt, tsv, verbose_json, diarized_json or vtt";
const KNOWN: &str = "file, model, language, prompt, response_format, temperature, timestamp_granularities[], stream, \
                     include[], chunking_strategy, channels, track, diarize, known_speaker_names[], \
                     known_speaker_references[], options, wait, timeout, keep_alive";

/// Options of Whisper by the names that openai-whisper and faster-whisper have for them, as fields of their own: what a
/// model does not do it refuses by name.
const OPTIONS: [&str; 16] = [
    "audio_ctx",
    "beam_size",
    "best_of",
    "compression_ratio_threshold",
    "condition_on_previous_text",
    "hallucination_silence_threshold",
    "hotwords",
    "length_penalty",
    "log_prob_threshold",
    "logprob_threshold",
    "no_repeat_ngram_size",
    "no_speech_threshold",
    "patience",
    "repetition_penalty",
    "seed",
    "suppress_blank",
];

/// The fields that OpenAI's clients send, those that no model here does included.
const THEIRS: [&str; 14] = [
    "file",
    "model",
    "language",
    "prompt",
    "response_format",
    "temperature",
    "timestamp_granularities",
    "stream",
    "include",
    "chunking_strategy",
    "known_speaker_names",
    "known_speaker_references",
    "keywords",
    "languages",
];

/// Whether a form is one of OpenAI's: it names a model, as they must, and holds nothing that they do not know.
pub(in crate::http) fn is_theirs(form: &Form) -> bool {
    form.names().any(|name| name == "model") && form.names().all(|name| THEIRS.contains(&name))
}

/// A request, understood.
pub(super) struct Fields {
    pub model: String,
    pub wait: Option<f64>,
    pub timeout: Option<f64>,
    pub keep_alive: Option<KeepAlive>,
    pub format: Format,
    pub request: TranscribeRequest,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json {
        logprobs: bool,
    },
    Text,
    Srt,
    Vtt,
    /// Milliseconds and text, a line for each segment.
    Tsv,
    Verbose {
        segments: bool,
        words: bool,
    },
    /// Who says what, in OpenAI's shape.
    Diarized,
    Stream {
        logprobs: bool,
        /// With an event for each segment, and who says it.
        diarized: bool,
    },
}

// === impl Fields ===

impl Fields {
    pub fn take(mut form: Form, mode: TranscribeMode, bodies: &MemoryBudget) -> Result<Self, Problem> {
        let recording = form.file()?;
        Self::take_others(form, recording, mode, bodies)
    }

    /// Of a form whose recording still comes in.
    pub fn take_without_recording(form: Form, mode: TranscribeMode, bodies: &MemoryBudget) -> Result<Self, Problem> {
        Self::take_others(form, Recording { bytes: Bytes::new(), hint: None }, mode, bodies)
    }

    fn take_others(
        mut form: Form,
        recording: Recording,
        mode: TranscribeMode,
        bodies: &MemoryBudget,
    ) -> Result<Self, Problem> {
        refuse_what_no_model_does(&mut form)?;
        let timestamps = (form.flag("word_timestamps")?, form.flag("without_timestamps")?);
        let format = format(&mut form, timestamps.0 == Some(true))?;
        let Speakers { diarize, known } = speakers::take(&mut form, format.is_diarized(), bodies)?;
        let temperature = form.parse::<f32>("temperature", "a number from 0 to 1")?;
        let mut options = form.text("options")?.map(|text| fields::options(&text)).transpose()?.unwrap_or_default();
        // What has a field of its own is said there.
        options.extend(form.values(&OPTIONS)?);
        let keywords = form.list("keywords");
        if !keywords.is_empty() {
            options.entry("hotwords").or_insert_with(|| keywords.join(", ").into());
        }
        let fields = Self {
            model: form.text("model")?.ok_or_else(|| Problem::invalid("model", "the field model is missing"))?,
            wait: form.parse("wait", "a number of seconds")?,
            timeout: form.parse("timeout", "a number of seconds")?,
            keep_alive: form.parse("keep_alive", "a number of seconds, or a duration such as 5m")?,
            format,
            request: TranscribeRequest {
                audio: recording.into(),
                options: TranscribeOptions {
                    language: form.text("language")?.filter(|language| language.trim() != "auto"),
                    mode,
                    prompt: form.text("prompt")?,
                    // Their default is 0, which lets the temperature rise where the text looks wrong; so does ours.
                    temperature: temperature.filter(|temperature| *temperature != 0.0),
                    timestamps: format.timestamps(timestamps.1 == Some(true))?,
                    channels: form.parse("channels", "mix or separate")?.unwrap_or_default(),
                    track: form.parse("track", Tracks::RIGHT)?.unwrap_or_default(),
                    diarize,
                    logprobs: format.logprobs(),
                    options,
                }
                .checked()?,
                voice_activity: chunking::take(&mut form)?,
                known_speakers: known,
            },
        };
        form.finish(&format!("{KNOWN}, and options of a Whisper such as condition_on_previous_text"))?;
        Ok(fields)
    }
}

/// Fields of the API that ask for what no recogniser here does.
fn refuse_what_no_model_does(form: &mut Form) -> Result<(), Problem> {
    if form.list("languages").is_empty() {
        return Ok(());
    }
    let message = "no model here chooses among languages; name one as language, or none; leave languages out";
    Err(Problem::new(Kind::Unsupported, message).about("languages"))
}

/// `words`: they are asked for in faster-whisper's way.
fn format(form: &mut Form, words: bool) -> Result<Format, Problem> {
    let name = form.text("response_format")?.unwrap_or_else(|| "json".to_owned());
    let granularities = form.words("timestamp_granularities");
    let stream = form.flag("stream")?.unwrap_or(false);
    let (verbose, logprobs) = (name == "verbose_json", logprobs(form)?);
    if !granularities.is_empty() && !verbose {
        let message = "timestamp_granularities needs response_format verbose_json";
        return Err(Problem::invalid("timestamp_granularities", message));
    }
    match name.as_str() {
        _ if logprobs && name != "json" => Err(Problem::invalid("include", "logprobs need response_format json")),
        "json" | "text" if stream => Ok(Format::Stream { logprobs, diarized: false }),
        "diarized_json" if stream => Ok(Format::Stream { logprobs: false, diarized: true }),
        _ if stream => Err(Problem::invalid("stream", "stream needs response_format json, text or diarized_json")),
        "json" => Ok(Format::Json { logprobs }),
        "text" => Ok(Format::Text),
        "srt" => Ok(Format::Srt),
        "vtt" => Ok(Format::Vtt),
        "tsv" => Ok(Format::Tsv),
        "verbose_json" => verbose_format(&granularities, words),
        "diarized_json" => Ok(Format::Diarized),
        _ => Err(Problem::invalid(
            "response_format",
            format!("there is no response_format {name:?}; there are {FORMATS}"),
        )),
    }
}

/// Whether `include[]` asks for log-probabilities, the only thing that it can ask for.
fn logprobs(form: &mut Form) -> Result<bool, Problem> {
    let included = form.list("include");
    match included.iter().find(|name| *name != "logprobs") {
        None => Ok(!included.is_empty()),
        Some(other) => {
            Err(Problem::invalid("include", format!("there is nothing called {other:?} to include; there is logprobs")))
        }
    }
}

fn verbose_format(granularities: &[String], words: bool) -> Result<Format, Problem> {
    let has = |name: &str| granularities.iter().any(|granularity| granularity == name);
    match granularities.iter().find(|name| !matches!(name.as_str(), "word" | "segment")) {
        None => {
            Ok(Format::Verbose { segments: granularities.is_empty() || has("segment"), words: words || has("word") })
        }
        Some(other) => {
            let message = format!("there is no granularity {other:?}; there are word and segment");
            Err(Problem::invalid("timestamp_granularities", message))
        }
    }
}

// === impl Format ===

impl Format {
    /// `without`: none are wanted.
    fn timestamps(self, without: bool) -> Result<Timestamps, Problem> {
        match self {
            Self::Verbose { .. } | Self::Srt | Self::Vtt | Self::Tsv | Self::Diarized if without => {
                let message = "without_timestamps needs response_format json or text";
                Err(Problem::invalid("without_timestamps", message))
            }
            _ if without => Ok(Timestamps::None),
            Self::Verbose { words: true, .. } => Ok(Timestamps::Word),
            _ => Ok(Timestamps::Segment),
        }
    }

    fn logprobs(self) -> bool {
        matches!(self, Self::Json { logprobs: true } | Self::Stream { logprobs: true, .. })
    }

    fn is_diarized(self) -> bool {
        matches!(self, Self::Diarized | Self::Stream { diarized: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::{super::bodies::TranscriptionForm, *};

    #[test]
    fn the_described_fields_are_the_known_ones() {
        let schema = serde_json::to_value(TranscriptionForm::schema()).unwrap();
        let described: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut known: Vec<&str> = KNOWN.split(", ").collect();
        known.sort_by_key(|name| described.iter().position(|described| described == name));
        assert_eq!(described, known);
    }
}
