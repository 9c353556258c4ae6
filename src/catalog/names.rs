//! Which model a name means.

use std::collections::{BTreeMap, BTreeSet};

use super::{CatalogError, Entry};
use crate::{model::Family, speech::TaskKind};

/// How like a known name an unknown one must be for us to suggest it, from 0 to 1. Below that a suggestion is noise.
const LIKE: f64 = 0.82;

/// Letters that somebody gets wrong in a name, at most.
const SLIPS: usize = 2;

/// What OpenAI calls its own Whisper.
const OPENAI_WHISPER: &str = "whisper-1";

/// What most clients ask for by their own: a model that hears, and one that speaks.
pub(super) const OPENAI: [&str; 2] = [OPENAI_WHISPER, "tts-1"];

/// What OpenAI calls its own models that write down what is said.
const OPENAI_TRANSCRIPTION: [&str; 4] =
    [OPENAI_WHISPER, "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize"];

/// What OpenAI calls its own models that speak.
const OPENAI_SPEECH: [&str; 3] = ["tts-1", "tts-1-hd", "gpt-4o-mini-tts"];

/// What OpenAI calls its own models that hear and speak.
const OPENAI_REALTIME: [&str; 2] = ["gpt-realtime", "gpt-realtime-mini"];

/// Whether OpenAI calls one of its own models for a task so. Clients have these names built in.
pub(super) fn is_openai(name: &str, task: TaskKind) -> bool {
    let name = key(name);
    let own: &[&str] = match task {
        TaskKind::Transcribe => &OPENAI_TRANSCRIPTION,
        TaskKind::Synthesize => &OPENAI_SPEECH,
        TaskKind::Convert => return false,
    };
    own.iter().chain(&OPENAI_REALTIME).any(|known| *known == name)
}

/// What every name means.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// In lower case, and the place of its entry.
    known: BTreeMap<String, usize>,
    /// Which know what other programs call their models.
    families: &'static [&'static dyn Family],
}

// === impl Names ===

impl Names {
    /// Names and aliases first, which must differ; then what follows from them, where it is not ambiguous.
    pub(super) fn new(
        families: &'static [&'static dyn Family],
        entries: &[Entry],
        faults: &mut Vec<CatalogError>,
    ) -> Self {
        let mut names = Self { known: BTreeMap::new(), families };
        for (place, entry) in entries.iter().enumerate() {
            let given = std::iter::once(entry.name.as_str()).chain(entry.aliases.iter().map(String::as_str));
            for name in given {
                names.give(name, place, entries, faults);
            }
        }
        names.derive(entries);
        names
    }

    /// The entry of that name, or the one that other programs have under it.
    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.known(name).or_else(|| self.twin(name))
    }

    /// The entry that is called so here.
    pub(super) fn known(&self, name: &str) -> Option<usize> {
        self.known.get(&key(name)).copied()
    }

    /// The entry of which other programs have a copy under this name.
    pub(super) fn twin(&self, name: &str) -> Option<usize> {
        self.families.iter().find_map(|family| self.known(family.twin(name)?))
    }

    /// The entry whose name is most like an unknown one.
    pub(super) fn nearest(&self, name: &str) -> Option<usize> {
        let asked = key(name);
        let likeness = |known: &String| strsim::jaro_winkler(&asked, known);
        let rated = self.known.iter().map(|(known, place)| (likeness(known), *place));
        rated.filter(|(likeness, _)| *likeness >= LIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, place)| place)
    }

    /// The entry whose whole name is that of this one but for a slip.
    pub(super) fn mistyped(&self, name: &str) -> Option<usize> {
        let asked = key(name);
        let whole = self.known.iter().filter(|(known, _)| known.contains('/'));
        let slips = whole.map(|(known, place)| (strsim::osa_distance(&asked, known), *place));
        slips.filter(|(slips, _)| *slips <= SLIPS).min_by_key(|(slips, _)| *slips).map(|(_, place)| place)
    }

    /// Gives each entry a name without `/`: an alias, the name without its organisation, or `organisation--name`.
    pub(super) fn slugs(&mut self, entries: &mut [Entry]) {
        for (place, entry) in entries.iter_mut().enumerate() {
            let own = |name: &&str| !name.contains('/') && self.get(name) == Some(place);
            let candidates = entry.aliases.iter().map(String::as_str).chain([entry.short()]);
            let slug = candidates.filter(own).map(str::to_owned).next();
            entry.slug = slug.unwrap_or_else(|| entry.name.as_str().replace('/', "--"));
            self.known.entry(key(&entry.slug)).or_insert(place);
        }
    }

    /// The default model also answers to the name that OpenAI's clients and examples have built in, unless the
    /// configuration gives that name away.
    pub(super) fn adopt(&mut self, default: usize) {
        self.known.entry(OPENAI_WHISPER.to_owned()).or_insert(default);
    }

    fn give(&mut self, name: &str, place: usize, entries: &[Entry], faults: &mut Vec<CatalogError>) {
        let owner = *self.known.entry(key(name)).or_insert(place);
        if owner != place {
            let (model, other) = (entries[place].name.to_string(), entries[owner].name.to_string());
            faults.push(CatalogError::Alias { model, alias: name.to_owned(), other });
        }
    }

    /// The name without its organisation, and with `--` for its `/`; the aliases with the organisation.
    fn derive(&mut self, entries: &[Entry]) {
        let mut derived: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            let organised = entry.organisation().into_iter().flat_map(|organisation| {
                let plain = entry.aliases.iter().filter(|alias| !alias.contains('/'));
                plain.map(move |alias| format!("{organisation}/{alias}"))
            });
            let in_one_segment = entry.name.as_str().replace('/', "--");
            for name in organised.chain([entry.short().to_owned(), in_one_segment]) {
                derived.entry(key(&name)).or_default().insert(place);
            }
        }
        for (name, places) in derived {
            if let (1, Some(place)) = (places.len(), places.first()) {
                self.known.entry(name).or_insert(*place);
            }
        }
    }
}

fn key(name: &str) -> String {
    name.trim().to_lowercase()
}
