//! Addresses that may hold a password or a signature, and how text that may hold such an address is shown.
//!
//! Other libraries put the address that they were given into their errors, so that [`scrubbed`] goes over every text of
//! theirs before it is part of an error of ours.

use std::fmt;

use url::Url;

/// In place of a user and a password.
const HIDDEN_USER: &str = "***@";
/// In place of a query.
const HIDDEN_QUERY: &str = "?…";

/// An address that neither `Display` nor `Debug` shows with its user, password or query.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretUrl(String);

// === impl SecretUrl ===

impl SecretUrl {
    /// The whole of it, for whoever asks it: not to be shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl From<&str> for SecretUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown(&self.0))
    }
}

/// An address as it may be shown: without user, password, query and fragment. Revisions of the hub stay, as in
/// `hf://org/name@main`; they are no secret.
pub fn shown(address: &str) -> String {
    let plain = address.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return without_scheme(plain) };
    if scheme.eq_ignore_ascii_case("hf") {
        return plain.to_owned();
    }
    // What does not parse may have a slash or a question mark in its password: then all before the last @ goes.
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let end = if Url::parse(address).is_ok() { authority } else { rest.len() };
    let (user, rest) = match rest[..end].rfind('@') {
        Some(at) => (HIDDEN_USER, &rest[at + 1..]),
        None => ("", rest),
    };
    format!("{scheme}://{user}{}", without_query(rest))
}

/// Any text, with the addresses in it as they may be [`shown`].
pub fn scrubbed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')) {
        match word.find("://") {
            None => out.push_str(word),
            Some(colon) => {
                let before = word[..colon].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '+');
                let start = before.map_or(0, |at| at + word[at..].chars().next().map_or(1, char::len_utf8));
                let end = word.trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '=')).len();
                out.push_str(&word[..start]);
                out.push_str(&shown(&word[start..end.max(start)]));
                out.push_str(&word[end.max(start)..]);
            }
        }
    }
    out
}

/// `user:password@host`, whose scheme was forgotten. `org/name@main` stays.
fn without_scheme(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{HIDDEN_USER}{}", without_query(host)),
        _ => text.to_owned(),
    }
}

fn without_query(rest: &str) -> String {
    rest.split_once('?').map_or_else(|| rest.to_owned(), |(path, _)| format!("{path}{HIDDEN_QUERY}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_secret() {
        for (address, seen) in [
            ("https://me:s3cret@host/a/b?X-Signature=s3cret#s3cret", "https://***@host/a/b?…"),
            ("https://s3cret@host", "https://***@host"),
            ("https://host?sig=s3cret", "https://host?…"),
            ("http://me:s3c/s3cret@host/a", "http://***@host/a"),
            ("http://me:s3c?s3cret@host", "http://***@host"),
            ("me:s3cret@host", "***@host"),
            ("https://host/a@b", "https://host/a@b"),
            ("hf://gpt2@refs/pr/1", "hf://gpt2@refs/pr/1"),
            ("acme/tiny@main", "acme/tiny@main"),
            ("nonsense", "nonsense"),
        ] {
            let url = SecretUrl::from(address);
            assert_eq!((url.to_string(), format!("{url:?}")), (seen.to_owned(), format!("{seen:?}")));
            assert_eq!(url.expose(), address);
        }
    }

    #[test]
    fn addresses_in_the_middle_of_a_text_are_found() {
        for (text, seen) in [
            (
                "error for url (http://me:s3cret@host:1/x?sig=s3cret): refused",
                "error for url (http://***@host:1/x?…): refused",
            ),
            (
                "\"https://s3cret@host\", then socks5://me:s3cret@proxy.",
                "\"https://***@host\", then socks5://***@proxy.",
            ),
            ("of hf://acme/tiny@main: é", "of hf://acme/tiny@main: é"),
            ("no address", "no address"),
        ] {
            assert_eq!(scrubbed(text), seen);
        }
    }
}
