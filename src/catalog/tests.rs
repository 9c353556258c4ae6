use std::{path::PathBuf, time::Duration};

use super::*;
use crate::{
    model::{Availability, LoadError, Model, ModelFiles, Placement, PlacementOverrides, Preset, WorkerChoice},
    speech::{Fault, Kind, TaskKind},
    store::Source,
};

struct Fake(&'static str, &'static [Preset]);

impl Family for Fake {
    fn name(&self) -> &'static str {
        self.0
    }

    fn tasks(&self) -> &'static [TaskKind] {
        if self.0 == "choir" { &[TaskKind::Synthesize] } else { &[TaskKind::Transcribe] }
    }

    fn presets(&self) -> &'static [Preset] {
        self.1
    }

    fn twin(&self, name: &str) -> Option<&'static str> {
        let twins = ["tiny", "wee", "fast/ears-tiny", "hf://fast/ears-tiny", "fast/packed/ears-tiny.bin"];
        (self.0 == "ears" && twins.contains(&name)).then_some("acme/ears-tiny")
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        match self.0 {
            "choir" => &[&["lm", "codec"]],
            _ => &[&["model"], &["weights", "tokenizer"]],
        }
    }

    fn optional_parts(&self) -> &'static [&'static str] {
        match self.0 {
            "choir" => &["echo"],
            _ => &[],
        }
    }

    fn recognises(&self, config: &serde_json::Value) -> bool {
        config["model_type"] == self.0
    }

    fn files(&self, _: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        Ok(listing.to_vec())
    }

    fn footprint(&self, _: &ModelFiles, _: &Placement) -> Result<u64, LoadError> {
        Ok(0)
    }

    fn load(&self, _: &ModelFiles, _: &Placement) -> Result<Box<dyn Model>, LoadError> {
        Err(LoadError::Unsupported("it is made up".to_owned()))
    }
}

const fn preset(
    name: &'static str,
    aliases: &'static [&'static str],
    parts: &'static [(&'static str, &'static str)],
) -> Preset {
    let availability = Availability::Available;
    Preset { name, aliases, parts, availability, licence: "MIT", million_parameters: 1 }
}

const EARS: Fake = Fake(
    "ears",
    &[
        preset("acme/ears-tiny", &["ears-tiny", "tiny"], &[("model", "hf://acme/ears-tiny")]),
        preset("acme/ears-large", &["ears-large"], &[("model", "hf://acme/ears-large")]),
        Preset {
            name: "acme/ears-odd",
            aliases: &["ears-odd"],
            parts: &[("model", "hf://acme/ears-odd")],
            availability: Availability::Unsupported(std::borrow::Cow::Borrowed("its codec is not here yet")),
            licence: "MIT",
            million_parameters: 1,
        },
        preset("acme/ears-nano", &["ears-nano"], &[("model", "embedded:ears-nano")]),
    ],
);
const CHOIR: Fake =
    Fake("choir", &[preset("bell/choir", &["choir"], &[("lm", "hf://bell/choir-lm"), ("codec", "hf://bell/codec")])]);
const FAMILIES: &[&dyn Family] = &[&EARS, &CHOIR];

fn named(name: &str) -> ModelConfig {
    ModelConfig { name: name.to_owned(), ..ModelConfig::default() }
}

fn from(name: &str, source: &str) -> ModelConfig {
    ModelConfig { source: Some(source.to_owned()), ..named(name) }
}

fn in_parts(name: &str, parts: &[(&str, &str)]) -> ModelConfig {
    let parts = parts.iter().map(|(part, source)| ((*part).to_owned(), (*source).to_owned())).collect();
    ModelConfig { parts, ..named(name) }
}

fn catalog(models: impl Into<Vec<ModelConfig>>) -> Result<Catalog, Vec<CatalogError>> {
    Catalog::new(&Config { families: FAMILIES, models: models.into(), ..Config::default() })
}

fn faults(models: impl Into<Vec<ModelConfig>>) -> Vec<String> {
    catalog(models).unwrap_err().iter().map(ToString::to_string).collect()
}

fn name_of(catalog: &Catalog, name: &str) -> String {
    catalog.resolve(Some(name)).unwrap().name.to_string()
}

fn hub(text: &str) -> Source {
    text.parse().unwrap()
}

