//! The engine's own client of a storage of chunks, but for one answer: the list of a file's chunks is read here, within a
//! bound, where the engine would read it to whatever end it has.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{StatusCode, header};
use serde::de::DeserializeOwned;
use xet_client::{
    ClientError,
    cas_client::{
        Client, ProgressCallback, ShardUploadProgressCallback, URLProvider, adaptive_concurrency::ConnectionPermit,
    },
    cas_types::{
        BatchQueryReconstructionResponse, FileChunkHashesResponse, FileRange, QueryReconstructionResponse,
        QueryReconstructionResponseV2,
    },
};
use xet_core_structures::{
    merklehash::MerkleHash, metadata_shard::file_structs::MDBFileInfo, xorb_object::SerializedXorbObject,
};

/// Bytes of a list: of the chunks of 256 MB, for so many are asked for at once. A chunk has 8 KiB at least and takes about
/// 200 bytes of it, one of the usual 64 KiB and its neighbours far less.
const LARGEST_LIST: usize = 16 << 20;

type Answer<T> = Result<T, ClientError>;

/// The engine's client, bounded.
pub(super) struct BoundedClient {
    engine: Arc<dyn Client>,
    http: reqwest::Client,
    /// Of the storage, without a slash at its end.
    url: String,
    token: String,
    /// It knows the older form of the list only.
    old: AtomicBool,
}

// === impl BoundedClient ===

impl BoundedClient {
    pub(super) fn new(engine: Arc<dyn Client>, http: reqwest::Client, url: String, token: String) -> Self {
        Self { engine, http, url, token, old: AtomicBool::new(false) }
    }

    /// `None`: nothing of the file lies in the range. The inner error is a status that another form may not have.
    async fn list<T: DeserializeOwned>(
        &self,
        version: &str,
        file: &MerkleHash,
        range: Option<FileRange>,
    ) -> Answer<Result<Option<T>, StatusCode>> {
        let mut request = self.http.get(format!("{}/{version}/reconstructions/{}", self.url, file.hex()));
        if let Some(range) = range {
            request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        let answer = request.bearer_auth(&self.token).send().await.map_err(broken)?;
        match answer.status() {
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Ok(None)),
            status if !status.is_success() => Ok(Err(status)),
            _ => {
                let list = whole(answer).await?;
                let parsed = serde_json::from_slice(&list);
                parsed.map(|list| Ok(Some(list))).map_err(|_| other("it gives no list of chunks"))
            }
        }
    }
}

/// The body, if it is no longer than a list may be.
async fn whole(mut answer: reqwest::Response) -> Answer<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(broken)? {
        if body.len() + part.len() > LARGEST_LIST {
            return Err(other(&format!("its list of chunks is longer than {LARGEST_LIST} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn broken(error: reqwest::Error) -> ClientError {
    // Without the address, which may hold a signature.
    other(&error.without_url().to_string())
}

fn refused(status: StatusCode) -> ClientError {
    other(&format!("its list of chunks is refused ({status})"))
}

fn other(reason: &str) -> ClientError {
    ClientError::Other(reason.to_owned())
}

#[async_trait]
impl Client for BoundedClient {
    async fn get_reconstruction(
        &self,
        file: &MerkleHash,
        range: Option<FileRange>,
    ) -> Answer<Option<QueryReconstructionResponseV2>> {
        if !self.old.load(Relaxed) {
            match self.list("v2", file, range).await? {
                Ok(list) => return Ok(list),
                Err(StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED) => self.old.store(true, Relaxed),
                Err(status) => return Err(refused(status)),
            }
        }
        let list: Option<QueryReconstructionResponse> = self.list("v1", file, range).await?.map_err(refused)?;
        Ok(list.map(Into::into))
    }

    async fn get_file_term_data(
        &self,
        place: Box<dyn URLProvider>,
        permit: ConnectionPermit,
        progress: Option<ProgressCallback>,
        size: Option<usize>,
    ) -> Answer<(Bytes, Vec<u32>)> {
        self.engine.get_file_term_data(place, permit, progress, size).await
    }

    async fn acquire_download_permit(&self) -> Answer<ConnectionPermit> {
        self.engine.acquire_download_permit().await
    }

    // A download calls none of these.

    async fn get_file_reconstruction_info(
        &self,
        file: &MerkleHash,
    ) -> Answer<Option<(MDBFileInfo, Option<MerkleHash>)>> {
        self.engine.get_file_reconstruction_info(file).await
    }

    async fn batch_get_reconstruction(&self, files: &[MerkleHash]) -> Answer<BatchQueryReconstructionResponse> {
        self.engine.batch_get_reconstruction(files).await
    }

    async fn query_for_global_dedup_shard(&self, prefix: &str, chunk: &MerkleHash) -> Answer<Option<Bytes>> {
        self.engine.query_for_global_dedup_shard(prefix, chunk).await
    }

    async fn acquire_upload_permit(&self) -> Answer<ConnectionPermit> {
        self.engine.acquire_upload_permit().await
    }

    async fn upload_shard(
        &self,
        shard: Bytes,
        permit: ConnectionPermit,
        progress: Option<ShardUploadProgressCallback>,
    ) -> Answer<Option<MerkleHash>> {
        self.engine.upload_shard(shard, permit, progress).await
    }

    async fn upload_xorb(
        &self,
        prefix: &str,
        xorb: SerializedXorbObject,
        progress: Option<ProgressCallback>,
        permit: ConnectionPermit,
    ) -> Answer<u64> {
        self.engine.upload_xorb(prefix, xorb, progress, permit).await
    }

    async fn get_file_chunk_hashes(&self, file: &MerkleHash, dirty: Vec<FileRange>) -> Answer<FileChunkHashesResponse> {
        self.engine.get_file_chunk_hashes(file, dirty).await
    }
}
