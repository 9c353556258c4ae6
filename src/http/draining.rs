//! Whether the server is about to go down.

use std::{fmt, time::Duration};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use futures::Stream;
use tokio::sync::watch;

use super::{
    access::Routes,
    problem::{Problem, Shape},
};
use crate::speech::Kind;

/// Another server, or this one started anew, is there so soon.
const RETURN: Duration = Duration::from_secs(1);

/// How far the server is on its way down. Each stage is entered once.
#[derive(Clone, Debug)]
pub struct Draining(watch::Sender<Stage>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Readiness says no, while requests are still served.
    Draining,
    /// Who has no answer yet is told that the server stops.
    Over,
}

/// In place of the answer to what outlasted the drain.
#[derive(Debug)]
struct CutOff(Shape);

// === impl Draining ===

impl Default for Draining {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Draining {
    pub fn begin(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// Answers everybody who still waits for the head of an answer, whatever is being done for him.
    pub fn cut_off(&self) {
        self.0.send_replace(Stage::Over);
    }

    pub(super) fn is_set(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// A stream that would never end by itself ends when the server stops: the drain would wait for it in vain, and who
    /// reads it finds another server sooner.
    pub(super) fn ends<S: Stream>(&self, stream: S) -> impl Stream<Item = S::Item> + use<S> {
        futures::StreamExt::take_until(stream, self.clone().reached(Stage::Draining))
    }

    /// Resolves when the server begins to go down.
    pub(super) async fn begun(self) {
        self.reached(Stage::Draining).await;
    }

    /// Resolves when it waits for nobody any more.
    pub(super) async fn over(self) {
        self.reached(Stage::Over).await;
    }

    /// The layer around all that answers: a connection that is closed without an answer looks like a crash, so that what
    /// outlasts the drain is answered just before its end.
    pub(super) async fn pass<B: MessageBody>(
        self,
        routes: &Routes,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<B>, Error> {
        let shape = routes.shape(request.path());
        tokio::select! {
            biased;
            response = next.call(request) => response,
            () = self.reached(Stage::Over) => Err(CutOff(shape).into()),
        }
    }

    /// The sender lives as long as this waits.
    async fn reached(self, stage: Stage) {
        let mut stages = self.0.subscribe();
        drop(stages.wait_for(|now| *now >= stage).await);
    }
}

// === impl CutOff ===

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server is stopping, and the request was not done in time")
    }
}

impl ResponseError for CutOff {
    fn error_response(&self) -> HttpResponse {
        let problem = Problem { retry_after: Some(RETURN), ..Problem::new(Kind::Stopping, self.to_string()) };
        problem.passing().answer(self.0)
    }
}