#[test]
fn a_model_has_many_names() {
    let catalog = catalog([]).unwrap();
    for name in ["acme/ears-tiny", "ears-tiny", "tiny", "TINY", " Acme/Ears-Tiny ", "acme/tiny"] {
        assert_eq!(name_of(&catalog, name), "acme/ears-tiny", "{name}");
    }
    assert_eq!(catalog.resolve(Some("tiny")).unwrap().slug, "ears-tiny");
}

#[test]
fn an_unknown_name_is_answered_with_what_there_is() {
    let unknown = catalog([named("choir")]).unwrap().resolve(Some("ears-tinny")).unwrap_err();
    assert_eq!((unknown.kind(), unknown.param()), (Kind::NotFound, Some("model")));
    assert_eq!(unknown.to_string(), "there is no model \"ears-tinny\"; did you mean \"acme/ears-tiny\"?");
    let unknown = catalog([named("choir")]).unwrap().resolve(Some("gpt-4o")).unwrap_err();
    assert_eq!(unknown.nearest, None);
    assert_eq!(
        unknown.to_string(),
        "there is no model \"gpt-4o\"; there are: bell/choir, acme/ears-tiny, acme/ears-large, acme/ears-odd, \
         acme/ears-nano"
    );
    let many = (0..8).map(|number| format!("m{number}")).collect();
    let unknown = Unknown { asked: "x".into(), nearest: None, known: many };
    assert!(unknown.to_string().ends_with("m4, and 3 more that /v1/models and `sconce models` list"), "{unknown}");
}

#[test]
fn a_repository_whose_name_is_almost_that_of_a_preset_is_noticed() {
    let almost = |name: &str| {
        let catalog = catalog([named(name)]).unwrap();
        catalog.default().almost.as_ref().map(ToString::to_string)
    };
    for slip in ["acme/ears-tinny", "amce/ears-tiny", "acme/ear-tiny@v2"] {
        assert_eq!(almost(slip).as_deref(), Some("acme/ears-tiny"), "{slip}");
    }
    for other in ["acme/ears-tiny-de", "somebody/ears-tiny", "acme/ears-tiny", "acme/unlike-any"] {
        assert_eq!(almost(other), None, "{other}");
    }
}

#[test]
fn names_of_openai_that_mean_what_is_inside_are_known() {
    let stand_ins = |catalog: &Catalog| catalog.stand_ins().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(stand_ins(&catalog([]).unwrap()).contains(&"whisper-1"));
    assert!(!stand_ins(&catalog([named("ears-large")]).unwrap()).contains(&"whisper-1"));
}

#[test]
fn the_default_is_the_first_that_is_configured_else_the_one_inside() {
    assert_eq!(catalog([]).unwrap().default().name.as_str(), "acme/ears-nano");
    let catalog = catalog([named("ears-large"), named("tiny")]).unwrap();
    assert_eq!(catalog.resolve(None).unwrap().name.as_str(), "acme/ears-large");
    let listed: Vec<&str> = catalog.listed().map(|entry| entry.name.as_str()).collect();
    assert_eq!(listed, ["acme/ears-large", "acme/ears-tiny"]);

    let models = vec![named("tiny"), named("choir")];
    let config = Config { families: FAMILIES, models, default: Some("choir".to_owned()), ..Config::default() };
    assert_eq!(Catalog::new(&config).unwrap().default().name.as_str(), "bell/choir");
    let none = Catalog::new(&Config { families: &[], ..Config::default() }).unwrap_err();
    assert!(none[0].to_string().contains("set MODEL_ID"), "{none:?}");
}

#[test]
fn a_name_that_is_no_preset_is_a_repository() {
    let catalog = catalog([named("nova/my-ears"), named("nova/other@v2")]).unwrap();
    let entry = catalog.resolve(Some("my-ears")).unwrap();
    assert_eq!((entry.name.as_str(), entry.slug.as_str()), ("nova/my-ears", "my-ears"));
    assert!(entry.family.is_none());
    assert_eq!(entry.parts, [("model".to_owned(), hub("hf://nova/my-ears@main"))]);
    assert_eq!(catalog.resolve(Some("other")).unwrap().parts[0].1, hub("hf://nova/other@v2"));
}

#[test]
fn a_path_is_a_folder() {
    for (text, folder) in [
        ("/models/my-ears", "/models/my-ears"),
        ("./my-ears", "./my-ears"),
        ("file:/models/my-ears/", "/models/my-ears/"),
    ] {
        let catalog = catalog([named(text)]).unwrap();
        let entry = catalog.default();
        assert_eq!((entry.name.as_str(), &entry.parts[0].1), ("my-ears", &Source::Folder(PathBuf::from(folder))));
    }
}

