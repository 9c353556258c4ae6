//! A body that holds on to its request's places until its last byte is sent, or the client is gone.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// The places of one request among those under way.
pub(super) type Permits = [Option<OwnedSemaphorePermit>; 2];

/// An answer whose request is under way.
pub(super) struct Permitted {
    body: BoxBody,
    _permits: Permits,
}

// === impl Permitted ===

impl Permitted {
    pub fn new(body: BoxBody, permits: Permits) -> Self {
        Self { body, _permits: permits }
    }
}

impl MessageBody for Permitted {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
