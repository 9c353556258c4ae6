//! `POST /v2/models/{model}/infer`: a batch of recordings in, a tensor per kind of answer out.

use std::{future::Future, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};

use super::{
    address::Address,
    answer::{InferAnswer, JSON_LENGTH, OutputTensor},
    models,
    request::InferRequest,
    signature::{self, AUDIO, Port, SAMPLE_RATE, SAMPLES},
    tensor::{Tensor, wrong},
};
use crate::{
    audio::Pcm,
    catalog::Entry,
    http::{
        api::Api,
        body,
        call::{call, keep_alive},
        native::{
            audio,
            fields::{self, Fields},
            request::NativeRequest,
            task::{TaskRequest, unserved},
        },
        problem::Problem,
        request_id::RequestId,
        wait,
    },
    service::{AudioInput, Call, Recording},
    speech::{Kind, TaskKind, Timestamps, Transcript},
};

/// Recordings of one request that are worked on at once.
const AT_ONCE: usize = 8;
/// Hertz of samples whose rate nobody says.
const USUAL_RATE: u32 = 16_000;
/// Highest rate of samples that is taken, in hertz: twice that of any sound card.
const HIGHEST_RATE: u32 = 384_000;
/// Parameters that Triton's clients send to any model and that mean nothing to one without sequences and priorities.
const WITHOUT_MEANING: [&str; 4] = ["sequence_id", "sequence_start", "sequence_end", "priority"];

/// Fields of an instance that a tensor, or the path, stands for.
const ELSEWHERE: [(&str, &str); 5] = [
    ("model", "the model stands in the path"),
    ("response_format", "the answer is in tensors, which outputs choose"),
    ("audio", "the recording is an input"),
    ("text", "what a model takes is an input, and its metadata say which"),
    ("voice", "what a model takes is an input, and its metadata say which"),
];

/// Transcribe recordings.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    operation_id = "infer",
    tag = "Open Inference Protocol",
    params(
        ("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`"),
        ("inference-header-content-length" = Option<u64>, Header, description = "Length of the JSON, if tensors \
            follow it as bytes; 0: the whole body is one recording"),
    ),
    request_body(content(
        (super::request::InferHeader = "application/json"),
        (Vec<u8> = "application/octet-stream"),
    )),
    responses(
        (status = 200, description = "The outputs; as bytes behind the JSON where they were asked for so", content(
            (super::answer::InferResponse = "application/json"),
            (Vec<u8> = "application/octet-stream"),
        )),
    ),
)]
pub(super) async fn infer(
    api: web::Data<Api>,
    address: web::Path<Address>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    answer(&api, &address, &request, payload).await.unwrap_or_else(|problem| problem.oip())
}

/// The same, of the version that serves.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/versions/{version}/infer",
    operation_id = "infer_version",
    tag = "Open Inference Protocol",
    params(
        ("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`"),
        ("version" = String, Path, description = "The revision that serves, as the metadata name it"),
    ),
    request_body = super::request::InferHeader,
    responses(
        (status = 200, description = "As without the version", body = super::answer::InferResponse),
    ),
)]
pub(super) async fn infer_version(
    api: web::Data<Api>,
    address: web::Path<Address>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    infer(api, address, request, payload).await
}

async fn answer(
    api: &Api,
    address: &Address,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let entry = models::find(api, address)?;
    let infer = read(api, request, payload).await?;
    let task = task(&entry)?;
    api.service.check("oip", Some(entry.name.as_str()), task)?;
    let chosen = chosen(&infer, signature::outputs(task))?;
    let within = deadline(&infer.parameters)?;
    let transcripts = in_time(within, work(api, request, &entry, task, &infer)).await?;
    let outputs = chosen.into_iter().map(|(port, binary)| OutputTensor::of(port, binary, &transcripts)).collect();
    let id = infer.id.unwrap_or_else(|| RequestId::of(request));
    Ok(InferAnswer { model: entry.slug.clone(), version: models::version(api, &entry), id, outputs }.respond())
}

/// What a model is asked to do: the first of its tasks that has a signature here.
fn task(entry: &Entry) -> Result<TaskKind, Problem> {
    let tasks = entry.family.map_or(&TaskKind::ALL[..], |family| family.tasks());
    let served = tasks.iter().find(|task| !signature::inputs(**task).is_empty());
    served.copied().ok_or_else(|| unserved(tasks.first().copied().unwrap_or(TaskKind::Transcribe)))
}

