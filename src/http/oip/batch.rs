//! The recordings or texts of a request, and what is said of them.

use std::sync::Arc;

use actix_web::HttpRequest;
use bytes::Bytes;
use serde_json::Value;

use super::{
    request::InferRequest,
    signature::{AUDIO, Port, SAMPLE_RATE, SAMPLES, TEXT, unknown},
    tensor::{Tensor, wrong},
};
use crate::{
    audio::Pcm,
    http::{
        api::Api,
        call::keep_alive,
        native::{
            audio,
            content::{Content, Matter},
            fields::{self, Fields},
            request::NativeRequest,
            task::TaskRequest,
        },
        problem::Problem,
        unknown::Unknown,
        wait,
    },
    service::{AudioInput, Call, Recording},
    speech::Kind,
};

/// Hertz of samples whose rate nobody says.
const USUAL_RATE: u32 = 16_000;
/// Highest rate of samples that is taken, in hertz: twice that of any sound card.
const HIGHEST_RATE: u32 = 384_000;
/// Parameters that Triton's clients send to any model and that mean nothing to one without sequences and priorities.
const WITHOUT_MEANING: [&str; 4] = ["sequence_id", "sequence_start", "sequence_end", "priority"];

/// Inputs that are worked on, or say how to read those.
const MATTERS: [&str; 4] = [TEXT, AUDIO, SAMPLES, SAMPLE_RATE];

/// Fields of an instance that a tensor, or the path, stands for.
const ELSEWHERE: [(&str, &str); 4] = [
    ("model", "the model stands in the path"),
    ("response_format", "the answer is in tensors, which outputs choose"),
    ("audio", "the recording is an input"),
    ("text", "what is spoken is an input"),
];

/// The recordings or texts of a request and what is said of them; each becomes a request of its own when its turn comes.
pub(super) struct Batch {
    pub count: usize,
    matters: Matters,
    /// Beside them: one element for all of them, or one for each.
    options: Vec<(String, Vec<String>)>,
    defaults: Fields,
}

/// What is worked on, as it came.
enum Matters {
    /// To be spoken.
    Texts(Vec<Bytes>),
    /// Recordings.
    Files {
        elements: Vec<Bytes>,
        /// Whether they are base64.
        encoded: bool,
        hint: Option<String>,
    },
    /// Rows of single floats, each of so many bytes.
    Rows { floats: Bytes, length: usize, rate: u32 },
}

// === impl Batch ===

impl Batch {
    pub fn of(api: &Api, request: &HttpRequest, ports: &[Port], infer: &InferRequest) -> Result<Self, Problem> {
        let matters = matters(infer, api.config.max_instances)?;
        let (count, defaults) = (matters.count(), defaults(request, infer)?);
        Ok(Self { count, options: options(infer, ports, count)?, matters, defaults })
    }

    /// What is to be done with one of them.
    pub async fn task(
        &self,
        api: &Api,
        request: &HttpRequest,
        place: usize,
        call: Call,
    ) -> Result<(Call, TaskRequest), Problem> {
        let own = self.options.iter().map(|(name, texts)| (name.clone(), texts[place % texts.len()].clone()));
        let model = call.model.iter().map(|model| ("model".to_owned(), Value::from(model.as_str())));
        let mut fields = fields::merge(fields::from_texts(own), self.defaults.clone());
        fields.extend(model);
        let body = Some(self.matters.take(api, place).await?);
        let mut native = NativeRequest::read(&api.service, fields, body, &Content::default(), &Unknown::of(request))?;
        let wait = native.common.wait.map(|seconds| wait::seconds("wait", seconds)).transpose()?;
        let call = Call { keep_alive: keep_alive(request, native.common.keep_alive), wait: wait.or(call.wait), ..call };
        let (audio, voice) = (native.take_sound(), native.find_voice(api).await?);
        Ok((call, TaskRequest::of(&api.service, native, audio, voice)?))
    }
}

// === impl Matters ===

impl Matters {
    fn count(&self) -> usize {
        match self {
            Self::Texts(elements) | Self::Files { elements, .. } => elements.len(),
            Self::Rows { floats, length, .. } => floats.len().div_ceil(*length),
        }
    }

    async fn take(&self, api: &Api, place: usize) -> Result<Matter, Problem> {
        match self {
            Self::Texts(elements) => {
                let text = str::from_utf8(&elements[place]).map_err(|_| wrong(TEXT, "is not UTF-8 text"))?;
                Ok(Matter::Text(Arc::from(text)))
            }
            Self::Files { elements, encoded: true, .. } => {
                let (text, bodies) = (elements[place].clone(), api.bodies.clone());
                let decode = move || audio::from_base64(&String::from_utf8_lossy(&text), &bodies);
                Ok(Matter::Sound(api.parsers.run(elements[place].len(), decode).await??.into()))
            }
            Self::Files { elements, hint, .. } => {
                Ok(Matter::Sound(Recording { bytes: elements[place].clone(), hint: hint.clone() }.into()))
            }
            Self::Rows { floats, length, rate } => {
                let (start, rate) = (place * length, *rate);
                let row = floats.slice(start..floats.len().min(start + length));
                let samples = api.parsers.run(row.len(), move || samples(&row, rate)).await?;
                Ok(Matter::Sound(AudioInput::Samples(Arc::new(samples))))
            }
        }
    }
}

