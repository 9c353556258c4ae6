//! A key: what is known of it, which is never the key itself.

use std::{fmt, num::NonZeroU32};

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Marks a key that is given by its digest.
const SHA256: &str = "sha256:";

/// The SHA-256 of a key. A fast hash is enough, because keys are random and long, not words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Asking models, and looking at what there is.
    Infer,
    /// Bringing models in and taking them out.
    Admin,
}

/// How much a key may be used; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub requests_per_minute: Option<NonZeroU32>,
    pub audio_seconds_per_minute: Option<NonZeroU32>,
    /// Of texts that are spoken.
    pub characters_per_minute: Option<NonZeroU32>,
    /// Requests under way at once.
    pub concurrency: Option<NonZeroU32>,
}

/// A key, by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// For logs and metrics; unique.
    pub name: String,
    pub digest: Digest,
    pub scopes: Vec<Scope>,
    pub limits: Limits,
}

// === impl Digest ===

impl Digest {
    pub(super) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// From a key as it is, or from `sha256:` and 64 hexadecimal digits. `None`: it is neither, because a key is visible
    /// ASCII, as a header can carry it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(SHA256) {
            Some(digits) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(digits, &mut bytes).ok()?;
                Some(Self(bytes))
            }
            None => (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self::of(text)),
        }
    }

    /// A name for a key that has none. It tells nothing of the key and stays the same when others come and go.
    pub(super) fn name(&self) -> String {
        format!("key-{}", hex::encode(&self.0[..4]))
    }
}

impl ConstantTimeEq for Digest {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

// === impl Scope ===

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Admin => "admin",
        }
    }
}

// === impl Limits ===

impl Limits {
    /// What is absent here is taken from `defaults`.
    pub(super) fn or(self, defaults: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(defaults.requests_per_minute),
            audio_seconds_per_minute: self.audio_seconds_per_minute.or(defaults.audio_seconds_per_minute),
            characters_per_minute: self.characters_per_minute.or(defaults.characters_per_minute),
            concurrency: self.concurrency.or(defaults.concurrency),
        }
    }
}

// === impl Key ===

impl Key {
    /// One that has only a digest: named after it, and with the limits that hold by default.
    pub(super) fn unnamed(digest: Digest, scopes: &[Scope]) -> Self {
        Self { name: digest.name(), digest, scopes: scopes.to_vec(), limits: Limits::default() }
    }
}
