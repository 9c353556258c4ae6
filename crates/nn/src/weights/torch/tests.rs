//! Against what `torch.save` wrote, on the fixtures that `tests/fixtures/torch/make.py` makes, and against what nobody
//! should be sent.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
    path::PathBuf,
};

use half::{bf16, f16};
use safetensors::Dtype;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

fn fixture(name: &str) -> Bytes {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch");
    std::fs::read(folder.join(name)).expect("fixture").into()
}

fn tensors(file: &Bytes) -> BTreeMap<String, Stored> {
    read(file).expect("a good file").into_iter().collect()
}

fn numbers(stored: &Stored) -> Vec<f64> {
    let number = |bytes: &[u8]| match stored.dtype {
        Dtype::F64 => f64::from_le_bytes(bytes.try_into().expect("8 bytes")),
        Dtype::F32 => f32::from_le_bytes(bytes.try_into().expect("4 bytes")).into(),
        Dtype::F16 => f16::from_le_bytes(bytes.try_into().expect("2 bytes")).into(),
        Dtype::BF16 => bf16::from_le_bytes(bytes.try_into().expect("2 bytes")).into(),
        Dtype::I64 => i64::from_le_bytes(bytes.try_into().expect("8 bytes")) as f64,
        other => panic!("the fixture has no {other:?}"),
    };
    stored.bytes.chunks(stored.dtype.bitsize() / 8).map(number).collect()
}

/// Numbers as `make.py` makes them.
fn quarters(first: usize, count: usize) -> Vec<f64> {
    (0..count).map(|at| first as f64 + at as f64 / 4.0).collect()
}

// === good files ===

#[test]
fn every_tensor_of_a_checkpoint_is_there_under_its_path() {
    let found = tensors(&fixture("nested.pth"));
    let expected: [(&str, Dtype, &[usize], Vec<f64>); 14] = [
        ("encoder.0.weight", Dtype::F32, &[2, 3], quarters(1, 6)),
        ("encoder.0.bias", Dtype::F32, &[2], quarters(2, 2)),
        ("parameter", Dtype::F32, &[5], quarters(3, 5)),
        ("half", Dtype::F16, &[3], quarters(4, 3)),
        ("bfloat", Dtype::BF16, &[3], quarters(5, 3)),
        ("double", Dtype::F64, &[2], quarters(6, 2)),
        ("long", Dtype::I64, &[3], vec![0.0, 1.0, 2.0]),
        ("scalar", Dtype::F32, &[], vec![7.0]),
        ("empty", Dtype::F32, &[0, 3], vec![]),
        ("rows", Dtype::F32, &[2, 6], quarters(0, 24)[6..18].to_vec()),
        ("transposed", Dtype::F32, &[3, 2], quarters(9, 6)),
        ("column", Dtype::F32, &[4], vec![0.25, 1.75, 3.25, 4.75]),
        ("list.0", Dtype::F32, &[1], vec![10.0]),
        ("list.1.0", Dtype::F32, &[1], vec![11.0]),
    ];
    assert_eq!(found.len(), expected.len(), "{:?}", found.keys());
    for (name, dtype, shape, values) in expected {
        let stored = &found[name];
        assert_eq!((stored.dtype, stored.shape.as_slice(), numbers(stored)), (dtype, shape, values), "{name}");
    }
}

#[test]
fn a_tensor_saved_alone_has_the_empty_name() {
    let found = tensors(&fixture("alone.pt"));
    assert_eq!(found.keys().collect::<Vec<_>>(), [""]);
    assert_eq!((found[""].shape.as_slice(), numbers(&found[""])), (&[2, 1, 3][..], quarters(1, 6)));
}

#[test]
fn a_tensor_is_a_view_of_its_file() {
    let file = fixture("alone.pt");
    let found = &tensors(&file)[""];
    let whole = file.as_ptr() as usize..file.as_ptr() as usize + file.len();
    assert!(whole.contains(&(found.bytes.as_ptr() as usize)), "it was copied");
}

// === bad files ===

/// A file with this pickle, a storage of six numbers under the key `0`, and these entries.
fn zip_with(pickle: &[u8], entries: &[(&str, &[u8])], method: CompressionMethod) -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("data.pkl", pickle), ("data/0", &[0; 24])].iter().chain(entries) {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("archive/{name}"), options).expect("entry");
        zip.write_all(content).expect("entry");
    }
    zip.finish().expect("zip").into_inner().into()
}

/// The same zip, whose headers say that all of it is compressed: this crate has nothing to compress with.
fn called_deflated(zip: &Bytes) -> Bytes {
    const DEFLATED: u8 = 8;
    let mut bytes = zip.to_vec();
    for (signature, method) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let headers = bytes.windows(4).enumerate().filter(|(_, window)| *window == signature).map(|(at, _)| at);
        for at in headers.collect::<Vec<_>>() {
            bytes[at + method] = DEFLATED;
        }
    }
    bytes.into()
}

