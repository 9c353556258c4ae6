//! `gs://bucket/key` and `s3://bucket/key`.

use std::{fmt, str::FromStr};

use super::RemoteError;

/// Whose buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Google Cloud Storage.
    Gs,
    /// Amazon S3, and what speaks like it.
    S3,
}

/// An object of a bucket, or all below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    pub scheme: Scheme,
    pub bucket: String,
    /// Without a slash at either end; empty: the whole bucket.
    pub key: String,
}

// === impl Scheme ===

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gs => "gs",
            Self::S3 => "s3",
        }
    }
}

// === impl Address ===

impl Address {
    /// `None`: of neither scheme.
    pub fn of_scheme(uri: &str) -> Option<Result<Self, RemoteError>> {
        let (scheme, rest) = uri.trim().split_once("://")?;
        let scheme = [Scheme::Gs, Scheme::S3].into_iter().find(|known| known.name() == scheme)?;
        Some(Self::of_rest(scheme, rest))
    }

    /// The object `name` below this prefix.
    pub fn join(&self, name: &str) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}/{name}", self.key) };
        Self { scheme: self.scheme, bucket: self.bucket.clone(), key }
    }

    fn of_rest(scheme: Scheme, rest: &str) -> Result<Self, RemoteError> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let key = key.trim_matches('/');
        let wrong = |reason: &str| RemoteError::NotAnAddress {
            uri: super::shown(&format!("{}://{rest}", scheme.name())),
            reason: reason.to_owned(),
        };
        if !is_bucket(bucket) {
            return Err(wrong("its bucket should be 3 to 222 lower-case letters, digits, '-', '_' and '.'"));
        }
        if key.split('/').any(|part| matches!(part, "." | "..")) || key.contains("//") || key.contains('\0') {
            return Err(wrong("its key should have no empty part and no '.' or '..' between its slashes"));
        }
        Ok(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl FromStr for Address {
    type Err = RemoteError;

    fn from_str(uri: &str) -> Result<Self, RemoteError> {
        let reason = || "it should begin with gs:// or s3://".to_owned();
        Self::of_scheme(uri)
            .unwrap_or_else(|| Err(RemoteError::NotAnAddress { uri: super::shown(uri), reason: reason() }))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.bucket)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

/// Lengths and letters that both kinds of buckets have in common; Google's may be longer, if they hold dots.
fn is_bucket(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    (3..=222).contains(&name.len())
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for text in ["gs://models/whisper/tiny", "s3://my.bucket_1/a b/ü.bin", "gs://models"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let folder: Address = "gs://models/tiny/".parse().unwrap();
        assert_eq!((folder.key.as_str(), folder.join("a/b").to_string().as_str()), ("tiny", "gs://models/tiny/a/b"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("gs://", "its bucket should be"),
            ("s3://Models/x", "its bucket should be"),
            ("gs://models/../x", "no '.' or '..'"),
            ("gs://models/a//b", "no empty part"),
            ("https://host/x", "begin with gs:// or s3://"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{error}");
        }
        assert!(Address::of_scheme("https://host/x").is_none());
    }
}
