//! Files that the hub keeps as chunks (Xet): they come from a storage of chunks, several at once, and a chunk that is here
//! already does not come again.
//!
//! The engine is `xet-data`, the one under hf-hub 1.0. It is driven directly because hf-hub gives no way to say what it may
//! take, keeps no chunk between two transfers, and sends reports of each transfer to the storage. What comes is a stream
//! like any other to the rest of the store: hashed, resumed, bounded in time, given up by the same rules.

use std::{ops::Range, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use serde::Deserialize;
use tokio::runtime::Handle;
use xet_client::{
    cas_client::auth::AuthConfig,
    chunk_cache::{CacheConfig, ChunkCache, get_cache},
};
use xet_data::{
    file_reconstruction::DownloadStream,
    processing::{
        FileDownloadSession, XetFileInfo,
        configurations::{SessionContext, TranslatorConfig},
    },
};
use xet_runtime::{
    config::XetConfig,
    core::{XetContext, XetRuntime},
};

use super::{Config, xet_client::BoundedClient};
use crate::remote::root_cause;

/// Bytes of chunks in memory that wait for those before them, over all files at once.
const BUFFER: &str = "256mb";
/// Bytes of a file whose chunks are asked for at once.
const WINDOW: &str = "256mb";
/// Tries of one request; beyond them the store's own rules hold.
const ATTEMPTS: usize = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Below the cache of the store: hidden, as its other folders that are no repositories.
const FOLDER: &str = ".xet";

/// What brings chunks, for the whole store.
pub(super) struct Xet {
    context: XetContext,
    http: reqwest::Client,
    folder: PathBuf,
    cache: Option<Arc<dyn ChunkCache>>,
}

/// Where the chunks of a repository are and what opens them, as the hub says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Access {
    cas_url: String,
    access_token: String,
    /// In seconds of Unix time.
    exp: u64,
}

// === impl Xet ===

impl Xet {
    /// Called within the runtime that transfers run on.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let mut settings = XetConfig::new();
        settings.telemetry.enabled = false;
        settings.client.ac_max_download_concurrency = config.connections.max(1);
        settings.client.ac_initial_download_concurrency = config.connections.clamp(1, 4);
        settings.client.retry_max_attempts = ATTEMPTS;
        settings.client.retry_max_duration = config.idle_timeout;
        settings.client.connect_timeout = CONNECT_TIMEOUT;
        settings.client.read_timeout = config.idle_timeout;
        settings.chunk_cache.size_bytes = config.xet_cache;
        for (name, value) in [
            ("reconstruction.download_buffer_size", BUFFER),
            ("reconstruction.download_buffer_perfile_size", BUFFER),
            ("reconstruction.download_buffer_limit", BUFFER),
            ("reconstruction.min_reconstruction_fetch_size", WINDOW),
            ("reconstruction.max_reconstruction_fetch_size", WINDOW),
            ("reconstruction.min_prefetch_buffer", WINDOW),
        ] {
            settings = settings.with_config(name, value).map_err(|error| error.to_string())?;
        }
        let folder = config.cache_dir.join(FOLDER);
        let cache = (config.xet_cache > 0).then(|| {
            let chunks = CacheConfig { cache_directory: folder.join("chunks"), cache_size: config.xet_cache };
            get_cache(&settings, &chunks).map_err(|error| error.to_string())
        });
        let context = XetContext::new(settings, XetRuntime::from_external(Handle::current()));
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(config.idle_timeout);
        let http = http.redirect(reqwest::redirect::Policy::none()).build().map_err(|error| root_cause(&error))?;
        Ok(Self { context, http, folder, cache: cache.transpose()? })
    }

    /// A part of a file of `size` bytes that the hub names by `hash`. A reason reads well after the name of the hub.
    pub(super) async fn read(
        &self,
        access: Access,
        hash: &str,
        size: u64,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, String>>, String> {
        let (url, token) = (access.cas_url.trim_end_matches('/').to_owned(), access.access_token.clone());
        let session = SessionContext {
            endpoint: access.cas_url,
            auth: AuthConfig::maybe_new(Some(access.access_token), Some(access.exp), None),
            custom_headers: None,
            repo_paths: vec![String::new()],
            session_id: None,
            cache_root: Some(self.folder.clone()),
        };
        let config = TranslatorConfig::new(&self.context, session).map_err(reason)?;
        let engine = FileDownloadSession::new(Arc::new(config), None).await.map_err(reason)?.client();
        let client = BoundedClient::new(engine, self.http.clone(), url, token);
        let session = FileDownloadSession::from_client(&self.context, Arc::new(client), self.cache.clone());
        let file = XetFileInfo::new(hash.to_owned(), size);
        let (_, stream) = session.download_stream(&file, Some(range)).await.map_err(reason)?;
        Ok(futures::stream::unfold((session, stream), next).boxed())
    }
}

type Streaming = (Arc<FileDownloadSession>, DownloadStream);

/// The session lives as long as its stream; dropped, the stream stops its work.
async fn next((session, mut stream): Streaming) -> Option<(Result<Bytes, String>, Streaming)> {
    let chunk = stream.next().await.map_err(reason).transpose()?;
    Some((chunk, (session, stream)))
}

fn reason(error: impl std::fmt::Display) -> String {
    format!("stores it in chunks, which cannot be had: {error}")
}
