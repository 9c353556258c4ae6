//! Nested dictionaries and lists to tensors by name.

use std::collections::BTreeMap;

use super::{
    error::TorchError,
    pickle::{Id, Tensor, Value, Values},
};

/// Values that are looked at. One may be reached by many paths, so this is not bounded by the file.
const MOST_VALUES: usize = 1 << 17;

/// Dictionaries and lists in each other. One may lie in itself.
const MOST_DEPTH: usize = 16;

/// Bytes of a name.
const MOST_NAME: usize = 512;

struct Walk<'v, 'a> {
    values: &'v Values<'a>,
    found: BTreeMap<String, &'v Tensor<'a>>,
    looked_at: usize,
}

pub fn tensors<'v, 'a>(values: &'v Values<'a>) -> Result<BTreeMap<String, &'v Tensor<'a>>, TorchError> {
    let mut walk = Walk { values, found: BTreeMap::new(), looked_at: 0 };
    walk.visit(values.root, String::new(), 0)?;
    Ok(walk.found)
}

// === impl Walk ===

impl Walk<'_, '_> {
    fn visit(&mut self, id: Id, name: String, depth: usize) -> Result<(), TorchError> {
        self.looked_at += 1;
        within("number of values", self.looked_at, MOST_VALUES)?;
        within("depth of nesting", depth, MOST_DEPTH)?;
        within("longest name, in bytes,", name.len(), MOST_NAME)?;
        let values = self.values;
        match values.get(id) {
            Value::Tensor(tensor) => match self.found.insert(name.clone(), tensor) {
                Some(_) => Err(TorchError::Twice(name)),
                None => Ok(()),
            },
            Value::Dict(items) => {
                let named = items.iter().filter_map(|(key, value)| Some((key_text(values.get(*key))?, *value)));
                named.into_iter().try_for_each(|(key, value)| self.visit(value, joined(&name, &key), depth + 1))
            }
            Value::List(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(at, value)| self.visit(*value, joined(&name, &at.to_string()), depth + 1)),
            Value::Other | Value::Int(_) | Value::Text(_) | Value::Global(_) | Value::Storage(_) => Ok(()),
        }
    }
}

fn within(what: &'static str, found: usize, most: usize) -> Result<(), TorchError> {
    if found > most { Err(TorchError::TooMuch { what, most }) } else { Ok(()) }
}

/// Of a key that is no text or number there is no name. A key that is too long is cut: it is refused as a name.
fn key_text(key: &Value<'_>) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.chars().take(MOST_NAME + 1).collect()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

fn joined(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}
