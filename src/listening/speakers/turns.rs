//! Who speaks when.

/// Somebody speaks, in seconds of the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    pub start: f64,
    pub end: f64,
    /// Place of their name.
    pub speaker: usize,
}

/// Who speaks when in a recording, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeakerTurns {
    names: Vec<String>,
    turns: Vec<Turn>,
}

// === impl SpeakerTurns ===

impl SpeakerTurns {
    pub(super) fn new(names: Vec<String>, turns: Vec<Turn>) -> Self {
        Self { names, turns }
    }

    /// Of turns in order, by the names of their speakers.
    #[cfg(test)]
    pub fn of(turns: &[(f64, f64, &str)]) -> Self {
        let mut names: Vec<String> = turns.iter().map(|(.., name)| (*name).to_owned()).collect();
        names.sort();
        names.dedup();
        let speaker = |name: &str| names.iter().position(|other| other == name).unwrap();
        let turn = |&(start, end, name): &(f64, f64, &str)| Turn { start, end, speaker: speaker(name) };
        Self { turns: turns.iter().map(turn).collect(), names }
    }

    /// The names of those who speak.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Who speaks from when to when, in seconds.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64, &str)> {
        self.turns.iter().map(|turn| (turn.start, turn.end, self.names[turn.speaker].as_str()))
    }

    /// Who says what lies between these seconds: whoever speaks for most of it, else who speaks nearest to it. `None`: nobody
    /// speaks at all.
    pub fn speaker(&self, start: f64, end: f64) -> Option<&str> {
        let mut spoken = vec![0.0; self.names.len()];
        let first = self.turns.partition_point(|turn| turn.end <= start);
        for turn in self.turns[first..].iter().take_while(|turn| turn.start < end) {
            spoken[turn.speaker] += turn.end.min(end) - turn.start.max(start);
        }
        let most = spoken.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1).then(other.0.cmp(&one.0)));
        let speaker = match most {
            Some((speaker, seconds)) if *seconds > 0.0 => speaker,
            _ => self.nearest((start + end) / 2.0, first)?,
        };
        self.names.get(speaker).map(String::as_str)
    }

    /// `after`: the first turn that ends after that time.
    fn nearest(&self, at: f64, after: usize) -> Option<usize> {
        let distance = |turn: &Turn| (turn.start - at).max(at - turn.end);
        let beside = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|at| self.turns.get(at));
        beside.min_by(|one, other| distance(one).total_cmp(&distance(other))).map(|turn| turn.speaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_speaks_for_most_of_a_word_says_it_and_else_who_is_nearest() {
        let turn = |start, end, speaker| Turn { start, end, speaker };
        let names = ["A".to_owned(), "B".to_owned()].to_vec();
        let turns = SpeakerTurns::new(names, vec![turn(1.0, 2.0, 0), turn(2.0, 4.0, 1), turn(6.0, 7.0, 0)]);
        for (start, end, speaker) in [
            (1.2, 1.5, "A"),
            (1.8, 2.1, "A"),
            (1.8, 2.3, "B"),
            (1.0, 7.0, "A"),
            (0.0, 0.2, "A"),
            (4.5, 4.6, "B"),
            (5.5, 5.9, "A"),
            (9.0, 9.5, "A"),
            (3.0, 3.0, "B"),
        ] {
            assert_eq!(turns.speaker(start, end), Some(speaker), "{start} to {end}");
        }
        assert_eq!(SpeakerTurns::default().speaker(0.0, 1.0), None);
    }
}
