//! Matrices of eight bits in a file: what was quantised once is mapped the next time.
//!
//! A program writes it for itself and for those that come after it. Matrices follow each other in the order in which a model
//! asks for them:
//!
//! ```text
//! sconce-q8 1 <key>            what it was made of; all begin at multiples of 64 bytes
//! columns, depth, length, crc  each a little-endian u64, then the matrix as the kernels read it
//! ```
//!
//! Nothing in it is believed: where sizes, checksum or the first numbers are not those of the weights at hand, they are
//! quantised, as is what follows, and the file is written anew.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::data::WeightData;
use crate::cpu::{
    detect::SimdLevel,
    q8::{Q8Error, Q8Weights},
};

const FORMAT: &str = "sconce-q8 1";

/// Where everything in the file begins: a line of the cache.
const ALIGNMENT: usize = 64;

/// Such a file, while a model is loaded.
#[derive(Debug)]
pub struct QuantizedFile {
    path: PathBuf,
    key: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the file holds from here on, as far as it was right so far.
    kept: Option<Bytes>,
    /// What was asked for, in order.
    matrices: Vec<Q8Weights>,
    /// Whether any of it is not in the file.
    changed: bool,
}

// === impl QuantizedFile ===

impl QuantizedFile {
    /// `content`: of the file of that name, if there is one. `key`: what tells these weights from others, without a space.
    /// Nothing is written before [`Self::keep`].
    pub fn new(path: PathBuf, content: Option<Bytes>, key: &str) -> Self {
        let made_for = |mut content: Bytes| (take(&mut content, header(key).len())? == header(key)).then_some(content);
        let state = State { kept: content.and_then(made_for), matrices: Vec::new(), changed: false };
        Self { path, key: key.to_owned(), state: Mutex::new(state) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is one that was made for this key.
    pub fn is_there(&self) -> bool {
        self.state.lock().kept.is_some()
    }

    /// As [`Q8Weights::new`], from the file where it has them.
    pub(crate) fn matrix(&self, level: SimdLevel, parts: &[WeightData], depth: usize) -> Result<Q8Weights, Q8Error> {
        let mut state = self.state.lock();
        let kept = state.kept.as_mut().and_then(|rest| read(rest, level, parts, depth));
        let matrix = match kept {
            Some(matrix) => matrix,
            None => {
                (state.kept, state.changed) = (None, true);
                Q8Weights::new(level, parts, depth)?
            }
        };
        state.matrices.push(matrix.clone());
        Ok(matrix)
    }

    /// Writes the file, if it was not right: whether that was so. Somebody who reads the old one still has it.
    pub fn keep(&self) -> io::Result<bool> {
        let state =
            std::mem::replace(&mut *self.state.lock(), State { kept: None, matrices: Vec::new(), changed: false });
        if !state.changed {
            return Ok(false);
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let part = self.path.with_extension(format!("{:016x}.part", rand::random::<u64>()));
        let written = write(&part, &self.key, &state.matrices).and_then(|()| fs::rename(&part, &self.path));
        written.inspect_err(|_| drop(fs::remove_file(&part)))?;
        Ok(true)
    }
}

fn header(key: &str) -> Vec<u8> {
    let mut line = format!("{FORMAT} {key}\n").into_bytes();
    line.resize(line.len().next_multiple_of(ALIGNMENT), 0);
    line
}

/// The next bytes.
fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

/// The next matrix, if it is this one.
fn read(rest: &mut Bytes, level: SimdLevel, parts: &[WeightData], depth: usize) -> Option<Q8Weights> {
    let record = take(rest, ALIGNMENT)?;
    let [columns, its_depth, length, crc] =
        std::array::from_fn(|at| u64::from_le_bytes(*record[at * 8..].first_chunk().expect("eight bytes")));
    let (columns, length) = (usize::try_from(columns).ok()?, usize::try_from(length).ok()?);
    let expected = parts.iter().map(WeightData::len).sum::<usize>() / depth;
    if (columns, its_depth) != (expected, depth as u64) {
        return None;
    }
    let bytes = take(rest, length)?;
    take(rest, length.next_multiple_of(ALIGNMENT) - length)?;
    let matrix = Q8Weights::of(bytes, depth, columns)?;
    (u64::from(crc32fast::hash(matrix.bytes())) == crc && matrix.begins_like(level, parts)).then_some(matrix)
}

fn write(path: &Path, key: &str, matrices: &[Q8Weights]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create_new(path)?);
    file.write_all(&header(key))?;
    for matrix in matrices {
        let bytes = matrix.bytes();
        let said = [matrix.columns() as u64, matrix.depth() as u64, bytes.len() as u64, crc32fast::hash(bytes).into()];
        let mut record = [0; ALIGNMENT];
        for (to, number) in record.chunks_exact_mut(8).zip(said) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        file.write_all(&record)?;
        file.write_all(bytes)?;
        file.write_all(&[0; ALIGNMENT][..bytes.len().next_multiple_of(ALIGNMENT) - bytes.len()])?;
    }
    // Not forced to the disk: what a crash leaves of it has another checksum.
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: f32) -> WeightData {
        (0..count).map(|at| (at as f32 * step).sin()).collect::<Vec<_>>().into()
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("sconce-nn-{:016x}", rand::random::<u64>()));
            Self(folder.join("beside"))
        }

