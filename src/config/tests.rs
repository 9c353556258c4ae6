use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, FromArgMatches};

use super::*;
use crate::{
    app::BudgetChoice,
    lifecycle::{LoadMode, OnPreloadFailure},
    model::{DTypeChoice, DeviceChoice, DeviceId},
    remote::SecretUrl,
    store::Secret,
    telemetry::LogFormat,
};

fn endpoints(urls: &[SecretUrl]) -> String {
    urls.iter().map(SecretUrl::expose).collect::<Vec<_>>().join(",")
}

/// Sources that hold nothing of the machine.
#[derive(Default)]
struct Given {
    sources: Sources,
    folder: Option<tempfile::TempDir>,
}

impl Given {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sconce.toml");
        fs::write(&path, text).unwrap();
        self.sources.search = vec![path];
        self.folder = Some(folder);
        self
    }

    fn args(mut self, line: &str) -> Self {
        let command = Overrides::augment_args(clap::Command::new("serve").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        self.sources.overrides = Overrides::from_arg_matches(&matches).unwrap();
        self
    }

    fn load(&self) -> Loaded {
        load(&self.sources).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(&self) -> Vec<String> {
        let Err(faults) = load(&self.sources) else { panic!("there should be faults") };
        faults.0.iter().map(|fault| fault.to_string().replace(&self.path(), "FILE")).collect()
    }

    fn path(&self) -> String {
        self.folder
            .as_ref()
            .map_or("no file".to_owned(), |folder| folder.path().join("sconce.toml").display().to_string())
    }
}

fn given() -> Given {
    Given::default()
}

fn origin(loaded: &Loaded, name: &str) -> Origin {
    loaded.report.get(name).unwrap_or_else(|| panic!("no row {name}")).origin.clone()
}

fn variable(name: &str) -> Origin {
    Origin::Variable(name.to_owned())
}

// === defaults ===

#[test]
fn every_value_has_a_default() {
    let Loaded { config, report } = given().load();
    let text = format!("{config:?}");
    assert!(!text.contains(&usize::MAX.to_string()) && !text.contains(&u32::MAX.to_string()), "{text}");
    assert!(report.rows.iter().all(|row| row.origin == Origin::Default), "{report}");
    assert_eq!(report.rows.len(), settings::SETTINGS.len());

    assert_eq!((config.server.bind, config.server.port), (None, 8080));
    assert_eq!((config.store.cache_dir, config.store.read_only), (PathBuf::from("/var/cache/sconce/hub"), vec![]));
    assert_eq!((endpoints(&config.store.endpoints).as_str(), config.store.offline), ("https://huggingface.co", false));
    assert_eq!((config.catalog.default, config.catalog.models), (None, vec![]));
    assert_eq!((config.runtime.device, config.runtime.dtype), (DeviceChoice::Auto, DTypeChoice::Auto));
    assert_eq!(config.lifecycle.mode, LoadMode::OnDemand);
    assert_eq!(config.lifecycle.on_preload_failure, OnPreloadFailure::Retry);
    assert_eq!((config.http.body_limit, config.http.admin, config.http.health_route), (100_000_000, true, None));
    assert_eq!((config.telemetry.log_level.as_str(), config.telemetry.log_format), ("info", LogFormat::Auto));
}

#[test]
fn defaults_read_as_they_are_shown() {
    for row in given().load().report.rows {
        let setting = settings::SETTINGS.iter().find(|setting| setting.key == row.name).unwrap();
        let shown = setting.slot.put(&mut settings::blank(), &value::Raw::Text(row.value.clone())).unwrap();
        assert_eq!((shown.as_str(), row.value.as_str()), (setting.default, setting.default), "{}", row.name);
    }
}

#[test]
fn the_example_file_says_what_the_defaults_say() {
    let example = given().file(&docs::example()).load();
    assert_eq!(format!("{:?}", example.config), format!("{:?}", given().load().config));
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = settings::SETTINGS
        .iter()
        .flat_map(|setting| {
            let plain = setting.plain.iter().map(|plain| plain.name.to_owned());
            [setting.key.to_owned(), setting.variable()].into_iter().chain(plain)
        })
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

// === precedence ===

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let file = given().file("[server]\nport = 1000\nhost = '::1'\n");
    let loaded = file.load();
    assert_eq!((loaded.config.server.port, loaded.config.server.bind), (1000, Some(IpAddr::from(Ipv6Addr::LOCALHOST))));
    assert_eq!(origin(&loaded, "server.port"), Origin::File { path: file.path().into(), line: 2 });

    let environment = file.env("PORT", "2000");
    assert_eq!(environment.load().config.server.port, 2000);
    let vertex = environment.env("AIP_HTTP_PORT", "3000");
    assert_eq!(vertex.load().config.server.port, 3000);
    let ours = vertex.env("SCONCE_SERVER__PORT", "4000");
    assert_eq!(origin(&ours.load(), "server.port"), variable("SCONCE_SERVER__PORT"));
    assert_eq!(ours.load().config.server.port, 4000);

    let loaded = ours.args("--port 5000").load();
    assert_eq!((loaded.config.server.port, origin(&loaded, "server.port")), (5000, Origin::Flag("port")));
    assert_eq!(loaded.config.server.bind, Some(IpAddr::from(Ipv6Addr::LOCALHOST)));
}

#[test]
fn the_cache_is_where_the_hubs_tools_keep_it() {
    let cache = |given: &Given| given.load().config.store.cache_dir.display().to_string();
    let home = given().env("HOME", "/home/me");
    assert_eq!(cache(&home), "/home/me/.cache/huggingface/hub");
    let xdg = home.env("XDG_CACHE_HOME", "/cache/");
    assert_eq!(cache(&xdg), "/cache/huggingface/hub");
    let file = xdg.file("store.cache_dir = '/from/file'");
    assert_eq!(cache(&file), "/from/file");
    let hf_home = file.env("HF_HOME", "/hf");
    assert_eq!(cache(&hf_home), "/hf/hub");
    let hub = hf_home.env("HF_HUB_CACHE", "/hub");
    assert_eq!(cache(&hub), "/hub");
    assert_eq!(cache(&hub.env("SCONCE_STORE__CACHE_DIR", "/ours")), "/ours");
}

#[test]
fn caches_of_other_tools_are_found_where_files_are_fetched_elsewhere() {
    let home = || given().env("HOME", "/home/me");
    assert!(home().load().config.store.other_caches.is_empty(), "they are one and the same");
    let others = |given: Given| given.env("SCONCE_STORE__CACHE_DIR", "/models").load().config.store.other_caches;
    assert_eq!(others(home()), [PathBuf::from("/home/me/.cache/huggingface/hub")]);
    assert_eq!(others(home().env("HF_HOME", "/hf")), [PathBuf::from("/hf/hub")]);
    assert!(others(home().env("SCONCE_STORE__READ_ONLY", "/home/me/.cache/huggingface/hub")).is_empty());
    let pod = others(home().env("RUNPOD_POD_ID", "abc"));
    assert_eq!(pod[0], PathBuf::from("/runpod-volume/huggingface-cache/hub"));
    assert_eq!(others(home().env("SCONCE_STORE__OTHER_CACHES", "/a:/b")), [PathBuf::from("/a"), PathBuf::from("/b")]);
}

#[test]
fn what_clouds_tell_of_themselves_is_heard() {
    let config = given()
        .env("AWS_ENDPOINT_URL", "http://minio:9000")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_SECRET_ACCESS_KEY", "s3cret")
        .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")
        .env("STORAGE_EMULATOR_HOST", "localhost:9023")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
        .env("SCONCE_REMOTE__WEB__ALLOW_HOSTS", "a.example, *.b.example")
        .load();
    let (s3, gcs) = (&config.config.remote.buckets.s3, &config.config.remote.buckets.gcs);
    assert_eq!(
        (s3.endpoint.as_ref().map(SecretUrl::expose), s3.region.as_str()),
        (Some("http://minio:9000"), "eu-west-1")
    );
    assert_eq!(s3.identity.get("AWS_ROLE_ARN").map(String::as_str), Some("arn:aws:iam::1:role/x"));
    assert_eq!(
        (gcs.endpoint.as_ref().map(SecretUrl::expose), gcs.credentials.as_deref()),
        (Some("http://localhost:9023"), Some("/key.json"))
    );
    assert_eq!(config.config.remote.web.allow_hosts, ["a.example", "*.b.example"]);
    assert!(!config.report.to_string().contains("s3cret") && !format!("{:?}", config.config).contains("s3cret"));
}

#[test]
fn the_place_of_a_model_may_be_a_bucket_an_archive_or_a_folder() {
    let model = |given: Given| given.load().config.catalog.models[0].clone();
    let listed = model(given().env("MODEL_ID", "gs://models/tiny.tar.gz#sha256=00"));
    assert_eq!((listed.name.as_str(), listed.source.as_deref()), ("tiny", Some("gs://models/tiny.tar.gz#sha256=00")));
    let mounted = model(given().env("AIP_STORAGE_URI", "/tmp/model"));
    assert_eq!((mounted.name.as_str(), mounted.source.as_deref()), ("model", Some("file:/tmp/model")));
    let file = given().file("[models.x]\nsource = 'https://host/x.zip?sig=s3cret#sha256=00'\ncache_dir = '/volume'");
    let loaded = file.load();
    let (x, report) = (&loaded.config.catalog.models[0], loaded.report.to_string());
    assert_eq!(x.cache_dir.as_deref(), Some(std::path::Path::new("/volume")));
    assert!(x.source.as_ref().unwrap().contains("s3cret") && !report.contains("s3cret"), "{report}");
}

#[test]
fn a_named_file_beats_those_that_are_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.toml");
    fs::write(&path, "load_mode = 'background'").unwrap();
    let path = path.display().to_string();

    let found = given().file("load_mode = 'startup'");
    assert_eq!(found.load().config.lifecycle.mode, LoadMode::Startup);
    let named = found.env("SCONCE_CONFIG", &path);
    assert_eq!(named.load().config.lifecycle.mode, LoadMode::Background);
    let flagged = named.env("SCONCE_CONFIG", "/nowhere.toml").args(&format!("--config {path}"));
    assert_eq!(flagged.load().config.lifecycle.mode, LoadMode::Background);
}

