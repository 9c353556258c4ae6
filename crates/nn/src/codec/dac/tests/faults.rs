//! Files and codes that are not what they should be.

use super::*;

/// What is done to a tensor.
#[derive(Clone, Copy, Debug)]
enum Change {
    Missing,
    Flat,
    /// This axis gets this size.
    Axis(usize, usize),
}

/// What loading says where a tensor is not as it should be.
fn fault(name: &str, change: Change) -> String {
    let mut tensors = tensors();
    let old = tensors.remove(name).expect(name);
    let shape = match change {
        Change::Missing => None,
        Change::Flat => Some(vec![old.elem_count()]),
        Change::Axis(axis, size) => {
            Some(old.dims().iter().enumerate().map(|(at, &was)| if at == axis { size } else { was }).collect())
        }
    };
    if let Some(shape) = shape {
        tensors.insert(name.to_owned(), Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap());
    }
    let tensors = tensors.into_iter().map(|(name, tensor)| {
        let shape = tensor.dims().to_vec();
        (name, shape, numbers(&tensor.to_dtype(DType::F32).unwrap()))
    });
    let Err(error) = load(&mut Weights::of(tensors), &contexts()[0], &config()) else { panic!("{name} is {change:?}") };
    error.to_string()
}

#[test]
fn tensors_that_make_no_codec_are_named() {
    use Change::{Axis, Flat, Missing};
    for (name, change, says) in [
        ("encoder.conv1.bias", Missing, "encoder.conv1.bias is missing"),
        ("encoder.conv1.weight", Axis(2, 6), "encoder.conv1 has 6 taps"),
        ("encoder.conv1.weight", Axis(1, 2), "encoder.conv1.weight has the shape ["),
        ("encoder.conv2.weight", Flat, "encoder.conv2.weight has the shape ["),
        ("encoder.block.0.conv1.bias", Missing, "encoder.block.0.conv1.bias is missing"),
        ("encoder.block.1.conv1.bias", Missing, "kernels that stand for the rates"),
        ("encoder.block.1.conv1.weight", Axis(2, 7), "encoder.block.1.conv1 has 7 taps"),
        ("encoder.block.1.conv1.weight", Axis(1, 5), "encoder.block.1.conv1 takes a width of 5"),
        ("decoder.block.0.conv_t1.weight", Axis(2, 2), "decoder.block.0.conv_t1 has 2 taps"),
        (
            "decoder.block.0.conv_t1.weight",
            Axis(2, 1 << 10),
            "decoder.block.0.conv_t1 is one of kernels that stand for",
        ),
        ("decoder.block.1.conv_t1.weight", Axis(0, 3), "decoder.block.1.conv_t1 takes a width of 3"),
        ("decoder.block.1.res_unit2.conv1.weight", Axis(2, 4), "decoder.block.1.res_unit2.conv1 has 4 taps"),
        ("decoder.block.1.res_unit2.conv2.weight", Axis(2, 3), "decoder.block.1.res_unit2.conv2.weight has the shape"),
        ("decoder.block.2.snake1.alpha", Axis(1, 3), "decoder.block.2.snake1.alpha has the shape"),
        ("decoder.conv2.weight", Axis(0, 2), "decoder.conv2.weight has the shape [2, "),
        ("quantizer.quantizers.0.codebook.weight", Missing, "quantizer.quantizers.0.codebook.weight is missing"),
        ("quantizer.quantizers.0.codebook.weight", Axis(0, 0), "where 2 sizes of at least 1 are expected"),
        ("quantizer.quantizers.1.codebook.weight", Axis(0, 7), "quantizer.quantizers.1.codebook.weight has the shape"),
        ("quantizer.quantizers.1.in_proj.weight", Axis(1, 3), "quantizer.quantizers.1.in_proj.weight has the shape"),
        ("quantizer.quantizers.1.out_proj.bias", Missing, "quantizer.quantizers.1.out_proj.bias is missing"),
    ] {
        let error = fault(name, change);
        assert!(error.contains(says), "{name} {change:?}: {error}");
    }
}

#[test]
fn what_is_no_part_of_a_codec_is_named() {
    let mut weights = weights();
    weights.ignore("quantizer.quantizers.1.codebook.weight");
    let error = load(&mut weights, &contexts()[0], &config()).unwrap_err().to_string();
    assert!(error.contains("n_codebooks is "), "{error}");
    let config = DacConfig { n_codebooks: 1, ..config() };
    load(&mut weights, &contexts()[0], &config).unwrap();
    let error = weights.finish().unwrap_err().to_string();
    assert!(error.contains("quantizer.quantizers.1.in_proj.bias is not part of such a model"), "{error}");
}

#[test]
fn a_configuration_that_lies_is_refused_by_field() {
    let error = |config: DacConfig| load(&mut weights(), &contexts()[0], &config).unwrap_err().to_string();
    let good = config;
    for (config, says) in [
        (DacConfig { sampling_rate: 0, ..good() }, "sampling_rate is 0, where 1000 to 384000"),
        (DacConfig { sampling_rate: u32::MAX, ..good() }, "sampling_rate is 4294967295"),
        (DacConfig { downsampling_ratios: vec![], ..good() }, "downsampling_ratios is []"),
        (DacConfig { downsampling_ratios: vec![2, 0], ..good() }, "downsampling_ratios is [2, 0], which"),
        (DacConfig { downsampling_ratios: vec![usize::MAX, 2], ..good() }, "multiply to 16384 at most"),
        (DacConfig { downsampling_ratios: vec![1 << 14, 2], ..good() }, "multiply to 16384 at most"),
        (DacConfig { downsampling_ratios: vec![2, 2], ..good() }, "downsampling_ratios is [2, 2], where the tensors"),
        (DacConfig { encoder_hidden_size: 9, ..good() }, "encoder_hidden_size is [9], where the tensors have"),
        (DacConfig { decoder_hidden_size: 1, ..good() }, "decoder_hidden_size is [1]"),
        (DacConfig { n_codebooks: 1 << 40, ..good() }, "n_codebooks is [1099511627776]"),
        (DacConfig { codebook_size: 3, ..good() }, "codebook_size is [3]"),
        (DacConfig { codebook_dim: 1, ..good() }, "codebook_dim is [1]"),
    ] {
        let error = error(config);
        assert!(error.contains(says) && error.contains("config.json"), "{says}: {error}");
    }
}

#[test]
fn codes_that_no_book_has_are_refused() {
    let dac = dac(&contexts()[0]);
    let error = |codes: &[u32]| {
        // The first line, after which a trace of calls may come.
        let text = |error: candle_core::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
        let whole = text(dac.decode(codes).unwrap_err());
        let (mut stream, good) = (DacStream::new(), some_codes(&dac, 3));
        let mut sound = stream.push(&dac, &good).unwrap();
        assert_eq!(text(stream.push(&dac, codes).unwrap_err()), whole);
        sound.extend(stream.finish(&dac).unwrap());
        assert_eq!(sound, dac.decode(&good).unwrap(), "what was refused is not heard");
        whole
    };
    let mut codes = some_codes(&dac, 2);
    codes[3] = dac.codes() as u32;
    let (count, books) = (dac.codes(), dac.books());
    assert!(error(&codes).contains(&format!("there is no code {count} in a book of {count}")));
    codes[3] = u32::MAX;
    assert!(error(&codes).contains("there is no code 4294967295"));
    assert!(error(&vec![0; books + 1]).contains(&format!("{} codes are no whole frames of {books}", books + 1)));
}
