//! A layer: what one source says, before it is known whether it makes sense. Layers are laid over one another, the
//! weakest first.

use std::collections::BTreeMap;

use super::{Fault, Origin, report::Report, setting::Setting, value::Raw};

/// Names and values, as a process is given them.
pub type Environment = BTreeMap<String, String>;

/// Values by the key of their setting.
pub(super) type Values = BTreeMap<&'static str, Given>;

/// What one source says.
#[derive(Default)]
pub(super) struct Layer {
    pub values: Values,
    /// What is said of single models, by the model's name.
    pub models: BTreeMap<String, OfModel>,
}

/// What one source says of one model.
#[derive(Default)]
pub(super) struct OfModel {
    pub values: Values,
    /// The sources of its parts, by the name of the part.
    pub parts: BTreeMap<String, Given>,
}

/// A value and where it was written.
#[derive(Clone)]
pub(super) struct Given {
    pub raw: Raw,
    pub origin: Origin,
}

/// Lays the values over the defaults and over one another, the weakest first. A default that nobody replaced is
/// reported if `defaults` says so.
pub(super) fn settle<C>(
    target: &mut C,
    prefix: &str,
    settings: &'static [Setting<C>],
    layers: &[&Values],
    (report, faults): (&mut Report, &mut Vec<Fault>),
) {
    for setting in settings {
        let name = format!("{prefix}{}", setting.key);
        let default = Given { raw: Raw::Text(setting.default.to_owned()), origin: Origin::Default };
        for given in std::iter::once(&default).chain(layers.iter().filter_map(|layer| layer.get(setting.key))) {
            put(target, &name, setting, given, (report, faults));
        }
    }
}

/// Puts one value in place.
pub(super) fn put<C>(
    target: &mut C,
    name: &str,
    setting: &Setting<C>,
    given: &Given,
    (report, faults): (&mut Report, &mut Vec<Fault>),
) {
    match setting.slot.put(target, &given.raw) {
        Ok(value) => report.set(name, value, given.origin.clone(), setting.secret),
        Err(expected) => {
            let shown = (!setting.secret).then(|| given.raw.shown());
            faults.push(Fault::value(&given.origin, name, shown.as_deref(), &expected));
        }
    }
}
