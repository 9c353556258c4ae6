//! What a model takes and gives, as tensors: said once, for the metadata, the checks and the answers.

use serde_json::{Value, json};

use super::tensor::Datatype;
use crate::{http::problem::Problem, speech::TaskKind};

/// An input or an output.
pub(super) struct Port {
    pub name: &'static str,
    pub datatype: Datatype,
    /// -1 is a side of any length; the first one counts recordings or texts.
    shape: &'static [i64],
    /// Of an input: it may be left out. Of an output: it is there only if it is named.
    pub optional: bool,
}

/// What is to be spoken.
pub(super) const TEXT: &str = "text";

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
    optional("channels", Datatype::Bytes, EACH),
    optional("track", Datatype::Bytes, EACH),
    optional("options", Datatype::Bytes, EACH),
];

const TRANSCRIBE_OUTPUTS: &[Port] = &[
    needed("text", Datatype::Bytes, EACH),
    needed("language", Datatype::Bytes, EACH),
    needed("duration", Datatype::Fp64, EACH),
    needed("segments", Datatype::Bytes, EACH),
];

const SYNTHESIZE_INPUTS: &[Port] = &[
    needed(TEXT, Datatype::Bytes, EACH),
    optional("voice", Datatype::Bytes, EACH),
    optional("language", Datatype::Bytes, EACH),
    optional("speed", Datatype::Fp32, EACH),
    optional("instructions", Datatype::Bytes, EACH),
    optional("input_type", Datatype::Bytes, EACH),
    optional("normalize", Datatype::Bool, EACH),
    optional("normalize_loudness", Datatype::Bool, EACH),
    optional("options", Datatype::Bytes, EACH),
];

const CONVERT_INPUTS: &[Port] = &[
    needed(AUDIO, Datatype::Bytes, EACH),
    optional(SAMPLES, Datatype::Fp32, &[-1, -1]),
    optional(SAMPLE_RATE, Datatype::Int32, &[1]),
    optional("voice", Datatype::Bytes, EACH),
    optional("options", Datatype::Bytes, EACH),
];

/// Of sound at the model's own rate, a row each, the shorter ones with silence behind them.
const SOUND_OUTPUTS: &[Port] = &[
    needed(AUDIO, Datatype::Fp32, &[-1, -1]),
    needed(LENGTHS, Datatype::Int64, EACH),
    needed(SAMPLE_RATE, Datatype::Int32, EACH),
    optional(WAV, Datatype::Bytes, EACH),
];

/// Samples of each row of sound.
pub(super) const LENGTHS: &str = "lengths";
/// The same sound as a file.
pub(super) const WAV: &str = "wav";

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
        TaskKind::Synthesize => SYNTHESIZE_INPUTS,
        TaskKind::Convert => CONVERT_INPUTS,
    }
}

pub(super) fn outputs(task: TaskKind) -> &'static [Port] {
    match task {
        TaskKind::Transcribe => TRANSCRIBE_OUTPUTS,
        TaskKind::Synthesize | TaskKind::Convert => SOUND_OUTPUTS,
    }
}

/// The ports of one side over all tasks of a model, each once; what one of the tasks does without is optional.
pub(super) fn described(tasks: &[TaskKind], ports: fn(TaskKind) -> &'static [Port]) -> Vec<Value> {
    let mut seen: Vec<&Port> = Vec::new();
    for port in tasks.iter().flat_map(|task| ports(*task)) {
        if !seen.iter().any(|other| other.name == port.name) {
            seen.push(port);
        }
    }
    let needed = |port: &Port| {
        tasks.iter().all(|task| ports(*task).iter().any(|other| other.name == port.name && !other.optional))
    };
    seen.into_iter().map(|port| port.metadata(!needed(port))).collect()
}

/// The refusal of a port that is not among these.
pub(super) fn unknown(what: &str, name: &str, ports: &[Port]) -> Problem {
    let known = ports.iter().map(|port| port.name).collect::<Vec<_>>().join(", ");
    Problem::invalid(name, format!("there is no {what} {name:?} here; there are {known}"))
}

// === impl Port ===

impl Port {
    fn metadata(&self, optional: bool) -> Value {
        let mut value = json!({"name": self.name, "datatype": self.datatype, "shape": self.shape});
        if optional {
            value["parameters"] = json!({"optional": true});
        }
        value
    }
}
