//! How much memory a model takes, and in which of its ways it fits.

use std::fmt;

use crate::model::Residency;

/// Bytes of memory that a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// With all of its parts there.
    pub together: u64,
    /// Where they take turns, if they can.
    pub in_turns: Option<u64>,
}

// === impl Footprint ===

impl Footprint {
    /// How its parts are to share so many bytes: together where that fits, else in turns, if they can. `None`: no bound.
    pub fn residency(self, budget: Option<u64>) -> Residency {
        match budget {
            Some(budget) if self.together > budget && self.in_turns.is_some() => Residency::InTurns,
            _ => Residency::Together,
        }
    }

    pub fn bytes(self, residency: Residency) -> u64 {
        match residency {
            Residency::Together => self.together,
            Residency::InTurns => self.in_turns.unwrap_or(self.together),
        }
    }

    /// What it takes within so many bytes, or needs where it does not fit.
    pub fn within(self, budget: Option<u64>) -> u64 {
        self.bytes(self.residency(budget))
    }
}

impl From<u64> for Footprint {
    fn from(together: u64) -> Self {
        Self { together, in_turns: None }
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.together)?;
        self.in_turns.map_or(Ok(()), |bytes| write!(f, " ({bytes} where its parts take turns)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_turns_only_where_there_is_no_room_for_all() {
        let both = Footprint { together: 30, in_turns: Some(20) };
        let way = |footprint: Footprint, budget| (footprint.residency(budget), footprint.within(budget));
        for (budget, expected) in [
            (None, (Residency::Together, 30)),
            (Some(30), (Residency::Together, 30)),
            (Some(29), (Residency::InTurns, 20)),
            (Some(10), (Residency::InTurns, 20)),
        ] {
            assert_eq!(way(both, budget), expected, "{budget:?}");
        }
        assert_eq!(way(30.into(), Some(29)), (Residency::Together, 30));
    }

    #[test]
    fn both_needs_are_told() {
        let both = Footprint { together: 30, in_turns: Some(20) };
        assert_eq!(both.to_string(), "30 bytes (20 where its parts take turns)");
        assert_eq!(Footprint::from(7).to_string(), "7 bytes");
    }
}