#[test]
fn an_empty_variable_is_absent() {
    let config = given().env("LOAD_MODE", "").env("SCONCE_SERVER__PORT", "").env("MODEL_ID", "").load().config;
    assert_eq!((config.lifecycle.mode, config.server.port), (LoadMode::OnDemand, 8080));
    assert_eq!((config.catalog.default, config.catalog.models), (None, vec![]));
}

#[test]
fn a_stronger_layer_can_take_an_optional_value_away() {
    let file = given().file("[memory]\nidle_ttl = '5m'\nbudget = '8GiB'\n[runtime]\nthreads = 3\n");
    let config = file.load().config;
    assert_eq!(
        (config.lifecycle.idle_ttl, config.budget),
        (Some(Duration::from_secs(300)), BudgetChoice::Bytes(8 << 30))
    );
    assert_eq!(config.runtime.threads, Some(3));
    let config = file.env("SCONCE_MEMORY__IDLE_TTL", "none").env("SCONCE_RUNTIME__THREADS", "auto").load().config;
    assert_eq!((config.lifecycle.idle_ttl, config.runtime.threads), (None, None));
}

// === the container's variables ===

#[test]
fn plain_container_variables_are_heard() {
    let config = given()
        .env("LOAD_MODE", "STARTUP")
        .env("HF_ENDPOINT", "http://hub.test/")
        .env("HF_HUB_OFFLINE", "1")
        .env("HUGGING_FACE_HUB_TOKEN", "old")
        .env("HF_TOKEN", "new")
        .env("LOG_LEVEL", "DEBUG")
        .env("RUST_LOG", "trace")
        .load()
        .config;
    assert_eq!(config.lifecycle.mode, LoadMode::Startup);
    assert_eq!((endpoints(&config.store.endpoints).as_str(), config.store.offline), ("http://hub.test", true));
    assert_eq!(config.store.token, Some(Secret("new".to_owned())));
    assert_eq!(config.telemetry.log_level, "DEBUG");
}

