//! The part of SSML that every family can follow, as parts.

use std::{borrow::Cow, time::Duration};

use quick_xml::{
    events::{BytesRef, BytesStart, Event},
    reader::Reader,
};

use self::attributes::{Attributes, value};
use super::{
    Boundary, Part, Place, Prosody, TextError,
    error::{SsmlFault, excerpt},
    parts::Parts,
    pause, say_as,
};

mod attributes;
mod prosody;
#[cfg(test)]
mod tests;

/// How deep elements may be nested.
const DEPTH: usize = 10;

/// Reads `source`, one `<speak>` element; `english` decides how `say-as` reads numbers.
pub(super) fn parse(source: &str, english: bool) -> Result<Vec<Part>, TextError> {
    let mut reader = Reader::from_str(source);
    let mut document = Document { english, parts: Parts::default(), open: Vec::new(), spoken: false };
    loop {
        let start = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        match reader.read_event() {
            Ok(Event::Eof) => return document.finish().map_err(|what| fault(source, source.len(), what)),
            Ok(event) => document.take(event).map_err(|what| fault(source, start, what))?,
            Err(error) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(start);
                return Err(fault(source, at, SsmlFault::Xml(error.to_string())));
            }
        }
    }
}

fn fault(source: &str, at: usize, what: SsmlFault) -> TextError {
    TextError::Ssml { place: Place::of(source, at.min(source.len())), what }
}

/// The document as far as it was read.
struct Document {
    english: bool,
    parts: Parts,
    open: Vec<Element>,
    /// Whether `<speak>` was seen.
    spoken: bool,
}

/// An element that is open.
struct Element {
    prosody: Prosody,
    role: Role,
}

enum Role {
    Plain,
    /// Ends with a boundary, as it began.
    Block(Boundary),
    /// Holds text only, which is gathered until the element ends.
    Leaf {
        text: String,
        name: &'static str,
        meaning: Leaf,
    },
}

enum Leaf {
    Phoneme(String),
    SayAs(say_as::Kind),
    Sub(String),
    Break,
}

