//! How much a file of weights holds, from its header alone: the rest need not be here.

use std::ops::Range;

use safetensors::tensor::{Metadata, TensorInfo};

use super::tensors::{WeightError, is_torch};
use crate::cpu::q8::q8_bytes;

/// Bytes before the header of safetensors: its length.
const LENGTH: usize = 8;

/// What a file of weights holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightSize {
    pub numbers: u64,
    /// That the numbers take in the file.
    pub bytes: u64,
    /// The same with matrices in eight bits and what else there is as it is; see
    /// [`Linear::quantizable`](crate::Linear::quantizable).
    pub q8_bytes: u64,
}

/// Bytes of the header of a safetensors file, its length included, by the first eight bytes; `None` where those are not
/// known.
pub fn header_bytes(beginning: &[u8]) -> Option<u64> {
    let length = u64::from_le_bytes(beginning.get(..LENGTH)?.try_into().ok()?);
    length.checked_add(LENGTH as u64)
}

/// What the file `name` of `size` bytes holds that begins so. Of PyTorch's files, which say it at their end, no less: as
/// many bytes, in numbers of four.
///
/// # Errors
/// Names the file, and says what of the header makes no sense, or is not known.
pub fn measure(name: &str, beginning: &[u8], size: u64) -> Result<WeightSize, WeightError> {
    measure_some(name, beginning, size, |_| true)
}

/// [`measure`] of the tensors whose names are `counted`; of PyTorch's files always of all.
pub fn measure_some(
    name: &str,
    beginning: &[u8],
    size: u64,
    counted: impl Fn(&str) -> bool,
) -> Result<WeightSize, WeightError> {
    let fault = |reason: String| WeightError::File { file: name.to_owned(), reason };
    if is_torch(name) {
        return Ok(WeightSize { numbers: size / 4, bytes: size, q8_bytes: size });
    }
    let end = header_bytes(beginning).filter(|end| *end <= size);
    let end = end.ok_or_else(|| fault("its header is longer than the file".to_owned()))?;
    let header = usize::try_from(end).ok().and_then(|end| beginning.get(LENGTH..end));
    let header = header.ok_or_else(|| fault("its header is not known".to_owned()))?;
    // Shapes, types and places are held against each other here, without overflow.
    let tensors: Metadata = serde_json::from_slice(header).map_err(|error| fault(error.to_string()))?;
    let bytes = tensors.data_len() as u64;
    if bytes.checked_add(end) != Some(size) {
        return Err(fault(format!("its header is about {bytes} bytes of tensors, and the file has {size} in all")));
    }
    let all = tensors.tensors();
    let counted = || all.iter().filter(|(name, _)| counted(name)).map(|(_, tensor)| tensor);
    let numbers = counted().try_fold(0u64, |sum, tensor| sum.checked_add(product(&tensor.shape)?));
    let numbers = numbers.ok_or_else(|| fault("its tensors have more numbers than can be counted".to_owned()))?;
    // Their places are within the file, so that they make no more than it has.
    let bytes = |tensor: &TensorInfo| (tensor.data_offsets.1 - tensor.data_offsets.0) as u64;
    let quantized = |tensor: &TensorInfo| match *tensor.shape {
        [columns, depth] => q8_bytes(columns as u64, depth as u64),
        _ => Some(bytes(tensor)),
    };
    let q8_bytes = counted().try_fold(0u64, |sum, tensor| sum.checked_add(quantized(tensor)?));
    let q8_bytes = q8_bytes.ok_or_else(|| fault("its tensors make more bytes than can be counted".to_owned()))?;
    Ok(WeightSize { numbers, bytes: counted().map(|tensor| bytes(tensor)).sum(), q8_bytes })
}

/// Where in a file of safetensors the tensors lie whose names are not `needed`, in bytes, one after another. Of PyTorch's files,
/// and of headers that make no sense or are not known, nobody can tell.
pub fn unneeded(name: &str, beginning: &[u8], needed: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let end = header_bytes(beginning).and_then(|end| usize::try_from(end).ok()).filter(|_| !is_torch(name));
    let header = end.and_then(|end| Some((end, beginning.get(LENGTH..end)?)));
    let Some((end, header)) = header else { return Vec::new() };
    let Ok(tensors) = serde_json::from_slice::<Metadata>(header) else { return Vec::new() };
    let all = tensors.tensors();
    let of = |tensor: &TensorInfo| end.saturating_add(tensor.data_offsets.0)..end.saturating_add(tensor.data_offsets.1);
    let mut ranges: Vec<_> = all.iter().filter(|(name, _)| !needed(name)).map(|(_, tensor)| of(tensor)).collect();
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

fn product(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |all, dimension| all.checked_mul(*dimension as u64))
}