#[test]
fn on_vertex_the_routes_are_its_own_and_administration_is_closed() {
    let vertex = given()
        .env("AIP_MODE", "PREDICTION")
        .env("AIP_HEALTH_ROUTE", "/v1/endpoints/1/deployedModels/2")
        .env("AIP_PREDICT_ROUTE", "/v1/endpoints/1/deployedModels/2:predict")
        .env("AIP_STORAGE_URI", "")
        .env("AIP_PROJECT_NUMBER", "7");
    let loaded = vertex.load();
    assert_eq!(loaded.config.http.health_route.as_deref(), Some("/v1/endpoints/1/deployedModels/2"));
    assert_eq!(loaded.config.http.predict_route.as_deref(), Some("/v1/endpoints/1/deployedModels/2:predict"));
    assert!(!loaded.config.http.admin);
    assert_eq!(origin(&loaded, "http.admin"), variable("AIP_MODE"));
    assert!(vertex.file("http.admin = true").load().config.http.admin, "opened explicitly");
    assert!(loaded.config.runtime.vllm_metric, "it scales by that");
}

#[test]
fn vertex_tells_where_the_default_models_files_are() {
    let unnamed = given().env("AIP_STORAGE_URI", "gs://bucket/copy").load();
    assert_eq!(unnamed.config.catalog.default.as_deref(), Some("model"));
    assert_eq!(unnamed.config.catalog.models[0].source.as_deref(), Some("gs://bucket/copy"));
    assert_eq!(origin(&unnamed, "models.model.source"), variable("AIP_STORAGE_URI"));
    assert_eq!(unnamed.config.lifecycle.mode, LoadMode::Startup, "Vertex wants its copy loaded at the start");
    let lazy = given().env("AIP_STORAGE_URI", "gs://bucket/copy").env("LOAD_MODE", "on_demand").load();
    assert_eq!(lazy.config.lifecycle.mode, LoadMode::OnDemand, "said explicitly");

    let named = given().env("AIP_STORAGE_URI", "gs://bucket/copy").env("MODEL_ID", "tiny,base").load().config.catalog;
    assert_eq!(named.default.as_deref(), Some("tiny"));
    assert_eq!(named.models[0].source.as_deref(), Some("gs://bucket/copy"));
    assert_eq!(named.models[1].source, None);
}

