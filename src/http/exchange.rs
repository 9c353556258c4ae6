//! How far a connection is with a request, for whoever has to know whether its client may go.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
};

use actix_web::{
    Error, HttpRequest,
    body::{BodySize, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Version,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
    middleware::Next,
};

/// How far a connection is with a request. A clone is the same; a connection lives on one thread.
#[derive(Clone, Debug, Default)]
pub struct Exchange(Rc<State>);

#[derive(Debug, Default)]
struct State {
    stage: Cell<Stage>,
    broken_off: Cell<bool>,
    /// Whoever moves the connection's bytes.
    mover: RefCell<Option<Waker>>,
}

/// How far a connection is with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It is at rest, or a whole answer goes out.
    #[default]
    Resting,
    /// The body of a request comes in.
    Receiving,
    /// A request is here, and its answer has not begun.
    Working,
    /// The same, in a version of HTTP in which nothing may be said meanwhile.
    WorkingHttp10,
    /// An answer goes out while it is made.
    Streaming,
}

// === impl Exchange ===

impl Exchange {
    pub fn stage(&self) -> Stage {
        self.0.stage.get()
    }

    /// Ends the connection at once, whatever is still to be sent: its client does not read.
    pub(super) fn break_off(&self) {
        self.0.broken_off.set(true);
        if let Some(mover) = self.0.mover.take() {
            mover.wake();
        }
    }

    /// For whoever moves the connection's bytes: whether to stop, and else who is to be woken when that changes.
    pub fn is_broken_off(&self, cx: &Context<'_>) -> bool {
        let mut mover = self.0.mover.borrow_mut();
        if mover.as_ref().is_none_or(|mover| !mover.will_wake(cx.waker())) {
            *mover = Some(cx.waker().clone());
        }
        self.0.broken_off.get()
    }

    /// That of the connection which a request came on.
    pub(super) fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data::<Self>()
    }
}

/// The whole request is here.
pub(super) fn work(request: &HttpRequest) {
    if let Some(exchange) = Exchange::of(request) {
        let may_speak = request.version() == Version::HTTP_11;
        exchange.0.stage.set(if may_speak { Stage::Working } else { Stage::WorkingHttp10 });
    }
}

/// The layer that sees when an answer begins.
pub(super) async fn layer<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let exchange = Exchange::of(request.request()).cloned();
    // A body is read by whoever wants it, who then says that it is here.
    let has_body = request.headers().contains_key(TRANSFER_ENCODING)
        || request.headers().get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    match has_body {
        true => exchange.iter().for_each(|exchange| exchange.0.stage.set(Stage::Receiving)),
        false => work(request.request()),
    }
    let response = next.call(request).await;
    let whole = |response: &ServiceResponse<B>| response.response().body().size() != BodySize::Stream;
    let stage = if response.as_ref().map_or(true, whole) { Stage::Resting } else { Stage::Streaming };
    exchange.iter().for_each(|exchange| exchange.0.stage.set(stage));
    response
}