#[test]
fn a_preset_can_come_from_elsewhere() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let catalog =
        catalog([named(&format!("acme/ears-tiny@{commit}")), from("ears-large", "file:/volume/large")]).unwrap();
    let tiny = catalog.resolve(Some("tiny")).unwrap();
    assert_eq!(
        (tiny.name.as_str(), &tiny.parts[0].1),
        ("acme/ears-tiny", &hub(&format!("hf://acme/ears-tiny@{commit}")))
    );
    assert_eq!(tiny.family.unwrap().name(), "ears");
    let by_alias = super::tests::catalog([named("tiny@v3")]).unwrap();
    assert_eq!(by_alias.default().parts[0].1, hub("hf://acme/ears-tiny@v3"));
    assert_eq!(catalog.resolve(Some("ears-large")).unwrap().parts[0].1, hub("file:/volume/large"));
    assert_eq!(name_of(&catalog, "acme/ears-large"), "ears-large", "it is not what the preset's name promises");
    let mirrored = super::tests::catalog([from("acme/ears-large", "s3://mirror/large")]).unwrap();
    assert_eq!(name_of(&mirrored, "ears-large"), "acme/ears-large");
}

#[test]
fn two_names_of_one_source_are_one_model() {
    let catalog = catalog([from("mine", "hf://acme/ears-tiny"), from("yours", "hf://x/y"), from("x/y", "hf://x/y")]);
    let catalog = catalog.unwrap();
    assert_eq!(name_of(&catalog, "mine"), "acme/ears-tiny");
    assert_eq!((name_of(&catalog, "yours"), name_of(&catalog, "x/y")), ("yours".to_owned(), "yours".to_owned()));
}

#[test]
fn a_copy_in_another_format_is_answered_by_its_original() {
    let inside = catalog([]).unwrap();
    for name in ["wee", "fast/ears-tiny", "fast/packed/ears-tiny.bin"] {
        assert_eq!(name_of(&inside, name), "acme/ears-tiny", "{name}");
        let configured = catalog([named(name)]).unwrap();
        assert_eq!(
            (configured.default().name.as_str(), configured.default().listed),
            ("acme/ears-tiny", true),
            "{name}"
        );
        assert_eq!(configured.entries().count(), inside.entries().count(), "{name}");
    }
    let mine = catalog([from("mine", "hf://fast/ears-tiny")]).unwrap();
    assert_eq!((name_of(&mine, "mine"), mine.entries().count()), ("acme/ears-tiny".to_owned(), 5));
    let moved = catalog([from("acme/ears-tiny", "s3://mirror/tiny"), from("mine", "hf://fast/ears-tiny")]).unwrap();
    assert_eq!(name_of(&moved, "mine"), "acme/ears-tiny", "wherever the original comes from");
    let default = Config { families: FAMILIES, default: Some("wee".to_owned()), ..Config::default() };
    assert_eq!(Catalog::new(&default).unwrap().default().name.as_str(), "acme/ears-tiny");
}

#[test]
fn what_the_configuration_calls_as_a_copy_is_called_goes_before_its_original() {
    let own = catalog([from("fast/ears-tiny", "file:/models/own"), from("wee", "hf://nova/wee")]).unwrap();
    let parts = |name: &str| own.resolve(Some(name)).unwrap().parts[0].1.to_string();
    assert_eq!((parts("fast/ears-tiny").as_str(), parts("wee").as_str()), ("file:/models/own", "hf://nova/wee@main"));
    assert_eq!(name_of(&own, "acme/ears-tiny"), "acme/ears-tiny");
    // Whoever names a revision means that repository, and a program may read its format.
    let at = catalog([named("fast/ears-tiny@v1")]).unwrap();
    assert_eq!(at.default().parts[0].1, hub("hf://fast/ears-tiny@v1"));
    let overrides = PlacementOverrides {
        worker: WorkerChoice { command: vec!["reads-it".to_owned()], ..WorkerChoice::default() },
        ..PlacementOverrides::default()
    };
    let by_program = catalog([ModelConfig { overrides, ..from("fast/ears-tiny", "hf://fast/ears-tiny") }]).unwrap();
    assert_eq!(by_program.default().parts[0].1, hub("hf://fast/ears-tiny"));
}

