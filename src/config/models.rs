//! `[models.<name>]`: the settings of one model, and the lists of models in `MODEL_ID` and `--model`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Environment, Fault, Origin,
    kinds::{COMMAND, DEVICE, DTYPE, PATH, SHA256, TASKS},
    layer::{Given, Layer, OfModel, Values, put, settle},
    report::Report,
    setting::{Maybe, Setting, To},
    value::{COUNT, DURATION, FLAG, Kind, NAME, NAMES, Raw, SIZE, items, text},
};
use crate::{catalog::ModelConfig, remote::shown};

/// The settings of one model.
pub(super) static MODEL_SETTINGS: &[Setting<ModelConfig>] = &[
    Setting::new(
        "source",
        "known",
        &Maybe::<ModelConfig, _>("known", &SOURCE, |m, v| m.source = v),
        "Where its files come from: `hf://org/name@revision`, `gs://bucket/prefix`, `s3://bucket/prefix`, \
         `https://host/file`, `file:/folder`, `embedded:name`. Of a bucket or a web server also one archive, `.zip` or \
         `.tar.gz`; one file or archive may end in `#sha256=…`, and is then fetched once and never asked about again. \
         `known`: what the catalog knows by the name, else the hub's repository of that name; or `parts` say it.",
    )
    .live(),
    Setting::new(
        "family",
        "found",
        &Maybe::<ModelConfig, _>("found", &NAME, |m, v| m.family = v),
        "What kind of model it is, for example `whisper`. `found`: what the catalog knows, else what its `config.json` \
         says.",
    )
    .live(),
    Setting::new(
        "aliases",
        "none",
        &Maybe::<ModelConfig, _>("none", &NAMES, |m, v| m.aliases = v.unwrap_or_default()),
        "Further names that requests may call it by.",
    )
    .live(),
    Setting::new(
        "preload",
        "auto",
        &Maybe::<ModelConfig, _>("auto", &FLAG, |m, v| m.preload = v),
        "Load it at the start, in the modes `startup` and `background`. `auto`: only the default model, if no model \
         says `true`.",
    )
    .live(),
    Setting::new(
        "pinned",
        "false",
        &To::<ModelConfig, _>(&FLAG, |m, v| m.pinned = v),
        "Never unload it to make room. Off, because a pinned model takes the room of all others for good.",
    )
    .live(),
    Setting::new(
        "cache_dir",
        "general",
        &Maybe::<ModelConfig, _>("general", &PATH, |m, v| m.cache_dir = v),
        "Folder that its files are fetched into, for a model with a volume of its own; if it cannot be made, they go \
         where all others go. `general`: `store.cache_dir`.",
    ),
    Setting::new(
        "idle_ttl",
        "general",
        &Maybe::<ModelConfig, _>("general", &DURATION, |m, v| m.idle_ttl = v),
        "Unload it after so long without a request. `general`: after `memory.idle_ttl`.",
    )
    .live(),
    Setting::new(
        "fallback",
        "none",
        &Maybe::<ModelConfig, _>("none", &NAME, |m, v| m.fallback = v),
        "The model that speaks in its place as long as it cannot be loaded, for example `espeak-ng`, which needs no files. \
         Not while it is on its way, in line for memory or busy. The answer says so in `x-sconce-fallback-for`, and in \
         `x-sconce-ignored` what of the request the other model does not know; a voice that it does not have becomes its \
         usual one for the language. `none`: such a request is refused.",
    )
    .live(),
    Setting::new(
        "worker",
        "said",
        &Maybe::<ModelConfig, _>("said", &COMMAND, |m, v| m.overrides.worker.command = v.unwrap_or_default()),
        "A program, and its arguments, that is the model: it runs as a process of its own and speaks the protocol of \
         [workers](workers.md). It runs in the folder of the model's files, where there are any; a program without a `/` in \
         its name is looked for on the `PATH`. `said`: what `sconce-worker.toml` among the model's files says, if there is \
         such a file.",
    )
    .live(),
    Setting::new(
        "worker_sha256",
        "none",
        &Maybe::<ModelConfig, _>("none", &SHA256, |m, v| m.overrides.worker.sha256 = v),
        "Of everything that the model would have executed. Nothing of it is executed unless this says what it has to be; the \
         refusal tells the value, which `sconce models` shows as well. By default there is none, so that no file is a \
         program because somebody put it there.",
    )
    .live(),
    Setting::new(
        "worker_tasks",
        "said",
        &Maybe::<ModelConfig, _>("said", &TASKS, |m, v| m.overrides.worker.tasks = v.unwrap_or_default()),
        "What the model does, where no `sconce-worker.toml` says it: `transcribe`, `synthesize`, `convert`.",
    )
    .live(),
    Setting::new(
        "worker_env",
        "none",
        &Maybe::<ModelConfig, _>("none", &NAMES, |m, v| m.overrides.worker.environment = v.unwrap_or_default()),
        "Names of variables of the server's environment that the program is given. By default none, since many hold secrets.",
    )
    .live(),
    Setting::new(
        "worker_network",
        "false",
        &To::<ModelConfig, _>(&FLAG, |m, v| m.overrides.worker.network = v),
        "Whether the program may use the network. Off, since a model needs none, and what it hears is nobody else's.",
    )
    .live(),
    Setting::new(
        "worker_memory",
        "general",
        &Maybe::<ModelConfig, _>("general", &SIZE, |m, v| m.overrides.worker.memory = v),
        "Bytes of memory that the program and all that it began may hold; it is ended when it holds more. `general`: as \
         `workers.memory` says.",
    )
    .live(),
    Setting::new(
        "device",
        "general",
        &Maybe::<ModelConfig, _>("general", &DEVICE, |m, v| m.overrides.device = v),
        "Where it lives. `general`: as `runtime.device` says. A device that this build or this machine lacks makes the \
         model `unsupported`, and nothing else.",
    )
    .live(),
    Setting::new(
        "dtype",
        "general",
        &Maybe::<ModelConfig, _>("general", &DTYPE, |m, v| m.overrides.dtype = v),
        "Type of its weights and activations. `general`: as `runtime.dtype` says. One that its family does not compute in \
         on its device makes the model `unsupported`, and nothing else.",
    )
    .live(),
    Setting::new(
        "max_batch",
        "general",
        &Maybe::<ModelConfig, _>("general", &COUNT, |m, v| m.overrides.max_batch = v),
        "Requests that it works on at once, at most. `general`: as `runtime.max_batch` says. A family that takes fewer says \
         so in the log when the model is loaded.",
    )
    .live(),
    Setting::new(
        "queue",
        "general",
        &Maybe::<ModelConfig, _>("general", &COUNT, |m, v| m.overrides.queue = v),
        "Requests that may wait for it; one more is answered with 429 at once. `general`: as `runtime.queue` says.",
    )
    .live(),
    Setting::new(
        "threads",
        "general",
        &Maybe::<ModelConfig, _>("general", &COUNT, |m, v| m.overrides.threads = v),
        "CPU threads for its work. `general`: as `runtime.threads` says.",
    )
    .live(),
    Setting::new(
        "warm_up",
        "true",
        &To::<ModelConfig, _>(&FLAG, |m, v| m.overrides.cold = !v),
        "Let it do a real inference before it counts as ready, so that the first request is as fast as the second.",
    )
    .live(),
];

