use std::fs;

use bytes::Bytes;
use candle_core::Device;

use super::{header, network::*, *};
use crate::{
    families::{
        fixtures::{folder, programs},
        protobuf::{Value, write, write_bytes},
    },
    model::{Backing, Placement, Precision, Programs},
};

const SIGNATURE: Signature = Signature {
    inputs: &[
        Taken { names: &["input"], types: &[InputType::I64], required: true },
        Taken { names: &["input_lengths"], types: &[InputType::I64], required: true },
        Taken { names: &["scales"], types: &[InputType::F32], required: true },
        Taken { names: &["sid"], types: &[InputType::I64], required: false },
    ],
    states: false,
};

fn voice() -> Vec<u8> {
    fs::read(folder("piper").join("voice.onnx")).expect("fixture")
}

/// With every `from` in it as `to`, which is as long.
fn changed(from: &str, to: &str) -> Bytes {
    assert_eq!(from.len(), to.len());
    let mut bytes = voice();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from}");
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
    bytes.into()
}

fn place(programs: Programs) -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 1,
        residency: Default::default(),
        references: Default::default(),
        programs,
    }
}

fn refusal(bytes: impl Into<Bytes>) -> String {
    Network::open("voice.onnx", &bytes.into(), &SIGNATURE, &place(programs())).unwrap_err().to_string()
}

/// A model whose only tensor says so of itself.
fn with_tensor(fields: &[(u64, Value)]) -> Bytes {
    let (mut tensor, mut graph, mut model) = (Vec::new(), Vec::new(), Vec::new());
    fields.iter().for_each(|(field, value)| write(&mut tensor, *field, value).expect("a field"));
    write_bytes(&mut tensor, 8, b"weight");
    write_bytes(&mut graph, 5, &tensor);
    write_bytes(&mut model, 7, &graph);
    model.into()
}

#[test]
fn what_is_no_onnx_never_reaches_the_library() {
    let nothing = place(Programs::default());
    let refusal = |bytes: Bytes| Network::open("voice.onnx", &bytes, &SIGNATURE, &nothing).unwrap_err().to_string();
    assert!(refusal(Bytes::new()).contains("voice.onnx is not what it should be: it is no ONNX: it has no graph"));
    assert!(refusal(Bytes::from_static(b"this is a text")).contains("cut off, damaged, or no ONNX"));
    let whole = voice();
    for cut in (1..whole.len()).step_by(97) {
        let message = refusal(whole[..cut].to_vec().into());
        assert!(message.contains("no ONNX"), "{cut}: {message}");
    }
    let twice: Bytes = [with_tensor(&[]), with_tensor(&[])].concat().into();
    assert!(refusal(twice).contains("or several"));
}

#[test]
fn a_tensor_has_the_bytes_that_it_says() {
    let sizes = |sizes: &[i64]| sizes.iter().map(|size| (1, Value::Integer(size.cast_unsigned()))).collect::<Vec<_>>();
    let float = (2, Value::Integer(1));
    let raw = |length: usize| (9, Value::Bytes(vec![0; length].into()));
    let refusal = |fields: Vec<(u64, Value)>| header::read("a", &with_tensor(&fields)).unwrap_err().to_string();
    let with = |shape: &[i64], more: &[(u64, Value)]| [sizes(shape).as_slice(), more].concat();
    let message = refusal(with(&[1 << 40], &[float.clone(), raw(4)]));
    assert_eq!(message, "the tensor weight has 4 bytes, which is not what its shape [1099511627776] asks for");
    assert!(refusal(with(&[2, 3], &[float.clone(), raw(23)])).contains("has 23 bytes"));
    for impossible in [vec![-1], vec![i64::MAX; 4]] {
        assert!(refusal(with(&impossible, &[float.clone(), raw(4)])).contains("impossible shape"), "{impossible:?}");
    }
    assert!(refusal(with(&[1 << 40], std::slice::from_ref(&float))).contains("fewer numbers than its shape"));
    for elsewhere in [(14, Value::Integer(1)), (13, Value::Bytes(Bytes::from_static(b"\x0a\x01a")))] {
        assert!(refusal(with(&[1], &[float.clone(), elsewhere])).contains("numbers in another file"));
    }
    header::read("a", &with_tensor(&with(&[2, 3], &[float, raw(24)]))).expect("as it says");
    header::read("a", &with_tensor(&with(&[3], &[(2, Value::Integer(22)), raw(2)]))).expect("two to a byte");
}

