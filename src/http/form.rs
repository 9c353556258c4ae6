//! `multipart/form-data`, read whole.

use std::collections::BTreeMap;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_TYPE, HeaderMap},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, executor::block_on, stream};
use serde_json::{Map, Value};

use super::{api::Api, body::Body, problem::Problem, unknown::Unknown};
use crate::{
    service::{MemoryBudget, Recording},
    speech::Kind,
};

/// Fields that hold a recording; every other one is text.
const RECORDINGS: [&str; 4] = ["file", "audio_file", "audio_sample", "target"];

/// Fields that hold recordings as text. They are as large as their bodies.
const REFERENCES: &str = "known_speaker_references";

/// Bytes of all fields together that are text: none of them is a document.
pub(super) const MOST_TEXT: usize = 1 << 20;
/// Bytes that the parser is handed at once.
const PIECE: usize = 64 << 10;

/// The fields of a form. Each is taken out once; what is left at the end is unknown.
pub(super) struct Form {
    texts: BTreeMap<String, Vec<String>>,
    recordings: BTreeMap<String, Recording>,
    /// Data URLs of recordings.
    references: Vec<Bytes>,
    unknown: Unknown,
}

// === impl Form ===

impl Form {
    /// Away from the threads of HTTP where it is large.
    pub async fn read(api: &Api, request: &HttpRequest, body: Body) -> Result<Self, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE).cloned();
        let (bodies, most) = (api.bodies.clone(), api.config.max_fields);
        let (body_length, unknown) = (body.bytes.len(), Unknown::of(request));
        let parse = move || {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, content_type);
            }
            // All of the body is here, so that nothing is waited for.
            block_on(Self::gather(&headers, body.bytes, most, &bodies))
        };
        Ok(Self { unknown, ..api.parsers.run(body_length, parse).await?? })
    }

    /// Without a field so far.
    pub fn empty(unknown: Unknown) -> Self {
        Self { texts: BTreeMap::new(), recordings: BTreeMap::new(), references: Vec::new(), unknown }
    }

    async fn gather(headers: &HeaderMap, body: Bytes, most: usize, bodies: &MemoryBudget) -> Result<Self, Problem> {
        let mut parts = Multipart::new(headers, in_pieces(body));
        let mut form = Self::empty(Unknown::default());
        let (mut count, mut text_left) = (0, MOST_TEXT);
        while let Some(part) = parts.next().await {
            count += 1;
            if count > most {
                return Err(too_many(most));
            }
            form.take_part(part.map_err(malformed)?, &mut text_left, bodies).await?;
        }
        Ok(form)
    }

    /// Takes a part to its end. `text_left`: bytes of text that there may still be.
    pub async fn take_part(
        &mut self,
        part: Field,
        text_left: &mut usize,
        bodies: &MemoryBudget,
    ) -> Result<(), Problem> {
        let name = part.name().unwrap_or_default().to_owned();
        if RECORDINGS.contains(&name.as_str()) {
            let recording = Recording { hint: hint(&part), bytes: recording(part, bodies).await? };
            return match self.recordings.insert(name.clone(), recording) {
                None => Ok(()),
                Some(_) => Err(Problem::invalid(&name, format!("there are two recordings {name}; send one"))),
            };
        }
        if name.strip_suffix("[]").unwrap_or(&name) == REFERENCES {
            self.references.push(recording(part, bodies).await?);
            return Ok(());
        }
        if part.content_disposition().is_some_and(|about| about.get_filename().is_some()) {
            let message = format!("the field {name} holds a file, which belongs into the field file");
            return Err(Problem::invalid(&name, message));
        }
        let bytes = text(part, *text_left).await?;
        *text_left -= bytes.len();
        let text = String::from_utf8(bytes)
            .map_err(|_| Problem::invalid(&name, format!("the field {name} is not UTF-8 text")))?;
        self.texts.entry(name).or_default().push(text);
        Ok(())
    }

    /// Takes a recording that was read elsewhere.
    pub fn put_recording(&mut self, name: &str, recording: Recording) {
        self.recordings.insert(name.to_owned(), recording);
    }

    pub fn has_recording(&self, name: &str) -> bool {
        self.recordings.contains_key(name)
    }

    /// The fields, without what stands behind a name in brackets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.texts.keys().chain(self.recordings.keys());
        let references = self.references.first().map(|_| REFERENCES);
        names.map(|name| name.split_once('[').map_or(name.as_str(), |(name, _)| name)).chain(references)
    }

    /// The recordings of speakers, as data URLs.
    pub fn references(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.references)
    }

    /// What a field says that is here by now, the last time if it stands more than once.
    pub fn said(&self, name: &str) -> Option<&str> {
        self.texts.get(name)?.last().map(String::as_str)
    }

    /// Whether the form says so by now, as [`Self::flag`] reads it.
    pub fn says(&self, name: &str) -> bool {
        self.said(name).is_some_and(|text| truth(text) == Some(true))
    }

    /// The recording of the request.
    pub fn file(&mut self) -> Result<Recording, Problem> {
        self.recording("file")
    }

    pub fn recording(&mut self, name: &str) -> Result<Recording, Problem> {
        let missing = || Problem::invalid(name, format!("the field {name}, with the recording, is missing"));
        self.optional_recording(name).ok_or_else(missing)
    }

    pub fn optional_recording(&mut self, name: &str) -> Option<Recording> {
        self.recordings.remove(name)
    }

    /// Gives a recording the name that it has elsewhere.
    pub fn rename_recording(&mut self, from: &str, to: &str) {
        if let Some(recording) = self.recordings.remove(from) {
            self.recordings.insert(to.to_owned(), recording);
        }
    }

    /// Gives a field the name that it has elsewhere.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(texts) = self.texts.remove(from) {
            self.texts.insert(to.to_owned(), texts);
        }
    }

    /// Sets a field that was not sent.
    pub fn set_absent(&mut self, name: &str, text: &str) {
        self.texts.entry(name.to_owned()).or_insert_with(|| vec![text.to_owned()]);
    }

    /// A field that may stand once. Empty text counts as absent, as HTML forms send it.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.texts.remove(name).unwrap_or_default().as_mut_slice() {
            [] => Ok(None),
            [one] if one.is_empty() => Ok(None),
            [one] => Ok(Some(std::mem::take(one))),
            _ => Err(Problem::invalid(name, format!("the field {name} stands more than once"))),
        }
    }

    /// [`Self::text`], read as a `T`.
    pub fn parse<T: std::str::FromStr>(&mut self, name: &str, right: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = || Problem::invalid(name, format!("the field {name} is {text:?}; {right} would be right"));
        text.trim().parse().map(Some).map_err(|_| wrong())
    }

    /// A truth value, in the ways that clients spell one.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = || Problem::invalid(name, format!("the field {name} is {text:?}; true or false would be right"));
        truth(&text).map(Some).ok_or_else(wrong)
    }

    /// A field that may stand often, with or without `[]` behind its name.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let bracketed = self.texts.remove(&format!("{name}[]")).unwrap_or_default();
        let plain = self.texts.remove(name).unwrap_or_default();
        bracketed.into_iter().chain(plain).collect()
    }

    /// [`Self::list`], also where one field holds several words: as JSON, or with commas between them.
    pub fn words(&mut self, name: &str) -> Vec<String> {
        let spelled = |text: String| match serde_json::from_str::<Vec<String>>(&text) {
            Ok(words) => words,
            Err(_) => text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect(),
        };
        self.list(name).into_iter().flat_map(spelled).collect()
    }

    /// The fields `name[key]`, which is how forms write an object. A number or a truth value is one; all else is text.
    pub fn object(&mut self, name: &str) -> Map<String, Value> {
        let key = |field: &String| Some(field.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?.to_owned());
        let parts: Vec<_> =
            self.texts.extract_if(.., |field, _| key(field).is_some_and(|key| !key.is_empty())).collect();
        let last = |texts: Vec<String>| texts.into_iter().next_back().map_or(Value::Null, json_or_text);
        parts.into_iter().map(|(field, texts)| (key(&field).unwrap_or_default(), last(texts))).collect()
    }

    /// The fields of these names, as values of JSON: a number or a truth value is one, all else is text. Empty text counts
    /// as absent.
    pub fn values(&mut self, names: &[&str]) -> Result<Map<String, Value>, Problem> {
        let mut values = Map::new();
        for name in names {
            if let Some(text) = self.text(name)? {
                values.insert((*name).to_owned(), json_or_text(text));
            }
        }
        Ok(values)
    }

    /// What nobody took is an error that names what could have been sent, or is left out.
    pub fn finish(self, known: &str) -> Result<(), Problem> {
        let references = self.references.first().map(|_| REFERENCES.to_owned());
        let left = self.texts.into_keys().chain(self.recordings.into_keys()).chain(references);
        match left.into_iter().find(|name| !self.unknown.ignores(name)) {
            None => Ok(()),
            Some(name) => Err(Problem::invalid(&name, format!("there is no field {name:?} here; there are {known}"))),
        }
    }

    /// The texts, for a route that reads them as JSON does.
    pub fn into_texts(self) -> impl Iterator<Item = (String, String)> {
        self.texts.into_iter().flat_map(|(name, texts)| texts.into_iter().map(move |text| (name.clone(), text)))
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn json_or_text(text: String) -> Value {
    // As Python writes a truth value.
    match text.as_str() {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

/// The body as the parser takes it in: what it is handed it copies.
fn in_pieces(mut body: Bytes) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    let next = move || (!body.is_empty()).then(|| Ok(body.split_to(body.len().min(PIECE))));
    stream::iter(std::iter::from_fn(next))
}

/// A recording is as large as its body, so that the copy is counted as well.
async fn recording(mut part: Field, bodies: &MemoryBudget) -> Result<Bytes, Problem> {
    let (mut bytes, mut share) = (Vec::new(), bodies.nothing());
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(malformed)?;
        let length = bytes.len() + chunk.len();
        share.resize(length)?;
        if length > bytes.capacity() {
            bytes.reserve_exact(length.max(bytes.capacity() / 2 * 3) - bytes.len());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(share.hold(bytes))
}

async fn text(mut part: Field, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(malformed)?;
        if bytes.len() + chunk.len() > most {
            let message = format!("the fields of the form that are text have more than {MOST_TEXT} bytes together");
            return Err(Problem::new(Kind::TooLarge, message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(super) fn too_many(most: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the form has more than {most} parts; `limits.max_fields` sets the limit"))
}

/// The type that the part names, else the end of its file name.
pub(super) fn hint(part: &Field) -> Option<String> {
    let media_type = part.content_type().filter(|media_type| **media_type != mime::APPLICATION_OCTET_STREAM);
    let file_name = || part.content_disposition()?.get_filename().map(str::to_owned);
    media_type.map(ToString::to_string).or_else(file_name)
}

pub(super) fn malformed(error: MultipartError) -> Problem {
    Problem::new(Kind::Invalid, format!("the multipart body is malformed: {error}"))
}
