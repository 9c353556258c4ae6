//! What a model takes and gives, as tensors: said once, for the metadata, the checks and the answers.

use serde_json::{Value, json};

use super::tensor::Datatype;
use crate::speech::TaskKind;

/// An input or an output.
pub(super) struct Port {
    pub name: &'static str,
    pub datatype: Datatype,
    /// -1 is a side of any length; the first one counts recordings.
    shape: &'static [i64],
    optional: bool,
}

/// The recording as a file of any format.
pub(super) const AUDIO: &str = "audio";
/// The recording as samples, one row per recording.
pub(super) const SAMPLES: &str = "samples";
/// Of [`SAMPLES`], in hertz.
pub(super) const SAMPLE_RATE: &str = "sample_rate";

const EACH: &[i64] = &[-1];

const TRANSCRIBE_INPUTS: &[Port] = &[
    needed(AUDIO, Datatype::Bytes, EACH),
    optional(SAMPLES, Datatype::Fp32, &[-1, -1]),
    optional(SAMPLE_RATE, Datatype::Int32, &[1]),
    optional("language", Datatype::Bytes, EACH),
    optional("task", Datatype::Bytes, EACH),
    optional("prompt", Datatype::Bytes, EACH),
    optional("temperature", Datatype::Fp32, EACH),
    optional("timestamps", Datatype::Bytes, EACH),
    optional("options", Datatype::Bytes, EACH),
];

const TRANSCRIBE_OUTPUTS: &[Port] = &[
    needed("text", Datatype::Bytes, EACH),
    needed("language", Datatype::Bytes, EACH),
    needed("duration", Datatype::Fp64, EACH),
    needed("segments", Datatype::Bytes, EACH),
];

const fn needed(name: &'static str, datatype: Datatype, shape: &'static [i64]) -> Port {
    Port { name, datatype, shape, optional: false }
}

const fn optional(name: &'static str, datatype: Datatype, shape: &'static [i64]) -> Port {
    Port { name, datatype, shape, optional: true }
}

/// What can be sent for a task. [`SAMPLES`] stand in place of [`AUDIO`].
pub(super) fn inputs(task: TaskKind) -> &'static [Port] {
    match task {
        TaskKind::Transcribe => TRANSCRIBE_INPUTS,
        // A model that does nothing else cannot be asked over this protocol.
        TaskKind::Synthesize | TaskKind::Convert => &[],
    }
}

pub(super) fn outputs(task: TaskKind) -> &'static [Port] {
    match task {
        TaskKind::Transcribe => TRANSCRIBE_OUTPUTS,
        TaskKind::Synthesize | TaskKind::Convert => &[],
    }
}

// === impl Port ===

impl Port {
    pub fn metadata(&self) -> Value {
        let mut value = json!({"name": self.name, "datatype": self.datatype, "shape": self.shape});
        if self.optional {
            value["parameters"] = json!({"optional": true});
        }
        value
    }
}
