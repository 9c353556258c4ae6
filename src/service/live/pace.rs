//! How fast sound may come. Pure: it is told what time it is.

use std::time::{Duration, Instant};

/// What a message counts for at least, so that many without sound are held back as well.
const MESSAGE: Duration = Duration::from_millis(5);

/// Lets sound run ahead of the clock by so much, and then come so many times as fast.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: f64,
    ahead: Duration,
    /// How far the sound was ahead at that time.
    level: Duration,
    at: Instant,
}

// === impl Pace ===

impl Pace {
    pub fn new(rate: usize, ahead: Duration, now: Instant) -> Self {
        Self { rate: rate.max(1) as f64, ahead, level: Duration::ZERO, at: now }
    }

    /// A message with so much sound is here.
    pub fn take(&mut self, sound: Duration, now: Instant) {
        (self.level, self.at) = (self.level(now) + sound.max(MESSAGE), now);
    }

    /// How long to wait for the next message; zero: no longer.
    pub fn wait(&self, now: Instant) -> Duration {
        self.level(now).saturating_sub(self.ahead).div_f64(self.rate)
    }

    fn level(&self, now: Instant) -> Duration {
        self.level.saturating_sub(now.saturating_duration_since(self.at).mul_f64(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn real_time_is_never_held_back() {
        let start = Instant::now();
        let mut pace = Pace::new(1, Duration::from_millis(100), start);
        for step in 0..1000 {
            let now = start + step * Duration::from_millis(20);
            assert_eq!(pace.wait(now), Duration::ZERO, "{step}");
            pace.take(Duration::from_millis(20), now);
        }
    }

    #[test]
    fn who_is_ahead_waits_until_the_clock_has_come_after() {
        let now = Instant::now();
        let mut pace = Pace::new(2, 10 * SECOND, now);
        pace.take(10 * SECOND, now);
        assert_eq!(pace.wait(now), Duration::ZERO);
        pace.take(4 * SECOND, now);
        assert_eq!(pace.wait(now), 2 * SECOND);
        assert_eq!(pace.wait(now + SECOND), SECOND);
        assert_eq!(pace.wait(now + 2 * SECOND), Duration::ZERO);
    }

    #[test]
    fn messages_without_sound_count_too() {
        let now = Instant::now();
        let mut pace = Pace::new(1, SECOND, now);
        for _ in 0..1000 {
            pace.take(Duration::ZERO, now);
        }
        assert_eq!(pace.wait(now), 4 * SECOND);
    }
}