fn pickled(code: &[u8]) -> Bytes {
    zip_with(code, &[], CompressionMethod::Stored)
}

fn fault(code: &[u8]) -> String {
    read(&pickled(code)).expect_err("a bad file").to_string()
}

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn tuple(numbers: &[i32]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| [&b"J"[..], &number.to_le_bytes()].concat());
    b"(".iter().copied().chain(numbers).chain(*b"t").collect()
}

/// What rebuilds a tensor of the storage `key`, said to be of `len` numbers.
fn tensor(key: &str, len: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let storage = [&b"("[..], &text("storage"), b"ctorch\nFloatStorage\n", &text(key), &text("cpu"), b"J"].concat();
    let storage = [&storage[..], &len.to_le_bytes(), b"tQ"].concat();
    let offset = [&b"J"[..], &offset.to_le_bytes()].concat();
    let call = b"ctorch._utils\n_rebuild_tensor_v2\n(";
    [call, &storage[..], &offset, &tuple(shape), &tuple(strides), b"\x89}tR"].concat()
}

/// `{key: value, …}`
fn dict(items: &[(&str, &[u8])]) -> Vec<u8> {
    let items = items.iter().flat_map(|(key, value)| [&text(key)[..], value].concat());
    b"}(".iter().copied().chain(items).chain(*b"u").collect()
}

fn ended(code: &[u8]) -> Vec<u8> {
    [code, b"."].concat()
}

#[test]
fn the_hand_made_tensor_is_a_good_one() {
    let found = tensors(&pickled(&ended(&dict(&[("x", &tensor("0", 6, 1, &[2, 2], &[2, 1]))]))));
    assert_eq!((found["x"].shape.as_slice(), found["x"].bytes.len()), (&[2, 2][..], 16));
}

#[test]
fn whatever_could_run_is_refused_by_name() {
    let system = b"cposix\nsystem\nX\x02\0\0\0id\x85R.";
    assert!(fault(system).contains("posix.system"), "{}", fault(system));
    for global in
        ["builtins\neval", "torch\nload", "torch._utils\n_rebuild_qtensor", "__torch__\nNet", "os\nFloatStorage"]
    {
        let code = format!("c{global}\n)R.");
        assert!(fault(code.as_bytes()).contains("which is no part of tensors"), "{global}");
    }
    // INST, OBJ, NEWOBJ, NEWOBJ_EX, STACK_GLOBAL, EXT1, PERSID, and the text form of a number.
    for code in [b'i', b'o', 0x81, 0x92, 0x93, 0x82, b'P', b'I'] {
        assert!(fault(&[code, b'.']).contains(&format!("{code:#04x} at byte 0")), "{code}");
    }
}

#[test]
fn what_ends_too_early_or_lacks_a_value_is_an_error_wherever_it_is_cut() {
    let whole = ended(&dict(&[("x", &tensor("0", 6, 0, &[2, 3], &[3, 1]))]));
    for len in 0..whole.len() {
        assert!(read(&pickled(&whole[..len])).is_err(), "cut at {len}");
    }
    for code in
        [&b"."[..], b"R.", b"(R.", b"t.", b"\x87.", b"u.", b"N)R.", b"(Ns.", b"h\x07.", b"NQ.", b"Nb.", b"K\x01N\x86a."]
    {
        assert!(fault(code).contains("broken at byte"), "{code:?}: {}", fault(code));
    }
}

#[test]
fn any_byte_may_be_wrong() {
    let whole = ended(&dict(&[("x", &tensor("0", 6, 0, &[2, 3], &[3, 1]))]));
    for at in 0..whole.len() {
        // Every instruction, and bytes that make lengths large or negative.
        for byte in *b"()]}.0JKMXGNQRabcehjqrstu\x00\x7f\x80\x85\x86\x87\x88\x89\x8a\xff" {
            let mut code = whole.clone();
            code[at] = byte;
            // Read or refused, but it returns, and no tensor is larger than its storage.
            for (name, stored) in read(&pickled(&code)).into_iter().flatten() {
                assert!(stored.bytes.len() <= 24, "{name:?}, {byte} at {at}");
            }
        }
    }
}

#[test]
fn a_length_beyond_the_file_takes_no_memory() {
    assert!(fault(b"X\xff\xff\xff\xffabc.").contains("ends too early"));
    assert!(fault(b"\x8a\xff\x01.").contains("ends too early"));
    assert!(fault(b"\x8a\x09123456789.").contains("64 bits"));
}