impl Document {
    fn take(&mut self, event: Event<'_>) -> Result<(), SsmlFault> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(_) => self.end(),
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end()
            }
            Event::Text(text) => self.text(&text.xml10_content().map_err(|error| SsmlFault::Xml(error.to_string()))?),
            Event::CData(text) => self.text(&text.xml10_content().map_err(|error| SsmlFault::Xml(error.to_string()))?),
            Event::GeneralRef(reference) => self.text(&resolve(&reference)?),
            Event::DocType(_) => Err(SsmlFault::DocumentType),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), SsmlFault> {
        let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
        if self.open.is_empty() && (self.spoken || name != "speak") {
            return Err(SsmlFault::Root);
        }
        if let Some(Element { role: Role::Leaf { name, .. }, .. }) = self.open.last() {
            return Err(SsmlFault::Nested(name));
        }
        if self.open.len() == DEPTH {
            return Err(SsmlFault::Depth(DEPTH));
        }
        self.spoken = true;
        let attributes = Attributes::read(tag, &name)?;
        let outer = self.open.last().map_or_else(Prosody::default, |element| element.prosody);
        let element = element(&name, &attributes, outer)?;
        match &element.role {
            Role::Block(boundary) => self.parts.boundary(*boundary),
            Role::Leaf { meaning: Leaf::Break, .. } => self.rest(&attributes)?,
            _ => {}
        }
        self.open.push(element);
        Ok(())
    }

    fn rest(&mut self, attributes: &Attributes) -> Result<(), SsmlFault> {
        if let Some(time) = rest(attributes)? {
            self.parts.boundary(Boundary::Pause(time));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SsmlFault> {
        let Some(Element { prosody, role }) = self.open.pop() else { return Err(SsmlFault::Root) };
        match role {
            Role::Plain => {}
            Role::Block(boundary) => self.parts.boundary(boundary),
            Role::Leaf { text, meaning, .. } => match meaning {
                Leaf::Phoneme(_) if text.trim().is_empty() => return Err(SsmlFault::Blank("phoneme")),
                Leaf::Phoneme(phonemes) => self.parts.span(text, Some(phonemes), prosody),
                Leaf::SayAs(kind) => self.parts.text(&kind.speak(&text, self.english), prosody),
                Leaf::Sub(alias) => self.parts.text(&alias, prosody),
                Leaf::Break => {}
            },
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), SsmlFault> {
        match self.open.last_mut() {
            None if text.trim_start_matches('\u{FEFF}').trim().is_empty() => {}
            None => return Err(SsmlFault::Root),
            Some(Element { role: Role::Leaf { name, meaning: Leaf::Break, .. }, .. }) if !text.trim().is_empty() => {
                return Err(SsmlFault::Nested(name));
            }
            Some(Element { role: Role::Leaf { text: all, .. }, .. }) => all.push_str(text),
            Some(Element { prosody, .. }) => self.parts.text(text, *prosody),
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Part>, SsmlFault> {
        if !self.spoken {
            return Err(SsmlFault::Root);
        }
        if !self.open.is_empty() {
            return Err(SsmlFault::Xml("an element is not closed".to_owned()));
        }
        Ok(self.parts.into_vec())
    }
}

fn element(name: &str, attributes: &Attributes, outer: Prosody) -> Result<Element, SsmlFault> {
    let leaf = |name, meaning| Role::Leaf { text: String::new(), name, meaning };
    let mut prosody = outer;
    let role = match name {
        "speak" | "emphasis" => Role::Plain,
        "p" => Role::Block(Boundary::Paragraph),
        "s" => Role::Block(Boundary::Sentence),
        "prosody" => {
            prosody = prosody::inside(outer, attributes)?;
            Role::Plain
        }
        "break" => leaf("break", Leaf::Break),
        "phoneme" => leaf("phoneme", Leaf::Phoneme(phonemes(attributes)?)),
        "sub" => leaf("sub", Leaf::Sub(attributes.need("sub", "alias")?.to_owned())),
        "say-as" => {
            let wanted = attributes.need("say-as", "interpret-as")?;
            let kind = say_as::Kind::named(wanted).ok_or_else(|| value("interpret-as", wanted, say_as::KINDS))?;
            leaf("say-as", Leaf::SayAs(kind))
        }
        _ => return Err(SsmlFault::Element(excerpt(name))),
    };
    Ok(Element { prosody, role })
}

fn phonemes(attributes: &Attributes) -> Result<String, SsmlFault> {
    match attributes.get("alphabet") {
        None | Some("ipa") => Ok(attributes.need("phoneme", "ph")?.to_owned()),
        Some(other) => Err(value("alphabet", other, "only ipa is")),
    }
}

/// The silence of a `<break>`; none where its strength is none. A `time` wins over a `strength`.
fn rest(attributes: &Attributes) -> Result<Option<Duration>, SsmlFault> {
    if let Some(time) = attributes.get("time") {
        return pause::time(time).map(Some).map_err(SsmlFault::Pause);
    }
    let milliseconds = match attributes.get("strength").unwrap_or("medium") {
        "none" => return Ok(None),
        "x-weak" => 100,
        "weak" => 200,
        "medium" => 400,
        "strong" => 700,
        "x-strong" => 1200,
        other => return Err(value("strength", other, "there are none, x-weak, weak, medium, strong and x-strong")),
    };
    Ok(Some(Duration::from_millis(milliseconds)))
}

fn resolve(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, SsmlFault> {
    let name = String::from_utf8_lossy(reference).into_owned();
    match reference.resolve_char_ref() {
        Ok(Some(c)) => Ok(Cow::Owned(c.to_string())),
        Ok(None) => quick_xml::escape::resolve_predefined_entity(&name)
            .map(Cow::Borrowed)
            .ok_or_else(|| SsmlFault::Entity(excerpt(&name))),
        Err(_) => Err(SsmlFault::Entity(excerpt(&name))),
    }
}
