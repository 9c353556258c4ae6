//! What a file of ONNX says of itself (onnx.ai/onnx/repo-docs/IR.html; the numbers of fields are those of `onnx.proto`).
//!
//! It is read before the library is given the file, and costs no more memory than its own names. A tensor may claim any size:
//! here it has to have the bytes for it.

use bytes::Bytes;

use crate::{
    families::protobuf::{Damaged, Fields, Value},
    model::LoadError,
};

/// Bytes of a file: more a message of Protocol Buffers cannot have.
pub const MOST_BYTES: u64 = (1 << 31) - 1;
/// Steps of a graph, those of graphs inside it among them; a Kokoro has 4000.
const MOST_NODES: usize = 1 << 17;
/// Graphs inside graphs.
const MOST_DEPTH: usize = 8;
/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

/// Characters of a name or a value of what a file says of itself in words.
const LONGEST_WORD: usize = 4096;
const MOST_WORDS: usize = 1024;

/// A file that was looked through.
#[derive(Debug, Default)]
pub struct Header {
    /// Those that are no weights.
    pub inputs: Vec<Input>,
    pub outputs: Vec<String>,
    /// What its maker wrote into it: names and values.
    words: Vec<(String, String)>,
    /// Steps that draw numbers by chance, outside of inner graphs.
    pub draws: Vec<Draw>,
    /// Of the operators without a domain.
    pub opset: u64,
    /// Weights, each with its rows.
    initializers: Vec<(String, u64)>,
    /// Steps that pick rows: of what, and by what.
    picks: Vec<(String, String)>,
    nodes: usize,
}

/// An input of a network.
#[derive(Debug, PartialEq)]
pub struct Input {
    pub name: String,
    /// `None`: a type that no network of speech takes.
    pub kind: Option<InputType>,
    /// Its shape; `None`: as long as what it is given.
    pub sizes: Vec<Option<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    F32,
    I32,
    I64,
}

/// A step that makes noise, of the shape of what it is given.
#[derive(Debug, PartialEq)]
pub struct Draw {
    /// Its place among the steps.
    pub node: usize,
    pub normal: bool,
    pub like: String,
    pub output: String,
    /// Whether it says that the numbers are f32; else they are as those that it is given.
    pub is_f32: bool,
    /// Whether it draws around 0 with a deviation of 1, or from 0 to 1, without a seed of its own.
    pub is_plain: bool,
}

/// Looks through a file, which is called so.
pub fn read(file: &str, bytes: &Bytes) -> Result<Header, LoadError> {
    let wrong = |reason: &str| LoadError::Malformed { file: file.to_owned(), reason: reason.to_owned() };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(&format!("it has {} bytes; {MOST_BYTES} at most would be right", bytes.len())));
    }
    let mut header = Header::default();
    let mut graphs = 0;
    for field in Fields::of(bytes.clone()) {
        let found = match field {
            Ok((7, graph)) => {
                graphs += 1;
                graph.message().map_err(Fault::from).and_then(|graph| header.graph(graph, 0))
            }
            Ok((8, opset)) => opset.message().map_err(Fault::from).and_then(|opset| header.opset(opset)),
            Ok((14, word)) => word.message().map_err(Fault::from).and_then(|word| header.word(word)),
            Ok(_) => Ok(()),
            Err(damaged) => Err(damaged.into()),
        };
        found.map_err(|fault| match fault {
            Fault::Damaged => wrong("it is cut off, damaged, or no ONNX"),
            Fault::Long => {
                wrong(&format!("it has more than {MOST_NODES} steps, or graphs {MOST_DEPTH} deep in graphs"))
            }
            Fault::Tensor { tensor, reason } => LoadError::Tensor { tensor, reason },
        })?;
    }
    if graphs != 1 {
        return Err(wrong("it is no ONNX: it has no graph, or several"));
    }
    let Header { inputs, initializers, .. } = &mut header;
    // Old files list weights among the inputs.
    inputs.retain(|input| initializers.iter().all(|(name, _)| *name != input.name));
    Ok(header)
}

