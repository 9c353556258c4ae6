//! What may become of a job. Pure: no clock, no task, no file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timestamp::Timestamp;
use crate::speech::{Kind, Problem};

/// How far a job is.
///
/// ```text
///            Start              Done
///  Queued ──────────► Running ────────► Succeeded
///   │  ▲                │  │    Failed
///   │  └────────────────┘  ├──────────► Failed
///   │    Later, PutBack,   │               ▲
///   │    Interrupted ──────┼───────────────┘ (too often)
///   │       Cancel         │ Cancel
///   └──────────────────────┴──────────► Cancelled
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum State {
    /// It is begun when there is room, but not before `due`.
    Queued {
        interruptions: u32,
        due: Timestamp,
    },
    Running {
        interruptions: u32,
        since: Timestamp,
    },
    Succeeded {
        since: Timestamp,
        at: Timestamp,
    },
    Failed {
        at: Timestamp,
        failure: Problem,
    },
    Cancelled {
        at: Timestamp,
    },
}

/// [`State`] without what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum JobEvent {
    Start,
    Done,
    Failed(Problem),
    /// The model or its queue was not to be had; try again after so long. This may happen any number of times.
    Later(Duration),
    /// The server stops before the job is done.
    PutBack,
    /// The process or the model failed meanwhile, perhaps because of this job.
    Interrupted,
    Cancel,
}

/// When nothing says when a model is back, it is asked for again after so long.
const PAUSE: Duration = Duration::from_secs(5);

// === impl JobEvent ===

impl From<Problem> for JobEvent {
    /// A job has time: what a caller would have to try again, it tries again by itself.
    fn from(problem: Problem) -> Self {
        match problem.kind {
            Kind::Stopping => Self::PutBack,
            // The model broke; perhaps because of another request that it worked on.
            Kind::Internal => Self::Interrupted,
            Kind::Busy | Kind::Loading | Kind::Unavailable if !problem.permanent => {
                Self::Later(problem.retry_after.unwrap_or(PAUSE))
            }
            _ => Self::Failed(problem),
        }
    }
}

// === impl State ===

impl State {
    /// What becomes of it; `None`: this does not happen to a job in this state, and nothing changes.
    pub(super) fn after(&self, event: JobEvent, now: Timestamp, attempts: u32) -> Option<Self> {
        match (self, event) {
            (&Self::Queued { interruptions, .. }, JobEvent::Start) => Some(Self::Running { interruptions, since: now }),
            (Self::Queued { .. } | Self::Running { .. }, JobEvent::Cancel) => Some(Self::Cancelled { at: now }),
            (&Self::Running { since, .. }, JobEvent::Done) => Some(Self::Succeeded { since, at: now }),
            (Self::Running { .. }, JobEvent::Failed(failure)) => Some(Self::Failed { at: now, failure }),
            (&Self::Running { interruptions, .. }, JobEvent::Later(after)) => {
                Some(Self::Queued { interruptions, due: now.after(after) })
            }
            (&Self::Running { interruptions, .. }, JobEvent::PutBack) => Some(Self::Queued { interruptions, due: now }),
            (&Self::Running { interruptions, .. }, JobEvent::Interrupted) => {
                Some(Self::interrupted(interruptions + 1, now, attempts))
            }
            _ => None,
        }
    }

    /// A job that fails the process each time must not do so for ever.
    fn interrupted(interruptions: u32, now: Timestamp, attempts: u32) -> Self {
        if interruptions < attempts {
            return Self::Queued { interruptions, due: now };
        }
        let message = format!("the job was begun {interruptions} times, and each time the model or the server failed");
        Self::Failed { at: now, failure: Problem::new(Kind::Internal, message) }
    }

    pub fn phase(&self) -> Phase {
        match self {
            Self::Queued { .. } => Phase::Queued,
            Self::Running { .. } => Phase::Running,
            Self::Succeeded { .. } => Phase::Succeeded,
            Self::Failed { .. } => Phase::Failed,
            Self::Cancelled { .. } => Phase::Cancelled,
        }
    }

    /// How long it took, if it succeeded.
    pub(super) fn took(&self) -> Option<Duration> {
        match self {
            Self::Succeeded { since, at } => Some(at.since(*since)),
            _ => None,
        }
    }

