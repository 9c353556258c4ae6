//! One of the `options` of a family, as a schema: whoever reads it can make a field of it.

use std::ops::Bound;

use serde_json::Value;
use utoipa::openapi::{
    ObjectBuilder,
    schema::{SchemaType, Type},
};

use crate::model::{Knob, KnobValues};

pub(super) fn option_schema(knob: &Knob) -> ObjectBuilder {
    let Knob { values, nullable, usual, about, .. } = *knob;
    let null = if nullable { ", or null" } else { "" };
    let description = format!("{about} ({values}{null}; {usual} if absent).");
    let schema = ObjectBuilder::new().description(Some(description)).default(usual_value(values, usual));
    let schema = schema.schema_type(types(values, nullable));
    match values {
        KnobValues::Number(least, most) | KnobValues::Whole(least, most) => bounded(schema, least, most),
        _ => schema,
    }
}

fn types(values: KnobValues, nullable: bool) -> SchemaType {
    let one = match values {
        KnobValues::Number(..) => Type::Number,
        KnobValues::Whole(..) => Type::Integer,
        KnobValues::Truth => Type::Boolean,
        KnobValues::Text => Type::String,
        KnobValues::Other(_) => return SchemaType::AnyValue,
    };
    if nullable { SchemaType::from_iter([one, Type::Null]) } else { SchemaType::new(one) }
}

/// Where it is told as JSON, and not in words.
fn usual_value(values: KnobValues, usual: &str) -> Option<Value> {
    serde_json::from_str(usual).ok().filter(|_| values != KnobValues::Text)
}

fn bounded(schema: ObjectBuilder, least: Bound<f64>, most: Bound<f64>) -> ObjectBuilder {
    let schema = match least {
        Bound::Included(least) => schema.minimum(Some(least)),
        Bound::Excluded(least) => schema.exclusive_minimum(Some(least)),
        Bound::Unbounded => schema,
    };
    match most {
        Bound::Included(most) => schema.maximum(Some(most)),
        Bound::Excluded(most) => schema.exclusive_maximum(Some(most)),
        Bound::Unbounded => schema,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(knob: Knob) -> Value {
        serde_json::to_value(option_schema(&knob).build()).unwrap()
    }

    #[test]
    fn a_schema_says_what_a_field_needs_to_know() {
        let whole = written(Knob::whole("pitch", 0.0, 99.0, "50", "How high"));
        let expected = json!({
            "type": "integer", "minimum": 0, "maximum": 99, "default": 50,
            "description": "How high (0 to 99; 50 if absent)."
        });
        assert_eq!(whole, expected);
        let threshold = written(Knob::positive("x", "in words", "Some").or_null());
        let expected = json!({
            "type": ["number", "null"], "exclusiveMinimum": 0,
            "description": "Some (above 0, or null; in words if absent)."
        });
        assert_eq!(threshold, expected);
        let list = written(Knob::new("x", KnobValues::Other("a list"), "[1]", "Some"));
        assert_eq!(list, json!({"default": [1], "description": "Some (a list; [1] if absent)."}));
        assert_eq!(written(Knob::truth("x", "true", "Some"))["default"], true);
        assert!(written(Knob::new("x", KnobValues::Text, "null", "Some"))["default"].is_null());
    }
}
