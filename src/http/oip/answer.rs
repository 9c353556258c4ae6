//! The answer to an inference request: JSON, and behind it what was wanted as bytes.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Value, json};

use super::{signature::Port, tensor::Datatype};
use crate::{
    http::native::prediction::segments,
    speech::{Timestamps, Transcript},
};

/// Length of the JSON in front of the tensors. 0: the whole body is the recording.
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";

/// An answer.
pub(super) struct InferAnswer {
    pub model: String,
    pub version: Option<String>,
    pub id: String,
    pub outputs: Vec<OutputTensor>,
}

/// An output: one element per recording.
pub(super) struct OutputTensor {
    name: &'static str,
    data: Data,
    binary: bool,
}

enum Data {
    Texts(Vec<String>),
    Doubles(Vec<f64>),
}

/// The JSON of an answer.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct InferResponse {
    model_name: String,
    /// The revision that serves, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<String>,
    id: String,
    outputs: Vec<ResponseOutput>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ResponseOutput {
    name: &'static str,
    datatype: Datatype,
    shape: [usize; 1],
    /// `binary_data_size`, of an output that is behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Value>>)]
    data: Option<Value>,
}

// === impl InferAnswer ===

impl InferAnswer {
    pub fn respond(self) -> HttpResponse {
        let mut rest = Vec::new();
        let any_binary = self.outputs.iter().any(|output| output.binary);
        let outputs = self.outputs.into_iter().map(|output| output.write(&mut rest)).collect();
        let answer = InferResponse { model_name: self.model, model_version: self.version, id: self.id, outputs };
        if !any_binary {
            return HttpResponse::Ok().json(answer);
        }
        let mut body = json!(answer).to_string().into_bytes();
        let length = (JSON_LENGTH, body.len().to_string());
        body.append(&mut rest);
        HttpResponse::Ok().content_type("application/octet-stream").insert_header(length).body(body)
    }
}

// === impl OutputTensor ===

impl OutputTensor {
    pub fn of(port: &'static Port, binary: bool, transcripts: &[(Transcript, Timestamps)]) -> Self {
        let text = |(transcript, timestamps): &(Transcript, Timestamps)| match port.name {
            "language" => transcript.summary.language.clone(),
            "segments" => segments(transcript, *timestamps).to_string(),
            _ => transcript.text(),
        };
        let data = match port.datatype {
            Datatype::Fp64 => {
                Data::Doubles(transcripts.iter().map(|(transcript, _)| transcript.summary.duration).collect())
            }
            _ => Data::Texts(transcripts.iter().map(text).collect()),
        };
        Self { name: port.name, data, binary }
    }

    /// The part in the JSON; what is binary goes to `rest`.
    fn write(self, rest: &mut Vec<u8>) -> ResponseOutput {
        let (datatype, count, data) = match &self.data {
            Data::Texts(texts) => (Datatype::Bytes, texts.len(), json!(texts)),
            Data::Doubles(doubles) => (Datatype::Fp64, doubles.len(), json!(doubles)),
        };
        let before = rest.len();
        if self.binary {
            self.data.append(rest);
        }
        let parameters = self.binary.then(|| json!({"binary_data_size": rest.len() - before}));
        ResponseOutput { name: self.name, datatype, shape: [count], parameters, data: (!self.binary).then_some(data) }
    }
}

// === impl Data ===

impl Data {
    fn append(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Doubles(doubles) => bytes.extend(doubles.iter().flat_map(|double| double.to_le_bytes())),
            Self::Texts(texts) => {
                for text in texts {
                    // No text of ours is as long as 4 GiB.
                    bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
    }
}
