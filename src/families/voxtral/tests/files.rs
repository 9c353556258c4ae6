//! What is wrong with files is said, and none of it is a panic.

use super::*;

fn fault(files: &ModelFiles) -> String {
    match Voxtral.load(files, &place(Precision::F32)) {
        Ok(_) => panic!("it loads"),
        Err(error) => error.to_string(),
    }
}

fn listed(names: &[&str]) -> Result<Vec<String>, String> {
    let listing: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Voxtral.files("model", &listing).map_err(|error| error.to_string())
}

#[test]
fn a_repository_gives_what_is_needed_and_no_weights_twice() {
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let index = "model.safetensors.index.json";
    let all = [
        "README.md",
        "config.json",
        "consolidated.safetensors",
        "generation_config.json",
        one,
        two,
        index,
        "params.json",
        "preprocessor_config.json",
        "tekken.json",
    ];
    assert_eq!(listed(&all).unwrap(), ["config.json", "tekken.json", "generation_config.json", index, one, two]);
    let single = ["config.json", "tekken.json", "model.safetensors"];
    assert_eq!(listed(&single).unwrap(), single);
    for missing in ["config.json", "tekken.json", one, index] {
        let names: Vec<&str> = all.iter().copied().filter(|name| *name != missing).collect();
        let error = listed(&names).unwrap_err();
        assert!(error.contains(missing), "{error}");
    }
}

#[test]
fn the_configuration_is_recognised_by_its_type_or_its_architecture() {
    assert!(Voxtral.recognises(&config_json()));
    assert!(Voxtral.recognises(&serde_json::json!({"architectures": ["VoxtralForConditionalGeneration"]})));
    for other in [serde_json::json!({"model_type": "whisper"}), serde_json::json!([]), Value::Null] {
        assert!(!Voxtral.recognises(&other), "{other}");
    }
}

#[test]
fn a_tensor_that_is_missing_or_one_too_many_is_named() {
    for name in [
        "language_model.model.layers.1.mlp.up_proj.weight",
        "language_model.lm_head.weight",
        "multi_modal_projector.linear_2.weight",
        "audio_tower.layers.0.fc1.bias",
    ] {
        let without = renamed(|own| (own != name).then(|| own.to_owned()));
        assert_eq!(fault(&files_with("model.safetensors", without)), format!("the tensor {name} is missing"));
        let other = renamed(|own| Some(if own == name { format!("{own}.2") } else { own.to_owned() }));
        assert!(fault(&files_with("model.safetensors", other)).contains(&format!("the tensor {name} is missing")));
    }
    let mut deeper = config_json();
    deeper["text_config"]["num_hidden_layers"] = 1.into();
    let error = fault(&files_with("config.json", deeper.to_string().into()));
    assert!(error.contains("language_model.model.layers.1") && error.contains("there are 2 layers"), "{error}");
    let mut wider = config_json();
    wider["text_config"]["intermediate_size"] = 97.into();
    let error = fault(&files_with("config.json", wider.to_string().into()));
    assert!(error.contains("has the shape") && error.contains("mlp"), "{error}");
}

#[test]
fn a_vocabulary_that_does_not_fit_is_refused() {
    let mut tekken: Value = serde_json::from_slice(&fixture("tekken.json")).unwrap();
    let tokens = tekken["config"]["default_vocab_size"].as_u64().unwrap();
    tekken["config"]["default_vocab_size"] = (tokens + 1).into();
    let error = fault(&files_with("tekken.json", tekken.to_string().into()));
    assert!(error.contains("tekken.json") && error.contains("tokens, and the model"), "{error}");
    for broken in [&b""[..], b"{}", b"[", &fixture("tekken.json")[..1000]] {
        let error = fault(&files_with("tekken.json", broken.to_vec()));
        assert!(error.starts_with("tekken.json is not"), "{error}");
    }
}

