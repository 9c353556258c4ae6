//! The layer of the configuration file, with the line of every value.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{
    Fault, Origin,
    layer::{Given, Layer, OfModel, Values},
    models::{MODEL_SETTINGS, PART},
    setting::Setting,
    settings::SETTINGS,
    value::Raw,
};

/// The table of a model's parts.
const PARTS: &str = "parts";

/// One pass over one file.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    faults: &'a mut Vec<Fault>,
}

/// What the file says. What it should not say goes to `faults`.
pub(super) fn read(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Layer {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { path, text, faults };
    for error in errors {
        let origin = reader.origin(error.span().map_or(0, |span| span.start));
        // The error's own Display quotes the line, which may hold a secret.
        reader.faults.push(Fault { origin, problem: format!("this is not TOML: {}", error.message()) });
    }
    let mut layer = Layer::default();
    reader.table("", document.get_ref(), &mut layer);
    layer
}

// === impl Reader ===

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>, layer: &mut Layer) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let at = key.span().start;
            match value.get_ref() {
                DeValue::Table(models) if name == "models" => self.models(models, layer),
                DeValue::Table(inner) if is_section(&name) => self.table(&format!("{name}."), inner, layer),
                DeValue::Table(_) if setting(SETTINGS, &name).is_none() => self.unknown_section(at, &name),
                value => self.value(at, &name, &name, SETTINGS, value, &mut layer.values),
            }
        }
    }

    fn models(&mut self, models: &DeTable<'_>, layer: &mut Layer) {
        for (name, value) in models {
            let full = format!("models.{}", name.get_ref());
            if setting(SETTINGS, &full).is_some() {
                self.value(name.span().start, &full, &full, SETTINGS, value.get_ref(), &mut layer.values);
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                let problem = format!("{full} must be a table: [{full}]");
                self.fault(name.span().start, problem);
                continue;
            };
            let model = layer.models.entry(name.get_ref().to_string()).or_default();
            for (key, value) in table {
                let (at, full) = (key.span().start, format!("{full}.{}", key.get_ref()));
                match value.get_ref() {
                    DeValue::Table(parts) if key.get_ref() == PARTS => self.parts(&full, parts, model),
                    _ if key.get_ref() == PARTS => self.fault(at, format!("{full} must be a table: [{full}]")),
                    value => self.value(at, key.get_ref(), &full, MODEL_SETTINGS, value, &mut model.values),
                }
            }
        }
    }

    fn parts(&mut self, full: &str, parts: &DeTable<'_>, model: &mut OfModel) {
        for (part, value) in parts {
            let origin = self.origin(part.span().start);
            match raw(value.get_ref()) {
                Some(raw) => drop(model.parts.insert(part.get_ref().to_string(), Given { raw, origin })),
                None => {
                    let (part, kind) = (part.get_ref(), value.get_ref().type_str());
                    let problem = format!("{full}.{part} is {kind}; expected {}", PART.slot.expected());
                    self.faults.push(Fault { origin, problem });
                }
            }
        }
    }

    fn value<C>(
        &mut self,
        at: usize,
        key: &str,
        name: &str,
        settings: &'static [Setting<C>],
        value: &DeValue<'_>,
        values: &mut Values,
    ) {
        let origin = self.origin(at);
        let Some(setting) = setting(settings, key) else {
            let prefix = name.strip_suffix(key).unwrap_or_default();
            let known = settings.iter().map(|setting| format!("{prefix}{}", setting.key));
            return self.faults.push(Fault::unknown(origin, name, known));
        };
        match raw(value) {
            Some(raw) => drop(values.insert(setting.key, Given { raw, origin })),
            None => {
                let problem = format!("{name} is {}; expected {}", value.type_str(), setting.slot.expected());
                self.faults.push(Fault { origin, problem });
            }
        }
    }

    fn unknown_section(&mut self, at: usize, name: &str) {
        let sections = SETTINGS.iter().filter_map(|setting| setting.key.rsplit_once('.')).map(|(section, _)| section);
        let known = sections.map(str::to_owned);
        self.faults.push(Fault::unknown(self.origin(at), name, known));
    }

    fn fault(&mut self, at: usize, problem: String) {
        self.faults.push(Fault { origin: self.origin(at), problem });
    }

    fn origin(&self, at: usize) -> Origin {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        Origin::File { path: self.path.to_owned(), line }
    }
}

fn setting<C>(settings: &'static [Setting<C>], key: &str) -> Option<&'static Setting<C>> {
    settings.iter().find(|setting| setting.key == key)
}

fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// A scalar, or an array of scalars.
fn raw(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect::<Option<_>>().map(Raw::List),
        value => scalar(value).map(Raw::Text),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.to_string(),
        }),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
