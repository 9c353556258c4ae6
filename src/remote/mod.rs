//! Bytes behind an address: objects of buckets (`gs://`, `s3://`) and what web servers give (`https://`).
//!
//! Two kinds of callers name addresses. Who runs the server names buckets that models come from: those go through
//! [`Buckets`] as they are. Who *calls* the server names recordings, and must not make it read what only the server may
//! see: those go through [`Remote`], which fetches from hosts and buckets that the configuration lists, and from no
//! private network.

mod address;
mod bounded;
mod buckets;
mod error;
mod hosts;
mod remote_bytes;
mod secret;
mod secret_url;
mod web;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::header::HeaderMap;

pub use address::{Address, Scheme};
pub use buckets::{Buckets, BucketsConfig, GcsConfig, Object, S3Config};
pub use error::{RemoteError, root_cause};
pub use remote_bytes::RemoteBytes;
pub use secret::Secret;
pub use secret_url::{SecretUrl, scrubbed, shown};
pub use web::WebConfig;

use self::web::Web;

/// What fetching for callers needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub buckets: BucketsConfig,
    pub web: WebConfig,
    /// Buckets that callers may name: this server's account may be able to read many more.
    pub allow_buckets: Vec<String>,
}

/// Reads and writes what callers name, within what the configuration allows. A clone is the same.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    buckets: Buckets,
    web: Web,
    allow_buckets: Vec<String>,
}

// === impl Remote ===

impl Remote {
    /// Asks nobody.
    ///
    /// # Errors
    /// An entry of the allow-lists that cannot mean anything.
    pub fn new(config: Config) -> Result<Self, RemoteError> {
        let (buckets, web) = (Buckets::new(config.buckets), Web::new(config.web)?);
        Ok(Self(Arc::new(Inner { buckets, web, allow_buckets: config.allow_buckets })))
    }

    /// The buckets without the list of what callers may name: for what the configuration itself names.
    pub fn buckets(&self) -> &Buckets {
        &self.0.buckets
    }

    /// All of what an address means, if it is no more than `limit` bytes and comes within `deadline`.
    pub async fn read(&self, uri: &str, limit: usize, deadline: Duration) -> Result<RemoteBytes, RemoteError> {
        match Address::of_scheme(uri) {
            Some(address) => {
                let address = self.allowed(address?)?;
                within(uri, deadline, self.0.buckets.read(&address, limit)).await
            }
            None => within(uri, deadline, self.0.web.read(uri, limit)).await,
        }
    }

    /// Tells a host of the web something, within `deadline`. It has to be one that callers may name.
    pub async fn post(
        &self,
        uri: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<(), RemoteError> {
        within(uri, deadline, self.0.web.post(uri, headers, body)).await
    }

    /// Whether callers may name this address of the web. Where its name leads is seen when it is asked.
    pub fn check(&self, uri: &str) -> Result<(), RemoteError> {
        self.0.web.named(uri).map(drop)
    }

    /// Puts bytes where a `gs://` or `s3://` address says, in place of what is there.
    pub async fn write(&self, uri: &str, bytes: Bytes, content_type: &str) -> Result<(), RemoteError> {
        let address = self.allowed(uri.parse()?)?;
        self.0.buckets.write(&address, bytes, content_type).await
    }

    fn allowed(&self, address: Address) -> Result<Address, RemoteError> {
        match self.0.allow_buckets.iter().any(|bucket| *bucket == address.bucket || bucket == "*") {
            true => Ok(address),
            false => Err(RemoteError::BucketNotAllowed { bucket: address.bucket }),
        }
    }
}

async fn within<T>(
    uri: &str,
    deadline: Duration,
    work: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let late = |_| RemoteError::Deadline { uri: shown(uri), seconds: deadline.as_secs_f64() };
    tokio::time::timeout(deadline, work).await.map_err(late)?
}

#[cfg(test)]
pub(crate) mod tests;
