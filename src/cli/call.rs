//! What a person asks for, in place of a request.

use std::time::Duration;

use crate::service::{Call, Served};

/// A person who waits for a download sees its progress, and may stop it.
pub(super) const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What a person asks for, who is told by `id` what goes wrong.
pub(super) fn call(id: String, model: Option<String>) -> Call {
    Call {
        id,
        protocol: "cli",
        model,
        wait: Some(PATIENCE),
        time_limit: None,
        deadline: None,
        served: Served::default(),
        keep_alive: None,
        allowance: None,
    }
}
