//! An inference request: JSON, and what follows it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tensor::{InputHeader, Tensor};
use crate::{
    http::{body::parsed, json::Counted, problem::Problem},
    service::{MemoryBudget, MemoryShare},
    speech::Kind,
};

/// The JSON of a request.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct InferHeader {
    /// Comes back in the answer.
    pub id: Option<String>,
    /// What an instance on `/predict` may hold beside its audio, for all recordings, and `binary_data_output`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    pub inputs: Vec<InputHeader>,
    /// All, if absent.
    #[serde(default)]
    pub outputs: Vec<OutputHeader>,
}

/// An output that is wanted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct OutputHeader {
    pub name: String,
    /// `binary_data`: behind the JSON of the answer rather than in it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}

/// A request, understood as far as the protocol goes.
#[derive(Debug)]
pub(super) struct InferRequest {
    pub id: Option<String>,
    pub parameters: Map<String, Value>,
    pub inputs: Vec<Tensor>,
    /// The outputs that are wanted; all, if empty.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs that do not say otherwise are binary.
    pub binary: bool,
    /// Of what was made of the body's JSON.
    pub _memory: Option<MemoryShare>,
}

/// An output that is wanted, by name.
#[derive(Debug, PartialEq)]
pub(super) struct RequestedOutput {
    pub name: String,
    pub binary: bool,
}

// === impl InferRequest ===

impl InferRequest {
    /// [`Self::read`], if there are no more than `most` values in the JSON and room for them among the bodies.
    pub fn read_within(body: Bytes, json: Option<usize>, most: usize, bodies: &MemoryBudget) -> Result<Self, Problem> {
        let length = json.unwrap_or(body.len()).min(body.len());
        let mut memory = parsed(&body[..length], Counted::ButTensors, most, bodies)?;
        // Numbers of two letters become four bytes, and what they are gathered in has room for as many again.
        memory.resize(length.saturating_mul(4))?;
        Ok(Self { _memory: Some(memory), ..Self::read(body, json)? })
    }

    /// `json` is the length of the JSON in front of the tensors; the whole body, if absent.
    pub fn read(mut body: Bytes, json: Option<usize>) -> Result<Self, Problem> {
        let length = json.unwrap_or(body.len());
        if length > body.len() {
            let message = format!("Inference-Header-Content-Length is {length}, and the body has {}", body.len());
            return Err(Problem::new(Kind::Invalid, message));
        }
        let header = serde_json::from_slice(&body.split_to(length)).map_err(malformed)?;
        Self::of(header, body)
    }

    fn of(header: InferHeader, mut rest: Bytes) -> Result<Self, Problem> {
        let InferHeader { id, parameters, inputs, outputs } = header;
        let inputs: Vec<_> =
            inputs.into_iter().map(|input| Tensor::read(input, &mut rest)).collect::<Result<_, _>>()?;
        if let Some(twice) = repeated(&inputs) {
            return Err(Problem::invalid(twice, format!("there are two inputs {twice}; send one")));
        }
        if !rest.is_empty() {
            let message = format!("{} bytes are left after the last input", rest.len());
            return Err(Problem::invalid("inputs", message));
        }
        let binary = flag(&parameters, "binary_data_output")?.unwrap_or(false);
        let outputs =
            outputs.into_iter().map(|output| RequestedOutput::of(output, binary)).collect::<Result<_, _>>()?;
        Ok(Self { id, parameters, inputs, outputs, binary, _memory: None })
    }
}

// === impl RequestedOutput ===

impl RequestedOutput {
    fn of(output: OutputHeader, otherwise: bool) -> Result<Self, Problem> {
        let OutputHeader { name, parameters } = output;
        if let Some(unserved) =
            ["classification", "shared_memory_region"].iter().find(|key| parameters.contains_key(**key))
        {
            let message = format!("the output {name} asks for {unserved}, which is not served; leave it out");
            return Err(Problem::new(Kind::Unsupported, message).about("outputs"));
        }
        Ok(Self { binary: flag(&parameters, "binary_data")?.unwrap_or(otherwise), name })
    }
}

fn repeated(inputs: &[Tensor]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    inputs.iter().map(|input| input.name.as_str()).find(|name| !seen.insert(*name))
}

fn flag(parameters: &Map<String, Value>, name: &str) -> Result<Option<bool>, Problem> {
    let wrong = || Problem::invalid(name, format!("{name} should be true or false"));
    parameters.get(name).map(|value| value.as_bool().ok_or_else(wrong)).transpose()
}

fn malformed(error: serde_json::Error) -> Problem {
    let message = format!(
        "the body is not the JSON of an inference request: {error} (a recording as it is needs the header \
         Inference-Header-Content-Length: 0)"
    );
    Problem::new(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A request with its tensors behind it.
    fn body(header: &Value, rest: &[u8]) -> (Bytes, usize) {
        let json = header.to_string();
        ([json.as_bytes(), rest].concat().into(), json.len())
    }

    fn audio(size: usize) -> Value {
        json!({"name": "audio", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}})
    }

    #[test]
    fn tensors_follow_the_json_in_the_order_of_the_inputs() {
        let rate =
            json!({"name": "sample_rate", "shape": [1], "datatype": "INT32", "parameters": {"binary_data_size": 4}});
        let outputs = json!([{"name": "text"}, {"name": "duration", "parameters": {"binary_data": false}}]);
        let parameters = json!({"binary_data_output": true, "language": "en"});
        let header = json!({"id": "7", "inputs": [audio(6), rate], "outputs": outputs, "parameters": parameters});
        let (body, json) = body(&header, b"\x02\0\0\0hi\x40\x1F\0\0");
        let infer = InferRequest::read(body, Some(json)).unwrap();
        assert_eq!(infer.id.as_deref(), Some("7"));
        assert_eq!(infer.inputs[0].blobs().unwrap(), ["hi"]);
        assert_eq!(infer.inputs[1].texts().unwrap(), ["8000"]);
        let wanted = |name: &str, binary| RequestedOutput { name: name.to_owned(), binary };
        assert_eq!(infer.outputs, [wanted("text", true), wanted("duration", false)]);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let message = |header: &Value, rest: &[u8], more: usize| {
            let (body, json) = body(header, rest);
            format!("{:?}", InferRequest::read(body, Some(json + more)).unwrap_err())
        };
        assert!(message(&json!({"inputs": []}), b"", 1).contains("Inference-Header-Content-Length"));
        assert!(message(&json!({"inputs": [audio(6)]}), b"\x02\0\0\0h", 0).contains("5 bytes are left"));
        assert!(message(&json!({"inputs": [audio(6)]}), b"\x02\0\0\0hi!", 0).contains("1 bytes are left after"));
        assert!(
            message(&json!({"inputs": [audio(6)], "parameters": {"binary_data_output": 1}}), b"\x02\0\0\0hi", 0)
                .contains("true or false")
        );
        let classes = json!([{"name": "text", "parameters": {"classification": 3}}]);
        assert!(
            message(&json!({"inputs": [audio(6)], "outputs": classes}), b"\x02\0\0\0hi", 0).contains("classification")
        );
        assert!(message(&json!([]), b"", 0).contains("Inference-Header-Content-Length: 0"));
    }
}
