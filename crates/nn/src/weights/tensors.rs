//! The tensors of a model, by name.

use std::collections::BTreeMap;

use ::safetensors::Dtype;
use bytes::Bytes;

use super::{data::WeightData, safetensors, stored::Stored, torch, weight_norm};
use crate::cpu::bytes::bytes_of;

/// What is wrong with the tensors.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error("{file} is not what it should be: {reason}")]
    File { file: String, reason: String },
    /// Reads well after the tensor's name.
    #[error("the tensor {tensor} {reason}")]
    Tensor { tensor: String, reason: String },
}

/// The tensors that nobody has taken yet.
pub struct Weights {
    tensors: BTreeMap<String, Stored>,
    prefix: &'static str,
}

/// Every whole number below this is one of `f32`.
const EXACT: f32 = (1 << 24) as f32;

/// Names of PyTorch's files end with one of these; all others are safetensors.
const TORCH: [&str; 5] = [".pt", ".pth", ".pth.tar", ".bin", ".ckpt"];

// === impl WeightError ===

impl WeightError {
    /// `reason` reads well after the tensor's name.
    pub fn tensor(name: impl Into<String>, reason: String) -> Self {
        Self::Tensor { tensor: name.into(), reason }
    }
}

// === impl Weights ===

impl Weights {
    /// From files of safetensors or of PyTorch, given by name and content. A `prefix` that names may or may not have is
    /// left out from then on.
    pub fn open(files: &[(String, Bytes)], prefix: &'static str) -> Result<Self, WeightError> {
        let mut tensors = BTreeMap::new();
        for (file, bytes) in files {
            for (name, stored) in read(file, bytes)? {
                tensors.insert(name.strip_prefix(prefix).unwrap_or(&name).to_owned(), stored);
            }
        }
        Ok(Self { tensors, prefix })
    }

    /// From numbers in memory: names, shapes, and as many numbers as those say, row by row.
    pub fn of(tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>) -> Self {
        let stored = |shape, numbers| Stored { dtype: Dtype::F32, shape, bytes: bytes_of(numbers) };
        let tensors = tensors.into_iter().map(|(name, shape, numbers)| (name, stored(shape, numbers)));
        Self { tensors: tensors.collect(), prefix: "" }
    }