/// What is wrong, as far as it is known where it is found.
enum Fault {
    Damaged,
    Long,
    Tensor { tensor: String, reason: String },
}

impl From<Damaged> for Fault {
    fn from(Damaged: Damaged) -> Self {
        Self::Damaged
    }
}

// === impl Header ===

impl Header {
    /// A whole number that its maker wrote into it.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.words.iter().find(|(known, _)| known == name)?.1.trim().parse().ok()
    }

    /// What of it is too long is passed over.
    fn word(&mut self, fields: Fields) -> Result<(), Fault> {
        let (mut name, mut said) = (String::new(), String::new());
        for field in fields {
            match field? {
                (1, Value::Bytes(bytes)) if bytes.len() <= LONGEST_WORD => name = Value::Bytes(bytes).text()?,
                (2, Value::Bytes(bytes)) if bytes.len() <= LONGEST_WORD => said = Value::Bytes(bytes).text()?,
                _ => {}
            }
        }
        if self.words.len() < MOST_WORDS {
            self.words.push((name, said));
        }
        Ok(())
    }

    /// Of how many rows an input picks one, where it does nothing else: of so many speakers, say.
    pub fn choices(&self, input: &str) -> Option<u32> {
        let (table, _) = self.picks.iter().find(|(_, by)| by == input)?;
        let (_, rows) = self.initializers.iter().find(|(name, _)| name == table)?;
        u32::try_from(*rows).ok().filter(|rows| *rows > 0)
    }

    fn opset(&mut self, fields: Fields) -> Result<(), Fault> {
        let (mut domain, mut version) = (String::new(), 0);
        for field in fields {
            match field? {
                (1, value) => domain = value.text()?,
                (2, Value::Integer(integer)) => version = integer,
                _ => {}
            }
        }
        if domain.is_empty() {
            self.opset = version;
        }
        Ok(())
    }

    fn graph(&mut self, fields: Fields, depth: usize) -> Result<(), Fault> {
        if depth > MOST_DEPTH {
            return Err(Fault::Long);
        }
        let mut place = 0;
        for field in fields {
            match field? {
                (1, node) => {
                    self.node(node.message()?, place, depth)?;
                    place += 1;
                }
                (5, tensor) => {
                    let named = check_tensor(&tensor)?;
                    if depth == 0 {
                        self.initializers.push(named);
                    }
                }
                (11, input) if depth == 0 => self.inputs.push(Input::read(input.message()?)?),
                (12, output) if depth == 0 => self.outputs.push(Input::read(output.message()?)?.name),
                (15, _) => {
                    let (tensor, reason) =
                        ("of its weights".to_owned(), "is sparse; a dense one would be right".to_owned());
                    return Err(Fault::Tensor { tensor, reason });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, fields: Fields, place: usize, depth: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Fault::Long);
        }
        let (mut inputs, mut output, mut kind, mut is_f32, mut is_plain) =
            (Vec::new(), None, String::new(), false, true);
        for field in fields {
            match field? {
                (1, value) if inputs.len() < 2 => inputs.push(value.text()?),
                (2, value) => drop(output.get_or_insert(value.text()?)),
                (4, value) => kind = value.text()?,
                (5, value) => match self.attribute(value.message()?, depth)? {
                    Attribute::F32 => is_f32 = true,
                    Attribute::Plain => {}
                    Attribute::Other => is_plain = false,
                },
                _ => {}
            }
        }
        let mut inputs = inputs.into_iter();
        let (input, second) = (inputs.next(), inputs.next());
        if let (true, Some(table), Some(by)) = (depth == 0 && kind == "Gather", &input, second) {
            self.picks.push((table.clone(), by));
        }
        let normal = kind == "RandomNormalLike";
        if let (true, Some(like), Some(output)) = (depth == 0 && (normal || kind == "RandomUniformLike"), input, output)
        {
            self.draws.push(Draw { node: place, normal, like, output, is_f32, is_plain });
        }
        Ok(())
    }

    fn attribute(&mut self, fields: Fields, depth: usize) -> Result<Attribute, Fault> {
        let (mut name, mut float, mut integer) = (String::new(), 0.0, 0);
        for field in fields {
            match field? {
                (1, value) => name = value.text()?,
                (2, Value::Word(word)) => float = f32::from_bits(word),
                (3, Value::Integer(value)) => integer = value,
                (5 | 10, tensor) => drop(check_tensor(&tensor)?),
                (6 | 11, graph) => self.graph(graph.message()?, depth + 1)?,
                _ => {}
            }
        }
        Ok(match name.as_str() {
            "dtype" if integer == 1 => Attribute::F32,
            "mean" | "low" if float == 0.0 => Attribute::Plain,
            "scale" | "high" if float == 1.0 => Attribute::Plain,
            _ => Attribute::Other,
        })
    }
}

