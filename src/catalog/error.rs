//! What can be wrong with names: in the configuration, and in a request.

use crate::{
    speech::{Fault, Kind, TaskKind},
    store::SourceError,
};

/// A fault of the configuration of models.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CatalogError {
    #[error("model {model:?}: its source is wrong: {source}")]
    Source { model: String, source: SourceError },
    #[error("model {model:?}: the source of its part {part} is wrong: {source}")]
    PartSource { model: String, part: String, source: SourceError },
    #[error(
        "model {model:?} has a source, and parts with sources of their own ({}); keep one of the two (MODEL_ID and \
         AIP_STORAGE_URI may say a source as well)",
        .parts.join(", ")
    )]
    SourceAndParts { model: String, parts: Vec<String> },
    #[error(
        "model {model:?} cannot be put together of {}: {made_of}, each with a source under [models.<name>.parts] \
         (`source` alone is that of the part model)",
        .parts.join(" and ")
    )]
    Layout { model: String, parts: Vec<String>, made_of: String },
    #[error(
        "model {model:?}: there is no preset of that name{}; name a repository like organisation/name, or give a source",
        meant(.nearest)
    )]
    NoSource { model: String, nearest: Option<String> },
    #[error("model {model:?}: there is no family {family:?}; this build has {}", .known.join(", "))]
    Family { model: String, family: String, known: Vec<String> },
    #[error("model {model:?} cannot be served by this build: {reason}")]
    Unsupported { model: String, reason: String },
    #[error("model {model:?}: its fallback is unknown: {unknown}")]
    NoFallback { model: String, unknown: Unknown },
    #[error(
        "model {model:?}: its fallback {fallback} cannot speak; a model that does {} would be right",
        TaskKind::Synthesize
    )]
    MuteFallback { model: String, fallback: String },
    #[error("model {model:?} does not speak, so nothing can speak in its place; leave fallback out")]
    NothingToFallBack { model: String },
    #[error("model {model:?}: its fallback leads back to it ({}); let the last of them have none", .chain.join(" → "))]
    FallbackCircle { model: String, chain: Vec<String> },
    #[error(
        "model {model:?}: its files come from several sources ({sources}), so it has no one revision; write each of \
         them after its source"
    )]
    Revision { model: String, sources: String },
    #[error("model {model:?} is configured twice, with {what} {first} and {second}; keep one")]
    Twice { model: String, what: &'static str, first: String, second: String },
    #[error("model {model:?}: {alias:?} already names {other}; choose another alias")]
    Alias { model: String, alias: String, other: String },
    #[error("model {model:?} has a name that cannot stand in an address; {NAME_RULE}, as [models.<name>]")]
    Name { model: String },
    #[error("the default model is unknown: {0}")]
    Default(Unknown),
    #[error(
        "no model is configured and this program has none inside; set MODEL_ID, for example to openai/whisper-tiny"
    )]
    NoDefault,
}

/// What a name may consist of.
pub(super) const NAME_RULE: &str = "name it in letters, digits, '-', '_', '.' and at most one '/'";

/// No model has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {asked:?}; {}", instead(.nearest, .known))]
pub struct Unknown {
    pub asked: String,
    /// The canonical name of the model that was probably meant.
    pub nearest: Option<String>,
    /// Canonical names, those that the configuration names first.
    pub known: Vec<String>,
}

// === impl Unknown ===

impl Fault for Unknown {
    fn kind(&self) -> Kind {
        Kind::NotFound
    }

    fn param(&self) -> Option<&str> {
        Some("model")
    }
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

/// Names that a sentence has room for.
const FEW: usize = 5;

/// The name that was probably meant; where there is none, the first that there are.
fn instead(nearest: &Option<String>, known: &[String]) -> String {
    if let Some(name) = nearest {
        return format!("did you mean {name:?}?");
    }
    let few = known[..known.len().min(FEW)].join(", ");
    match known.len().saturating_sub(FEW) {
        0 => format!("there are: {few}"),
        more => format!("there are: {few}, and {more} more that /v1/models and `sconce models` list"),
    }
}