/// The source of one part of a model.
pub(super) static PART: Setting<Option<String>> = Setting::new(
    "parts.<part>",
    "none",
    &Maybe::<Option<String>, _>("none", &SOURCE, |part, source| *part = source),
    "In place of `source`, where its files come from several places: the source of each part, all of them. A `whisper` \
     has either the one part `model` or the two parts `weights` (the weights and what describes them) and `tokenizer` \
     (`tokenizer.json`). A `higgs` has `model` and `codec` (its audio tokenizer). A `yue` has `model` (its first stage), `stage2` and `codec`. A `zonos` has `model` and `codec` (the DAC), and may have `speaker`, which hears voices. A \
     `piper` has `config` beside `model`, and a `kokoro` `voices`, where those come from elsewhere. A `chatterbox` may have `watermark` beside whatever else is said of it: the network that marks its \
     sound.",
)
.live();

const SOURCE: Kind<String> = Kind {
    expected: "hf://org/name@revision, gs://bucket/prefix, s3://bucket/prefix, https://host/file, file:/folder or \
               embedded:name",
    parse: |raw| text(raw).filter(|text| text.contains(':')).map(str::to_owned),
    show: |source| shown_source(source),
};

/// A signature in an address is a secret; a checksum after it is none.
fn shown_source(source: &str) -> String {
    let pin = source.find('#').map_or("", |at| &source[at..]);
    format!("{}{pin}", shown(source))
}

/// What Vertex AI calls its copy of the model's files.
const STORAGE_URI: &str = "AIP_STORAGE_URI";

/// What a model is called that has no name but a place, on Vertex AI.
const UNNAMED: &str = "model";

