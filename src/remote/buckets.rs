//! Objects of buckets, by the crate `object_store`, which knows how each cloud lets its own machines in.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions,
    RetryConfig, StaticCredentialProvider,
    aws::AmazonS3Builder,
    gcp::{GcpCredential, GoogleCloudStorageBuilder},
    path::Path,
};
use parking_lot::Mutex;

use super::{
    Address, RemoteBytes, RemoteError, Scheme, Secret, SecretUrl, bounded::BoundedConnector, root_cause, shown,
};

/// For a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Without a byte.
const IDLE: Duration = Duration::from_secs(30);
/// Tries of one request beside the first. Whoever moves large files tries again by himself.
const RETRIES: usize = 2;
/// For all tries of one request together.
const RETRYING: Duration = Duration::from_secs(30);

/// Objects of one listing: no model has so many, and each is remembered.
const LISTED: usize = 100_000;

/// How buckets are reached.
#[derive(Clone, Debug, Default)]
pub struct BucketsConfig {
    pub s3: S3Config,
    pub gcs: GcsConfig,
}

/// Without keys, the rights are those of the machine: a web identity, a container's role, an instance's role.
#[derive(Clone, Debug, Default)]
pub struct S3Config {
    /// Of a service that speaks like S3. Absent: Amazon's, in the region.
    pub endpoint: Option<SecretUrl>,
    pub region: String,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// Sign nothing: public buckets.
    pub anonymous: bool,
    /// What the platform tells a container of its identity, by the names of its variables: `AWS_ROLE_ARN` and the like.
    pub identity: BTreeMap<String, String>,
}

/// Without a file, the rights are those of the machine, by its metadata server, or of `gcloud auth
/// application-default login`.
#[derive(Clone, Debug, Default)]
pub struct GcsConfig {
    /// Of something that speaks like Google Cloud Storage. Absent: Google's.
    pub endpoint: Option<SecretUrl>,
    /// A file of credentials.
    pub credentials: Option<String>,
    /// Sign nothing: public buckets.
    pub anonymous: bool,
}

/// Buckets of both kinds. A clone is the same.
#[derive(Clone)]
pub struct Buckets(Arc<Inner>);

struct Inner {
    config: BucketsConfig,
    /// Made when a bucket is first named. Locked for a look-up only.
    open: Mutex<BTreeMap<(Scheme, String), Arc<dyn ObjectStore>>>,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name below the prefix that was listed.
    pub name: String,
    pub size: u64,
    /// Changes with its content.
    pub etag: Option<String>,
}

// === impl Buckets ===

impl Buckets {
    /// Asks nobody.
    pub fn new(config: BucketsConfig) -> Self {
        Self(Arc::new(Inner { config, open: Mutex::default() }))
    }

    /// Every object below a prefix, by name.
    pub async fn list(&self, prefix: &Address) -> Result<Vec<Object>, RemoteError> {
        let (store, root) = (self.open(prefix)?, path(prefix)?);
        let below = |meta: ObjectMeta| {
            let name = meta.location.prefix_match(&root)?.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>();
            // An object that is called as the prefix itself is not below it; consoles make such for empty folders.
            (!name.is_empty()).then(|| Object { name: name.join("/"), size: meta.size, etag: meta.e_tag })
        };
        let listed = store.list(Some(&root)).take(LISTED + 1).map_ok(below).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| failed(prefix, &error))?;
        if listed.len() > LISTED {
            let reason = format!("more than {LISTED} objects are below it");
            return Err(RemoteError::Refused { uri: prefix.to_string(), reason });
        }
        let mut objects: Vec<_> = listed.into_iter().flatten().collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    /// One object, without its content.
    pub async fn head(&self, address: &Address) -> Result<Object, RemoteError> {
        let meta = self.open(address)?.head(&path(address)?).await.map_err(|error| failed(address, &error))?;
        Ok(Object::of(&meta))
    }

    /// All of an object, if it is no larger than `limit`.
    pub async fn read(&self, address: &Address, limit: usize) -> Result<RemoteBytes, RemoteError> {
        let found = self.open(address)?.get(&path(address)?).await.map_err(|error| failed(address, &error))?;
        if found.meta.size > limit as u64 {
            return Err(RemoteError::TooLarge { uri: address.to_string(), limit });
        }
        let content_type = found.attributes.get(&Attribute::ContentType).map(|value| value.to_string());
        let bytes = found.bytes().await.map_err(|error| failed(address, &error))?;
        Ok(RemoteBytes { bytes, content_type })
    }