#[test]
fn what_kubernetes_says_of_a_service_called_sconce_is_not_ours() {
    given()
        .env("SCONCE_SERVICE_HOST", "10.0.0.1")
        .env("SCONCE_SERVICE_PORT", "80")
        .env("SCONCE_SERVICE_PORT_HTTP", "80")
        .env("SCONCE_PORT", "tcp://10.0.0.1:80")
        .env("SCONCE_PORT_80_TCP", "tcp://10.0.0.1:80")
        .env("SCONCE_PORT_80_TCP_ADDR", "10.0.0.1")
        .env("SCONCE_METRICS_PORT_9090_TCP_PROTO", "tcp")
        .load();
}

// === models ===

#[test]
fn a_list_of_models_begins_with_the_default_one() {
    let loaded = given().env("MODEL_ID", "openai/whisper-tiny, hf://me/mine@v2\n/models/local/ other@main").load();
    let catalog = &loaded.config.catalog;
    assert_eq!(catalog.default.as_deref(), Some("openai/whisper-tiny"));
    assert_eq!(origin(&loaded, "default_model"), variable("MODEL_ID"));
    let models: Vec<_> = catalog.models.iter().map(|model| (model.name.as_str(), model.source.as_deref())).collect();
    let expected = [
        ("openai/whisper-tiny", None),
        ("me/mine", Some("hf://me/mine@v2")),
        ("local", Some("file:/models/local/")),
        ("other", Some("hf://other@main")),
    ];
    assert_eq!(models, expected);

    let inside = given().env("MODEL_ID", "embedded,a").load().config.catalog;
    assert_eq!((inside.default, inside.models.len()), (None, 1), "it is there without being listed");

    let flags = given().env("MODEL_ID", "a,b").args("--model c --model d,e").load().config.catalog;
    assert_eq!(flags.default.as_deref(), Some("c"));
    assert_eq!(flags.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["c", "d", "e"]);
}