#[test]
fn the_names_that_newer_transformers_write_and_shards_load_as_well() {
    let newer = renamed(|name| {
        let inner = name.strip_prefix("language_model.");
        Some(match inner.map(|inner| inner.strip_prefix("model.").unwrap_or(inner)) {
            Some("lm_head.weight") => "lm_head.weight".to_owned(),
            Some(inner) => format!("model.language_model.{inner}"),
            None => format!("model.{name}"),
        })
    });
    let tokens = [1, 3, 25];
    let first = |files: &ModelFiles| {
        let net = net(files, Precision::F32);
        let state = net.read(&mut net.sequence(8).unwrap(), &net.embed(&tokens).unwrap()).unwrap();
        net.logits(&state).unwrap().to_vec2::<f32>().unwrap()
    };
    let expected = first(&files());
    assert_eq!(first(&files_with("model.safetensors", newer)), expected);

    let halves = ["language_model", "audio_tower"].map(|half| {
        let in_first = |name: &str| name.starts_with("language_model");
        renamed(|name| (in_first(name) == (half == "language_model")).then(|| name.to_owned()))
    });
    let mut sharded = ModelFiles::default();
    for name in ["config.json", "tekken.json"] {
        sharded.insert("model", name, Location::Disk(folder().join(name)));
    }
    let mut map = serde_json::Map::new();
    for (number, half) in halves.into_iter().enumerate() {
        let file = format!("model-{:05}-of-00002.safetensors", number + 1);
        for name in safetensors::SafeTensors::deserialize(&half).unwrap().names() {
            map.insert(name.to_owned(), file.clone().into());
        }
        sharded.insert("model", &file, Location::Embedded(half.leak()));
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    sharded.insert("model", "model.safetensors.index.json", Location::Embedded(index.into_bytes().leak()));
    assert_eq!(first(&sharded), expected);
}

#[test]
fn what_tells_the_next_token_may_be_what_looks_tokens_up() {
    let mut tied = config_json();
    tied["text_config"]["tie_word_embeddings"] = true.into();
    let mut files = files_with("config.json", tied.to_string().into());
    let logits = |files: &ModelFiles| {
        let config = Config::from_json(files.json("model", "config.json").unwrap()).unwrap();
        let net = Net::load(config, files, &place(Precision::F32)).unwrap();
        let state = net.read(&mut net.sequence(8).unwrap(), &net.embed(&[1, 3]).unwrap()).unwrap();
        net.logits(&state).unwrap().to_vec2::<f32>().unwrap()
    };
    let with_head = logits(&files);
    let headless = renamed(|own| (own != "language_model.lm_head.weight").then(|| own.to_owned()));
    files.insert("model", "model.safetensors", Location::Embedded(headless.leak()));
    assert_eq!(logits(&files), with_head, "a head of its own is not asked for");
    assert!(Voxtral.footprint(&files, &place(Precision::F32)).is_ok());
}

#[test]
fn the_footprint_holds_the_weights_and_all_sequences_that_are_there_at_once() {
    let of = |dtype, max_batch| Voxtral.footprint(&files(), &Placement { max_batch, ..place(dtype) }).unwrap();
    let weights = fixture("model.safetensors").len() as u64;
    let (config, logits) = (config(), 2 * 512 * 4);
    for dtype in [Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8] {
        let (one, eight) = (of(dtype, 1), of(dtype, 8));
        let position = net(&files(), dtype).language_model.position_bytes();
        let more = (config.pool(8).unwrap() - config.pool(1).unwrap()) as u64;
        assert_eq!(eight - one, more * position + 7 * logits, "{dtype:?}");
        assert!(one > config.pool(1).unwrap() as u64 * position + weights / 2, "{dtype:?}: {one}");
    }
    assert!(of(Precision::F32, 1) > of(Precision::F16, 1) && of(Precision::F16, 1) > of(Precision::Q8, 1));
    let error = Voxtral.footprint(&files(), &Placement { max_batch: usize::MAX, ..place(Precision::F32) });
    assert!(error.unwrap_err().to_string().contains("more than can be counted"));
}