#[test]
fn an_original_that_is_not_offered_is_not_offered_under_other_names() {
    let config =
        Config { families: FAMILIES, models: vec![named("choir")], only_configured: Some(true), ..Config::default() };
    assert!(Catalog::new(&config).unwrap().resolve(Some("fast/ears-tiny")).is_err());
}

#[test]
fn slugs_differ() {
    let catalog = catalog([named("nova/ears-tiny"), named("bell/same"), named("nova/same")]).unwrap();
    let slug = |name: &str| catalog.resolve(Some(name)).unwrap().slug.clone();
    assert_eq!(slug("nova/ears-tiny"), "nova--ears-tiny");
    assert_eq!((slug("bell/same"), slug("nova/same")), ("bell--same".to_owned(), "nova--same".to_owned()));
    assert_eq!(name_of(&catalog, "ears-tiny"), "acme/ears-tiny", "a preset keeps its alias");
    assert_eq!(name_of(&catalog, "nova--same"), "nova/same");
    assert!(catalog.resolve(Some("same")).is_err(), "what could mean two means none");
    let slugs: std::collections::BTreeSet<&str> = catalog.entries().map(|entry| entry.slug.as_str()).collect();
    assert_eq!(slugs.len(), catalog.entries().count());
}

#[test]
fn preload_is_what_is_said_else_the_default() {
    let preloaded = |catalog: Catalog| -> Vec<String> {
        catalog.entries().filter(|entry| entry.preload).map(|entry| entry.name.to_string()).collect()
    };
    let says = |name, preload| ModelConfig { preload: Some(preload), ..named(name) };
    assert_eq!(preloaded(catalog([]).unwrap()), ["acme/ears-nano"]);
    assert_eq!(preloaded(catalog([named("choir"), named("tiny")]).unwrap()), ["bell/choir"]);
    assert_eq!(preloaded(catalog([named("choir"), says("tiny", true)]).unwrap()), ["acme/ears-tiny"]);
    assert!(preloaded(catalog([says("choir", false)]).unwrap()).is_empty());
}

