//! What is wrong with a configuration, all of it at once.

use std::{fmt, path::PathBuf};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// A line of the configuration file, from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line, without its dashes.
    Flag(&'static str),
    /// The file that a tool of the hub keeps its token in.
    TokenFile(PathBuf),
}

/// One thing that is wrong. Its text says where, what, and what would be right; it never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct Fault {
    pub origin: Origin,
    pub problem: String,
}

/// Everything that is wrong: names that do not exist first, then values.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::TokenFile(path) => write!(f, "{}", path.display()),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// `value` is what was written, or `None` where it must not be shown.
    pub(super) fn value(origin: &Origin, name: &str, value: Option<&str>, expected: &str) -> Self {
        let value = value.unwrap_or("***");
        Self { origin: origin.clone(), problem: format!("{name} = {value:?} is not right; expected {expected}") }
    }

    /// The value of an unknown name is never shown: it may be a misspelt secret.
    pub(super) fn unknown(origin: Origin, name: &str, known: impl IntoIterator<Item = String>) -> Self {
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean {near}?"),
            None => "docs/CONFIGURATION.md lists them".to_owned(),
        };
        Self { origin, problem: format!("there is no setting {name}; {hint}") }
    }
}

// === impl Faults ===

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a fault:")?,
            count => write!(f, "the configuration has {count} faults:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// The known name that the given one most looks like, as a whole or by its last part, if any does.
fn nearest(name: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    /// Of 1, from where on a likeness is worth telling: `sever` is like `server` by 0.83, `prot` like `port` by 0.75.
    const ALIKE: f64 = 0.7;
    let likeness = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(name, known);
        let last = strsim::normalized_damerau_levenshtein(last_part(name), last_part(known));
        whole.max(last * 0.95)
    };
    known
        .into_iter()
        .map(|known| (likeness(&known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        // Of equals the first: `port` alone is more often meant for the server than for what it has beside.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, known)| known)
}

fn last_part(name: &str) -> &str {
    name.rsplit("__").next().and_then(|name| name.rsplit('.').next()).unwrap_or(name)
}
