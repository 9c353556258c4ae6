//! The fields of a request, whether they came as JSON, as a form or in a query.

use actix_web::{HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema,
    openapi::{
        RefOr,
        schema::{Object, Schema},
    },
};

use crate::{http::problem::Problem, speech::Kind};

/// By name.
pub(in crate::http) type Fields = Map<String, Value>;

/// Of a JSON value that should be an object.
pub(in crate::http) fn object(value: Value) -> Result<Fields, Problem> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(Problem::new(Kind::Invalid, format!("an object was expected, and there is {}", kind(&other)))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// `options` of a form: a JSON object.
pub(in crate::http) fn options(text: &str) -> Result<Fields, Problem> {
    serde_json::from_str(text)
        .map_err(|error| Problem::invalid("options", format!("options is no JSON object: {error}")))
}

/// Texts as JSON has them: numbers are numbers, the rest is text. JSON has no `NaN` and no infinity, so they are text as
/// well, which is refused where a number belongs.
pub(in crate::http) fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Fields {
    let value = |(name, text): (String, String)| match name.as_str() {
        "wait" | "timeout" | "temperature" | "speed" => (name, number(text)),
        "seed" | "sample_rate" => (name, text.trim().parse::<u64>().map_or_else(|_| text.into(), Value::from)),
        "normalize" | "normalize_loudness" | "diarize" => {
            (name, text.trim().parse::<bool>().map_or_else(|_| text.into(), Value::from))
        }
        "options" => (name, serde_json::from_str(&text).unwrap_or(Value::String(text))),
        _ => (name, Value::String(text)),
    };
    texts.into_iter().map(value).collect()
}

fn number(text: String) -> Value {
    let number = text.trim().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    number.map_or(Value::String(text), Value::Number)
}

/// Those in the query of a request.
pub(in crate::http) fn query(request: &HttpRequest) -> Result<Fields, Problem> {
    let texts = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|error| Problem::invalid("query", format!("the query cannot be read: {error}")))?;
    Ok(from_texts(texts.into_inner()))
}

/// What is absent, or null, is taken from `defaults`.
pub(in crate::http) fn merge(own: Fields, defaults: Fields) -> Fields {
    let mut merged = without_nulls(defaults);
    merged.extend(without_nulls(own));
    merged
}

/// What says something, in an order that does not depend on how it was sent.
pub(in crate::http) fn normal(fields: Fields) -> Fields {
    let mut fields = without_nulls(fields);
    fields.sort_keys();
    fields
}

pub(super) fn without_nulls(mut fields: Fields) -> Fields {
    fields.retain(|_, value| !value.is_null());
    fields
}

/// As a `T`; the problem names the field at fault.
pub(super) fn read<T: DeserializeOwned>(fields: Fields) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let (field, reason) = (error.path().to_string(), error.inner());
        match field.as_str() {
            "." | "?" => Problem::new(Kind::Invalid, reason.to_string()),
            field => Problem::invalid(field, format!("{field}: {reason}")),
        }
    })
}

/// The description of a struct, whose properties are its fields.
pub(super) fn described<T: PartialSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_in_a_query_are_numbers() {
        let texts = [("temperature", "0.5"), ("wait", "3"), ("prompt", "7")];
        let fields = from_texts(texts.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(Value::Object(fields), json!({"temperature": 0.5, "wait": 3.0, "prompt": "7"}));
        assert_eq!(from_texts([("diarize".to_owned(), "true".to_owned())])["diarize"], true);
        for none in ["soon", "NaN", "inf", "-Infinity"] {
            assert_eq!(from_texts([("wait".to_owned(), none.to_owned())])["wait"], none);
        }
    }

    #[test]
    fn the_same_fields_in_another_order_are_the_same() {
        let text = |value| Value::Object(normal(object(value).unwrap())).to_string();
        let (one, other) = (json!({"language": "en", "wait": 1}), json!({"wait": 1, "task": null, "language": "en"}));
        assert_eq!(text(one), text(other));
    }

    #[test]
    fn an_instance_goes_before_the_parameters() {
        let fields = |value| object(value).unwrap();
        let parameters = fields(json!({"language": "en", "task": "translate", "prompt": null}));
        let merged = merge(fields(json!({"language": "de", "task": null})), parameters);
        assert_eq!(Value::Object(merged), json!({"language": "de", "task": "translate"}));
        assert!(object(json!([1])).unwrap_err().message.contains("an array"));
    }
}
