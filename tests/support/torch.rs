//! Checkpoints as `torch.save` writes them.

use std::io::{Cursor, Write};

use safetensors::Dtype;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A tensor: its name, type, sizes, bytes.
pub type Named<'a> = (&'a str, Dtype, &'a [usize], &'a [u8]);

/// A file with nothing but this pickle.
pub fn pickled(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A file with a dictionary of tensors; in a list under the key `model` if it is `wrapped`, as trainers do it.
pub fn archive<'a>(tensors: impl IntoIterator<Item = Named<'a>>, wrapped: bool) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut entry = |name: &str, content: &[u8]| {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(content).unwrap();
    };
    let mut dictionary = b"}(".to_vec();
    for (at, (name, dtype, shape, bytes)) in tensors.into_iter().enumerate() {
        entry(&format!("data/{at}"), bytes);
        dictionary.extend([text(name), tensor(&at.to_string(), dtype, shape)].concat());
    }
    dictionary.push(b'u');
    let whole = if wrapped { [&b"}("[..], &text("model"), b"](", &dictionary, b"eu"].concat() } else { dictionary };
    entry("data.pkl", &[b"\x80\x02", &whole[..], b"."].concat());
    zip.finish().unwrap().into_inner()
}

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn number(number: usize) -> Vec<u8> {
    [&b"J"[..], &(number as i32).to_le_bytes()].concat()
}

/// A call of what rebuilds a tensor.
fn tensor(key: &str, dtype: Dtype, shape: &[usize]) -> Vec<u8> {
    let kind: &[u8] = match dtype {
        Dtype::F32 => b"ctorch\nFloatStorage\n",
        Dtype::F16 => b"ctorch\nHalfStorage\n",
        Dtype::I64 => b"ctorch\nLongStorage\n",
        other => panic!("no fixture has {other:?}"),
    };
    let strides = (0..shape.len()).map(|at| shape[at + 1..].iter().product());
    let tuple = |numbers: &mut dyn Iterator<Item = usize>| {
        [&b"("[..], &numbers.flat_map(number).collect::<Vec<_>>(), b"t"].concat()
    };
    let storage =
        [&b"("[..], &text("storage"), kind, &text(key), &text("cpu"), &number(shape.iter().product()), b"tQ"].concat();
    let sizes = [tuple(&mut shape.iter().copied()), tuple(&mut strides.into_iter())].concat();
    [&b"ctorch._utils\n_rebuild_tensor_v2\n("[..], &storage, &number(0), &sizes, b"\x89}tR"].concat()
}
