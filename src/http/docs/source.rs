//! The pages as they are written, and the order in which `SUMMARY.md` names them.

/// What the reader can choose from, in the form of mdBook.
const SUMMARY: &str = include_str!("../../../docs/SUMMARY.md");

macro_rules! pages {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../../../docs/", $name, ".md")))),*] };
}

/// Name and Markdown.
pub(super) const PAGES: &[(&str, &str)] = &pages![
    "ADDING-A-FAMILY",
    "ARCHITECTURE",
    "AUDIO",
    "CONFIGURATION",
    "OPERATIONS",
    "PERFORMANCE",
    "TEXT",
    "apis",
    "assistant",
    "caching",
    "calls",
    "speakers",
    "chart",
    "clients",
    "cloud-run",
    "commands",
    "comparison",
    "compose",
    "decisions",
    "errors",
    "first-speech",
    "first-transcription",
    "gpu",
    "index",
    "install",
    "keys-and-tls",
    "kubernetes",
    "live",
    "load-modes",
    "long-recordings",
    "measuring",
    "metrics",
    "models",
    "monitoring",
    "platforms",
    "release",
    "runpod",
    "setup",
    "several-models",
    "sizing",
    "subtitles",
    "systemd",
    "testing",
    "troubleshooting",
    "upgrades",
    "vertex",
    "voices",
    "workers",
];

/// The page that the others begin with.
pub(super) const FIRST: &str = "index";

/// A line of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A heading over the pages that follow.
    Part(&'static str),
    Page {
        title: &'static str,
        name: &'static str,
    },
}

/// Whether there is a page of that name.
pub(super) fn has(name: &str) -> bool {
    PAGES.iter().any(|(known, _)| *known == name)
}

/// The lines of the summary, without its own heading.
pub(super) fn summary() -> impl Iterator<Item = Line> {
    SUMMARY.lines().skip(1).filter_map(line)
}

/// The pages in the order of the summary.
pub(super) fn in_order() -> impl Iterator<Item = (&'static str, &'static str)> {
    summary().filter_map(|line| match line {
        Line::Page { title, name } => Some((title, name)),
        Line::Part(_) => None,
    })
}

/// `# Part`, `- [Title](name.md)` or `[Title](name.md)`.
fn line(text: &'static str) -> Option<Line> {
    if let Some(part) = text.strip_prefix("# ") {
        return Some(Line::Part(part));
    }
    let (title, rest) = text.trim_start_matches("- ").strip_prefix('[')?.split_once("](")?;
    Some(Line::Page { title, name: rest.strip_suffix(".md)")? })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_summary_and_the_program_have_the_same_pages() {
        let named: BTreeSet<&str> = in_order().map(|(_, name)| name).collect();
        let inside: BTreeSet<&str> = PAGES.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, inside, "docs/SUMMARY.md (left) and PAGES (right) differ");
        assert!(has(FIRST));
    }
}
