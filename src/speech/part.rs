//! Parts of a recording that are heard by themselves: its channels, or its tracks.

/// On which part of a recording something was heard, where each is heard by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Part {
    /// The channel, from 0, where channels are heard separately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<usize>,
    /// The audio track, from 0 in the order of the file, where all are heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<usize>,
}

/// How many parts of a recording are heard by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Parts {
    /// Channels, if they are heard separately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Tracks, if all are heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracks: Option<usize>,
}

fn fields(all: [(&'static str, Option<usize>); 2]) -> impl Iterator<Item = (&'static str, usize)> {
    all.into_iter().filter_map(|(name, number)| Some((name, number?)))
}

// === impl Part ===

impl Part {
    /// All of it, or all that is heard.
    pub const WHOLE: Self = Self { channel: None, track: None };

    pub fn channel(number: usize) -> Self {
        Self { channel: Some(number), ..Self::WHOLE }
    }

    pub fn track(number: usize) -> Self {
        Self { track: Some(number), ..Self::WHOLE }
    }

    /// By name, what is there.
    pub fn fields(self) -> impl Iterator<Item = (&'static str, usize)> {
        fields([("channel", self.channel), ("track", self.track)])
    }

    /// What it is called, for people; nothing where there is but one.
    pub fn name(self) -> Option<String> {
        self.fields().next().map(|(kind, number)| format!("{kind} {number}"))
    }
}

// === impl Parts ===

impl Parts {
    /// Of so many parts, of which this is one.
    pub fn of(part: Part, count: usize) -> Self {
        Self { channels: part.channel.map(|_| count), tracks: part.track.map(|_| count) }
    }

    /// By name, what is there.
    pub fn fields(self) -> impl Iterator<Item = (&'static str, usize)> {
        fields([("channels", self.channels), ("tracks", self.tracks)])
    }

    /// Sounds that are heard, of one recording.
    pub fn count(self) -> usize {
        self.channels.or(self.tracks).unwrap_or(1)
    }
}