#[test]
fn models_have_tables_of_their_own() {
    let loaded = given()
        .file(
            "[models.'openai/whisper-tiny']\npreload = true\naliases = ['w', 'whisper']\nidle_ttl = '10m'\n\
             [models.mine]\nsource = 'file:/models/mine'\nfamily = 'whisper'\npinned = true\n",
        )
        .load();
    let [mine, tiny] = &loaded.config.catalog.models[..] else { panic!("two models") };
    assert_eq!((mine.name.as_str(), mine.source.as_deref(), mine.pinned), ("mine", Some("file:/models/mine"), true));
    assert_eq!((mine.family.as_deref(), mine.preload), (Some("whisper"), None));
    assert_eq!((tiny.name.as_str(), tiny.preload, tiny.pinned), ("openai/whisper-tiny", Some(true), false));
    assert_eq!((tiny.aliases.join("+").as_str(), tiny.idle_ttl), ("w+whisper", Some(Duration::from_secs(600))));
    assert!(loaded.report.get("models.\"openai/whisper-tiny\".preload").is_some());
}

#[test]
fn the_parts_of_a_model_have_sources_of_their_own() {
    let file = "[models.ours]\npinned = true\n[models.ours.parts]\nweights = 'gs://runs/7'\ntokenizer = 'hf://a/b'\n\
                [models.theirs]\nparts = { weights = 'file:/w', tokenizer = 'https://host/x.json?sig=s3cret#sha256=00' }";
    let mut given = given().file(file);
    let models = |given: &Given| given.load().config.catalog.models;
    let [ours, theirs] = &models(&given)[..] else { panic!("two models") };
    assert_eq!(ours.parts["weights"], "gs://runs/7");
    assert_eq!((ours.parts["tokenizer"].as_str(), ours.pinned, &ours.source), ("hf://a/b", true, &None));
    assert_eq!(theirs.parts["tokenizer"], "https://host/x.json?sig=s3cret#sha256=00");
    assert!(!given.load().report.to_string().contains("s3cret"));

    given =
        given.env("SCONCE_MODELS__OURS__PARTS__WEIGHTS", "gs://runs/8").env("SCONCE_MODELS__NEW__PARTS__A", "file:/a");
    given = given.env("SCONCE_MODELS__THEIRS__PARTS__TOKENIZER", "none");
    let [ours, theirs, new] = &models(&given)[..] else { panic!("three models") };
    assert_eq!((ours.parts["weights"].as_str(), ours.parts["tokenizer"].as_str()), ("gs://runs/8", "hf://a/b"));
    assert_eq!((new.parts["a"].as_str(), theirs.parts.len()), ("file:/a", 1));
    let loaded = given.load();
    assert_eq!(origin(&loaded, "models.ours.parts.weights"), variable("SCONCE_MODELS__OURS__PARTS__WEIGHTS"));
    assert!(matches!(origin(&loaded, "models.ours.parts.tokenizer"), Origin::File { line: 5, .. }));
}

#[test]
fn faults_of_parts_are_reported_at_once() {
    let given = given()
        .file("[models.a]\nparts = 'hf://a/b'\n[models.b.parts]\nweights = 'nowhere'\ntokenizer = { x = 1 }\n")
        .env("SCONCE_MODELS__C__PARTS", "hf://a/b")
        .env("SCONCE_MODELS__D__PARTS__WEIGHTS", "x");
    let faults = given.faults();
    let expected = [
        "FILE:2: models.a.parts must be a table: [models.a.parts]",
        "FILE:4: models.b.parts.weights = \"nowhere\" is not right; expected hf://org/name@revision",
        "FILE:5: models.b.parts.tokenizer is table; expected hf://org/name@revision",
        "SCONCE_MODELS__C__PARTS: each part has a variable of its own: SCONCE_MODELS__C__PARTS__<PART>",
        "SCONCE_MODELS__D__PARTS__WEIGHTS: models.d.parts.weights = \"x\" is not right",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for text in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(text)), "{text}\n{faults:#?}");
    }
}