/// Of a step that makes noise.
enum Attribute {
    F32,
    Plain,
    Other,
}

// === impl Input ===

impl Input {
    fn read(fields: Fields) -> Result<Self, Fault> {
        let mut input = Self { name: String::new(), kind: None, sizes: Vec::new() };
        for field in fields {
            match field? {
                (1, value) => input.name = value.text()?,
                (2, kind) => {
                    for field in kind.message()? {
                        if let (1, tensor) = field? {
                            input.tensor(tensor.message()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(input)
    }

    /// A `TypeProto.Tensor`.
    fn tensor(&mut self, fields: Fields) -> Result<(), Fault> {
        for field in fields {
            match field? {
                (1, Value::Integer(kind)) => self.kind = InputType::of(kind),
                (2, shape) => {
                    for field in shape.message()? {
                        let mut size = None;
                        if let (1, dimension) = field? {
                            for field in dimension.message()? {
                                if let (1, Value::Integer(value)) = field? {
                                    size = Some(value);
                                }
                            }
                        }
                        self.sizes.push(size);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl InputType {
    fn of(kind: u64) -> Option<Self> {
        match kind {
            1 => Some(Self::F32),
            6 => Some(Self::I32),
            7 => Some(Self::I64),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }
}

/// That a tensor has the bytes that its shape and type ask for; its name, and how many rows it has.
fn check_tensor(tensor: &Value) -> Result<(String, u64), Fault> {
    let Value::Bytes(message) = tensor else { return Err(Fault::Damaged) };
    let (mut name, mut kind, mut sizes, mut raw, mut external) = (String::new(), 0, Vec::new(), None, false);
    for field in tensor.message()? {
        match field? {
            (1, value) => value.integers(&mut sizes)?,
            (2, Value::Integer(integer)) => kind = integer,
            (8, value) => name = value.text()?,
            (9, Value::Bytes(bytes)) => raw = Some(bytes.len() as u128),
            (13, _) => external = true,
            (14, Value::Integer(place)) => external |= place == EXTERNAL,
            _ => {}
        }
    }
    let wrong = |reason: String| Err(Fault::Tensor { tensor: name.clone(), reason });
    if external {
        return wrong("has its numbers in another file; all in one would be right".to_owned());
    }
    let Some(count) = sizes.iter().try_fold(1_u128, |count, size| count.checked_mul(u128::try_from(*size).ok()?))
    else {
        return wrong(format!("has the impossible shape {sizes:?}"));
    };
    let half_bytes = match kind {
        2 | 3 | 9 | 17..=20 => 2,
        4 | 5 | 10 | 16 => 4,
        1 | 6 | 12 => 8,
        7 | 11 | 13 | 14 => 16,
        15 => 32,
        21..=23 => 1,
        _ => 0,
    };
    match raw {
        Some(raw) if half_bytes > 0 && count.checked_mul(half_bytes).map(|halves| halves.div_ceil(2)) != Some(raw) => {
            wrong(format!("has {raw} bytes, which is not what its shape {sizes:?} asks for"))
        }
        // Written number by number, the smallest of which take a byte; two to a byte where they have four bits.
        None if count > 2 * message.len() as u128 => {
            wrong(format!("has fewer numbers than its shape {sizes:?} asks for"))
        }
        _ => Ok((name, sizes.first().map_or(0, |rows| rows.cast_unsigned()))),
    }
}