#[test]
fn settings_reach_their_entry() {
    let ttl = Some(Duration::from_secs(60));
    let aliases = vec!["whisper-1".to_owned()];
    let catalog = catalog([ModelConfig { pinned: true, idle_ttl: ttl, aliases, ..named("tiny") }]).unwrap();
    let entry = catalog.resolve(Some("whisper-1")).unwrap();
    assert_eq!((entry.name.as_str(), entry.pinned, entry.idle_ttl), ("acme/ears-tiny", true, ttl));
    assert_eq!((entry.licence, entry.million_parameters), (Some("MIT"), Some(1)));
    assert_eq!(catalog.resolve(Some(entry.name.as_str())).unwrap().slug, "ears-tiny");
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = faults([
        from("a", "ftp://x"),
        from("b", "gs://Bucket/x"),
        named("ears-tinny"),
        ModelConfig { family: Some("eyes".to_owned()), ..named("tiny") },
        named("ears-odd"),
        from("choir", "hf://x/y"),
        ModelConfig { aliases: vec!["tiny".to_owned()], ..named("ears-large") },
        named("/"),
        named("ears-large@v1"),
        named("ears-large@v2"),
    ]);
    let expected = [
        "model \"a\": its source is wrong: \"ftp://x\" names no source",
        "model \"b\": its source is wrong: \"gs://Bucket/x\" is no address that can be read: its bucket should be",
        "model \"ears-tinny\": there is no preset of that name (did you mean acme/ears-tiny?)",
        "model \"tiny\": there is no family \"eyes\"; this build has ears, choir",
        "model \"acme/ears-odd\" cannot be served by this build: its codec is not here yet",
        "model \"choir\" cannot be put together of model: a choir is made of lm and codec, and may have echo beside, each",
        "model \"/\" has a name that cannot stand in an address",
        "model \"ears-large\" is configured twice, with the sources hf://acme/ears-large@v1 and hf://acme/ears-large@v2",
        "\"tiny\" already names acme/ears-tiny",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for text in expected {
        assert!(faults.iter().any(|fault| fault.contains(text)), "{text}\n{faults:#?}");
    }
}

#[test]
fn one_model_with_two_revisions_is_a_fault() {
    let faults = faults([named("acme/ears-tiny@v1"), named("acme/ears-tiny@v2")]);
    assert!(faults[0].contains("configured twice, with the sources hf://acme/ears-tiny@v1 and"), "{faults:?}");
    let config = Config { families: FAMILIES, models: vec![], default: Some("ears-tinny".into()), ..Config::default() };
    let default = Catalog::new(&config).unwrap_err();
    assert!(default[0].to_string().starts_with("the default model is unknown: there is no model"), "{default:?}");
    // Of a model that is refused itself it is not said once more.
    let both = Catalog::new(&Config { models: vec![named("ears-tinny")], ..config }).unwrap_err();
    assert!(both.len() == 1 && both[0].to_string().starts_with("model \"ears-tinny\": there is no preset"), "{both:?}");
}

#[test]
fn parts_have_sources_of_their_own() {
    let (voc, run) = (("tokenizer", "hf://acme/ears-tiny"), ("weights", "gs://runs/7"));
    let catalog = catalog([
        in_parts("mine", &[voc, run]),
        in_parts("yours", &[run, voc]),
        in_parts("ears-large", &[voc, ("weights", "file:/large")]),
        in_parts("choir", &[("codec", "file:/codec"), ("lm", "hf://bell/choir-lm@v2")]),
    ]);
    let catalog = catalog.unwrap();
    let parts = |name: &str| {
        let entry = catalog.resolve(Some(name)).unwrap();
        entry.parts.iter().map(|(part, source)| format!("{part} {source}")).collect::<Vec<_>>()
    };
    assert_eq!(parts("mine"), ["weights gs://runs/7", "tokenizer hf://acme/ears-tiny@main"], "as the family has them");
    assert_eq!(name_of(&catalog, "yours"), "mine", "the same sources are one model");
    assert_eq!(parts("ears-large"), ["weights file:/large", "tokenizer hf://acme/ears-tiny@main"]);
    assert_eq!(parts("choir"), ["lm hf://bell/choir-lm@v2", "codec file:/codec"]);
    assert_eq!(parts("tiny"), ["model hf://acme/ears-tiny@main"], "whose files are shared stays what it is");
}

#[test]
fn an_optional_part_comes_beside_what_there_is() {
    let echo = ("echo", "file:/echo");
    let catalog = catalog([
        in_parts("choir", &[echo]),
        in_parts("mine", &[echo, ("codec", "file:/codec"), ("lm", "file:/lm")]),
        ModelConfig {
            family: Some("choir".to_owned()),
            ..in_parts("plain", &[("codec", "file:/codec"), ("lm", "file:/lm")])
        },
    ]);
    let catalog = catalog.unwrap();
    let parts = |name: &str| {
        let entry = catalog.resolve(Some(name)).unwrap();
        entry.parts.iter().map(|(part, source)| format!("{part} {source}")).collect::<Vec<_>>()
    };
    assert_eq!(parts("choir"), ["lm hf://bell/choir-lm@main", "codec hf://bell/codec@main", "echo file:/echo"]);
    assert_eq!(name_of(&catalog, "choir"), "bell/choir");
    assert_eq!(parts("mine"), ["lm file:/lm", "codec file:/codec", "echo file:/echo"]);
    assert_eq!(parts("plain"), ["lm file:/lm", "codec file:/codec"], "another model than with it");
    let faults = faults([in_parts("ears-tiny", &[echo]), in_parts("some", &[echo, ("lm", "file:/lm")])]);
    assert!(faults[0].contains("together of model and echo: a ears is made of model"), "{faults:?}");
    assert!(faults[1].contains("a choir is made of lm and codec, and may have echo beside"), "{faults:?}");
}

#[test]
fn faults_of_parts_are_told_at_once() {
    let faults = faults([
        in_parts("a", &[("weights", "file:/a"), ("vocabulary", "file:/b")]),
        in_parts("b", &[("weights", "file:/a")]),
        in_parts("c", &[("model", "file:/a"), ("tokenizer", "file:/b")]),
        in_parts("d", &[("weights", "ftp://a"), ("tokenizer", "hf://../b")]),
        ModelConfig { source: Some("file:/a".to_owned()), ..in_parts("e", &[("tokenizer", "file:/b")]) },
        in_parts("f@v2", &[("weights", "hf://a/b"), ("tokenizer", "hf://c/d")]),
        in_parts("hf://acme/x", &[("weights", "hf://a/b"), ("tokenizer", "hf://c/d")]),
        in_parts("choir", &[("lm", "file:/lm")]),
        in_parts("tiny", &[("weights", "file:/t"), ("tokenizer", "file:/v")]),
        in_parts("ears-tiny", &[("weights", "file:/u"), ("tokenizer", "file:/v")]),
    ]);
    let expected = [
        "model \"a\" cannot be put together of vocabulary and weights: a ears is made of model, or of weights and \
         tokenizer; a choir is made of lm and codec, and may have echo beside, each with a source under [models.<name>.parts]",
        "model \"b\" cannot be put together of weights: a ears",
        "model \"c\" cannot be put together of model and tokenizer: a ears",
        "model \"d\": the source of its part tokenizer is wrong: \"../b\" is no repository",
        "model \"d\": the source of its part weights is wrong: \"ftp://a\" names no source",
        "model \"e\" has a source, and parts with sources of their own (tokenizer); keep one of the two",
        "model \"f\": its files come from several sources (tokenizer hf://c/d@main, weights hf://a/b@main), so it has",
        "model \"hf://acme/x\" is configured twice, with the sources tokenizer hf://c/d@main, weights hf://a/b@main and \
         hf://acme/x@main; keep one",
        "model \"choir\" cannot be put together of lm: a choir is made of lm and codec",
        "model \"ears-tiny\" is configured twice, with the sources tokenizer file:/v, weights file:/t and",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for text in expected {
        assert!(faults.iter().any(|fault| fault.contains(text)), "{text}\n{faults:#?}");
    }
}

#[test]
fn where_only_configured_models_are_served_the_presets_are_unknown() {
    let only = |models: Vec<ModelConfig>, default: Option<&str>| {
        let default = default.map(str::to_owned);
        Catalog::new(&Config { families: FAMILIES, models, default, only_configured: Some(true), ..Config::default() })
            .unwrap()
    };
    let names = |catalog: &Catalog| catalog.entries().map(|entry| entry.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&only(vec![], None)), ["acme/ears-nano"], "what is inside the program costs nothing");

    let catalog = only(vec![ModelConfig { preload: Some(true), ..named("choir") }], None);
    assert_eq!(names(&catalog), ["acme/ears-nano", "bell/choir"]);
    assert_eq!(catalog.default().name.as_str(), "bell/choir");
    assert!(catalog.entries().all(|entry| entry.preload == (entry.name.as_str() == "bell/choir")));
    let unknown = catalog.resolve(Some("tiny")).unwrap_err();
    assert_eq!(unknown.known, ["bell/choir", "acme/ears-nano"]);
    assert_eq!(names(&only(vec![], Some("ears-large"))), ["acme/ears-large", "acme/ears-nano"]);
}

/// A model, and who is to speak in its place.
fn falling_back(name: &str, fallback: &str) -> ModelConfig {
    ModelConfig { fallback: Some(fallback.to_owned()), ..named(name) }
}

#[test]
fn who_speaks_in_the_place_of_a_model_is_named_with_it() {
    let models = [falling_back("acme/mine", "solo"), named("acme/solo")];
    let catalog = catalog(models).unwrap();
    let entry = |name| catalog.resolve(Some(name)).unwrap();
    assert_eq!(entry("mine").fallback.as_ref(), Some(&entry("acme/solo").name));
    let models = vec![falling_back("acme/mine", "choir")];
    let config = Config { families: FAMILIES, models, only_configured: Some(true), ..Config::default() };
    let kept = Catalog::new(&config).unwrap();
    assert!(kept.resolve(Some("bell/choir")).unwrap().listed, "the configuration names it");
}

#[test]
fn a_fallback_that_leads_nowhere_is_refused() {
    assert_eq!(
        faults([falling_back("choir", "choirs")]),
        ["model \"choir\": its fallback is unknown: there is no model \"choirs\"; did you mean \"bell/choir\"?",]
    );
    assert_eq!(
        faults([falling_back("acme/mine", "tiny")]),
        ["model \"acme/mine\": its fallback acme/ears-tiny cannot speak; a model that does synthesize would be right",]
    );
    assert_eq!(
        faults([falling_back("tiny", "choir")]),
        ["model \"acme/ears-tiny\" does not speak, so nothing can speak in its place; leave fallback out",]
    );
    assert_eq!(
        faults([falling_back("choir", "bell/choir")]),
        [
            "model \"bell/choir\": its fallback leads back to it (bell/choir → bell/choir); let the last of them have none",
        ]
    );
    let circle = [falling_back("a/a", "b/b"), falling_back("b/b", "c/c"), falling_back("c/c", "b/b")];
    assert_eq!(faults(circle).len(), 2, "each that is on it says so, and not the one that leads there");
}