#[test]
fn a_variable_names_a_model_in_lower_case() {
    let models = |given: Given| given.load().config.catalog.models;
    let nested = models(given().file("[models.whisper]\npinned = true").env("SCONCE_MODELS__WHISPER__PRELOAD", "true"));
    assert_eq!((nested.len(), nested[0].pinned, nested[0].preload), (1, true, Some(true)));

    let listed = given().env("MODEL_ID", "openai/whisper-tiny");
    let listed = models(listed.env("sconce_models__openai_whisper_tiny__idle_ttl", "90"));
    assert_eq!((listed.len(), listed[0].idle_ttl), (1, Some(Duration::from_secs(90))));

    let revision = || given().file("[models.tiny]\nsource = 'file:/tiny'").env("MODEL_ID", "tiny@v2");
    assert_eq!(models(revision())[0].source.as_deref(), Some("hf://tiny@v2"));
    let ours = || revision().env("SCONCE_MODELS__TINY__SOURCE", "hf://tiny@v3");
    assert_eq!(models(ours())[0].source.as_deref(), Some("hf://tiny@v3"));
    assert_eq!(models(ours().args("--model tiny@v4"))[0].source.as_deref(), Some("hf://tiny@v4"));

    let new = models(given().env("SCONCE_MODELS__MINE__SOURCE", "file:/models/mine"));
    assert_eq!((new[0].name.as_str(), new[0].source.as_deref()), ("mine", Some("file:/models/mine")));
}

// === faults ===

