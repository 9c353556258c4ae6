//! How long a recording of a voice is.

use std::time::Duration;

/// Shorter recordings do not tell a voice.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// Families look at 5 to 30 seconds of a recording; what is longer is no sample.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
