//! Numbers by chance, given to a network instead of drawn by it.
//!
//! ONNX Runtime draws them itself, by a generator that neither a session nor a run can be given a seed for: its interface has
//! none (a seed can only stand in the file, and then holds for all runs together). So each step that draws is replaced by
//! steps that take as many numbers as they need from an input of the network, from its beginning again where it ends.

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::header::{Draw, Header};
use crate::families::{
    normal,
    protobuf::{self, Damaged, Fields, Value},
};

/// Numbers of an input, at most: 4 MB of them.
const MOST: usize = 1 << 20;
/// Where `CastLike` and what else is used here is known.
const OPSET: u64 = 15;
/// Constants that the steps use.
const ZERO: &str = "sconce.zero";
const ONE: &str = "sconce.one";
const INT64: u64 = 7;
const FLOAT: u64 = 1;

/// An input that takes noise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noise {
    pub input: String,
    normal: bool,
}

/// A file that is given its noise, and which.
type Seedable = (Vec<u8>, Vec<Noise>);

/// The file with inputs in the place of what draws, and those inputs; `None`: nothing draws, or what does cannot be replaced.
pub fn replaced(file: &Bytes, header: &Header) -> Result<Option<Seedable>, Damaged> {
    let possible = header.opset >= OPSET && header.draws.iter().all(|draw| draw.is_plain);
    if header.draws.is_empty() || !possible {
        return Ok(None);
    }
    let noises: Vec<Noise> = (0..).zip(&header.draws).map(|(at, draw)| Noise::of(at, draw)).collect();
    let (mut model, mut graph) = (Vec::new(), Vec::new());
    for field in Fields::of(file.clone()) {
        match field? {
            (7, message) => graph = kept(message.message()?, header)?,
            (field, value) => protobuf::write(&mut model, field, &value)?,
        }
    }
    for (draw, noise) in header.draws.iter().zip(&noises) {
        noise.steps(draw).iter().for_each(|step| graph.push((1, Value::Bytes(step.clone().into()))));
        graph.push((11, Value::Bytes(noise.declared().into())));
    }
    for (name, value) in [(ZERO, 0), (ONE, 1_i64)] {
        graph.push((5, Value::Bytes(constant(name, value).into())));
    }
    // Its length stands before it, and it is most of the file: it is written but once.
    let mut length = 0;
    for (field, value) in &graph {
        let mut head = Vec::new();
        match value {
            Value::Bytes(bytes) => {
                protobuf::write_head(&mut head, *field, bytes.len());
                length += head.len() + bytes.len();
            }
            other => {
                protobuf::write(&mut head, *field, other)?;
                length += head.len();
            }
        }
    }
    model.reserve_exact(length + 16);
    protobuf::write_head(&mut model, 7, length);
    graph.iter().try_for_each(|(field, value)| protobuf::write(&mut model, *field, value))?;
    Ok(Some((model, noises)))
}

/// The fields of a graph but for the steps that draw.
fn kept(fields: Fields, header: &Header) -> Result<Vec<(u64, Value)>, Damaged> {
    let (mut kept, mut node) = (Vec::new(), 0);
    for field in fields {
        let (number, value) = field?;
        let is_node = number == 1;
        if !(is_node && header.draws.iter().any(|draw| draw.node == node)) {
            kept.push((number, value));
        }
        node += usize::from(is_node);
    }
    Ok(kept)
}

// === impl Noise ===

impl Noise {
    fn of(at: usize, draw: &Draw) -> Self {
        Self { input: format!("sconce.noise.{at}"), normal: draw.normal }
    }

    /// So many numbers, but no more than [`MOST`], by a seed: `[count]`. Inputs of one network have others each.
    pub fn numbers(&self, at: usize, seed: u64, count: usize) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(32) ^ at as u64);
        let mut numbers = vec![0.0; count.clamp(2, MOST)];
        match self.normal {
            true => normal::fill(&mut rng, &mut numbers),
            false => numbers.iter_mut().for_each(|number| *number = rng.random()),
        }
        numbers
    }

    /// Number `i` of what is drawn is number `i mod n` of the input.
    fn steps(&self, draw: &Draw) -> Vec<Vec<u8>> {
        let name = |of: &str| format!("{}.{of}", self.input);
        let last = if draw.is_f32 { draw.output.clone() } else { name("shaped") };
        let mut steps = vec![
            step("Size", &[&draw.like], &name("count")),
            step("Size", &[&self.input], &name("length")),
            step("Range", &[ZERO, &name("count"), ONE], &name("places")),
            step("Mod", &[&name("places"), &name("length")], &name("within")),
            step("Gather", &[&self.input, &name("within")], &name("taken")),
            step("Shape", &[&draw.like], &name("shape")),
            step("Reshape", &[&name("taken"), &name("shape")], &last),
        ];
        if !draw.is_f32 {
            steps.push(step("CastLike", &[&last, &draw.like], &draw.output));
        }
        steps
    }

    /// A `ValueInfoProto`: f32, `[n]`.
    fn declared(&self) -> Vec<u8> {
        let message = |field: u64, inner: &[u8]| {
            let mut message = Vec::new();
            protobuf::write_bytes(&mut message, field, inner);
            message
        };
        let dimension = message(2, format!("{}.n", self.input).as_bytes());
        let mut tensor = integer(1, FLOAT);
        tensor.extend(message(2, &message(1, &dimension)));
        let mut declared = message(1, self.input.as_bytes());
        declared.extend(message(2, &message(1, &tensor)));
        declared
    }
}

/// A `NodeProto`.
fn step(kind: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut node = Vec::new();
    inputs.iter().for_each(|input| protobuf::write_bytes(&mut node, 1, input.as_bytes()));
    protobuf::write_bytes(&mut node, 2, output.as_bytes());
    protobuf::write_bytes(&mut node, 3, output.as_bytes());
    protobuf::write_bytes(&mut node, 4, kind.as_bytes());
    node
}

/// A `TensorProto` that is one whole number.
fn constant(name: &str, value: i64) -> Vec<u8> {
    let mut tensor = integer(2, INT64);
    protobuf::write_bytes(&mut tensor, 8, name.as_bytes());
    protobuf::write_bytes(&mut tensor, 9, &value.to_le_bytes());
    tensor
}

fn integer(field: u64, value: u64) -> Vec<u8> {
    let mut message = Vec::new();
    // Only what is `Long` cannot be written.
    let _ = protobuf::write(&mut message, field, &Value::Integer(value));
    message
}
