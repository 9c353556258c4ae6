//! Those who know what the work of a job is.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{
    pieces::Pieces,
    record::{View, WorkItem},
};
use crate::speech::Problem;

/// Does the work of jobs. Dropping the future stops the work.
pub trait Worker: Send + Sync + 'static {
    /// The whole result; meanwhile its pieces, as far as it has any.
    fn work(&self, item: WorkItem, pieces: Pieces) -> BoxFuture<'static, Result<Value, Problem>>;

    /// A job as clients read it: what a webhook sends.
    fn show(&self, view: &View) -> Value;
}
