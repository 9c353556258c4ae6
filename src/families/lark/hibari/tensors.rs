//! From the names and layouts in the file to those of the layers here.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::{
    config::Stack,
    error::LarkError,
    onnx::{Graph, OnnxError, Tensor},
};
use crate::nn::weights::{WeightError, Weights};

/// The parts of a block as they are called there and here.
const NAMES: &[(&str, &str)] = &[
    (".dw.", ".depthwise."),
    (".pw1.", ".up."),
    (".pw2.", ".down."),
    (".gamma", ".scale"),
    (".in_proj_", ".in_proj."),
];

/// All that the file says.
pub struct Tensors {
    pub weights: Weights,
    /// The dilations of convolutions, by the names of their weights.
    pub dilations: BTreeMap<String, usize>,
    /// By the first norm of an encoder's layer, how often it is gone through.
    pub rounds: BTreeMap<String, usize>,
}

// === impl Tensors ===

impl Tensors {
    /// The sizes of the blocks `NAME.0`, `NAME.1` and on.
    pub fn stack(&self, name: &str) -> Result<Stack, LarkError> {
        let size = |of: &str| self.size(&format!("{name}.0.{of}"));
        let blocks = (0..).take_while(|block| self.weights.has(&format!("{name}.{block}.scale")));
        let dilation = |block| self.dilations.get(&format!("{name}.{block}.depthwise.weight")).copied().unwrap_or(1);
        let stack = Stack {
            width: size("scale")?,
            hidden: size("up.bias")?,
            kernel: size("depthwise.weight")?,
            dilations: blocks.map(|block: usize| dilation(block)).collect(),
        };
        stack.check(name)?;
        Ok(stack)
    }

    /// The first size of a tensor; 0 of a single number.
    pub fn size(&self, name: &str) -> Result<usize, WeightError> {
        Ok(self.weights.shape(name)?.first().copied().unwrap_or(0))
    }
}

pub fn open(file: Bytes) -> Result<Tensors, OnnxError> {
    let graph = Graph::open(file)?;
    let biases = graph.biases();
    let named = graph.tensors.iter().map(|(name, tensor)| match biases.get(name.as_str()) {
        // A layer holds a row for each number that it gives, a product one for each that it takes.
        Some(bias) => (renamed(bias).replace("bias", "weight"), tensor.transposed()),
        None => (renamed(name), by_tap(name, tensor)),
    });
    let weights = named.map(|(name, Tensor { shape, numbers })| (name, shape, numbers));
    let dilations = graph.nodes.iter().filter_map(|node| {
        let dilation = usize::try_from(*node.dilations.first()?).ok()?;
        Some((renamed(node.inputs.get(1)?), dilation))
    });
    let norms = graph.tensors.keys().filter(|name| name.ends_with(".norm1.weight"));
    Ok(Tensors {
        weights: Weights::of(weights),
        dilations: dilations.collect(),
        rounds: norms.map(|name| (name.clone(), graph.uses(name))).collect(),
    })
}

fn renamed(name: &str) -> String {
    NAMES.iter().fold(name.to_owned(), |name, (theirs, ours)| name.replace(theirs, ours))
}

/// The weights of a convolution, `[columns, depth, kernel]` → `[columns, kernel · depth]`; of one for each channel by
/// itself → `[kernel, columns]`. All else stays.
fn by_tap(name: &str, tensor: &Tensor) -> Tensor {
    let [columns, depth, kernel] = tensor.shape[..] else { return tensor.clone() };
    let at = |column: usize, tap: usize, channel: usize| tensor.numbers[(column * depth + channel) * kernel + tap];
    if name.ends_with(".dw.weight") && depth == 1 {
        let numbers = (0..kernel).flat_map(|tap| (0..columns).map(move |column| at(column, tap, 0)));
        return Tensor { shape: vec![kernel, columns], numbers: numbers.collect() };
    }
    let taps = (0..columns).flat_map(|column| (0..kernel).map(move |tap| (column, tap)));
    let numbers = taps.flat_map(|(column, tap)| (0..depth).map(move |channel| at(column, tap, channel)));
    Tensor { shape: vec![columns, kernel * depth], numbers: numbers.collect() }
}
