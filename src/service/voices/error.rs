//! What can be wrong with a voice.

use std::io;

use super::length::{LONGEST, LONGEST_NOTE, SHORTEST};
use crate::{
    audio::DecodeError,
    speech::{Fault, Kind},
};

/// How alike a name has to be to one that there is, to be what was meant: 1 is the same. Names of voices are short.
const LIKE: f64 = 0.7;

/// Names that a message has room for.
const FEW: usize = 20;

/// Why a voice cannot be had, added or removed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum VoiceError {
    #[error("no folder for voices is configured here; `voices.dir` names one")]
    NoFolder,
    #[error("{asked:?} is no name for a voice; 1 to 64 letters, digits, '-' and '_' would be right")]
    Name { asked: String },
    #[error("there is no voice {asked:?}{}; {}", did_you_mean(asked, known), there_are(.known))]
    Unknown { asked: String, known: Vec<String> },
    #[error("there is a voice {name:?} already; remove it first, or choose another name")]
    Exists { name: String },
    #[error("{0}")]
    Sample(#[from] DecodeError),
    #[error(
        "the recording is {seconds:.2} s long; {} to {} s tell a voice", SHORTEST.as_secs(), LONGEST.as_secs()
    )]
    TooShort { seconds: f64 },
    #[error("the {what} has more than {LONGEST_NOTE} bytes")]
    Note { what: &'static str },
    #[error("the recording is silent")]
    Silent,
    #[error("there is no such recording in the folder of voices; GET /v1/audio/voices lists what there is")]
    Outside,
    #[error("the folder of voices cannot be used: {0}")]
    Folder(io::ErrorKind),
    #[error("the voice could not be looked at")]
    Broken,
}

/// The most like of those that there are, if any is.
fn did_you_mean(asked: &str, known: &[String]) -> String {
    let asked = asked.to_lowercase();
    let rated = known.iter().map(|name| (strsim::jaro_winkler(&asked, &name.to_lowercase()), name));
    let nearest = rated.filter(|(likeness, _)| *likeness >= LIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(String::new, |(_, name)| format!(" (did you mean {name}?)"))
}

fn there_are(known: &[String]) -> String {
    match known {
        [] => "there are none here".to_owned(),
        [only] => format!("there is {only}"),
        known => {
            let few = known[..known.len().min(FEW)].join(", ");
            match known.len().saturating_sub(FEW) {
                0 => format!("there are: {few}"),
                more => format!("there are: {few}, and {more} more that GET /v1/audio/voices and `sconce voices` list"),
            }
        }
    }
}

// === impl VoiceError ===

impl From<io::Error> for VoiceError {
    fn from(error: io::Error) -> Self {
        Self::Folder(error.kind())
    }
}

impl Fault for VoiceError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoFolder => Kind::Forbidden,
            Self::Name { .. } | Self::Exists { .. } | Self::Sample(_) | Self::TooShort { .. } | Self::Silent => {
                Kind::Invalid
            }
            Self::Unknown { .. } => Kind::NotFound,
            Self::Note { .. } => Kind::TooLarge,
            Self::Outside => Kind::Invalid,
            Self::Folder(_) => Kind::Unavailable,
            Self::Broken => Kind::Internal,
        }
    }

    /// A folder that cannot be written waits for somebody to change something.
    fn permanent(&self) -> bool {
        true
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Name { .. } | Self::Unknown { .. } | Self::Exists { .. } => Some("name"),
            Self::Sample(_) | Self::TooShort { .. } | Self::Silent => Some("audio_sample"),
            Self::Note { what } => Some(what),
            Self::Outside => Some("audio_prompt_path"),
            Self::NoFolder | Self::Folder(_) | Self::Broken => None,
        }
    }
}
