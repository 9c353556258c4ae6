//! `docs/CONFIGURATION.md`, made from the table of settings.

use super::{
    models::{MODEL_SETTINGS, PART},
    setting::Setting,
    settings::SETTINGS,
};

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from src/config/settings.rs by `UPDATE_DOCS=1 cargo test --lib config`. A test keeps it true. -->

Every setting can be written in a TOML file, in the environment, and, where it has a flag, on the command line. The
stronger wins: defaults, then the file, then the environment, then the command line. `sconce check-config` prints what
is in force and where each value came from; secrets are not shown.

- **File**: `--config FILE`, or `SCONCE_CONFIG`, or `./sconce.toml`, or `/etc/sconce/sconce.toml`.
- **Environment**: `server.port` is `SCONCE_SERVER__PORT`: `SCONCE_`, upper case, two underscores for the dot. Some \
settings also obey a plain name that containers are commonly given, such as `PORT`; of several, the first in the table \
wins, and a `SCONCE_…` name wins over them all. An empty variable counts as absent.
- **Units**: durations are `500ms`, `30s`, `5m`, `2h`, `1d`, and a bare number is seconds; sizes are `100MB`, `8GiB`, \
and a bare number is bytes; truth is `true`, `1`, `yes`, `on`, or `false`, `0`, `no`, `off`.
- **Read anew** on SIGHUP: settings marked *yes* under *reload*, and everything under `[models]`, then apply without a
  restart; of others that changed the log says that they wait for one. A configuration with a fault changes nothing; the
  log and `sconce_config_reloads_total{outcome=\"refused\"}` say so.
- **Faults** are reported all at once, each with its place, and the server does not start. A setting or a `SCONCE_…` \
variable that does not exist is a fault. (Those that Kubernetes sets for a service called `sconce` are recognised and \
ignored.)
";

const MODELS: &str = "
## `[models.<name>]`

One table per model; the name is one that the catalog knows (`sconce models`), or a new one. A name with a slash is
quoted: `[models.\"openai/whisper-tiny\"]`. In the environment, `SCONCE_MODELS__WHISPER__PRELOAD=true` is `preload = true`
of `[models.whisper]`. A variable's model is one of the file, `MODEL_ID` or `--model` whose name is the same in lower
case with `_` for all but letters and digits, so that `SCONCE_MODELS__OPENAI_WHISPER_TINY__PRELOAD` is of
`openai/whisper-tiny`; otherwise it is a new model of that lower-case name.

Each item of `MODEL_ID` and `--model` is a name (`openai/whisper-tiny`), a name and a revision
(`openai/whisper-tiny@main`), a source (`hf://…`, `file:/…`) or a folder (`/models/mine`), the last segment of which
becomes the name. On Vertex AI, `AIP_STORAGE_URI` is the source of the first of them, or, if there is none, of a
default model called `model`.
";

const PARTS: &str = "
A model whose weights come from a training run, and whose vocabulary is that of the model it was trained on:

```toml
[models.ours.parts]
weights = \"gs://our-runs/whisper-base/7\"
tokenizer = \"hf://openai/whisper-base\"
```

In the environment these are `SCONCE_MODELS__OURS__PARTS__WEIGHTS` and `SCONCE_MODELS__OURS__PARTS__TOKENIZER`.
";

/// The page about configuration, in Markdown.
pub fn docs() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in sections() {
        match section {
            "" => page.push_str("\n## General\n"),
            section => page.push_str(&format!("\n## `[{section}]`\n")),
        }
        table(&mut page, SETTINGS.iter().filter(|setting| section_of(setting.key) == section), |setting| {
            names(setting)
        });
    }
    page.push_str(MODELS);
    table(&mut page, MODEL_SETTINGS.iter(), |setting| {
        vec![format!("SCONCE_MODELS__<NAME>__{}", setting.key.to_uppercase())]
    });
    row(&mut page, PART.key, &PART, &["SCONCE_MODELS__<NAME>__PARTS__<PART>".to_owned()]);
    page.push_str(PARTS);
    page.push_str("\n## A file with every default\n\n```toml\n");
    page.push_str(&example());
    page.push_str("```\n");
    page
}

/// A configuration file that says what the defaults say.
pub(super) fn example() -> String {
    let mut file = String::new();
    for section in sections() {
        if !section.is_empty() {
            file.push_str(&format!("\n[{section}]\n"));
        }
        for setting in SETTINGS.iter().filter(|setting| section_of(setting.key) == section) {
            let key = setting.key.rsplit('.').next().unwrap_or(setting.key);
            let bare = setting.default.parse::<u64>().is_ok() || setting.default.parse::<bool>().is_ok();
            let value = if bare { setting.default.to_owned() } else { format!("{:?}", setting.default) };
            // Where the default depends on the machine, the file leaves it alone.
            let comment = if setting.hints.is_empty() { "" } else { "# " };
            file.push_str(&format!("{comment}{key} = {value}\n"));
        }
    }
    file
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(|setting| section_of(setting.key)).collect();
    sections.dedup();
    sections
}

fn section_of(key: &'static str) -> &'static str {
    key.rsplit_once('.').map_or("", |(section, _)| section)
}

fn names<C>(setting: &Setting<C>) -> Vec<String> {
    let plain = setting.plain.iter().chain(setting.hints).map(|plain| plain.name.to_owned());
    let flag = setting.flag.map(|flag| format!("--{}", flag.name));
    [setting.variable()].into_iter().chain(plain).chain(flag).collect()
}

fn table<C: 'static>(
    page: &mut String,
    settings: impl Iterator<Item = &'static Setting<C>>,
    names: fn(&Setting<C>) -> Vec<String>,
) {
    page.push_str("\n| key | default | meaning | takes | reload | also by |\n|---|---|---|---|---|---|\n");
    for setting in settings {
        let key = setting.key.rsplit('.').next().unwrap_or(setting.key);
        row(page, key, setting, &names(setting));
    }
}

fn row<C>(page: &mut String, key: &str, setting: &Setting<C>, names: &[String]) {
    let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let takes = setting.slot.expected();
    let live = if setting.live { "yes" } else { "" };
    page.push_str(&format!("| `{key}` | `{}` | {} | {takes} | {live} | {names} |\n", setting.default, setting.doc));
}
