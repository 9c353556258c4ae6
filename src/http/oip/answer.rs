//! The answer to an inference request: JSON, and behind it what was wanted as bytes.

use actix_web::HttpResponse;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    made::{Row, Rows, longest},
    signature::{AUDIO, LENGTHS, Port},
    tensor::Datatype,
};
use crate::{
    audio::{Pcm, encode_wav},
    http::native::prediction::segments,
    speech::{Timestamps, Transcript, Warning},
};

/// Length of the JSON in front of the tensors. 0: the whole body is the recording.
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";

/// An answer.
pub(super) struct InferAnswer {
    pub model: String,
    pub version: Option<String>,
    pub id: String,
    pub warnings: Vec<RowWarning>,
    pub outputs: Vec<OutputTensor>,
}

/// What was amiss with one of the recordings.
#[derive(Serialize)]
pub(super) struct RowWarning {
    /// Which one, as in the outputs.
    row: usize,
    #[serde(flatten)]
    warning: Warning,
}

/// An output: one element, or one row, per recording or text.
pub(super) struct OutputTensor {
    name: &'static str,
    data: Data,
    binary: bool,
}

enum Data {
    Texts(Vec<String>),
    Doubles(Vec<f64>),
    /// As many in each row.
    Floats {
        rows: usize,
        floats: Vec<f32>,
    },
    Longs(Vec<i64>),
    Integers(Vec<i32>),
    /// base64 in JSON, which cannot hold them otherwise.
    Files(Vec<Vec<u8>>),
}

/// The JSON of an answer.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct InferResponse {
    model_name: String,
    /// The revision that serves, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<String>,
    id: String,
    /// `warnings`, where something was amiss with a recording: JSON in a text, since the protocol has no lists here. Each is
    /// `{"row", "code", "message"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    outputs: Vec<ResponseOutput>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ResponseOutput {
    name: &'static str,
    datatype: Datatype,
    #[schema(example = json!([1]))]
    shape: Vec<usize>,
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
        let parameters = (!self.warnings.is_empty()).then(|| json!({"warnings": json!(self.warnings).to_string()}));
        let mut rest = Vec::new();
        let any_binary = self.outputs.iter().any(|output| output.binary);
        let outputs = self.outputs.into_iter().map(|output| output.write(&mut rest)).collect();
        let (model_name, model_version) = (self.model, self.version);
        let answer = InferResponse { model_name, model_version, id: self.id, parameters, outputs };
        if !any_binary {
            return HttpResponse::Ok().json(answer);
        }
        let mut body = json!(answer).to_string().into_bytes();
        let length = (JSON_LENGTH, body.len().to_string());
        body.append(&mut rest);
        HttpResponse::Ok().content_type("application/octet-stream").insert_header(length).body(body)
    }
}

// === impl RowWarning ===

impl RowWarning {
    /// Those of all recordings.
    pub fn of(rows: &Rows) -> Vec<Self> {
        let Rows::Texts(transcripts) = rows else { return Vec::new() };
        let rows = transcripts.iter().enumerate();
        rows.flat_map(|(row, (transcript, _))| {
            transcript.warnings.iter().map(move |warning| Self { row, warning: warning.clone() })
        })
        .collect()
    }
}

// === impl OutputTensor ===

impl OutputTensor {
    pub fn of(port: &'static Port, binary: bool, rows: &Rows) -> Self {
        let data = match rows {
            Rows::Texts(transcripts) => Data::of_texts(port, transcripts),
            Rows::Sounds { rows, .. } => Data::of_sounds(port, rows),
        };
        Self { name: port.name, data, binary }
    }

    /// The part in the JSON; what is binary goes to `rest`.
    fn write(self, rest: &mut Vec<u8>) -> ResponseOutput {
        let (datatype, shape) = (self.data.datatype(), self.data.shape());
        let before = rest.len();
        if self.binary {
            self.data.append(rest);
        }
        let parameters = self.binary.then(|| json!({"binary_data_size": rest.len() - before}));
        let data = (!self.binary).then(|| self.data.json());
        ResponseOutput { name: self.name, datatype, shape, parameters, data }
    }
}

