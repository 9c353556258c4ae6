//! Fields of a request that nobody here knows: refused by name, or, where `http.unknown_fields` says so, left out and named
//! in a header of the answer. Those of administrative routes are always refused: what is left out there changes a server.

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderValue},
    middleware::Next,
};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{config::UnknownFields, served::IGNORED};

/// Fields that are named, at most.
const MOST: usize = 32;
/// Letters of a name that are told.
const LONGEST: usize = 48;
/// What stands for all others.
const MORE: &str = "and more";

/// What one request may hold beside what is known, and held. Clones are of the same request.
#[derive(Clone, Default)]
pub(super) struct Unknown(Option<Arc<Mutex<Vec<String>>>>);

// === impl Unknown ===

impl Unknown {
    /// Of a request that came over HTTP.
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Of a request that was told of before, and that nobody waits for now.
    pub fn told() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether a field that nobody knows is left out, which the answer says then; if not, it is to be refused.
    pub fn ignores(&self, name: &str) -> bool {
        let Some(names) = &self.0 else { return false };
        // Short, and never across an await.
        let mut names = names.lock();
        if names.len() <= MOST && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        true
    }

    /// Leaves out of an object what the description of `T` does not have, where that is not refused.
    pub fn leave_out<T: PartialSchema>(&self, value: &mut Value) {
        if let (Some(_), Some(fields), RefOr::T(Schema::Object(described))) =
            (&self.0, value.as_object_mut(), T::schema())
        {
            self.keep(fields, |name| described.properties.contains_key(name));
        }
    }

    /// Leaves out of fields what is not known, where that is not refused.
    pub fn keep(&self, fields: &mut Map<String, Value>, known: impl Fn(&str) -> bool) {
        fields.retain(|name, _| known(name) || !self.ignores(name));
    }

    /// Whether anything is left out rather than refused.
    pub fn is_lenient(&self) -> bool {
        self.0.is_some()
    }

    fn names(&self) -> Vec<String> {
        self.0.as_ref().map(|names| names.lock().clone()).unwrap_or_default()
    }
}

/// Gives each request its place for such fields, and names in the answer those that were left out.
pub(super) async fn layer<B: MessageBody>(
    policy: UnknownFields,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let unknown = match policy {
        UnknownFields::Refuse => return next.call(request).await,
        UnknownFields::Warn => Unknown(Some(Arc::default())),
    };
    request.extensions_mut().insert(unknown.clone());
    let mut response = next.call(request).await?;
    tell(response.headers_mut(), &unknown.names());
    Ok(response)
}

/// After the instructions that a model does not follow, which are fields as well.
fn tell(headers: &mut HeaderMap, names: &[String]) {
    let told = headers.get(IGNORED).and_then(|told| told.to_str().ok()).unwrap_or_default().to_owned();
    let mut all: Vec<String> = told.split(", ").filter(|field| !field.is_empty()).map(str::to_owned).collect();
    all.extend(names.iter().take(MOST).map(|name| shown(name)));
    if names.len() > MOST {
        all.push(MORE.to_owned());
    }
    if let Some(all) = HeaderValue::try_from(all.join(", ")).ok().filter(|all| !all.is_empty()) {
        headers.insert(IGNORED, all);
    }
}

/// As a header can hold it: what could be taken for something else there is a `?`, and the end of a long name `…` in ASCII.
fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && !matches!(c, ',' | '"') { c } else { '?' };
    let short: String = name.chars().take(LONGEST).map(plain).collect();
    match name.chars().count() > LONGEST {
        true => format!("{short}..."),
        false if short.is_empty() => "?".to_owned(),
        false => short,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: Option<&'static str>, unknown: &Unknown) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(before) = before {
            headers.insert(IGNORED, HeaderValue::from_static(before));
        }
        tell(&mut headers, &unknown.names());
        headers.get(IGNORED).map(|told| told.to_str().unwrap().to_owned())
    }

    #[test]
    fn nothing_is_left_out_unless_the_configuration_says_so() {
        let unknown = Unknown::default();
        assert!(!unknown.ignores("colour") && !unknown.is_lenient());
        assert_eq!(told(None, &unknown), None);
        assert_eq!(told(Some("instructions"), &unknown).as_deref(), Some("instructions"));
    }

    #[test]
    fn what_is_left_out_is_named_once() {
        let unknown = Unknown::told();
        let mut fields = json!({"known": 1, "colour": 2, "größe, x": 3});
        unknown.keep(fields.as_object_mut().unwrap(), |name| name == "known");
        assert_eq!(fields, json!({"known": 1}));
        assert!(unknown.ignores("colour") && unknown.clone().ignores(""));
        assert_eq!(told(Some("instructions"), &unknown).as_deref(), Some("instructions, colour, gr??e??x, ?"));
    }

    #[test]
    fn a_header_stays_short_whatever_is_sent() {
        let unknown = Unknown::told();
        (0..10_000).for_each(|number| assert!(unknown.ignores(&format!("{number}{}", "x".repeat(1000)))));
        let told = told(None, &unknown).unwrap();
        assert!(told.len() < 2048 && told.ends_with("x..., and more"), "{told}");
    }
}
