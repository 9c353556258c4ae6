//! How long a recording of a voice is, and what is written about it.

use std::time::Duration;

/// Shorter recordings do not tell a voice.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// Families look at 5 to 30 seconds of a recording; what is longer is no sample.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// Bytes of what is written about a voice: a minute of fast speech has 1,500.
pub(super) const LONGEST_NOTE: usize = 4096;