#[test]
fn every_fault_is_reported_at_once() {
    let faults = given()
        .file("load_mode = 'lazy'\n[server]\nprot = 1\n[sever]\nport = 1\n[models.tiny]\npreload = 'maybe'\npined = true\n")
        .env("PORT", "http")
        .env("SCONCE_SERVER__PROT", "1")
        .env("SCONCE_MODELS__TINY__PRELAOD", "1")
        .args("--max-resident 0")
        .faults();
    let expected = [
        "FILE:1: load_mode = \"lazy\" is not right; expected startup, on_demand or background",
        "FILE:3: there is no setting server.prot; did you mean server.port?",
        "FILE:4: there is no setting sever; did you mean server?",
        "FILE:7: models.tiny.preload = \"maybe\" is not right; expected true or false, or auto",
        "FILE:8: there is no setting models.tiny.pined; did you mean models.tiny.pinned?",
        "PORT: server.port = \"http\" is not right; expected a port, 0 to 65535",
        "SCONCE_SERVER__PROT: there is no setting SCONCE_SERVER__PROT; did you mean SCONCE_SERVER__PORT?",
        "SCONCE_MODELS__TINY__PRELAOD: there is no setting SCONCE_MODELS__TINY__PRELAOD; \
         did you mean SCONCE_MODELS__TINY__PRELOAD?",
        "--max-resident: memory.max_resident = \"0\" is not right; expected a whole number of at least 1, or none",
    ];
    for fault in expected {
        assert!(faults.contains(&fault.to_owned()), "missing {fault:?} in {faults:#?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
}

#[test]
fn a_bad_value_of_any_setting_is_a_fault() {
    for setting in settings::SETTINGS.iter().filter(|setting| !["default_model"].contains(&setting.key)) {
        let bad = given().file(&format!("{} = {{ a = 1 }}", setting.key)).faults();
        assert!(bad.iter().any(|fault| fault.contains(setting.key) && fault.contains("expected")), "{bad:?}");
        let empty = given().file(&format!("{} = '  '", setting.key));
        assert!(load(&empty.sources).is_err(), "{} takes blanks", setting.key);
    }
}

#[test]
fn a_setting_without_its_section_is_found() {
    let faults = given().file("port = 9000").env("SCONCE_LOGLEVEL", "info").faults();
    assert_eq!(faults[0], "FILE:1: there is no setting port; did you mean server.port?");
    let strange = given().file("frobnicate = 1").faults();
    assert_eq!(strange, ["FILE:1: there is no setting frobnicate; docs/CONFIGURATION.md lists them"]);
    assert_eq!(faults[1], "SCONCE_LOGLEVEL: there is no setting SCONCE_LOGLEVEL; did you mean SCONCE_LOG__LEVEL?");
}

#[test]
fn a_file_that_is_not_toml_is_told_by_its_line() {
    let faults = given().file("load_mode = 'startup'\n[store\ntoken = 'hf_secret'\n").faults();
    assert!(faults[0].starts_with("FILE:2: this is not TOML: "), "{faults:?}");
    assert!(!faults.concat().contains("hf_secret"));
}

#[test]
fn a_named_file_must_be_there() {
    let faults = given().env("SCONCE_CONFIG", "/nowhere/sconce.toml").faults();
    assert!(
        faults[0].starts_with("SCONCE_CONFIG: the configuration file /nowhere/sconce.toml cannot be read"),
        "{faults:?}"
    );
}

#[test]
fn a_lexicon_is_read_with_the_configuration_and_its_faults_are_told_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lexicon.toml");
    let text = format!("[speech]\nlexicon = '{}'\n", path.display());
    let faults = || given().file(&text).faults().iter().map(|fault| fault.replace(&text, "")).collect::<Vec<_>>();
    let (place, path_text) = ("FILE:2: speech.lexicon: ", path.display().to_string());
    assert!(faults()[0].starts_with(&format!("{place}{path_text} cannot be read")), "{:?}", faults());
    for (lexicon, fault) in [
        ("[words]\nnginx = 'engine x'\nsql = 7\n", "line 3 of the lexicon: the word \"sql\""),
        ("[words]\nnginx = \n", "line 2 of the lexicon is no TOML"),
        ("[word]\nnginx = 'engine x'\n", "line 1 of the lexicon: there is no \"word\""),
    ] {
        fs::write(&path, lexicon).unwrap();
        assert!(faults()[0].starts_with(&format!("{place}{path_text}: {fault}")), "{:?}", faults());
    }
    fs::write(&path, "[words]\nnginx = 'engine x'\n").unwrap();
    let loaded = given().file(&text).load();
    let lexicon = loaded.config.service.lexicon.unwrap();
    assert_eq!(lexicon.words(), &crate::text::Lexicon::parse("[words]\nnginx = 'engine x'\n").unwrap());
    assert_eq!(loaded.report.get("speech.lexicon").unwrap().value, path_text);
}

#[test]
fn a_word_that_is_no_level_does_not_silence_the_log() {
    assert_eq!(given().env("LOG_LEVEL", "inof").faults().len(), 1);
    assert_eq!(given().env("RUST_LOG", "info,sconce=verbose").faults().len(), 1);
    given().env("RUST_LOG", "warn,sconce::http=debug").load();
}

#[test]
fn settings_that_contradict_each_other_are_faults() {
    let faults =
        given().file("[retry]\nfirst_delay = '2m'\n").env("AIP_HEALTH_ROUTE", "/a").env("AIP_PREDICT_ROUTE", "/a");
    assert_eq!(
        faults.faults(),
        [
            "default: retry.max_delay is shorter than retry.first_delay",
            "AIP_PREDICT_ROUTE: http.predict_route is the same path as http.health_route"
        ]
    );
}

#[test]
fn a_value_that_is_not_text_is_a_fault() {
    let broken = format!("/data/{}", char::REPLACEMENT_CHARACTER);
    assert_eq!(given().env("HF_HOME", &broken).faults(), ["HF_HOME: its value is not UTF-8"]);
}

// === secrets ===

#[test]
fn a_secret_is_never_shown() {
    const TOKEN: &str = "hf_verySecret";
    let from = [
        given().env("HF_TOKEN", TOKEN),
        given().file(&format!("store.token = '{TOKEN}'")),
        given().env("SCONCE_STORE__TOKEN", TOKEN),
    ];
    for given in from {
        let loaded = given.load();
        assert_eq!(loaded.config.store.token, Some(Secret(TOKEN.to_owned())));
        assert_eq!(loaded.report.get("store.token").unwrap().value, "***");
        assert!(!format!("{loaded:?}{}", loaded.report).contains(TOKEN));
    }
    let wrong = given()
        .file(&format!("store.tokn = '{TOKEN}'\nstore.token = ['{TOKEN}']"))
        .env("SCONCE_STORE__TOKN", TOKEN)
        .env("HF_ENDPOINT", &format!("ftp://me:{TOKEN}@hub"));
    let faults = wrong.faults();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(!faults.concat().contains(TOKEN), "{faults:?}");
    assert!(faults.concat().contains("***"));
}

#[test]
fn the_token_of_the_hubs_tools_is_found() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("token");
    fs::write(&path, "hf_fromFile\n").unwrap();
    let hf_home = home.path().display().to_string();

    let loaded = given().env("HF_HOME", &hf_home).load();
    assert_eq!(loaded.config.store.token, Some(Secret("hf_fromFile".to_owned())));
    assert_eq!(origin(&loaded, "store.token"), Origin::TokenFile(path));
    let loaded = given().env("HF_HOME", &hf_home).env("HF_TOKEN", "hf_own").load();
    assert_eq!(loaded.config.store.token, Some(Secret("hf_own".to_owned())));
    assert_eq!(given().env("HF_HOME", &hf_home).env("SCONCE_STORE__TOKEN", "none").load().config.store.token, None);
    assert_eq!(given().env("HF_HOME", "/nowhere").load().config.store.token, None);
    assert!(given().env("HF_TOKEN_PATH", "/nowhere").faults()[0].starts_with("HF_TOKEN_PATH: the token file"));
}

