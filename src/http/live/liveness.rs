//! Whether the client still reads. Pure: it is told what happens.

/// Pings, and what came back.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// A ping is out.
    waits: bool,
    /// What came was not read for a while, and a pong may be behind it.
    excused: bool,
}

// === impl Liveness ===

impl Liveness {
    pub fn pong(&mut self) {
        *self = Self::default();
    }

    /// Nothing is read for now.
    pub fn held_back(&mut self) {
        self.excused = true;
    }

    /// It is time for the next ping; `false`: the last one was not answered, though it could have been.
    pub fn ping(&mut self) -> bool {
        let alive = !self.waits || self.excused;
        *self = Self { waits: true, excused: false };
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_no_ping_until_the_next_one_does_not_read() {
        let mut liveness = Liveness::default();
        assert!(liveness.ping());
        liveness.pong();
        assert!(liveness.ping());
        assert!(!liveness.ping());
    }

    #[test]
    fn who_was_not_listened_to_gets_another_chance() {
        let mut liveness = Liveness::default();
        assert!(liveness.ping());
        liveness.held_back();
        assert!(liveness.ping());
        assert!(!liveness.ping());
    }
}