/// Little-endian.
fn samples(row: &[u8], rate: u32) -> Pcm {
    let sample = |bytes: &[u8]| bytes.try_into().map_or(0.0, f32::from_le_bytes);
    Pcm::new(row.chunks_exact(size_of::<f32>()).map(sample).collect(), rate)
}

/// What holds for all of them: the parameters, and before them the query.
fn defaults(request: &HttpRequest, infer: &InferRequest) -> Result<Fields, Problem> {
    let ours = |name: &str| {
        let theirs = ["timeout", "binary_data_output", SAMPLE_RATE];
        !WITHOUT_MEANING.contains(&name) && !theirs.contains(&name) && !name.starts_with("triton_")
    };
    let parameters = infer.parameters.iter().filter(|(name, _)| ours(name));
    let parameters = parameters.map(|(name, value)| (name.clone(), value.clone())).collect();
    let all = fields::merge(parameters, fields::query(request)?);
    match ELSEWHERE.iter().find(|(name, _)| all.contains_key(*name)) {
        None => Ok(all),
        Some((name, place)) => Err(Problem::invalid(name, format!("{place}; leave the parameter {name} out"))),
    }
}

/// The inputs beside what is worked on: one element for all, or one for each.
fn options(infer: &InferRequest, ports: &[Port], matters: usize) -> Result<Vec<(String, Vec<String>)>, Problem> {
    let others = infer.inputs.iter().filter(|input| !MATTERS.contains(&input.name.as_str()));
    let option = |input: &Tensor| {
        if !ports.iter().any(|port| port.name == input.name) {
            return Err(unknown("input", &input.name, ports));
        }
        let count = input.count();
        if count != 1 && count != matters {
            let message = format!("has {count} elements for {matters} recordings or texts; send one, or one for each");
            return Err(wrong(&input.name, &message));
        }
        let texts = input.texts()?;
        Ok((input.name.clone(), texts))
    };
    others.map(option).collect()
}

fn matters(infer: &InferRequest, most: usize) -> Result<Matters, Problem> {
    let find = |name: &str| infer.inputs.iter().find(|input| input.name == name);
    let matters = match (find(TEXT), find(AUDIO), find(SAMPLES)) {
        (Some(text), None, None) => {
            check_count(TEXT, text.count(), most)?;
            Matters::Texts(text.blobs()?)
        }
        (None, Some(audio), None) => {
            check_count(AUDIO, audio.count(), most)?;
            files(audio)?
        }
        (None, None, Some(samples)) => rows(samples, rate(infer, find(SAMPLE_RATE))?)?,
        (None, Some(_), Some(_)) => return Err(wrong(SAMPLES, "stands in place of audio; send the one or the other")),
        (Some(_), ..) => return Err(wrong(TEXT, "stands in place of a recording; send the one or the other")),
        (None, None, None) => {
            return Err(wrong(AUDIO, "is missing; send it, or samples, or of a model that speaks text"));
        }
    };
    check_count(AUDIO, matters.count(), most)?;
    Ok(matters)
}

fn check_count(name: &str, count: usize, most: usize) -> Result<(), Problem> {
    match count {
        0 => Err(wrong(name, &format!("holds no {}", if name == TEXT { "text" } else { "recording" }))),
        _ if count > most => {
            let message = format!("{name} has {count} elements; `limits.max_instances` allows {most} in a request");
            Err(Problem::new(Kind::TooLarge, message).about(name))
        }
        _ => Ok(()),
    }
}

/// Files as they are; base64 where the request says so, and in JSON, which cannot hold them otherwise.
fn files(input: &Tensor) -> Result<Matters, Problem> {
    let encoded = input.is_json() || input.content_type.as_deref() == Some("base64");
    let hint = input.content_type.clone().filter(|content_type| content_type != "base64");
    Ok(Matters::Files { elements: input.blobs()?, encoded, hint })
}

/// `[samples]` or `[recordings, samples]`, each nominally from -1 to 1.
fn rows(input: &Tensor, rate: u32) -> Result<Matters, Problem> {
    let floats = input.floats()?;
    let length = match input.shape.as_slice() {
        [samples] | [_, samples] if *samples > 0 => *samples,
        shape => {
            let message = format!("has the shape {shape:?}; [samples] or [recordings, samples] would be right");
            return Err(wrong(SAMPLES, &message));
        }
    };
    // The length is at most that of the data, whatever the shape says of no data at all.
    Ok(Matters::Rows { floats, length: length.saturating_mul(size_of::<f32>()), rate })
}

/// In hertz: the input, else the parameter, else the usual one.
fn rate(infer: &InferRequest, input: Option<&Tensor>) -> Result<u32, Problem> {
    let text = match (input, infer.parameters.get(SAMPLE_RATE)) {
        (Some(input), _) if input.count() == 1 => input.texts()?.swap_remove(0),
        (Some(_), _) => return Err(wrong(SAMPLE_RATE, "should have one element")),
        (None, Some(value)) => value.to_string(),
        (None, None) => return Ok(USUAL_RATE),
    };
    let rate = text.parse().ok().filter(|rate| (1..=HIGHEST_RATE).contains(rate));
    rate.ok_or_else(|| {
        let message = format!("{SAMPLE_RATE} is {text}; a whole number of hertz up to {HIGHEST_RATE} would be right");
        Problem::invalid(SAMPLE_RATE, message)
    })
}
