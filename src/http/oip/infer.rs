//! `POST /v2/models/{model}/infer`: a batch of recordings or texts in, a tensor per kind of answer out.

use std::{future::Future, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};

use super::{
    address::Address,
    answer::{InferAnswer, JSON_LENGTH, OutputTensor, RowWarning},
    batch::Batch,
    made::{Making, Rows},
    models,
    request::InferRequest,
    signature::{self, AUDIO, Port, TEXT},
    tensor::Tensor,
};
use crate::{
    catalog::Entry,
    http::{
        api::Api,
        body::{self, Shape},
        call::call,
        problem::Problem,
        request_id::RequestId,
    },
    speech::{Kind, TaskKind},
};

/// Recordings or texts of one request that are worked on at once.
const AT_ONCE: usize = 8;

/// Transcribe recordings, speak texts, convert voices: what the model does.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    operation_id = "infer",
    tag = "Open Inference Protocol",
    params(
        ("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`"),
        ("inference-header-content-length" = Option<u64>, Header, description = "Length of the JSON, if tensors \
            follow it as bytes; 0: the whole body is one recording, or one text"),
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
    let task = task(&entry, &infer);
    api.service.check("oip", Some(entry.name.as_str()), task)?;
    let chosen = chosen(&infer, signature::outputs(task))?;
    let within = deadline(&infer.parameters)?;
    let making = Making::of(&chosen);
    let rows = in_time(within, work(api, request, &entry, task, &infer, making)).await?;
    let outputs = chosen.into_iter().map(|(port, binary)| OutputTensor::of(port, binary, &rows)).collect();
    let (id, warnings) = (infer.id.unwrap_or_else(|| RequestId::of(request)), RowWarning::of(&rows));
    let (model, version) = (entry.slug.clone(), models::version(api, &entry));
    Ok(InferAnswer { model, version, id, warnings, outputs }.respond())
}

/// What a model is asked to do, by what is sent and by what it does.
fn task(entry: &Entry, infer: &InferRequest) -> TaskKind {
    let does = entry.tasks().unwrap_or(&TaskKind::ALL);
    let asked: &[TaskKind] = match infer.inputs.iter().any(|input| input.name == TEXT) {
        true => &[TaskKind::Synthesize],
        false => &[TaskKind::Transcribe, TaskKind::Convert],
    };
    // If it does nothing of it, it is the service that says so.
    *asked.iter().find(|task| does.contains(task)).unwrap_or(&asked[0])
}

/// The request with its tensors, or one made of a raw recording or text.
async fn read(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<InferRequest, Problem> {
    let length = json_length(request)?;
    let body = body::read_unseen(request, payload, api).await?;
    let size = body.bytes.len();
    if length == Some(0) {
        let name = if let Shape::Text = body.shape() { TEXT } else { AUDIO };
        let hint = body.media_type.as_ref().filter(|_| body.is_sound()).map(ToString::to_string);
        let input = Tensor::raw(name, body.bytes, hint);
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
        return Ok(ports.iter().filter(|port| !port.optional).map(|port| (port, infer.binary)).collect());
    }
    let find = |name: &str| {
        ports.iter().find(|port| port.name == name).ok_or_else(|| signature::unknown("output", name, ports))
    };
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

/// What is made of all recordings or texts; one that fails fails the request, since a tensor has no place for an error.
async fn work(
    api: &Api,
    request: &HttpRequest,
    entry: &Entry,
    task: TaskKind,
    infer: &InferRequest,
    making: Making,
) -> Result<Rows, Problem> {
    let batch = Batch::of(api, request, signature::inputs(task), infer)?;
    let work = (0..batch.count).map(|place| {
        let (batch, call) = (&batch, call(request, "oip", Some(entry.name.to_string()), None));
        async move {
            let (call, task) = batch.task(api, request, place, call?).await?;
            making.make(&api.service, call, task).await
        }
    });
    let made = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    making.rows(&api.service, made)
}