    /// Some of the bytes of an object, and which version of it they are of.
    pub async fn stream(
        &self,
        address: &Address,
        range: Range<u64>,
    ) -> Result<(Object, BoxStream<'static, Result<Bytes, RemoteError>>), RemoteError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let store = self.open(address)?;
        let found = store.get_opts(&path(address)?, options).await.map_err(|error| failed(address, &error))?;
        let (object, address) = (Object::of(&found.meta), address.clone());
        Ok((object, found.into_stream().map(move |chunk| chunk.map_err(|error| failed(&address, &error))).boxed()))
    }

    /// Puts an object in place of what is there.
    pub async fn write(&self, address: &Address, bytes: Bytes, content_type: &str) -> Result<(), RemoteError> {
        let mut options = PutOptions::default();
        options.attributes.insert(Attribute::ContentType, content_type.to_owned().into());
        let (store, path) = (self.open(address)?, path(address)?);
        store.put_opts(&path, bytes.into(), options).await.map(drop).map_err(|error| failed(address, &error))
    }

    fn open(&self, address: &Address) -> Result<Arc<dyn ObjectStore>, RemoteError> {
        let key = (address.scheme, address.bucket.clone());
        if let Some(store) = self.0.open.lock().get(&key) {
            return Ok(store.clone());
        }
        let made = match address.scheme {
            Scheme::Gs => self.0.config.gcs.open(&address.bucket),
            Scheme::S3 => self.0.config.s3.open(&address.bucket),
        };
        let store = made.map_err(|error| failed(address, &error))?;
        Ok(self.0.open.lock().entry(key).or_insert(store).clone())
    }
}

// === impl Object ===

impl Object {
    /// By its own name alone.
    fn of(meta: &ObjectMeta) -> Self {
        let name = meta.location.filename().unwrap_or_default().to_owned();
        Self { name, size: meta.size, etag: meta.e_tag.clone() }
    }
}

// === impl S3Config ===

impl S3Config {
    fn open(&self, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&self.region)
            .with_client_options(client(self.endpoint.as_ref()))
            .with_retry(retry())
            .with_http_connector(BoundedConnector::default())
            .with_skip_signature(self.anonymous);
        for (name, value) in &self.identity {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.expose());
        }
        if let Some(id) = &self.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(Secret(key)) = &self.secret_access_key {
            builder = builder.with_secret_access_key(key);
        }
        if let Some(Secret(token)) = &self.session_token {
            builder = builder.with_token(token);
        }
        Ok(Arc::new(builder.build()?))
    }
}

// === impl GcsConfig ===

impl GcsConfig {
    fn open(&self, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(bucket)
            .with_client_options(client(self.endpoint.as_ref()))
            .with_retry(retry())
            .with_http_connector(BoundedConnector::default())
            .with_skip_signature(self.anonymous);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint.expose());
        }
        if self.anonymous {
            // Uploads ask for a credential even where nothing is to be signed.
            let nobody = GcpCredential { bearer: String::new() };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
        } else if let Some(file) = &self.credentials {
            builder = builder.with_application_credentials(file);
        }
        Ok(Arc::new(builder.build()?))
    }
}

/// Without encryption only where the configured address says so.
fn client(endpoint: Option<&SecretUrl>) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.expose().starts_with("http://")))
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(IDLE)
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRYING }
}

fn path(address: &Address) -> Result<Path, RemoteError> {
    let wrong = |error: object_store::path::Error| RemoteError::NotAnAddress {
        uri: shown(&address.to_string()),
        reason: error.to_string(),
    };
    Path::parse(&address.key).map_err(wrong)
}

fn failed(address: &Address, error: &object_store::Error) -> RemoteError {
    use object_store::Error;
    let (uri, reason) = (address.to_string(), root_cause(error));
    match error {
        Error::NotFound { .. } => RemoteError::NotFound { uri },
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => RemoteError::Denied { uri, reason },
        Error::Generic { .. } => match status(&reason) {
            Some(404) => RemoteError::NotFound { uri },
            Some(401 | 403) => RemoteError::Denied { uri, reason },
            Some(status) if status < 500 && !matches!(status, 408 | 429) => RemoteError::Refused { uri, reason },
            _ => RemoteError::Unreachable { uri, reason, retry_after: None },
        },
        Error::JoinError { .. } => RemoteError::Unreachable { uri, reason, retry_after: None },
        _ => RemoteError::Refused { uri, reason },
    }
}

/// What the service answered. The library tells most answers apart, but not those to listings; of them it keeps only a
/// text.
fn status(reason: &str) -> Option<u16> {
    let (_, answer) = reason.split_once("status code: ")?;
    answer.get(..3)?.parse().ok()
}
