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
        /// Why it was put back, where it was begun before and something was missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
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
    /// Something was not to be had, such as the model or its queue; try again after so long. This may happen any number of
    /// times.
    Later {
        after: Duration,
        reason: String,
    },
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
                Self::Later { after: problem.retry_after.unwrap_or(PAUSE), reason: problem.message }
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
            (&Self::Running { interruptions, .. }, JobEvent::Later { after, reason }) => {
                Some(Self::Queued { interruptions, due: now.after(after), reason: Some(reason) })
            }
            (&Self::Running { interruptions, .. }, JobEvent::PutBack) => {
                Some(Self::Queued { interruptions, due: now, reason: None })
            }
            (&Self::Running { interruptions, .. }, JobEvent::Interrupted) => {
                Some(Self::interrupted(interruptions + 1, now, attempts))
            }
            _ => None,
        }
    }

    /// A job that fails the process each time must not do so for ever.
    fn interrupted(interruptions: u32, now: Timestamp, attempts: u32) -> Self {
        if interruptions < attempts {
            return Self::Queued { interruptions, due: now, reason: None };
        }
        let message = format!("the job was begun {interruptions} times, and each time the model or the server failed");
        Self::Failed { at: now, failure: Problem::new(Kind::Internal, message) }
    }

    /// The same of one that came further than before: what interrupted it then is not this job.
    pub(super) fn further(self) -> Self {
        match self {
            Self::Running { since, .. } => Self::Running { interruptions: 0, since },
            other => other,
        }
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

    /// Why one that was begun before waits again, where something was missing.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Queued { reason, .. } => reason.as_deref(),
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

    fn later() -> JobEvent {
        JobEvent::Later { after: Duration::ZERO, reason: "the disk is full".to_owned() }
    }

    fn each_state() -> [State; 5] {
        [
            State::Queued { interruptions: 0, due: now(), reason: None },
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
            later(),
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
        let mut state = State::Queued { interruptions: 0, due: now(), reason: None };
        for event in [JobEvent::Interrupted, later(), JobEvent::PutBack] {
            state = state.after(JobEvent::Start, now(), 2).unwrap().after(event, now(), 2).unwrap();
            assert!(matches!(state, State::Queued { interruptions: 1, .. }), "{state:?}");
        }
        state = state.after(JobEvent::Start, now(), 2).unwrap().after(JobEvent::Interrupted, now(), 2).unwrap();
        let State::Failed { failure, .. } = state else { panic!("{state:?}") };
        assert!(failure.message.contains("begun 2 times"), "{failure:?}");
    }

    #[test]
    fn a_job_that_comes_further_is_not_the_cause_of_what_interrupted_it() {
        let further = State::Running { interruptions: 2, since: now() }.further();
        assert!(matches!(further.after(JobEvent::Interrupted, now(), 2), Some(State::Queued { interruptions: 1, .. })));
        let [queued, ..] = each_state();
        assert_eq!(queued.clone().further(), queued);
    }

    #[test]
    fn why_a_job_waits_again_is_known_until_it_is_begun() {
        let [queued, running, ..] = each_state();
        let waiting = running.after(later(), now(), 3).unwrap();
        assert_eq!((waiting.reason(), queued.reason()), (Some("the disk is full"), None));
        assert_eq!(waiting.after(JobEvent::Start, now(), 3).unwrap().reason(), None);
        let text = serde_json::to_string(&waiting).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), waiting);
        // As an earlier version wrote it.
        let [queued, ..] = each_state();
        assert!(!serde_json::to_string(&queued).unwrap().contains("reason"));
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
        assert_eq!(of(Kind::Loading, false), JobEvent::Later { after: PAUSE, reason: "x".to_owned() });
        assert_eq!(of(Kind::Busy, false), JobEvent::Later { after: PAUSE, reason: "x".to_owned() });
        assert!(matches!(of(Kind::Unavailable, true), JobEvent::Failed(_)));
        assert!(matches!(of(Kind::Invalid, true), JobEvent::Failed(_)));
        assert!(matches!(of(Kind::Deadline, false), JobEvent::Failed(_)));
        assert_eq!(of(Kind::Stopping, false), JobEvent::PutBack);
        assert_eq!(of(Kind::Internal, true), JobEvent::Interrupted);
    }
}