// === impl WeightSize ===

impl WeightSize {
    /// Both together; `None` if nobody can count so far.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            numbers: self.numbers.checked_add(other.numbers)?,
            bytes: self.bytes.checked_add(other.bytes)?,
            q8_bytes: self.q8_bytes.checked_add(other.q8_bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, and how long its file is with so many bytes of tensors.
    fn file(header: &str, tensors: u64) -> (Vec<u8>, u64) {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        let size = bytes.len() as u64 + tensors;
        (bytes, size)
    }

    fn error(header: &str, tensors: u64) -> String {
        let (beginning, size) = file(header, tensors);
        measure("x.safetensors", &beginning, size).unwrap_err().to_string()
    }

    #[test]
    fn a_header_tells_where_what_nobody_needs_lies() {
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},
                         "c":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
        let (beginning, _) = file(header, 12);
        let at = beginning.len();
        assert_eq!(unneeded("x.safetensors", &beginning, |name| name == "c"), std::slice::from_ref(&(at..at + 8)));
        assert_eq!(unneeded("x.safetensors", &beginning, |name| name == "b"), [at..at + 4, at + 8..at + 12]);
        assert!(unneeded("x.pth", &beginning, |_| false).is_empty());
        assert!(unneeded("x.safetensors", &beginning[..20], |_| false).is_empty());
    }

    #[test]
    fn a_header_tells_how_much_there_is_without_the_rest() {
        let header = r#"{"a":{"dtype":"F16","shape":[3,2],"data_offsets":[0,12]},
                         "b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}"#;
        let (beginning, size) = file(header, 16);
        assert_eq!(header_bytes(&beginning), Some(beginning.len() as u64));
        assert_eq!(
            measure("x.safetensors", &beginning, size).unwrap(),
            WeightSize {
                numbers: 7,
                bytes: 16,
                // A panel of 32 columns and a block of 32 numbers with their scales, and what is no matrix as it is.
                q8_bytes: 32 * 34 + 4
            }
        );
        let more = [&beginning[..], b"tensors"].concat();
        assert_eq!(measure("x.safetensors", &more, size).unwrap().numbers, 7, "more may be known");
    }

    #[test]
    fn some_of_the_tensors_can_be_counted() {
        let header = r#"{"a.x":{"dtype":"F16","shape":[3,2],"data_offsets":[0,12]},
                         "b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}"#;
        let (beginning, size) = file(header, 16);
        let some = |prefix: &str| measure_some("x.safetensors", &beginning, size, |name| name.starts_with(prefix));
        assert_eq!(some("a.").unwrap(), WeightSize { numbers: 6, bytes: 12, q8_bytes: 32 * 34 });
        assert_eq!(some("c").unwrap(), WeightSize::default());
    }

    #[test]
    fn a_header_that_lies_is_refused_by_file() {
        let tensor =
            |shape: &str, end: u64| format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
        assert!(error(&tensor("[2]", 8), 9).contains("x.safetensors is not what it should be: its header is about 8"));
        assert!(error(&tensor("[3]", 8), 8).contains("x.safetensors"));
        let huge = format!("[{0},{0},{0}]", u32::MAX);
        assert!(error(&tensor(&huge, u64::MAX), 8).contains("x.safetensors"), "more than can be counted");
        assert!(error("{", 0).contains("x.safetensors"));
        for beginning in [&b""[..], &[0xff; 8], &[9, 0, 0, 0, 0, 0, 0, 0, b'{']] {
            assert!(measure("x.safetensors", beginning, 100).is_err(), "{beginning:?}");
        }
    }

    #[test]
    fn a_checkpoint_of_pytorch_holds_no_less_than_its_bytes() {
        assert_eq!(measure("x.bin", b"PK", 400).unwrap(), WeightSize { numbers: 100, bytes: 400, q8_bytes: 400 });
    }
}
