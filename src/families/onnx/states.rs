//! What a network keeps from one stretch of sound to the next: inputs that it gives back under another name.

use ort::session::{SessionInputValue, SessionOutputs};

use super::{
    header::{Header, Input, InputType},
    numbers::{Numbers, RunError},
};
use crate::model::LoadError;

/// Before the name of an input, what is to be its value next.
const NEXT: &str = "new_";
/// Numbers of all of them together: 256 MB, of which those of a Zipformer of 70 million parameters have a hundredth.
const MOST: u64 = 1 << 26;

/// One of them, as the file describes it.
#[derive(Clone, Debug)]
pub struct StateKind {
    name: String,
    kind: InputType,
    shape: Vec<usize>,
}

/// All of them, of one stream of sound. At the beginning they are zeros.
pub struct States(Vec<(StateKind, Numbers)>);

// === impl StateKind ===

impl StateKind {
    pub fn is_given_back(input: &Input, header: &Header) -> bool {
        let next = format!("{NEXT}{}", input.name);
        header.outputs.contains(&next)
    }

    /// Those of a file, which is called so.
    pub fn all(file: &str, header: &Header) -> Result<Vec<Self>, LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: file.to_owned(), reason };
        let mut total = 0_u64;
        let mut all = Vec::new();
        for input in header.inputs.iter().filter(|input| Self::is_given_back(input, header)) {
            let kind = input
                .kind
                .ok_or_else(|| wrong(format!("its input {:?} is not of the type f32, i32 or i64", input.name)))?;
            // Of what may be as long as it likes there is one: so many streams of sound go through it at once.
            let sizes: Vec<u64> = input.sizes.iter().map(|size| size.unwrap_or(1)).collect();
            let count = sizes.iter().try_fold(1_u64, |count, size| count.checked_mul(*size));
            total = total.saturating_add(count.unwrap_or(u64::MAX));
            if total > MOST {
                return Err(wrong(format!("it keeps more than {MOST} numbers from one stretch of sound to the next")));
            }
            let shape = sizes.iter().map(|size| *size as usize).collect();
            all.push(Self { name: input.name.clone(), kind, shape });
        }
        Ok(all)
    }
}

// === impl States ===

impl States {
    pub fn of(kinds: &[StateKind]) -> Self {
        let zeros = |kind: &StateKind| {
            let count = kind.shape.iter().product();
            match kind.kind {
                InputType::F32 => Numbers::Floats(vec![0.0; count]),
                InputType::I32 | InputType::I64 => Numbers::Integers(vec![0; count]),
            }
        };
        Self(kinds.iter().map(|kind| (kind.clone(), zeros(kind))).collect())
    }

    /// Adds them to what a network is given.
    pub(super) fn give(&mut self, values: &mut Vec<(String, SessionInputValue<'static>)>) -> Result<(), RunError> {
        for (kind, numbers) in &mut self.0 {
            let numbers = std::mem::replace(numbers, Numbers::Floats(Vec::new()));
            values.push((kind.name.clone(), numbers.tensor(kind.shape.clone(), kind.kind)?));
        }
        Ok(())
    }

    /// Keeps what it gave back.
    pub(super) fn take(&mut self, outputs: &SessionOutputs<'_>) -> Result<(), RunError> {
        for (kind, numbers) in &mut self.0 {
            let next = format!("{NEXT}{}", kind.name);
            let value = outputs.get(&next).ok_or_else(|| RunError::new("it does not give back what it keeps"))?;
            let (shape, taken) = match kind.kind {
                InputType::F32 => {
                    let (shape, numbers) = value.try_extract_tensor::<f32>()?;
                    (shape, Numbers::Floats(numbers.to_vec()))
                }
                InputType::I64 => {
                    let (shape, numbers) = value.try_extract_tensor::<i64>()?;
                    (shape, Numbers::Integers(numbers.to_vec()))
                }
                InputType::I32 => {
                    let (shape, numbers) = value.try_extract_tensor::<i32>()?;
                    (shape, Numbers::Integers(numbers.iter().map(|number| i64::from(*number)).collect()))
                }
            };
            if !shape.iter().map(|size| *size as usize).eq(kind.shape.iter().copied()) {
                return Err(RunError::new("what it gives back has another shape than what it was given"));
            }
            *numbers = taken;
        }
        Ok(())
    }
}