// === impl Data ===

impl Data {
    fn of_texts(port: &Port, transcripts: &[(Transcript, Timestamps)]) -> Self {
        let text = |(transcript, timestamps): &(Transcript, Timestamps)| match port.name {
            "language" => transcript.summary.language.clone(),
            "segments" => segments(transcript, *timestamps).to_string(),
            _ => transcript.text(),
        };
        match port.datatype {
            Datatype::Fp64 => {
                Self::Doubles(transcripts.iter().map(|(transcript, _)| transcript.summary.duration).collect())
            }
            _ => Self::Texts(transcripts.iter().map(text).collect()),
        }
    }

    fn of_sounds(port: &Port, sounds: &[Row]) -> Self {
        match port.name {
            AUDIO => Self::Floats { rows: sounds.len(), floats: padded(sounds) },
            LENGTHS => Self::Longs(sounds.iter().map(|row| row.samples.len() as i64).collect()),
            _ if port.datatype == Datatype::Int32 => {
                Self::Integers(sounds.iter().map(|row| i32::try_from(row.rate).unwrap_or(i32::MAX)).collect())
            }
            _ => Self::Files(sounds.iter().map(|row| encode_wav(&Pcm::new(row.samples.clone(), row.rate))).collect()),
        }
    }

    fn datatype(&self) -> Datatype {
        match self {
            Self::Texts(_) | Self::Files(_) => Datatype::Bytes,
            Self::Doubles(_) => Datatype::Fp64,
            Self::Floats { .. } => Datatype::Fp32,
            Self::Longs(_) => Datatype::Int64,
            Self::Integers(_) => Datatype::Int32,
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Texts(texts) => vec![texts.len()],
            Self::Doubles(doubles) => vec![doubles.len()],
            Self::Floats { rows, floats } => vec![*rows, floats.len() / rows.max(&1)],
            Self::Longs(longs) => vec![longs.len()],
            Self::Integers(integers) => vec![integers.len()],
            Self::Files(files) => vec![files.len()],
        }
    }

    /// Row after row.
    fn json(&self) -> Value {
        match self {
            Self::Texts(texts) => json!(texts),
            Self::Doubles(doubles) => json!(doubles),
            Self::Floats { floats, .. } => json!(floats),
            Self::Longs(longs) => json!(longs),
            Self::Integers(integers) => json!(integers),
            Self::Files(files) => files.iter().map(|file| BASE64_STANDARD.encode(file)).collect(),
        }
    }

    fn append(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Doubles(doubles) => bytes.extend(doubles.iter().flat_map(|double| double.to_le_bytes())),
            Self::Floats { floats, .. } => bytes.extend(floats.iter().flat_map(|float| float.to_le_bytes())),
            Self::Longs(longs) => bytes.extend(longs.iter().flat_map(|long| long.to_le_bytes())),
            Self::Integers(integers) => bytes.extend(integers.iter().flat_map(|integer| integer.to_le_bytes())),
            Self::Texts(texts) => texts.iter().for_each(|text| append_element(text.as_bytes(), bytes)),
            Self::Files(files) => files.iter().for_each(|file| append_element(file, bytes)),
        }
    }
}

/// Of BYTES.
fn append_element(element: &[u8], bytes: &mut Vec<u8>) {
    // Nothing of ours is as long as 4 GiB.
    bytes.extend(u32::try_from(element.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(element);
}

/// Row after row, all of them as long as the longest, with silence behind.
fn padded(sounds: &[Row]) -> Vec<f32> {
    let longest = longest(sounds);
    let mut floats = Vec::with_capacity(sounds.len() * longest);
    for row in sounds {
        floats.extend_from_slice(&row.samples);
        floats.resize(floats.len() + longest - row.samples.len(), 0.0);
    }
    floats
}