/// The models of the file, the environment, and `listed`, which are those of `MODEL_ID` or `--model`.
pub(super) fn assemble(
    listed: &[(ModelConfig, Origin)],
    [file, environment]: [&Layer; 2],
    report: &mut Report,
    faults: &mut Vec<Fault>,
) -> Vec<ModelConfig> {
    let nothing = OfModel::default();
    let mut models = Vec::new();
    for name in names(listed, [file, environment]) {
        let mut model = ModelConfig { name: name.clone(), ..ModelConfig::default() };
        let [file, environment] = [file, environment].map(|layer| layer.models.get(&name).unwrap_or(&nothing));
        let list = from_list(&name, listed);
        let by_flag = matches!(listed.first(), Some((_, Origin::Flag(_))));
        let (file_values, values) = (&file.values, &environment.values);
        let layers = if by_flag { [file_values, values, &list] } else { [file_values, &list, values] };
        let prefix = format!("models.{}.", quoted(&name));
        settle(&mut model, &prefix, MODEL_SETTINGS, &layers, (report, faults));
        model.parts = parts(&prefix, [file, environment], (report, faults));
        models.push(model);
    }
    models
}

/// The sources of a model's parts, the stronger layer's for each.
fn parts(
    prefix: &str,
    layers: [&OfModel; 2],
    (report, faults): (&mut Report, &mut Vec<Fault>),
) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<&String, Option<String>> = BTreeMap::new();
    for (part, given) in layers.iter().flat_map(|layer| &layer.parts) {
        let name = format!("{prefix}parts.{}", quoted(part));
        put(parts.entry(part).or_default(), &name, &PART, given, (report, faults));
    }
    parts.into_iter().filter_map(|(part, source)| Some((part.clone(), source?))).collect()
}

/// What `default_model` calls the model inside the program, which is there without being listed.
const INSIDE: &str = "embedded";

/// The models of a list, the first of which is the default one.
pub(super) fn listed(list: &[String], origin: &Origin) -> Vec<(ModelConfig, Origin)> {
    let outside = list.iter().flat_map(|text| items(text)).filter(|item| *item != INSIDE);
    outside.map(|item| (item_of_list(item), origin.clone())).collect()
}

/// The name of the first model of a list.
pub(super) fn first(list: &str) -> Option<String> {
    items(list).next().map(|item| item_of_list(item).name)
}

/// On Vertex AI: the place of the default model's files. It is that of the first model in the list, or of one without
/// a name.
pub(super) fn storage_uri(environment: &Environment, listed: &mut Vec<(ModelConfig, Origin)>) -> Option<Given> {
    let place = environment.get(STORAGE_URI).filter(|place| !place.is_empty())?;
    // Vertex AI gives a bucket; its tools for trying things out at home give the folder that they mount.
    let place = &if place.starts_with('/') { format!("file:{place}") } else { place.clone() };
    let origin = Origin::Variable(STORAGE_URI.to_owned());
    if let Some((model, from)) = listed.first_mut() {
        model.source.get_or_insert_with(|| {
            *from = origin;
            place.clone()
        });
        return None;
    }
    let model = ModelConfig { name: UNNAMED.to_owned(), source: Some(place.clone()), ..ModelConfig::default() };
    listed.push((model, origin.clone()));
    Some(Given { raw: Raw::Text(UNNAMED.to_owned()), origin })
}

/// As a variable names a model: lower case, with `_` for what a variable's name cannot hold.
pub(super) fn in_environment(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// `[models.<name>]` in the way TOML wants it.
pub(super) fn quoted(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

/// Listed ones first, in their order, then the others by name.
fn names(listed: &[(ModelConfig, Origin)], layers: [&Layer; 2]) -> Vec<String> {
    let mut names: Vec<String> = listed.iter().map(|(model, _)| model.name.clone()).collect();
    names.extend(layers.iter().flat_map(|layer| layer.models.keys().cloned()));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// What a list says of a model beside its name.
fn from_list(name: &str, listed: &[(ModelConfig, Origin)]) -> Values {
    let found = listed.iter().find(|(model, _)| model.name == name);
    let source = found.and_then(|(model, origin)| {
        Some(("source", Given { raw: Raw::Text(model.source.clone()?), origin: origin.clone() }))
    });
    BTreeMap::from_iter(source)
}

/// A name, a name with a revision, a source, or a folder.
fn item_of_list(item: &str) -> ModelConfig {
    let (name, source) = match item.split_once("://") {
        Some(("hf", repository)) => (repository.split('@').next().unwrap_or(repository), Some(item.to_owned())),
        None if item.starts_with('/') => (last_segment(item), Some(format!("file:{item}"))),
        None if item.contains(':') => (last_segment(item), Some(item.to_owned())),
        None => match item.split_once('@') {
            Some((name, _)) => (name, Some(format!("hf://{item}"))),
            None => (item, None),
        },
        Some(_) => (last_segment(item), Some(item.to_owned())),
    };
    ModelConfig { name: name.to_owned(), source, ..ModelConfig::default() }
}

fn last_segment(place: &str) -> &str {
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let place = [".zip", ".tar.gz", ".tgz"].iter().find_map(|end| place.strip_suffix(end)).unwrap_or(place);
    place.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(place)
}
