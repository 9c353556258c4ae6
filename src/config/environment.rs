//! The layers of the environment: `SCONCE_…` names, which are ours alone, over plain ones, which containers are given.

use std::collections::BTreeMap;

use super::{
    Environment, Fault, Origin,
    layer::{Given, Layer, Values},
    models::{self, MODEL_SETTINGS},
    setting::Plain,
    settings::SETTINGS,
    value::Raw,
};

/// Names the configuration file.
pub(super) const CONFIG: &str = "SCONCE_CONFIG";

const OURS: &str = "SCONCE_";
/// Where a server is and the key for it: for `sconce top` and other clients, which share an environment with this.
const OF_CLIENTS: [&str; 2] = ["SCONCE_URL", "SCONCE_KEY"];
const MODELS: &str = "SCONCE_MODELS__";
/// Between a model and one of its parts.
const PARTS: &str = "__PARTS__";

/// What the environment says, `SCONCE_…` names over plain ones. `names` are those of the models that other layers
/// configure.
pub(super) fn read(environment: &Environment, names: &[String], faults: &mut Vec<Fault>) -> Layer {
    let mut layer = Layer { values: plain(environment, |setting| setting.plain), models: BTreeMap::new() };
    for (name, value) in environment {
        let variable = name.to_uppercase();
        let others = variable == CONFIG || OF_CLIENTS.contains(&variable.as_str());
        let skipped = others || value.is_empty() || is_service_link(&variable, value);
        if !variable.starts_with(OURS) || skipped {
            continue;
        }
        let given = Given { raw: Raw::Text(value.clone()), origin: Origin::Variable(name.clone()) };
        let ours = SETTINGS.iter().any(|setting| setting.variable() == variable);
        match variable.strip_prefix(MODELS).filter(|_| !ours) {
            Some(rest) => model(rest, given, names, &mut layer, faults),
            None => setting(&variable, given, &mut layer.values, faults),
        }
    }
    broken_text(&mut layer, faults);
    layer
}

/// What the environment says about defaults: weaker than the file.
pub(super) fn hints(environment: &Environment) -> Values {
    plain(environment, |setting| setting.hints)
}

/// The first of these variables that is there and says something. An empty one counts as absent: that is how
/// deployment tools write "not set".
pub(super) fn first(environment: &Environment, names: &[Plain]) -> Option<Given> {
    names.iter().find_map(|plain| {
        let value = environment.get(plain.name).filter(|value| !value.is_empty())?;
        let raw = Raw::Text((plain.read)(value)?);
        Some(Given { raw, origin: Origin::Variable(plain.name.to_owned()) })
    })
}

fn plain(
    environment: &Environment,
    names: fn(&super::setting::Setting<crate::app::Config>) -> &'static [Plain],
) -> Values {
    SETTINGS.iter().filter_map(|setting| Some((setting.key, first(environment, names(setting))?))).collect()
}

fn setting(variable: &str, given: Given, values: &mut Values, faults: &mut Vec<Fault>) {
    match SETTINGS.iter().find(|setting| setting.variable() == variable) {
        Some(setting) => drop(values.insert(setting.key, given)),
        None => {
            let known = SETTINGS.iter().map(|setting| setting.variable()).chain([CONFIG.to_owned()]);
            faults.push(Fault::unknown(given.origin, variable, known));
        }
    }
}

/// `SCONCE_MODELS__WHISPER__PRELOAD`, without what all of them begin with.
fn model(rest: &str, given: Given, names: &[String], layer: &mut Layer, faults: &mut Vec<Fault>) {
    let configured = |model: &str| {
        let model = model.to_lowercase();
        names.iter().find(|name| models::in_environment(name) == model).cloned().unwrap_or(model)
    };
    if let Some((model, part)) = rest.rsplit_once(PARTS).filter(|(_, part)| !part.is_empty()) {
        let model = layer.models.entry(configured(model)).or_default();
        return drop(model.parts.insert(part.to_lowercase(), given));
    }
    let (model, key) = rest.rsplit_once("__").unwrap_or((rest, ""));
    if key == "PARTS" {
        let problem = format!("each part has a variable of its own: {MODELS}{model}{PARTS}<PART>");
        return faults.push(Fault { origin: given.origin, problem });
    }
    let Some(setting) = MODEL_SETTINGS.iter().find(|setting| setting.key.to_uppercase() == key) else {
        let known = MODEL_SETTINGS.iter().map(|setting| format!("{MODELS}{model}__{}", setting.key.to_uppercase()));
        return faults.push(Fault::unknown(given.origin, &format!("{MODELS}{rest}"), known));
    };
    layer.models.entry(configured(model)).or_default().values.insert(setting.key, given);
}

/// Kubernetes tells every pod of the services beside it, by variables that begin with the service's name; beside a
/// service that is called `sconce` they look like ours: `SCONCE_SERVICE_HOST`, `SCONCE_PORT=tcp://…`,
/// `SCONCE_PORT_80_TCP_ADDR`.
fn is_service_link(variable: &str, value: &str) -> bool {
    let protocol = |name: &str| ["TCP", "UDP", "SCTP"].iter().any(|protocol| name.contains(&format!("_{protocol}")));
    let numbered = variable
        .rsplit_once("_PORT_")
        .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()) && protocol(rest));
    variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || (variable.ends_with("_PORT") && value.contains("://"))
        || numbered
}

/// A value that was not UTF-8 arrives with replacement characters in it; it must not be used as if it were whole.
fn broken_text(layer: &mut Layer, faults: &mut Vec<Fault>) {
    let mut whole = |given: &mut Given| {
        let broken = matches!(&given.raw, Raw::Text(text) if text.contains(char::REPLACEMENT_CHARACTER));
        if broken {
            faults.push(Fault { origin: given.origin.clone(), problem: "its value is not UTF-8".to_owned() });
        }
        !broken
    };
    layer.values.retain(|_, given| whole(given));
    for model in layer.models.values_mut() {
        model.values.retain(|_, given| whole(given));
        model.parts.retain(|_, given| whole(given));
    }
}
