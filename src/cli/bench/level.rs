//! So many callers at once, each with one request after the other, for a while.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;

use super::{
    client::{Answer, Client, Failure},
    work::Work,
};

/// How much is asked of a server in one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// A caller begins requests for so long.
    pub window: Duration,
    /// And at most so many; at least one.
    pub requests: Option<usize>,
    /// For the answer to each.
    pub patience: Duration,
}

/// What came of one run.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub answers: Vec<Answer>,
    pub failures: Vec<Failure>,
    /// From its first request to its last answer.
    pub took: Duration,
    /// Seconds of all processors, of the server; `None` where it does not tell.
    pub processor: Option<f64>,
}

/// One run.
pub(super) async fn run(client: &Client, work: &Work, callers: usize, pace: Pace) -> Run {
    let began = Instant::now();
    let outcomes = join_all((0..callers).map(|_| call(client, work, began, pace))).await;
    let mut run = Run { took: began.elapsed(), ..Run::default() };
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Ok(answer) => run.answers.push(answer),
            Err(failure) => run.failures.push(failure),
        }
    }
    run
}

/// One caller.
async fn call(client: &Client, work: &Work, began: Instant, pace: Pace) -> Vec<Result<Answer, Failure>> {
    let mut outcomes = Vec::new();
    loop {
        let outcome = client.ask(work, pace.patience).await;
        let pause = match &outcome {
            Err(Failure::Refused { pause, .. }) => *pause,
            // What fails at once would do nothing else for all of the window.
            Err(Failure::Failed(_) | Failure::Late) => Duration::MAX,
            Ok(_) => Duration::ZERO,
        };
        outcomes.push(outcome);
        let left = pace.window.saturating_sub(began.elapsed());
        if pause >= left || pace.requests.is_some_and(|most| outcomes.len() >= most) {
            return outcomes;
        }
        sleep(pause).await;
    }
}

// === impl Run ===

impl Run {
    /// Seconds of sound.
    pub fn sound(&self) -> f64 {
        self.answers.iter().map(|answer| answer.sound).sum()
    }
}
