//! The knobs of one program, checked by what it said of them.

use serde_json::{Map, Value};

use super::message::{Hello, OptionKind};
use crate::model::RequestError;

/// Whether these are options that the program knows, with values that it takes.
pub fn check(options: &Map<String, Value>, hello: &Hello) -> Result<(), RequestError> {
    for (name, value) in options {
        let Some(kind) = hello.options.get(name) else {
            let known = hello.options.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return wrong(match known.is_empty() {
                true => format!("there is no option {name:?}: this model has none"),
                false => format!("there is no option {name:?}; this model has {known}"),
            });
        };
        if let Some(right) = refused(value, kind) {
            return wrong(format!("options.{name} is {value}; {right} would be right"));
        }
    }
    Ok(())
}

fn wrong(message: String) -> Result<(), RequestError> {
    Err(RequestError::Invalid { param: "options", message })
}

/// What would be right.
fn refused(value: &Value, kind: &OptionKind) -> Option<String> {
    if !kind.values.is_empty() {
        let listed = kind.values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        return (!kind.values.contains(value)).then(|| format!("one of {listed}"));
    }
    let name = kind.r#type.as_deref()?;
    let fits = match name {
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    let number = value.as_f64();
    let below = number.zip(kind.minimum).is_some_and(|(number, least)| number < least);
    let above = number.zip(kind.maximum).is_some_and(|(number, most)| number > most);
    (!fits || below || above).then(|| match (kind.minimum, kind.maximum) {
        (Some(least), Some(most)) => format!("a value of type {name} from {least} to {most}"),
        (Some(least), None) => format!("a value of type {name} of at least {least}"),
        (None, Some(most)) => format!("a value of type {name} of at most {most}"),
        (None, None) => format!("a value of type {name}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_option_is_one_that_the_program_named() {
        let hello: Hello = serde_json::from_value(json!({
            "options": {
                "warmth": {"type": "number", "minimum": 0, "maximum": 1},
                "steps": {"type": "integer", "minimum": 1},
                "style": {"values": ["calm", "loud"]},
                "anything": {}
            }
        }))
        .unwrap();
        let said = |options: Value| check(options.as_object().unwrap(), &hello).map_err(|error| error.to_string());
        assert_eq!(said(json!({"warmth": 0.5, "steps": 3, "style": "calm", "anything": [1]})), Ok(()));
        for (options, part) in [
            (json!({"warmth": 2}), "from 0 to 1"),
            (json!({"warmth": "hot"}), "type number"),
            (json!({"steps": 0}), "at least 1"),
            (json!({"steps": 1.5}), "type integer"),
            (json!({"style": "sad"}), "one of \"calm\", \"loud\""),
            (json!({"tempo": 1}), "anything, steps, style, warmth"),
        ] {
            let message = said(options.clone()).unwrap_err();
            assert!(message.contains(part), "{options}: {message}");
        }
    }
}