    /// The sizes of a tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize], WeightError> {
        let stored = self.tensors.get(name).ok_or_else(|| self.fault(name, "is missing".to_owned()))?;
        Ok(&stored.shape)
    }

    /// The sizes of a tensor that has `N` of them, each at least 1: what a model's sizes can be read from.
    pub fn sizes<const N: usize>(&self, name: &str) -> Result<[usize; N], WeightError> {
        let shape = self.shape(name)?;
        match <[usize; N]>::try_from(shape) {
            Ok(sizes) if !sizes.contains(&0) => Ok(sizes),
            _ => Err(self.fault(name, format!("has the shape {shape:?}, where {N} sizes of at least 1 are expected"))),
        }
    }

    /// The same of `name.weight` as [`Self::take_weight`] finds it.
    pub fn sizes_of_weight<const N: usize>(&self, name: &str) -> Result<[usize; N], WeightError> {
        let direction = weight_norm::parts(name).map(|(_, direction)| direction).find(|direction| self.has(direction));
        self.sizes(&direction.unwrap_or_else(|| format!("{name}.weight")))
    }

    /// How many there are of what is numbered from 0 on: `name` is a tensor of each.
    pub fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|&at| self.has(&name(at))).count()
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The numbers of a tensor of this shape, row by row.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.view(name, shape).map(|numbers| numbers.to_vec())
    }

    /// The tensor `name.weight`, also where weight normalisation keeps its direction and its length apart.
    pub fn take_weight(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        let whole = format!("{name}.weight");
        let Some((length, direction)) = weight_norm::parts(name).find(|(_, direction)| self.has(direction)) else {
            return self.take(&whole, shape);
        };
        let lengths = [&shape[..1], &vec![1; shape.len().saturating_sub(1)]].concat();
        let (lengths, mut weight) = (self.take(&length, &lengths)?, self.take(&direction, shape)?);
        weight_norm::fold(&lengths, &mut weight);
        Ok(weight)
    }

    /// The numbers of a tensor of this shape, where they lie.
    pub fn view(&mut self, name: &str, shape: &[usize]) -> Result<WeightData, WeightError> {
        let stored = self.tensors.remove(name).ok_or_else(|| self.fault(name, "is missing".to_owned()))?;
        if stored.shape != shape {
            return Err(self.fault(name, format!("has the shape {:?}, where {shape:?} is expected", stored.shape)));
        }
        match stored.dtype {
            Dtype::F32 => Ok(WeightData::F32(stored.bytes)),
            Dtype::F16 => Ok(WeightData::F16(stored.bytes)),
            Dtype::BF16 => Ok(WeightData::Bf16(stored.bytes)),
            // No layer computes in it: to the nearest.
            Dtype::F64 => {
                let numbers = stored.bytes.as_chunks().0.iter();
                Ok(numbers.map(|bytes| f64::from_le_bytes(*bytes) as f32).collect::<Vec<_>>().into())
            }
            other => {
                let reason = format!("is of type {other:?}, where F32, F16 or BF16 is expected");
                Err(self.fault(name, reason))
            }
        }
    }

    /// The numbers of a tensor of whole numbers, whatever its shape, each of which is an id. Whole numbers that were kept as
    /// `f32` are ids too: Chatterbox casts those of a voice in place when it speaks, and saves them so.
    pub fn take_ids(&mut self, name: &str) -> Result<Vec<u32>, WeightError> {
        let stored = self.tensors.remove(name).ok_or_else(|| self.fault(name, "is missing".to_owned()))?;
        let whole: Vec<i64> = match stored.dtype {
            Dtype::I64 => stored.bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            Dtype::I32 => stored.bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect(),
            Dtype::U32 => stored.bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes).into()).collect(),
            Dtype::F32 => {
                let floats = stored.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                let whole = |float: f32| match float.fract() == 0.0 && float.abs() < EXACT {
                    true => Ok(float as i64),
                    false => Err(self.fault(name, format!("holds {float}, which is no id"))),
                };
                floats.map(whole).collect::<Result<_, _>>()?
            }
            other => return Err(self.fault(name, format!("is of type {other:?}, where I64, I32 or U32 is expected"))),
        };
        let id =
            |&whole: &i64| whole.try_into().map_err(|_| self.fault(name, format!("holds {whole}, which is no id")));
        whole.iter().map(id).collect()
    }

    /// Gives tensors other names, where `to` has one.
    ///
    /// # Errors
    /// Where two tensors would have the same.
    pub fn rename(&mut self, to: impl Fn(&str) -> Option<String>) -> Result<(), WeightError> {
        let mut renamed = BTreeMap::new();
        for (name, stored) in std::mem::take(&mut self.tensors) {
            let new = to(&name).unwrap_or_else(|| name.clone());
            if renamed.insert(new.clone(), stored).is_some() {
                return Err(self.fault(&name, format!("is there twice: in another layout it is {new}")));
            }
        }
        self.tensors = renamed;
        Ok(())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Leaves a tensor out of [`Self::finish`].
    pub fn ignore(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// The same of all whose names begin so.
    pub fn ignore_all(&mut self, beginning: &str) {
        self.tensors.retain(|name, _| !name.starts_with(beginning));
    }

    /// The same of all whose names begin otherwise.
    pub fn ignore_all_but(&mut self, beginning: &str) {
        self.tensors.retain(|name, _| name.starts_with(beginning));
    }

    /// Every tensor must have been taken.
    pub fn finish(self) -> Result<(), WeightError> {
        match self.tensors.keys().next() {
            Some(name) => Err(self.fault(name, "is not part of such a model".to_owned())),
            None => Ok(()),
        }
    }

    fn fault(&self, name: &str, reason: String) -> WeightError {
        WeightError::tensor(format!("{}{name}", self.prefix), reason)
    }
}

/// Whether a file is PyTorch's, by its name.
pub(super) fn is_torch(file: &str) -> bool {
    TORCH.iter().any(|ending| file.ends_with(ending))
}

fn read(file: &str, bytes: &Bytes) -> Result<Vec<(String, Stored)>, WeightError> {
    let read = match is_torch(file) {
        true => torch::read(bytes).map_err(|error| error.to_string()),
        false => safetensors::read(bytes).map_err(|error| error.to_string()),
    };
    read.map_err(|reason| WeightError::File { file: file.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> (String, Bytes) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch");
        (name.to_owned(), std::fs::read(folder.join(name)).unwrap().into())
    }

    #[test]
    fn a_checkpoint_of_pytorch_gives_its_weights_by_name() {
        let mut weights = Weights::open(&[fixture("nested.pth")], "encoder.").unwrap();
        assert_eq!(weights.take("0.bias", &[2]).unwrap(), [2.0, 2.25]);
        assert_eq!(weights.take("half", &[3]).unwrap(), [4.0, 4.25, 4.5]);
        assert_eq!(weights.take("double", &[2]).unwrap(), [6.0, 6.25]);
        let error = weights.take("long", &[3]).unwrap_err().to_string();
        assert_eq!(error, "the tensor encoder.long is of type I64, where F32, F16 or BF16 is expected");
    }

    #[test]
    fn sizes_are_as_many_as_expected_and_none_is_zero() {
        let tensor = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec(), vec![0.0; shape.iter().product()]);
        let weights = Weights::of([tensor("matrix", &[2, 3]), tensor("nothing", &[1 << 40, 0])]);
        assert_eq!(weights.sizes("matrix").unwrap(), [2, 3]);
        let error = |found: Result<[usize; 3], WeightError>| found.unwrap_err().to_string();
        let expected = "has the shape [2, 3], where 3 sizes of at least 1 are expected";
        assert_eq!(error(weights.sizes("matrix")), format!("the tensor matrix {expected}"));
        assert!(weights.sizes::<2>("nothing").is_err());
        assert_eq!(error(weights.sizes("none")), "the tensor none is missing");
        assert_eq!(error(weights.sizes_of_weight("none")), "the tensor none.weight is missing");
    }

    #[test]
    fn what_is_ignored_need_not_be_taken() {
        let tensor = |name: &str| (name.to_owned(), vec![1], vec![0.0]);
        let mut weights = Weights::of(["decoder.a", "decoder.b", "decode"].map(tensor));
        weights.ignore_all("decoder.");
        assert!(weights.has("decode") && !weights.has("decoder.a"));
        weights.ignore_all_but("dec");
        assert!(weights.has("decode"));
        assert_eq!(weights.finish().unwrap_err().to_string(), "the tensor decode is not part of such a model");
    }

    #[test]
    fn names_of_another_layout_become_those_of_one() {
        let tensor = |name: &str| (name.to_owned(), vec![1], vec![0.0]);
        let mut weights = Weights::of(["old.a", "b"].map(tensor));
        weights.rename(|name| name.strip_prefix("old.").map(str::to_owned)).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b"]);
        let mut both = Weights::of(["a", "old.a"].map(tensor));
        let error = both.rename(|name| name.strip_prefix("old.").map(str::to_owned)).unwrap_err().to_string();
        assert_eq!(error, "the tensor old.a is there twice: in another layout it is a");
    }

    #[test]
    fn whole_numbers_are_ids_unless_they_are_below_zero() {
        let whole = |numbers: &[i64]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            let stored = Stored { dtype: Dtype::I64, shape: vec![1, numbers.len()], bytes: bytes.into() };
            Weights { tensors: [("ids".to_owned(), stored)].into(), prefix: "" }
        };
        assert_eq!(whole(&[3, 0, 6560]).take_ids("ids").unwrap(), [3, 0, 6560]);
        let error = whole(&[3, -1]).take_ids("ids").unwrap_err().to_string();
        assert_eq!(error, "the tensor ids holds -1, which is no id");
        let floats = |numbers: &[f32]| Weights::of([("ids".to_owned(), vec![numbers.len()], numbers.to_vec())]);
        assert_eq!(floats(&[3.0, 6560.0]).take_ids("ids").unwrap(), [3, 6560]);
        for (number, said) in [(0.5, "0.5"), (-1.0, "-1"), (f32::NAN, "NaN"), (1e9, "1000000000")] {
            let error = floats(&[3.0, number]).take_ids("ids").unwrap_err().to_string();
            assert!(error.contains(&format!("holds {said}, which is no id")), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_what_its_name_says_is_named() {
        let (_, zip) = fixture("nested.pth");
        let error = |name: &str| Weights::open(&[(name.to_owned(), zip.slice(..9))], "").err().unwrap().to_string();
        assert!(error("x.pth").starts_with("x.pth is not what it should be: it is not a zip"), "{}", error("x.pth"));
        assert!(error("x.safetensors").starts_with("x.safetensors is not what"), "{}", error("x.safetensors"));
    }
}
