//! The attributes of an element.

use quick_xml::{XmlVersion, events::BytesStart};

use super::super::error::{SsmlFault, excerpt};

/// How many attributes an element may have.
const ATTRIBUTES: usize = 16;

/// The attributes of one element, entities resolved.
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    pub fn read(tag: &BytesStart<'_>, element: &str) -> Result<Self, SsmlFault> {
        let xml = |error: quick_xml::Error| SsmlFault::Xml(error.to_string());
        let mut all = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| xml(error.into()))?;
            if all.len() == ATTRIBUTES {
                return Err(SsmlFault::Attributes(excerpt(element), ATTRIBUTES));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(xml)?;
            all.push((String::from_utf8_lossy(attribute.key.as_ref()).into_owned(), value.into_owned()));
        }
        Ok(Self(all))
    }

    pub fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn need(&self, element: &'static str, attribute: &'static str) -> Result<&str, SsmlFault> {
        self.get(attribute).ok_or(SsmlFault::Missing { element, attribute })
    }
}

pub(super) fn value(attribute: &str, value: &str, expected: &'static str) -> SsmlFault {
    SsmlFault::Value { attribute: attribute.to_owned(), value: excerpt(value), expected }
}
