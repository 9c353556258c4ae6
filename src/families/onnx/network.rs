//! A network that the library computes.

use bytes::Bytes;
use ort::{
    logging::LogLevel,
    session::{Session, SessionInputValue, SessionOutputs},
    value::Tensor,
};

use super::{
    header::{self, Header, InputType},
    library,
    noise::{self, Noise},
    numbers::{Numbers, RunError, said},
    states::{StateKind, States},
};
use crate::model::{LoadError, ModelFiles, Placement, Precision};

/// How many times its file a network takes while it is loaded: the file, what the library reads of it, and what it makes of that.
/// A Piper of 63 MB was seen to take 239 MB then and 118 MB afterwards, a Kokoro of 92 MB in eight bits 256 and 163 MB.
const TIMES: u64 = 3;
/// Bytes for what lies between its layers: 61 MB of that Kokoro for three seconds.
const WORKING: u64 = 128 << 20;

/// What the networks of a family take.
pub struct Signature {
    pub inputs: &'static [Taken],
    /// Whether it may have inputs beside those that it gives back, each as `new_` and its name, for what follows.
    pub states: bool,
}

/// An input.
pub struct Taken {
    /// The one that the family calls it by comes first.
    pub names: &'static [&'static str],
    pub types: &'static [InputType],
    pub required: bool,
}

/// A loaded network. One request at a time goes through it.
#[derive(Debug)]
pub struct Network {
    session: Session,
    /// As the family calls it, as the file does, and what it holds.
    inputs: Vec<(&'static str, String, InputType)>,
    noises: Vec<Noise>,
    states: Vec<StateKind>,
}

/// What a network gives: its shape, and its numbers row by row.
type Shaped = (Vec<usize>, Vec<f32>);

/// Bytes that a network takes of its device, by the length of its file. It is computed on the CPU, whatever else there is.
pub fn footprint(files: &ModelFiles, part: &str, file: &str, place: &Placement) -> Result<u64, LoadError> {
    let bytes = files.size(part, file)?.saturating_mul(TIMES).saturating_add(WORKING);
    Ok(if place.device.is_cpu() { bytes } else { 0 })
}

/// Of how many rows an input picks one, as a file tells that is not loaded: how many speakers there are. `None`: it does not.
pub fn choices(file: &str, bytes: &Bytes, input: &str) -> Result<Option<u32>, LoadError> {
    Ok(header::read(file, bytes)?.choices(input))
}

/// The type that a network is said to be in: that of its file, whatever it is.
pub const DTYPES: &[Precision] = &[Precision::F32];

// === impl Signature ===

impl Signature {
    /// Those of a file, or what is wrong with them.
    fn matched(&self, file: &str, header: &Header) -> Result<Vec<(&'static str, String, InputType)>, LoadError> {
        let wrong = |reason: String| Err(LoadError::Malformed { file: file.to_owned(), reason });
        let mut matched = Vec::new();
        for input in &header.inputs {
            let known = self.inputs.iter().find(|taken| taken.names.contains(&input.name.as_str()));
            match (known, input.kind) {
                (Some(taken), Some(kind)) if taken.types.contains(&kind) => {
                    matched.push((taken.names[0], input.name.clone(), kind));
                }
                (Some(taken), _) => {
                    let types: Vec<_> = taken.types.iter().map(|kind| kind.as_str()).collect();
                    return wrong(format!("its input {:?} is not of the type {}", input.name, types.join(" or ")));
                }
                (None, _) if self.states && StateKind::is_given_back(input, header) => {}
                (None, _) => return wrong(format!("its input {:?} is none of {}", input.name, self.names())),
            }
        }
        let there = |taken: &Taken| matched.iter().any(|(name, ..)| *name == taken.names[0]);
        match self.inputs.iter().find(|taken| taken.required && !there(taken)) {
            Some(missing) => wrong(format!("it has no input {:?}; {} would be right", missing.names[0], self.names())),
            None => Ok(matched),
        }
    }