/// The request with its tensors, or one made of a raw recording.
async fn read(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<InferRequest, Problem> {
    let length = json_length(request)?;
    let body = body::read_unseen(request, payload, api).await?;
    let size = body.bytes.len();
    if length == Some(0) {
        let hint = body.media_type.as_ref().filter(|_| body.is_sound()).map(ToString::to_string);
        let input = Tensor::raw(AUDIO, body.bytes, hint);
        // Triton answers in kind.
        return Ok(InferRequest {
            id: None,
            parameters: Map::new(),
            inputs: vec![input],
            outputs: Vec::new(),
            binary: true,
            _memory: None,
        });
    }
    let (bytes, bodies, most) = (body.bytes, api.bodies.clone(), api.config.max_fields);
    let read = move || InferRequest::read_within(bytes, length, most, &bodies);
    api.parsers.run(size, read).await?
}

fn json_length(request: &HttpRequest) -> Result<Option<usize>, Problem> {
    let Some(value) = request.headers().get(JSON_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || Problem::invalid("Inference-Header-Content-Length", "Inference-Header-Content-Length is no number");
    length.map(Some).ok_or_else(wrong)
}

/// The outputs that are wanted, and whether each is to be binary.
fn chosen(infer: &InferRequest, ports: &'static [Port]) -> Result<Vec<(&'static Port, bool)>, Problem> {
    if infer.outputs.is_empty() {
        return Ok(ports.iter().map(|port| (port, infer.binary)).collect());
    }
    let find = |name: &str| ports.iter().find(|port| port.name == name).ok_or_else(|| unknown("output", name, ports));
    let mut chosen: Vec<(&Port, bool)> = Vec::with_capacity(ports.len());
    for wanted in &infer.outputs {
        let port = find(&wanted.name)?;
        if chosen.iter().any(|(other, _)| other.name == port.name) {
            return Err(Problem::invalid("outputs", format!("there are two outputs {}; name it once", port.name)));
        }
        chosen.push((port, wanted.binary));
    }
    Ok(chosen)
}

fn unknown(what: &str, name: &str, ports: &[Port]) -> Problem {
    let known = ports.iter().map(|port| port.name).collect::<Vec<_>>().join(", ");
    Problem::invalid(name, format!("there is no {what} {name:?} here; there are {known}"))
}

/// Triton's clients give a request so many microseconds.
fn deadline(parameters: &Map<String, Value>) -> Result<Option<Duration>, Problem> {
    let Some(timeout) = parameters.get("timeout") else { return Ok(None) };
    let wrong = || Problem::invalid("timeout", "timeout should be a number of microseconds");
    timeout.as_u64().map(|micros| (micros > 0).then(|| Duration::from_micros(micros))).ok_or_else(wrong)
}

async fn in_time<T>(within: Option<Duration>, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let Some(within) = within else { return work.await };
    let late = || format!("there was no answer within the {} s of timeout", within.as_secs_f64());
    tokio::time::timeout(within, work).await.unwrap_or_else(|_| Err(Problem::new(Kind::Deadline, late())))
}

/// What is made of all recordings; one that fails fails the request, since a tensor has no place for an error.
async fn work(
    api: &Api,
    request: &HttpRequest,
    entry: &Entry,
    task: TaskKind,
    infer: &InferRequest,
) -> Result<Vec<(Transcript, Timestamps)>, Problem> {
    let batch = Batch::of(api, request, signature::inputs(task), infer)?;
    let work = (0..batch.count).map(|place| {
        let (batch, call) = (&batch, call(request, "oip", Some(entry.name.to_string()), None));
        async move {
            let (call, TaskRequest::Transcribe(task)) = batch.task(api, request, place, call?).await?;
            let timestamps = task.options.timestamps;
            Ok::<_, Problem>((api.service.transcribe(call, task).await?.whole().await?, timestamps))
        }
    });
    stream::iter(work).buffered(AT_ONCE).try_collect().await
}

/// The recordings of a request and what is said of them; each becomes a request of its own when its turn comes.
struct Batch {
    count: usize,
    recordings: Recordings,
    /// Beside the recordings: one element for all of them, or one for each.
    options: Vec<(String, Vec<String>)>,
    defaults: Fields,
}

/// Recordings as they came.
enum Recordings {
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
    fn of(api: &Api, request: &HttpRequest, ports: &[Port], infer: &InferRequest) -> Result<Self, Problem> {
        let recordings = recordings(infer, api.config.max_instances)?;
        let (count, defaults) = (recordings.count(), defaults(request, infer)?);
        Ok(Self { count, options: options(infer, ports, count)?, recordings, defaults })
    }

    /// What is to be done with one of the recordings.
    async fn task(
        &self,
        api: &Api,
        request: &HttpRequest,
        place: usize,
        call: Call,
    ) -> Result<(Call, TaskRequest), Problem> {
        let own = self.options.iter().map(|(name, texts)| (name.clone(), texts[place % texts.len()].clone()));
        let native = NativeRequest::read(fields::merge(fields::from_texts(own), self.defaults.clone()))?;
        let wait = native.common.wait.map(|seconds| wait::seconds("wait", seconds)).transpose()?;
        let call = Call { keep_alive: keep_alive(request, native.common.keep_alive), wait: wait.or(call.wait), ..call };
        Ok((call, TaskRequest::of(native, Some(self.recordings.take(api, place).await?))?))
    }
}

// === impl Recordings ===

impl Recordings {
    fn count(&self) -> usize {
        match self {
            Self::Files { elements, .. } => elements.len(),
            Self::Rows { floats, length, .. } => floats.len().div_ceil(*length),
        }
    }

    async fn take(&self, api: &Api, place: usize) -> Result<AudioInput, Problem> {
        match self {
            Self::Files { elements, encoded: true, .. } => {
                let (text, bodies) = (elements[place].clone(), api.bodies.clone());
                let decode = move || audio::from_base64(&String::from_utf8_lossy(&text), &bodies);
                Ok(api.parsers.run(elements[place].len(), decode).await??.into())
            }
            Self::Files { elements, hint, .. } => {
                Ok(Recording { bytes: elements[place].clone(), hint: hint.clone() }.into())
            }
            Self::Rows { floats, length, rate } => {
                let (start, rate) = (place * length, *rate);
                let row = floats.slice(start..floats.len().min(start + length));
                Ok(AudioInput::Samples(api.parsers.run(row.len(), move || samples(&row, rate)).await?))
            }
        }
    }
}

/// Little-endian.
fn samples(row: &[u8], rate: u32) -> Pcm {
    let sample = |bytes: &[u8]| bytes.try_into().map_or(0.0, f32::from_le_bytes);
    Pcm::new(row.chunks_exact(size_of::<f32>()).map(sample).collect(), rate)
}

/// What holds for all recordings: the parameters, and before them the query.
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

/// The inputs beside the recording: one element for all recordings, or one for each.
fn options(infer: &InferRequest, ports: &[Port], recordings: usize) -> Result<Vec<(String, Vec<String>)>, Problem> {
    let others = infer.inputs.iter().filter(|input| ![AUDIO, SAMPLES, SAMPLE_RATE].contains(&input.name.as_str()));
    let option = |input: &Tensor| {
        if !ports.iter().any(|port| port.name == input.name) {
            return Err(unknown("input", &input.name, ports));
        }
        let count = input.count();
        if count != 1 && count != recordings {
            let message = format!("has {count} elements for {recordings} recordings; send one, or one for each");
            return Err(wrong(&input.name, &message));
        }
        let texts = input.texts()?;
        Ok((input.name.clone(), texts))
    };
    others.map(option).collect()
}

fn recordings(infer: &InferRequest, most: usize) -> Result<Recordings, Problem> {
    let find = |name: &str| infer.inputs.iter().find(|input| input.name == name);
    let recordings = match (find(AUDIO), find(SAMPLES)) {
        (Some(audio), None) => {
            check_count(audio.count(), most)?;
            files(audio)?
        }
        (None, Some(samples)) => rows(samples, rate(infer, find(SAMPLE_RATE))?)?,
        (Some(_), Some(_)) => return Err(wrong(SAMPLES, "stands in place of audio; send the one or the other")),
        (None, None) => return Err(wrong(AUDIO, "is missing; send it, or samples")),
    };
    check_count(recordings.count(), most)?;
    Ok(recordings)
}

fn check_count(count: usize, most: usize) -> Result<(), Problem> {
    match count {
        0 => Err(wrong(AUDIO, "holds no recording")),
        _ if count > most => {
            let message = format!("there are {count} recordings; `limits.max_instances` allows {most} in a request");
            Err(Problem::new(Kind::TooLarge, message).about(AUDIO))
        }
        _ => Ok(()),
    }
}

/// Files as they are; base64 where the request says so, and in JSON, which cannot hold them otherwise.
fn files(input: &Tensor) -> Result<Recordings, Problem> {
    let encoded = input.is_json() || input.content_type.as_deref() == Some("base64");
    let hint = input.content_type.clone().filter(|content_type| content_type != "base64");
    Ok(Recordings::Files { elements: input.blobs()?, encoded, hint })
}

/// `[samples]` or `[recordings, samples]`, each nominally from -1 to 1.
fn rows(input: &Tensor, rate: u32) -> Result<Recordings, Problem> {
    let floats = input.floats()?;
    let length = match input.shape.as_slice() {
        [samples] | [_, samples] if *samples > 0 => *samples,
        shape => {
            let message = format!("has the shape {shape:?}; [samples] or [recordings, samples] would be right");
            return Err(wrong(SAMPLES, &message));
        }
    };
    // The length is at most that of the data, whatever the shape says of no data at all.
    Ok(Recordings::Rows { floats, length: length.saturating_mul(size_of::<f32>()), rate })
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
