//! The weights in a file of ONNX, and as much of its graph as says what they are for (onnx.ai/onnx/repo-docs/IR.html;
//! the numbers of fields are those of `onnx.proto`).

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use crate::families::protobuf::{Damaged, Fields, Value};

/// Bytes of a file: eight times what Hibari's have.
const MOST_BYTES: usize = 64 << 20;

/// Steps of a graph: twenty times as many as Hibari's has.
const MOST_NODES: usize = 1 << 15;

const FLOAT: i64 = 1;
const INT8: i64 = 3;

/// Steps between a product and the bias that is added to it: its type and its scale.
const LONGEST_WAY: usize = 4;

/// A graph with the numbers that it holds.
#[derive(Debug, Default)]
pub struct Graph {
    /// By name. Of the types `float` and `int8`; what is quantised is no more.
    pub tensors: BTreeMap<String, Tensor>,
    pub nodes: Vec<Node>,
}

/// Numbers, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub numbers: Vec<f32>,
}

/// A step of the computation.
#[derive(Debug, Default)]
pub struct Node {
    pub kind: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// Of a convolution, one for each axis.
    pub dilations: Vec<i64>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error("it is larger than {MOST_BYTES} bytes")]
    Large,
    #[error("it has more than {MOST_NODES} steps")]
    Long,
    #[error("{0} has other numbers than its shape says")]
    Shape(String),
    #[error("{0} is quantised, but not by one factor around 0")]
    Quantised(String),
}

// === impl Graph ===

impl Graph {
    pub fn open(file: Bytes) -> Result<Self, OnnxError> {
        if file.len() > MOST_BYTES {
            return Err(OnnxError::Large);
        }
        let mut graph = Self::default();
        for field in Fields::of(file) {
            if let (7, value) = field? {
                graph.read(value.message()?)?;
            }
        }
        graph.dequantise()?;
        Ok(graph)
    }

    fn read(&mut self, fields: Fields) -> Result<(), OnnxError> {
        for field in fields {
            match field? {
                (1, _) if self.nodes.len() == MOST_NODES => return Err(OnnxError::Long),
                (1, node) => self.nodes.push(Node::read(node.message()?)?),
                (5, tensor) => self.tensors.extend(Tensor::read(tensor.message()?)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// ONNX Runtime writes `NAME_quantized` with `NAME_scale`, and `NAME_zero_point`, which is 0 where the numbers lie
    /// alike on both sides.
    fn dequantise(&mut self) -> Result<(), OnnxError> {
        let names: Vec<String> =
            self.tensors.keys().filter_map(|name| name.strip_suffix("_quantized").map(str::to_owned)).collect();
        for name in names {
            let factor = match (self.number(&format!("{name}_scale")), self.number(&format!("{name}_zero_point"))) {
                (Some(scale), Some(0.0) | None) if scale.is_finite() => scale,
                _ => return Err(OnnxError::Quantised(name)),
            };
            if let Some(tensor) = self.tensors.get_mut(&format!("{name}_quantized")) {
                tensor.numbers.iter_mut().for_each(|number| *number *= factor);
            }
        }
        Ok(())
    }

    /// Of a tensor that is a single number.
    fn number(&self, name: &str) -> Option<f32> {
        match self.tensors.get(name)?.numbers.as_slice() {
            [number] => Some(*number),
            _ => None,
        }
    }

    /// How many steps take what has this name.
    pub fn uses(&self, name: &str) -> usize {
        self.nodes.iter().filter(|node| node.inputs.iter().any(|input| input == name)).count()
    }

    /// For each matrix that something is multiplied by, the bias that is added to the product. A file that was exported
    /// names the bias after its layer, and the matrix after nothing.
    pub fn biases(&self) -> BTreeMap<&str, &str> {
        let mut takers: BTreeMap<&str, &Node> = BTreeMap::new();
        for node in &self.nodes {
            takers.extend(node.inputs.iter().map(|input| (input.as_str(), node)));
        }
        let product = |node: &'_ &Node| matches!(node.kind.as_str(), "MatMul" | "MatMulInteger");
        let found = self.nodes.iter().filter(product).filter_map(|node| {
            let (matrix, _) = self.tensors.get_key_value(node.inputs.get(1)?)?;
            Some((matrix.as_str(), self.bias(node, &takers)?))
        });
        found.collect()
    }

    fn bias(&self, product: &Node, takers: &BTreeMap<&str, &Node>) -> Option<&str> {
        let mut node = product;
        for _ in 0..LONGEST_WAY {
            node = takers.get(node.outputs.first()?.as_str())?;
            if node.kind == "Add" {
                return node.inputs.iter().find_map(|name| Some(self.tensors.get_key_value(name)?.0.as_str()));
            }
        }
        None
    }
}

// === impl Node ===

impl Node {
    fn read(fields: Fields) -> Result<Self, OnnxError> {
        let mut node = Self::default();
        for field in fields {
            match field? {
                (1, value) => node.inputs.push(value.text()?),
                (2, value) => node.outputs.push(value.text()?),
                (4, value) => node.kind = value.text()?,
                (5, value) => node.attribute(value.message()?)?,
                _ => {}
            }
        }
        Ok(node)
    }

    fn attribute(&mut self, fields: Fields) -> Result<(), OnnxError> {
        let (mut name, mut integers) = (String::new(), Vec::new());
        for field in fields {
            match field? {
                (1, value) => name = value.text()?,
                (8, value) => value.integers(&mut integers)?,
                _ => {}
            }
        }
        if name == "dilations" {
            self.dilations = integers;
        }
        Ok(())
    }
}

// === impl Tensor ===

impl Tensor {
    /// With its name; `None` of a type that no weights have.
    fn read(fields: Fields) -> Result<Option<(String, Self)>, OnnxError> {
        let (mut name, mut kind, mut sizes) = (String::new(), 0, Vec::new());
        let (mut raw, mut floats, mut integers) = (Bytes::new(), Vec::new(), Vec::new());
        for field in fields {
            match field? {
                (1, value) => value.integers(&mut sizes)?,
                (2, Value::Integer(value)) => kind = value.cast_signed(),
                (4, value) => value.floats(&mut floats)?,
                (5, value) => value.integers(&mut integers)?,
                (8, value) => name = value.text()?,
                (9, Value::Bytes(value)) => raw = value,
                _ => {}
            }
        }
        let numbers: Vec<f32> = match kind {
            FLOAT if raw.is_empty() => floats,
            FLOAT => raw.chunks_exact(4).map(|mut four| four.get_f32_le()).collect(),
            INT8 if raw.is_empty() => integers.iter().map(|&integer| integer as f32).collect(),
            INT8 => raw.iter().map(|byte| f32::from(byte.cast_signed())).collect(),
            _ => return Ok(None),
        };
        match shape(&sizes) {
            Some((shape, count)) if count == numbers.len() => Ok(Some((name, Self { shape, numbers }))),
            _ => Err(OnnxError::Shape(name)),
        }
    }

    /// `[a, b]` → `[b, a]`
    pub fn transposed(&self) -> Self {
        let [rows, columns] = self.shape[..] else { return self.clone() };
        let numbers = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
        Self { shape: vec![columns, rows], numbers: numbers.map(|at| self.numbers[at]).collect() }
    }
}

/// And how many numbers that is.
fn shape(sizes: &[i64]) -> Option<(Vec<usize>, usize)> {
    let shape: Vec<usize> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
    Some((shape, count))
}
