//! Voices: for each number of symbols that are said at once, 256 numbers that tell the network how.
//!
//! They come as raw numbers, a file each (`voices/af_bella.bin`), as NumPy's arrays, a file each (`.npy`), or all in one
//! archive of those (`voices-v1.0.bin`, `.npz`).

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use bytes::Bytes;
use zip::ZipArchive;

use crate::model::LoadError;

/// Numbers that the network is told.
pub const STYLE: usize = 256;
/// Bytes of a voice, at most: eight times what those of Kokoro-82M have.
const MOST_BYTES: usize = 4 << 20;
const MOST_VOICES: usize = 1024;
const NUMPY: &[u8] = b"\x93NUMPY";
const ZIP: &[u8] = b"PK\x03\x04";

/// The voices of a model, by name.
#[derive(Debug, Default)]
pub struct Voices(BTreeMap<String, Voice>);

/// `[lengths, 256]`
#[derive(Clone, Debug, PartialEq)]
pub struct Voice(Vec<f32>);

// === impl Voices ===

impl Voices {
    /// Adds those of a file.
    pub fn add(&mut self, file: &str, bytes: &Bytes) -> Result<(), LoadError> {
        let wrong = |reason: String| LoadError::Malformed { file: file.to_owned(), reason };
        match bytes.starts_with(ZIP) {
            true => self.add_archive(bytes).map_err(wrong)?,
            false => {
                let voice = Voice::read(bytes).map_err(wrong)?;
                self.insert(name(file), voice).map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn add_archive(&mut self, bytes: &Bytes) -> Result<(), String> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        if archive.len() > MOST_VOICES {
            return Err(format!("it has {} files; {MOST_VOICES} at most would be right", archive.len()));
        }
        for at in 0..archive.len() {
            let entry = archive.by_index(at).map_err(|error| error.to_string())?;
            let called = entry.name().map_err(|error| error.to_string())?.into_owned();
            let mut content = Vec::new();
            // What an entry says of its length may be untrue.
            entry
                .take(MOST_BYTES as u64 + 1)
                .read_to_end(&mut content)
                .map_err(|error| format!("{called}: {error}"))?;
            let voice = Voice::read(&content).map_err(|reason| format!("{called}: {reason}"))?;
            self.insert(name(&called), voice)?;
        }
        Ok(())
    }

    fn insert(&mut self, name: String, voice: Voice) -> Result<(), String> {
        if self.0.len() == MOST_VOICES {
            return Err(format!("there are more than {MOST_VOICES} voices"));
        }
        self.0.insert(name, voice);
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Voice> {
        self.0.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What lies between the folders and the ending.
fn name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

// === impl Voice ===

impl Voice {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MOST_BYTES {
            return Err(format!("it has more than {MOST_BYTES} bytes"));
        }
        let numbers = if bytes.starts_with(NUMPY) { of_numpy(bytes)? } else { bytes };
        if numbers.is_empty() || !numbers.len().is_multiple_of(4 * STYLE) {
            return Err(format!(
                "it has {} bytes of numbers; a multiple of {} would be right",
                numbers.len(),
                4 * STYLE
            ));
        }
        let numbers: Vec<f32> = numbers.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(Self(numbers)),
            false => Err("some of its numbers are none".to_owned()),
        }
    }

    /// For so many symbols: `[256]`
    pub fn style(&self, symbols: usize) -> &[f32] {
        let rows = self.0.len() / STYLE;
        let row = symbols.clamp(1, rows) - 1;
        &self.0[row * STYLE..][..STYLE]
    }

    /// Something between several, by their shares. As long as the shortest.
    pub fn blend(voices: &[(&Self, f32)]) -> Self {
        let length = voices.iter().map(|(voice, _)| voice.0.len()).min().unwrap_or_default();
        let number = |at: usize| voices.iter().map(|(voice, share)| share * voice.0[at]).sum();
        Self((0..length).map(number).collect())
    }
}

/// The numbers of a file of NumPy, which have to be f32 and row by row.
fn of_numpy(bytes: &[u8]) -> Result<&[u8], String> {
    let cut = || "it is cut off".to_owned();
    let major = *bytes.get(NUMPY.len()).ok_or_else(cut)?;
    let (from, length): (usize, _) = match major {
        1 => (10, bytes.get(8..10).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])))),
        _ => (12, bytes.get(8..12).and_then(|four| Some(u32::from_le_bytes(four.try_into().ok()?) as usize))),
    };
    let end = length.and_then(|length| from.checked_add(length)).ok_or_else(cut)?;
    let header = String::from_utf8_lossy(bytes.get(from..end).ok_or_else(cut)?).replace(' ', "");
    if !header.contains("'descr':'<f4'") || !header.contains("'fortran_order':False") {
        return Err("its numbers are not f32, row by row".to_owned());
    }
    Ok(&bytes[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(rows: usize, of: f32) -> Vec<u8> {
        (0..rows * STYLE).flat_map(|at| (of + (at / STYLE) as f32).to_le_bytes()).collect()
    }

    fn numpy(kind: &str, numbers: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (2, 1, 256), }}\n");
        [NUMPY, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), numbers].concat()
    }

    fn added(file: &str, bytes: Vec<u8>) -> Result<Voices, String> {
        let mut voices = Voices::default();
        voices.add(file, &bytes.into()).map_err(|error| error.to_string()).map(|()| voices)
    }

    #[test]
    fn a_voice_has_a_style_for_each_length() {
        for (file, bytes) in [("voices/af_a.bin", numbers(3, 1.0)), ("af_a.npy", numpy("<f4", &numbers(3, 1.0)))] {
            let voices = added(file, bytes).unwrap();
            assert_eq!(voices.names().collect::<Vec<_>>(), ["af_a"]);
            let voice = voices.get("af_a").unwrap();
            let told = [0, 1, 2, 3, 9].map(|symbols| voice.style(symbols)[255]);
            assert_eq!(told, [1.0, 1.0, 2.0, 3.0, 3.0]);
        }
    }

    #[test]
    fn an_archive_has_many() {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, of) in [("af_a.npy", 1.0), ("bm_b.npy", 5.0)] {
            let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            archive.start_file(name, options).unwrap();
            std::io::Write::write_all(&mut archive, &numpy("<f4", &numbers(2, of))).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        let voices = added("voices-v1.0.bin", bytes.clone()).unwrap();
        assert_eq!(voices.names().collect::<Vec<_>>(), ["af_a", "bm_b"]);
        let get = |name| voices.get(name).unwrap();
        let blend = Voice::blend(&[(get("af_a"), 0.75), (get("bm_b"), 0.25)]);
        assert_eq!((blend.style(1)[0], blend.style(2)[0]), (2.0, 3.0));
        assert!(added("voices.npz", bytes[..bytes.len() / 2].to_vec()).is_err());
    }

    #[test]
    fn what_is_no_voice_is_named() {
        let refused = |bytes: Vec<u8>| added("voices/x.bin", bytes).unwrap_err();
        assert!(refused(vec![0; 1000]).contains("x.bin is not what it should be: it has 1000 bytes of numbers"));
        assert!(refused(Vec::new()).contains("it has 0 bytes"));
        assert!(refused(vec![0xff; 1024]).contains("some of its numbers are none"));
        assert!(refused(vec![0; MOST_BYTES + 1024]).contains("more than 4194304 bytes"));
        assert!(refused(numpy("<f8", &numbers(2, 0.0))).contains("not f32, row by row"));
        assert!(refused(NUMPY.to_vec()).contains("cut off"));
        assert!(refused([NUMPY, &[2, 0, 0xff, 0xff, 0xff, 0xff]].concat()).contains("cut off"));
    }
}