#[test]
fn what_grows_by_sharing_is_bounded() {
    // A dictionary that holds another twice, forty times over: 2^40 names.
    let mut twice = b"}".to_vec();
    for level in 0..40 {
        twice.extend([b'q', level]);
        twice.extend([&b"}("[..], &text("a"), &[b'h', level], &text("b"), &[b'h', level], b"u"].concat());
    }
    assert!(fault(&ended(&twice)).contains("depth of nesting exceeds the limit"), "{}", fault(&ended(&twice)));
    // The same with a list of many: no deep, but very wide.
    let mut wide = b"]".to_vec();
    for level in 0..3 {
        wide.extend([b'q', level]);
        wide.extend([&b"]("[..], &[b'h', level].repeat(1000), b"e"].concat());
    }
    assert!(fault(&ended(&wide)).contains("number of values exceeds the limit"), "{}", fault(&ended(&wide)));
    // A list in itself.
    assert!(fault(b"]q\x00h\x00a.").contains("depth of nesting"));
    let long = text(&"x".repeat(10_000));
    let code = [&b"}("[..], &long, b"Nu."].concat();
    assert!(fault(&code).contains("longest name"), "{}", fault(&code));
    let nothing = ended(&vec![b'N'; 5 << 20]);
    assert!(fault(&nothing).contains("its pickle, in bytes, exceeds the limit"), "{}", fault(&nothing));
}

#[test]
fn a_tensor_outside_of_its_storage_is_refused() {
    for (offset, shape, strides) in [
        (0, &[7][..], &[1][..]),
        (1, &[2, 3], &[3, 1]),
        (0, &[2, 3], &[4, 1]),
        (7, &[], &[]),
        (0, &[1 << 30, 1 << 30, 1 << 30], &[0, 0, 0]),
        (0, &[2], &[i32::MAX]),
        (0, &[9], &[0]),
    ] {
        let code = ended(&dict(&[("x", &tensor("0", 6, offset, shape, strides))]));
        assert!(fault(&code).contains("outside of its storage"), "{shape:?}: {}", fault(&code));
    }
    for (offset, shape, strides) in [(-1, &[1][..], &[1][..]), (0, &[-1], &[1]), (0, &[1], &[-1]), (0, &[1, 1], &[1])] {
        let code = ended(&dict(&[("x", &tensor("0", 6, offset, shape, strides))]));
        assert!(fault(&code).contains("other arguments than those of tensors"), "{shape:?}: {}", fault(&code));
    }
    let fewer = ended(&dict(&[("x", &tensor("0", 7, 0, &[7], &[1]))]));
    assert_eq!(fault(&fewer), "its entry data/0 has 24 bytes, and its pickle says otherwise");
    let absent = ended(&dict(&[("x", &tensor("1", 6, 0, &[1], &[1]))]));
    assert_eq!(fault(&absent), "it has no entry data/1");
}

#[test]
fn copies_do_not_outgrow_the_file() {
    let transposed = tensor("0", 6, 0, &[3, 2], &[1, 3]);
    let names: Vec<String> = (0..2000).map(|at| at.to_string()).collect();
    let again = [&transposed[..], b"q\x00"].concat();
    let items: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), if name == "0" { &again[..] } else { b"h\x00" })).collect();
    assert!(fault(&ended(&dict(&items))).contains("not contiguous exceeds the limit"));
    assert!(read(&pickled(&ended(&dict(&items[..20])))).is_ok());
}

#[test]
fn one_name_for_two_tensors_is_refused() {
    let one = tensor("0", 6, 0, &[1], &[1]);
    let inner = dict(&[("b", &one)]);
    assert_eq!(fault(&ended(&dict(&[("a.b", &one), ("a", &inner)]))), "it names two tensors \"a.b\"");
}

#[test]
fn other_formats_are_told_apart() {
    let legacy = read(&fixture("legacy.pt")).expect_err("not a zip").to_string();
    assert!(legacy.contains("since PyTorch 1.6"), "{legacy}");
    let nothing = read(&Bytes::new()).expect_err("nothing").to_string();
    assert!(nothing.contains("since PyTorch 1.6"), "{nothing}");
    let script = zip_with(b".", &[("code/x.py", b"")], CompressionMethod::Stored);
    assert!(read(&script).is_err());
    let big = zip_with(b"N.", &[("byteorder", b"big")], CompressionMethod::Stored);
    assert_eq!(read(&big).expect_err("big-endian").to_string(), "it was written on a big-endian machine");
    let little = zip_with(b"N.", &[("byteorder", b"little")], CompressionMethod::Stored);
    assert_eq!(tensors(&little).len(), 0);
    let packed = called_deflated(&zip_with(b"N.", &[], CompressionMethod::Stored));
    assert!(read(&packed).expect_err("compressed").to_string().contains("compressed"));
}

#[test]
fn a_zip_that_is_cut_or_lies_about_its_entries_is_an_error() {
    let whole = fixture("nested.pth");
    for len in (0..whole.len()).step_by(7) {
        assert!(read(&whole.slice(..len)).is_err(), "cut at {len}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0xff;
        // Read or refused, but it returns.
        let _ = read(&bytes.into());
    }
}