#[test]
fn graphs_in_graphs_have_an_end() {
    let mut graph = Vec::new();
    for _ in 0..20 {
        let (mut attribute, mut node, mut outer) = (Vec::new(), Vec::new(), Vec::new());
        write_bytes(&mut attribute, 6, &graph);
        write_bytes(&mut node, 5, &attribute);
        write_bytes(&mut outer, 1, &node);
        graph = outer;
    }
    let mut model = Vec::new();
    write_bytes(&mut model, 7, &graph);
    let message = header::read("a", &model.into()).unwrap_err().to_string();
    assert!(message.contains("graphs 8 deep in graphs"), "{message}");
}

#[test]
fn inputs_are_those_of_the_family() {
    let other = refusal(changed("input_lengths", "input_lengthz"));
    assert!(other.contains("its input \"input_lengthz\" is none of input, input_lengths, scales, sid"), "{other}");
    let header = header::read("voice.onnx", &voice().into()).expect("a header");
    let inputs: Vec<&str> = header.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(
        (inputs.join(" "), header.opset, header.draws.len()),
        ("input input_lengths scales sid".to_owned(), 15, 2)
    );
    const MORE: Signature = Signature {
        inputs: &[
            Taken { names: &["input", "tokens"], types: &[InputType::F32, InputType::I32], required: true },
            Taken { names: &["style"], types: &[InputType::F32], required: true },
        ],
        states: false,
    };
    let open = |signature| Network::open("a", &voice().into(), signature, &place(Programs::default())).unwrap_err();
    assert!(open(&MORE).to_string().contains("its input \"input\" is not of the type f32 or i32"));
    const MISSING: Signature = Signature {
        inputs: &[
            Taken { names: &["input"], types: &[InputType::I64], required: true },
            Taken { names: &["input_lengths"], types: &[InputType::I64], required: true },
            Taken { names: &["scales"], types: &[InputType::F32], required: true },
            Taken { names: &["sid"], types: &[InputType::I64], required: true },
            Taken { names: &["style", "ref_s"], types: &[InputType::F32], required: true },
        ],
        states: false,
    };
    assert!(
        open(&MISSING)
            .to_string()
            .contains("it has no input \"style\"; input, input_lengths, scales, sid, style or ref_s")
    );
}

#[test]
fn without_the_library_a_right_file_says_what_is_missing() {
    let error = Network::open("a", &voice().into(), &SIGNATURE, &place(Programs::default())).unwrap_err().to_string();
    assert!(error.contains("needs the library ONNX Runtime") && error.contains("pip install onnxruntime"), "{error}");
}

#[test]
fn an_operator_that_the_library_has_not_is_named() {
    if let Err(error) = check_library(&programs(), true) {
        println!("skipped: {error}");
        return;
    }
    let message = refusal(changed("ConvTranspose", "ConvTransport"));
    assert!(message.contains("voice.onnx is not what it should be: ONNX Runtime does not take it"), "{message}");
    assert!(message.contains("ConvTransport"), "{message}");
    assert!(!message.contains("/onnxruntime_src"), "{message}");
}

#[test]
fn what_draws_by_chance_takes_what_it_is_given() {
    if let Err(error) = check_library(&programs(), true) {
        println!("skipped: {error}");
        return;
    }
    let mut network = Network::open("a", &voice().into(), &SIGNATURE, &place(programs())).expect("a network");
    let mut run = |noise_scale: f32, seed, noise| {
        let given = vec![
            ("input", vec![1, 5], Numbers::Integers(vec![1, 0, 14, 0, 2])),
            ("input_lengths", vec![1], Numbers::Integers(vec![5])),
            ("scales", vec![3], Numbers::Floats(vec![noise_scale, 1.0, 0.0])),
            ("sid", vec![1], Numbers::Integers(vec![0])),
        ];
        network.run(given, seed, noise).expect("numbers")
    };
    assert_eq!(run(0.0, 1, 1000), run(0.0, 2, 1000), "nothing is drawn");
    let all = run(1.0, 1, 1000);
    assert_eq!(run(1.0, 1, 1000), all);
    assert_eq!(run(1.0, 1, 900), all, "more than are needed");
    assert_ne!(run(1.0, 2, 1000), all);
    assert_eq!(run(1.0, 1, 3).len(), all.len(), "fewer than are needed come again");
    assert!(all.iter().all(|sample| sample.abs() <= 1.0) && all.iter().any(|sample| sample.abs() > 0.01));
}
