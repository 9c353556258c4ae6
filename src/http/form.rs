//! `multipart/form-data`, read whole.

use std::collections::BTreeMap;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use bytes::BytesMut;
use futures::{StreamExt, stream};

use super::{Problem, body::Body};
use crate::{service::Recording, speech::Kind};

/// The fields of a form. Each is taken out once; what is left at the end is unknown.
pub(super) struct Form {
    texts: BTreeMap<String, Vec<String>>,
    file: Option<Recording>,
}

// === impl Form ===

impl Form {
    /// `file` is the field that holds the recording; every other one is text.
    pub async fn read(request: &HttpRequest, body: Body) -> Result<Self, Problem> {
        let whole = stream::iter([Ok::<_, actix_web::error::PayloadError>(body.bytes)]);
        let mut parts = Multipart::new(request.headers(), whole);
        let mut form = Self { texts: BTreeMap::new(), file: None };
        while let Some(part) = parts.next().await {
            form.take_part(part.map_err(malformed)?).await?;
        }
        Ok(form)
    }

    async fn take_part(&mut self, mut part: Field) -> Result<(), Problem> {
        let name = part.name().unwrap_or_default().to_owned();
        let hint = hint(&part);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = part.next().await {
            bytes.extend_from_slice(&chunk.map_err(malformed)?);
        }
        if name == "file" {
            return self.take_file(Recording { bytes: bytes.freeze(), hint });
        }
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Problem::invalid(&name, format!("the field {name} is not UTF-8 text")))?;
        self.texts.entry(name).or_default().push(text);
        Ok(())
    }

    fn take_file(&mut self, recording: Recording) -> Result<(), Problem> {
        match self.file.replace(recording) {
            None => Ok(()),
            Some(_) => Err(Problem::invalid("file", "there are two files; send one")),
        }
    }

    pub fn file(&mut self) -> Result<Recording, Problem> {
        self.file.take().ok_or_else(|| Problem::invalid("file", "the field file, with the recording, is missing"))
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

    /// A field that may stand often, with or without `[]` behind its name.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let bracketed = self.texts.remove(&format!("{name}[]")).unwrap_or_default();
        let plain = self.texts.remove(name).unwrap_or_default();
        bracketed.into_iter().chain(plain).collect()
    }

    /// What nobody took is an error that names what could have been sent.
    pub fn finish(self, known: &str) -> Result<(), Problem> {
        match self.texts.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Problem::invalid(&name, format!("there is no field {name:?} here; there are {known}"))),
        }
    }

    /// The texts, for a route that reads them as JSON does.
    pub fn into_texts(self) -> impl Iterator<Item = (String, String)> {
        self.texts.into_iter().flat_map(|(name, texts)| texts.into_iter().map(move |text| (name.clone(), text)))
    }
}

/// The type that the part names, else the end of its file name.
fn hint(part: &Field) -> Option<String> {
    let media_type = part.content_type().filter(|media_type| **media_type != mime::APPLICATION_OCTET_STREAM);
    let file_name = || part.content_disposition()?.get_filename().map(str::to_owned);
    media_type.map(ToString::to_string).or_else(file_name)
}

fn malformed(error: MultipartError) -> Problem {
    Problem::new(Kind::Invalid, format!("the multipart body is malformed: {error}"))
}