    /// When it was begun, as far as that is known.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Running { since, .. } | Self::Succeeded { since, .. } => Some(*since),
            _ => None,
        }
    }

    /// When it came to its end.
    pub fn end(&self) -> Option<Timestamp> {
        match self {
            Self::Succeeded { at, .. } | Self::Failed { at, .. } | Self::Cancelled { at } => Some(*at),
            Self::Queued { .. } | Self::Running { .. } => None,
        }
    }
}

// === impl Phase ===

impl Phase {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::now()
    }

    fn failure() -> Problem {
        Problem::new(Kind::Invalid, "no sound")
    }

    fn each_state() -> [State; 5] {
        [
            State::Queued { interruptions: 0, due: now() },
            State::Running { interruptions: 0, since: now() },
            State::Succeeded { since: now(), at: now() },
            State::Failed { at: now(), failure: failure() },
            State::Cancelled { at: now() },
        ]
    }

    #[test]
    fn what_has_ended_stays_as_it_ended() {
        let events = [
            JobEvent::Start,
            JobEvent::Done,
            JobEvent::Failed(failure()),
            JobEvent::Later(Duration::ZERO),
            JobEvent::PutBack,
            JobEvent::Interrupted,
            JobEvent::Cancel,
        ];
        for state in each_state().iter().filter(|state| state.phase().is_end()) {
            for event in events.clone() {
                assert_eq!(state.after(event, now(), 3), None, "{state:?}");
            }
        }
    }

    #[test]
    fn each_step_leads_where_the_picture_says() {
        let [queued, running, ..] = each_state();
        let phase = |state: &State, event| state.after(event, now(), 3).map(|state| state.phase());
        assert_eq!(phase(&queued, JobEvent::Start), Some(Phase::Running));
        assert_eq!(phase(&queued, JobEvent::Cancel), Some(Phase::Cancelled));
        assert_eq!(phase(&queued, JobEvent::Done), None);
        assert_eq!(phase(&queued, JobEvent::PutBack), None);
        assert_eq!(phase(&running, JobEvent::Start), None);
        assert_eq!(phase(&running, JobEvent::Done), Some(Phase::Succeeded));
        assert_eq!(phase(&running, JobEvent::Failed(failure())), Some(Phase::Failed));
        assert_eq!(phase(&running, JobEvent::PutBack), Some(Phase::Queued));
        assert_eq!(phase(&running, JobEvent::Cancel), Some(Phase::Cancelled));
    }

    #[test]
    fn interruptions_are_counted_and_waiting_is_not() {
        let mut state = State::Queued { interruptions: 0, due: now() };
        for event in [JobEvent::Interrupted, JobEvent::Later(Duration::ZERO), JobEvent::PutBack] {
            state = state.after(JobEvent::Start, now(), 2).unwrap().after(event, now(), 2).unwrap();
            assert!(matches!(state, State::Queued { interruptions: 1, .. }), "{state:?}");
        }
        state = state.after(JobEvent::Start, now(), 2).unwrap().after(JobEvent::Interrupted, now(), 2).unwrap();
        let State::Failed { failure, .. } = state else { panic!("{state:?}") };
        assert!(failure.message.contains("begun 2 times"), "{failure:?}");
    }

    #[test]
    fn every_state_is_read_as_it_was_written() {
        for state in each_state() {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
            assert!(text.contains(state.phase().as_str()), "{text}");
        }
    }

    #[test]
    fn a_job_waits_for_what_may_come_and_ends_with_what_will_not() {
        let of = |kind, permanent| JobEvent::from(Problem { permanent, ..Problem::new(kind, "x") });
        assert_eq!(of(Kind::Loading, false), JobEvent::Later(PAUSE));
        assert_eq!(of(Kind::Busy, false), JobEvent::Later(PAUSE));
        assert!(matches!(of(Kind::Unavailable, true), JobEvent::Failed(_)));
        assert!(matches!(of(Kind::Invalid, true), JobEvent::Failed(_)));
        assert!(matches!(of(Kind::Deadline, false), JobEvent::Failed(_)));
        assert_eq!(of(Kind::Stopping, false), JobEvent::PutBack);
        assert_eq!(of(Kind::Internal, true), JobEvent::Interrupted);
    }
}
