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

/// The part of a track that is the recording, and the silence before it, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    pub delay: f64,
    pub span: Span,
}

/// The part of a track that is the recording, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub start: f64,
    pub end: f64,
}

// === impl Edit ===

impl Edit {
    pub const NONE: Self = Self { delay: 0.0, span: Span::ALL };
}

// === impl Span ===

impl Span {
    pub const ALL: Self = Self { start: 0.0, end: f64::INFINITY };
}
