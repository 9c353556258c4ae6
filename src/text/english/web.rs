//! Addresses: web pages, hosts, e-mail, and names after `@`.

use super::{
    compound,
    words::{Reading, Words},
};

const SCHEMES: &[&str] = &["https://", "http://", "ftp://", "sftp://", "ssh://", "ws://", "wss://"];

/// What a host without a scheme must end with.
const ENDINGS: &[&str] = &[
    "com", "org", "net", "edu", "gov", "mil", "int", "info", "io", "ai", "dev", "app", "co", "me", "tv", "us", "uk",
    "de", "fr", "it", "es", "nl", "eu", "ch", "at", "au", "ca", "jp", "cn", "in", "ru", "br", "se", "no", "pl", "xyz",
    "cloud",
];

/// `https://www.example.com/a?b#c` is `example dot com slash a`: the scheme, `www.`, the query and the fragment are not
/// read, as nobody reads them.
pub(super) fn read(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    if !core.contains(['.', '@', ':']) {
        return None;
    }
    let text = page(core).or_else(|| mail(core)).or_else(|| host(core)).or_else(|| handle(core))?;
    Some(Reading::of(text, 1))
}

fn page(core: &str) -> Option<String> {
    let scheme =
        SCHEMES.iter().find(|scheme| core.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    let rest = scheme.map_or(core, |scheme| &core[scheme.len()..]);
    let bare = rest.get(..4).filter(|www| www.eq_ignore_ascii_case("www.")).map_or(rest, |_| &rest[4..]);
    if scheme.is_none() && bare.len() == rest.len() || bare.is_empty() {
        return None;
    }
    Some(address(bare))
}

/// Hosts and paths, up to the query.
fn address(text: &str) -> String {
    let seen = text.split(['?', '#']).next().unwrap_or_default();
    compound::spell(seen.trim_end_matches('/'))
}

fn mail(core: &str) -> Option<String> {
    let core = core.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:")).map_or(core, |_| &core[7..]);
    let (name, host) = core.split_once('@')?;
    let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._%+-".contains(c));
    let hosted = host.contains('.') && host.chars().all(|c| c.is_alphanumeric() || ".-".contains(c));
    (named && hosted).then(|| format!("{} at {}", compound::spell(name), compound::spell(host)))
}

/// `example.com/path` without a scheme.
fn host(core: &str) -> Option<String> {
    let host = core.split('/').next().unwrap_or_default();
    let (name, ending) = host.rsplit_once('.')?;
    let letters = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || ".-".contains(c));
    let written = name.contains(char::is_alphabetic) && name.split('.').all(|label| label.chars().count() > 1);
    (letters && written && ENDINGS.contains(&ending)).then(|| address(core))
}

/// `@user`.
fn handle(core: &str) -> Option<String> {
    let name = core.strip_prefix('@')?;
    let named =
        name.starts_with(char::is_alphanumeric) && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    named.then(|| format!("at {}", compound::spell(name)))
}
