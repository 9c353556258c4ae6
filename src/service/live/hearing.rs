//! How a model that hears recordings hears an item.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{line::Lines, stream::ItemTranscript};
use crate::{
    service::{Call, Service, ServiceError, TranscribeRequest},
    speech::{Fault, Kind, TaskKind},
};

/// The first of the whole items that find the queue full asks again so soon.
const AGAIN: Duration = Duration::from_millis(250);

/// All of an item. A full queue is waited for: somebody has said this, and it cannot be said again. Who waits stands in line, so
/// that the next place is for who came first.
pub(super) async fn hear_whole(
    service: Service,
    lines: Lines,
    call: Call,
    request: TranscribeRequest,
    until: Instant,
) -> Result<ItemTranscript, ServiceError> {
    let model =
        service.catalog().resolve_for(call.model.as_deref(), TaskKind::Transcribe).map(|entry| entry.name.to_string());
    let line = lines.before(&model.unwrap_or_default());
    if line.is_empty() {
        match service.transcribe(call.clone(), request.clone()).await {
            Err(error) if error.kind() == Kind::Busy => {}
            answer => return Ok(answer?.whole().await?.into()),
        }
    }
    let turn = line.turn().await;
    let answer = loop {
        match service.transcribe(call.clone(), request.clone()).await {
            Err(error) if error.kind() == Kind::Busy && Instant::now() + AGAIN < until => sleep(AGAIN).await,
            answer => break answer,
        }
    };
    drop(turn);
    Ok(answer?.whole().await?.into())
}

/// The beginning of an item.
pub(super) async fn hear_beginning(
    service: &Service,
    call: Call,
    request: TranscribeRequest,
) -> Result<ItemTranscript, ServiceError> {
    Ok(service.overhear(call, request).await?.whole().await?.into())
}
