//! One file somewhere: `https://host/path/file`, or an object of a bucket.

use std::{fmt, str::FromStr};

use reqwest::Url;

use super::{
    SourceError,
    archive::Archive,
    names::{is_sha256, stays_inside},
};
use crate::remote::{Address, SecretUrl, shown};

/// What comes before the sha256 that a file should have.
const PIN: &str = "#sha256=";

/// One file of the web or of a bucket, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// Without a fragment.
    url: SecretUrl,
    pub(super) sha256: Option<String>,
}

/// Whom to ask for it.
pub(super) enum Where {
    Web(Url),
    Bucket(Address),
}

// === impl Link ===

impl Link {
    /// The file's own name: the last part of the path.
    pub(super) fn name(&self) -> String {
        let path = self.address().split('?').next().unwrap_or_default();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        last.replace("%20", " ")
    }

    /// The name of the file, without what says that it is an archive.
    pub fn stem(&self) -> String {
        let name = self.name();
        Archive::of_name(&name).map_or(name.clone(), |(_, stem)| stem.to_owned())
    }

    /// What has to be unpacked, if it is to be.
    pub(super) fn archive(&self) -> Option<Archive> {
        Archive::of_name(&self.name()).map(|(archive, _)| archive)
    }

    /// The whole address, which may hold a signature: not to be shown.
    pub(super) fn address(&self) -> &str {
        self.url.expose()
    }

    /// The word before the colon.
    pub(super) fn scheme(&self) -> &'static str {
        ["gs", "s3", "https"]
            .into_iter()
            .find(|scheme| self.address().starts_with(&format!("{scheme}://")))
            .unwrap_or("http")
    }

    /// `None` never, for what was parsed.
    pub(super) fn location(&self) -> Option<Where> {
        match Address::of_scheme(self.address()) {
            Some(address) => address.ok().map(Where::Bucket),
            None => Url::parse(self.address()).ok().map(Where::Web),
        }
    }

    fn check(&self) -> Result<(), SourceError> {
        let wrong = |reason: &str| SourceError::Link { text: self.to_string(), reason: reason.to_owned() };
        match self.location() {
            Some(Where::Web(url)) if !url.username().is_empty() || url.password().is_some() => {
                return Err(wrong("it should name no user; who may read it is better said by a signed address"));
            }
            Some(Where::Web(url)) if url.scheme() == "http" && self.sha256.is_none() => {
                return Err(wrong("over http:// anybody on the way can change it; use https://, or add #sha256=…"));
            }
            Some(_) => {}
            None => return Err(wrong("it is no address")),
        }
        let name = self.name();
        let part = self.address().splitn(4, '/').nth(3).unwrap_or_default();
        match stays_inside(&name) && !part.is_empty() && !name.starts_with('.') && !name.contains('%') {
            true => Ok(()),
            false => Err(wrong("it should end in the name of a file")),
        }
    }
}

impl FromStr for Link {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (url, sha256) = match text.split_once('#') {
            None => (text, None),
            Some((url, _)) => match text[url.len()..].strip_prefix(PIN).filter(|sha256| is_sha256(sha256)) {
                Some(sha256) => (url, Some(sha256.to_lowercase())),
                None => return Err(SourceError::Pin { text: shown(text) }),
            },
        };
        let link = Self { url: url.into(), sha256 };
        link.check().map(|()| link)
    }
}

/// Without the query, which may hold a signature.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)?;
        self.sha256.iter().try_for_each(|sha256| write!(f, "{PIN}{sha256}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_knows_its_file() {
        let link = |text: &str| text.parse::<Link>().unwrap();
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let zip = link(&format!("https://host.example/models/tiny.tar.gz?sig=s3cret#sha256={}", sha.to_uppercase()));
        assert_eq!(
            (zip.name().as_str(), zip.stem().as_str(), zip.archive()),
            ("tiny.tar.gz", "tiny", Some(Archive::TarGz))
        );
        assert_eq!(zip.sha256.as_deref(), Some(sha));
        assert_eq!(zip.to_string(), format!("https://host.example/models/tiny.tar.gz?…#sha256={sha}"));
        assert!(zip.address().ends_with("?sig=s3cret"));
        let file = link("gs://bucket/a/model.safetensors");
        assert!(matches!(file.location(), Some(Where::Bucket(address)) if address.key == "a/model.safetensors"));
        assert_eq!((file.archive(), file.scheme()), (None, "gs"));
    }

    #[test]
    fn what_is_no_link_is_told() {
        for (text, part) in [
            ("https://me:pw@host/x.zip", "should name no user"),
            ("http://host/x.zip", "#sha256="),
            ("https://host", "end in the name of a file"),
            ("https://host/..", "end in the name of a file"),
            ("https://host/.hidden", "end in the name of a file"),
            ("https://host/x.zip#md5=abc", "64 hexadecimal digits"),
            ("https://host/x.zip?sig=s3cret#sha256=abc", "64 hexadecimal digits"),
            ("https://[/x", "no address"),
        ] {
            let error = text.parse::<Link>().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("pw@") && !error.contains("s3cret"), "{error}");
        }
    }
}