// === command line ===

#[test]
fn flags_are_made_from_the_table() {
    let config = given()
        .args("--host 127.0.0.1 --load-mode background --offline --device cuda:1 --log-level warn --log-format json")
        .load()
        .config;
    assert_eq!((config.server.bind, config.lifecycle.mode), (Some(IpAddr::from([127, 0, 0, 1])), LoadMode::Background));
    assert_eq!((config.store.offline, config.runtime.device), (true, DeviceChoice::Only(DeviceId::Cuda(1))));
    assert_eq!((config.telemetry.log_level.as_str(), config.telemetry.log_format), ("warn", LogFormat::Json));
    assert!(!given().env("HF_HUB_OFFLINE", "1").args("--offline=false").load().config.store.offline);
}

#[test]
fn the_flags_are_sound() {
    Overrides::augment_args(clap::Command::new("serve")).debug_assert();
}

// === the report and the page ===

#[test]
fn the_report_has_aligned_columns() {
    let report = given().env("PORT", "9000").env("MODEL_ID", "tiny").load().report.to_string();
    let line = |name: &str| report.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("server.port ").split_whitespace().eq(["server.port", "9000", "PORT"]));
    assert!(line("models.tiny.pinned").split_whitespace().eq(["models.tiny.pinned", "false", "default"]));
    assert_eq!(line("server.port ").find("9000"), line("load_mode").find("on_demand"));
    assert_eq!(line("server.port ").find("PORT"), line("load_mode").find("default"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the test asks for the page")]
fn the_page_about_configuration_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        fs::write(path, docs()).unwrap();
    }
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(page == docs(), "docs/CONFIGURATION.md is stale: UPDATE_DOCS=1 cargo test --lib config");
}

#[test]
fn only_configured_models_are_served_where_callers_have_keys_or_vertex_calls() {
    let only = |given: Given| given.load().config.catalog.only_configured;
    assert_eq!(only(Given::default()), Some(false));
    assert_eq!(only(Given::default().env("SCONCE_ACCESS__KEYS", "sk-user")), Some(true));
    assert_eq!(only(Given::default().env("AIP_MODE", "PREDICTION")), Some(true));
    assert_eq!(
        only(Given::default().env("AIP_MODE", "PREDICTION").file("[models]\nonly_configured = false")),
        Some(false)
    );
    let both = "[models]\nonly_configured = true\n[models.\"openai/whisper-tiny\"]\npinned = true";
    assert_eq!(only(Given::default().file(both)), Some(true));
    assert_eq!(only(Given::default().file(both).env("SCONCE_MODELS__ONLY_CONFIGURED", "auto")), Some(false));
    assert_eq!(
        Given::default().file("[models]\nonly = true").faults(),
        ["FILE:2: models.only must be a table: [models.only]"]
    );
}