        fn file(&self) -> PathBuf {
            self.0.join("model.q8")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(self.0.parent().expect("a folder of its own")));
        }
    }

    /// Two layers, the first of two parts: their numbers, and whether they were in the file.
    fn load(path: PathBuf, key: &str, second: f32) -> (Vec<Vec<f32>>, bool) {
        let content = fs::read(&path).ok().map(Bytes::from);
        let file = QuantizedFile::new(path, content, key);
        let level = SimdLevel::detect();
        let parts = [numbers(40 * 70, 0.37), numbers(40 * 5, 0.11)];
        let matrices = [(&parts[..], 40), (&[numbers(33 * 12, second)], 33)]
            .map(|(parts, depth)| file.matrix(level, parts, depth).unwrap());
        let was_read = !file.keep().unwrap();
        (
            matrices.iter().flat_map(|matrix| (0..matrix.columns()).map(|at| matrix.column(at).collect())).collect(),
            was_read,
        )
    }

    #[test]
    fn what_was_quantised_once_is_read_the_next_time() {
        let folder = Folder::new();
        let (first, read) = load(folder.file(), "a", 0.61);
        assert!(!read);
        assert_eq!(load(folder.file(), "a", 0.61), (first, true));
        let left = fs::read_dir(&folder.0).unwrap().count();
        assert_eq!(left, 1, "nothing lies beside it");
    }

    #[test]
    fn what_is_of_other_weights_is_quantised_anew_and_kept_in_its_place() {
        let folder = Folder::new();
        let (first, _) = load(folder.file(), "a", 0.61);
        let (other, read) = load(folder.file(), "b", 0.61);
        assert!(!read && other == first);
        // The key is the same, and the numbers are not.
        let (changed, read) = load(folder.file(), "b", 0.62);
        assert!(!read && changed != first);
        assert_eq!(load(folder.file(), "b", 0.62), (changed, true));
    }

    #[test]
    fn whatever_happens_to_the_file_the_numbers_are_right() {
        let folder = Folder::new();
        let (first, _) = load(folder.file(), "a", 0.61);
        let whole = fs::read(folder.file()).unwrap();
        for at in (0..whole.len()).step_by(97) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            for damaged in [&flipped[..], &whole[..at]] {
                fs::write(folder.file(), damaged).unwrap();
                assert_eq!(load(folder.file(), "a", 0.61).0, first, "byte {at}");
            }
        }
    }

    #[test]
    fn where_nothing_can_be_written_the_model_is_loaded_all_the_same() {
        let folder = Folder::new();
        fs::create_dir_all(folder.file().join("in the way")).unwrap();
        let file = QuantizedFile::new(folder.file(), None, "a");
        assert!(file.matrix(SimdLevel::detect(), &[numbers(64, 0.3)], 8).is_ok());
        assert!(file.keep().is_err());
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left of what was begun");
    }
}