    fn names(&self) -> String {
        self.inputs.iter().map(|taken| taken.names.join(" or ")).collect::<Vec<_>>().join(", ")
    }
}

// === impl Network ===

impl Network {
    /// `file`: the name of its file.
    pub fn open(file: &str, bytes: &Bytes, signature: &Signature, place: &Placement) -> Result<Self, LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: file.to_owned(), reason };
        let header = header::read(file, bytes)?;
        let inputs = signature.matched(file, &header)?;
        let states = if signature.states { StateKind::all(file, &header)? } else { Vec::new() };
        let environment = library::environment(&place.programs)?;
        let damaged = |error: crate::families::protobuf::Damaged| wrong(error.to_string());
        let replaced = noise::replaced(bytes, &header).map_err(damaged)?;
        if replaced.is_none() && !header.draws.is_empty() {
            tracing::warn!(file, "it draws numbers by chance in a way of its own: seeds are not followed");
        }
        let open = |bytes: &[u8]| -> ort::Result<Session> {
            Session::builder(&environment)?
                .with_intra_threads(place.threads)?
                .with_inter_threads(1)?
                // What waits for work must not take the processor from other models.
                .with_intra_op_spinning(false)?
                .with_log_level(LogLevel::Warning)?
                .commit_from_memory(bytes)
        };
        let (session, noises) = match &replaced {
            Some((bytes, noises)) => (open(bytes), noises.clone()),
            None => (open(bytes), Vec::new()),
        };
        let session = session.map_err(|error| wrong(format!("ONNX Runtime does not take it: {}", said(&error))))?;
        Ok(Self { session, inputs, noises, states })
    }

    /// Whether it has an input that need not be there.
    pub fn takes(&self, input: &str) -> bool {
        self.inputs.iter().any(|(name, ..)| *name == input)
    }

    /// What an input holds.
    pub fn kind(&self, input: &str) -> Option<InputType> {
        self.inputs.iter().find(|(name, ..)| *name == input).map(|(.., kind)| *kind)
    }

    /// Its first output, row by row. `given`: for each input that it has, as the family calls it, the shape and the numbers.
    /// `noise`: about how many numbers it draws by chance.
    pub fn run(
        &mut self,
        given: Vec<(&str, Vec<usize>, Numbers)>,
        seed: u64,
        noise: usize,
    ) -> Result<Vec<f32>, RunError> {
        let mut values = self.values(given)?;
        for (at, of) in self.noises.iter().enumerate() {
            let numbers = of.numbers(at, seed, noise);
            values.push((of.input.clone(), Tensor::from_array(([numbers.len()], numbers))?.into()));
        }
        let outputs = self.session.run(values)?;
        first(&outputs).map(|(_, numbers)| numbers)
    }

    /// The same with its shape, of a network that draws nothing. What it keeps for what follows is in `states`.
    pub fn step(&mut self, given: Vec<(&str, Vec<usize>, Numbers)>, states: &mut States) -> Result<Shaped, RunError> {
        let mut values = self.values(given)?;
        states.give(&mut values)?;
        let outputs = self.session.run(values)?;
        states.take(&outputs)?;
        first(&outputs)
    }

    /// What it keeps, at the beginning.
    pub fn states(&self) -> States {
        States::of(&self.states)
    }

    fn values(
        &self,
        given: Vec<(&str, Vec<usize>, Numbers)>,
    ) -> Result<Vec<(String, SessionInputValue<'static>)>, RunError> {
        let mut values = Vec::new();
        for (name, shape, numbers) in given {
            let Some((_, called, kind)) = self.inputs.iter().find(|(known, ..)| *known == name) else { continue };
            values.push((called.clone(), numbers.tensor(shape, *kind)?));
        }
        Ok(values)
    }
}

/// The first of what a network gives, whose numbers have to be numbers.
fn first(outputs: &SessionOutputs<'_>) -> Result<Shaped, RunError> {
    let (_, first) = outputs.iter().next().ok_or_else(|| RunError::new("it gives nothing"))?;
    let (shape, numbers) = first.try_extract_tensor::<f32>()?;
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok((shape.iter().map(|size| *size as usize).collect(), numbers.to_vec())),
        false => Err(RunError::new("some of the numbers that it gives are none")),
    }
}
