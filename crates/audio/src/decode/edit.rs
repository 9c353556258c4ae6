//! What of a track is the recording.

/// Where the sound of a track begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeOrigin {
    /// Where its container says so: before it, and where time passed without sound, there is silence.
    #[default]
    Container,
    /// At its first sample, without gaps.
    Sound,
}

/// What of a track is heard, and when, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    /// Silence before it, where it is one piece.
    pub delay: f64,
    /// The parts of the track that are heard, in its order, apart from each other.
    pub spans: Vec<Span>,
    /// What they are put together to; empty, where they are heard as they come.
    pub pieces: Vec<Piece>,
}

/// A piece of what is heard, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    Silence(f64),
    Sound(Span),
}

/// A part of a track, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub start: f64,
    pub end: f64,
}

// === impl Edit ===

impl Edit {
    /// All of the track, from its start.
    pub fn none() -> Self {
        Self::plain(0.0, Span::ALL)
    }

    /// One part of the track.
    pub fn plain(delay: f64, span: Span) -> Self {
        Self { delay, spans: vec![span], pieces: Vec::new() }
    }

    /// Pieces in the order in which they are heard.
    pub fn of(pieces: Vec<Piece>) -> Self {
        if let [Piece::Sound(span)] = pieces[..] {
            return Self::plain(0.0, span);
        }
        if let [Piece::Silence(delay), Piece::Sound(span)] = pieces[..] {
            return Self::plain(delay, span);
        }
        let mut spans: Vec<Span> = Vec::new();
        let mut sounds: Vec<Span> = pieces.iter().filter_map(Piece::sound).collect();
        sounds.sort_by(|one, other| one.start.total_cmp(&other.start));
        for sound in sounds {
            match spans.last_mut() {
                Some(last) if sound.start <= last.end => last.end = last.end.max(sound.end),
                _ => spans.push(sound),
            }
        }
        Self { delay: 0.0, spans, pieces }
    }

    /// What is heard where times count from there.
    pub fn from(mut self, origin: TimeOrigin) -> Self {
        if origin == TimeOrigin::Sound {
            self.delay = 0.0;
            self.pieces.retain(|piece| matches!(piece, Piece::Sound(_)));
        }
        self
    }

    /// Seconds of the track that are heard.
    pub fn taken(&self) -> f64 {
        self.spans.iter().map(Span::seconds).sum()
    }

    /// Seconds of the track that are heard and lie before this, which is a part of what is.
    pub fn taken_before(&self, part: Span) -> f64 {
        self.spans.iter().map(|span| span.overlap(Span { start: 0.0, end: part.start })).sum()
    }

    /// Seconds that are heard of it, some of them more than once, with the silence between.
    pub fn seconds(&self) -> f64 {
        if self.pieces.is_empty() { self.taken() } else { self.pieces.iter().map(Piece::seconds).sum() }
    }
}

// === impl Piece ===

impl Piece {
    fn sound(&self) -> Option<Span> {
        match self {
            Self::Silence(_) => None,
            Self::Sound(span) => Some(*span),
        }
    }

    pub fn seconds(&self) -> f64 {
        match self {
            Self::Silence(seconds) => *seconds,
            Self::Sound(span) => span.seconds(),
        }
    }
}

// === impl Span ===

impl Span {
    pub const ALL: Self = Self { start: 0.0, end: f64::INFINITY };

    pub fn seconds(&self) -> f64 {
        self.end - self.start
    }

    /// Seconds of both.
    pub fn overlap(&self, other: Self) -> f64 {
        (self.end.min(other.end) - self.start.max(other.start)).max(0.0)
    }
}
