//! From presets and configuration to entries. Every fault is collected, so that one look at the log suffices.

use std::sync::Arc;

use super::{
    CatalogError, Config, Entry, ModelConfig, Unknown, fallback,
    names::Names,
    parts::{ConfiguredParts, Parts, arrange, made_of, said, same, shown, whole},
};
use crate::{
    model::{Availability, Family, Location, ModelFiles, PlacementOverrides, Preset, Programs, WorkerChoice},
    speech::ModelName,
    store::{self, Source, SourceError},
};

/// What one name of the configuration means.
struct Wanted {
    name: String,
    /// Where the files come from, if the configuration says so; else empty.
    parts: Parts,
    /// Parts beside those.
    optional: Parts,
    /// After an `@`.
    revision: Option<String>,
}

/// Collects entries and faults.
pub(super) struct Builder {
    families: &'static [&'static dyn Family],
    pub entries: Vec<Entry>,
    /// By which configuration each entry was set, in the order of the configuration.
    configured: Vec<(usize, ModelConfig)>,
    /// Entries whose source or revision the configuration gives.
    placed: Vec<usize>,
    pub faults: Vec<CatalogError>,
}

// === impl Builder ===

impl Builder {
    /// With all presets of all families.
    pub(super) fn new(families: &'static [&'static dyn Family]) -> Self {
        let mut builder =
            Self { families, entries: Vec::new(), configured: Vec::new(), placed: Vec::new(), faults: Vec::new() };
        for family in families {
            for preset in family.presets() {
                builder.preset(*family, preset);
            }
        }
        builder
    }

    /// Applies one model of the configuration.
    pub(super) fn configure(&mut self, model: &ModelConfig) {
        let model = &self.by_twin(model);
        let said = match said(model, self.families) {
            Ok(said) => said,
            Err(faults) => return self.faults.extend(faults),
        };
        match Wanted::of(model, said).and_then(|wanted| self.place(model, wanted)) {
            Ok(place) => self.apply(place, model),
            Err(fault) => self.faults.push(fault),
        }
    }

    /// The place of the default model, and what follows from it.
    pub(super) fn finish(&mut self, config: &Config) -> (Names, usize) {
        (0..self.entries.len()).for_each(|place| self.arrange(place));
        self.describe(&config.programs);
        self.link_fallbacks();
        if config.only_configured == Some(true) && self.faults.is_empty() {
            self.keep_configured(config);
        }
        let mut names = Names::new(self.families, &self.entries, &mut self.faults);
        names.slugs(&mut self.entries);
        let default = self.default(config, &names).unwrap_or_else(|fault| {
            self.faults.push(fault);
            0
        });
        names.adopt(default);
        self.resolve_preload(default);
        if let Some(entry) = self.entries.get_mut(default) {
            entry.listed = true;
        }
        self.find_programs(&config.programs);
        (names, default)
    }

    /// Resolves the names of models that speak in the place of others. The configuration names those with it.
    fn link_fallbacks(&mut self) {
        let names = self.names();
        for (place, model) in std::mem::take(&mut self.configured) {
            if let Some(asked) = &model.fallback {
                match names.get(asked) {
                    Some(other) => {
                        self.entries[other].listed = true;
                        self.entries[place].fallback = Some(self.entries[other].name.clone());
                    }
                    None => {
                        let unknown = unknown(asked, &self.entries, &names);
                        self.faults.push(CatalogError::NoFallback { model: model.name.clone(), unknown });
                    }
                }
            }
            self.configured.push((place, model));
        }
        self.faults.extend(fallback::faults(&self.entries));
    }

    /// Has families say what they know of single models of the configuration, by their settings and their folders. Of a
    /// model that cannot be run the reason is kept; where its files are elsewhere, all this waits until they are here.
    fn describe(&mut self, programs: &Programs) {
        for entry in self.entries.iter_mut().filter(|entry| entry.listed) {
            let Some(files) = at_hand(entry) else { continue };
            let programs = Programs { worker: entry.overrides.worker.clone(), ..programs.clone() };
            let families = entry.family.as_ref().map_or(self.families, std::slice::from_ref);
            for family in families {
                match family.described(entry.name.as_str(), &files, &programs) {
                    Ok(Some(described)) => entry.family = Some(described),
                    Ok(None) => continue,
                    Err(error) => {
                        entry.family = Some(*family);
                        entry.availability = Availability::Unsupported(error.to_string().into());
                    }
                }
                break;
            }
        }
    }

    /// Looks for the programs that models run, and for what else they need of this machine. A model for which something is
    /// not there stays, and says so. Only those that the configuration names are asked about themselves: that takes
    /// milliseconds, which no other start is to pay for.
    fn find_programs(&mut self, programs: &Programs) {
        for entry in &mut self.entries {
            let Some(family) = entry.family else { continue };
            if let Err(error) = family.check_machine(programs, entry.listed) {
                entry.availability = Availability::Unsupported(error.to_string().into());
                continue;
            }
            let Some(program) = family.program() else { continue };
            let found = match entry.listed {
                true => programs.survey(program).map(|facts| Some(Arc::new(facts))),
                false => programs.find(program).map(|_| None),
            };
            match found {
                Ok(facts) => entry.program = facts,
                Err(error) => entry.availability = Availability::Unsupported(error.to_string().into()),
            }
        }
    }

    /// Leaves the models that the configuration names, the default one, and those inside this program.
    fn keep_configured(&mut self, config: &Config) {
        let default = self.default(config, &self.names()).ok();
        let stays = |(place, entry): (usize, &Entry)| entry.listed || Some(place) == default || entry.is_embedded();
        let stays: Vec<bool> = self.entries.iter().enumerate().map(stays).collect();
        let moved = |place: usize| stays[..place].iter().filter(|stays| **stays).count();
        self.configured.iter_mut().for_each(|(place, _)| *place = moved(*place));
        let mut each = stays.iter();
        self.entries.retain(|_| each.next() == Some(&true));
    }

    /// What each name means by now.
    fn names(&self) -> Names {
        Names::new(self.families, &self.entries, &mut Vec::new())
    }

    /// With the originals of what it names in a format of another program's.
    fn by_twin(&self, model: &ModelConfig) -> ModelConfig {
        let names = self.names();
        let twin = |name: &String| names.twin(name).map(|place| &self.entries[place]).filter(|twin| reads(model, twin));
        // What can be a name may be one of the configuration's own, and is looked for later.
        let by_name = Some(&model.name).filter(|name| !is_name(name.trim())).and_then(twin);
        let by_source = model.source.as_ref().and_then(twin);
        ModelConfig {
            name: by_name.map_or_else(|| model.name.clone(), |entry| entry.name.to_string()),
            source: by_source.map_or_else(|| model.source.clone(), |entry| Some(shown(&entry.parts))),
            ..model.clone()
        }
    }

    fn preset(&mut self, family: &'static dyn Family, preset: &Preset) {
        let mut parts = Vec::new();
        for (part, source) in preset.parts {
            match source.parse::<Source>() {
                Ok(source) => parts.push(((*part).to_owned(), source)),
                Err(source) => {
                    self.faults.push(CatalogError::Source { model: preset.name.to_owned(), source });
                }
            }
        }
        self.entries.push(Entry {
            aliases: preset.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            family: Some(family),
            availability: preset.availability.clone(),
            licence: Some(preset.licence),
            million_parameters: Some(preset.million_parameters),
            ..entry(preset.name, parts)
        });
    }

    /// The entry that a configuration means: a known one, or a new one.
    fn place(&mut self, model: &ModelConfig, wanted: Wanted) -> Result<usize, CatalogError> {
        let names = self.names();
        if let Some(place) = names.known(&wanted.name) {
            self.move_to(place, &wanted)?;
            return Ok(place);
        }
        let twin = names.twin(&wanted.name).filter(|place| !wanted.insists() && reads(model, &self.entries[*place]));
        if let Some(place) = twin {
            return Ok(place);
        }
        let nearest = names.nearest(&wanted.name).map(|place| self.entries[place].name.to_string());
        let no_source = || CatalogError::NoSource { model: model.name.clone(), nearest };
        // A program needs no files of a model.
        let alone = wanted.parts.is_empty() && !model.overrides.worker.command.is_empty();
        let parts = if alone { Vec::new() } else { wanted.implied(&model.name)?.ok_or_else(no_source)? };
        if let Some(place) = self.of_parts(&parts).filter(|_| model.overrides.worker == WorkerChoice::default()) {
            self.entries[place].aliases.push(wanted.name);
            return Ok(place);
        }
        if wanted.insists() {
            self.placed.push(self.entries.len());
        }
        let almost = names.mistyped(&wanted.name).filter(|_| wanted.parts.is_empty());
        let almost = almost.map(|place| self.entries[place].name.clone());
        self.entries.push(Entry { almost, ..entry(&wanted.name, parts) });
        Ok(self.entries.len() - 1)
    }

    /// Lets a known entry come from where the configuration says.
    fn move_to(&mut self, place: usize, wanted: &Wanted) -> Result<(), CatalogError> {
        if !wanted.insists() {
            return Ok(());
        }
        let known = &self.entries[place].parts;
        let parts = wanted.with(if wanted.parts.is_empty() { known } else { &wanted.parts })?;
        if self.placed.contains(&place) && !same(known, &parts) {
            return Err(twice(&wanted.name, known, &parts));
        }
        let entry = &mut self.entries[place];
        let elsewhere = !wanted.parts.is_empty() && !same(&entry.parts, &parts);
        entry.parts = parts;
        // What comes from elsewhere is called as the configuration calls it; its other names mean it as well.
        if elsewhere && !entry.name.as_str().eq_ignore_ascii_case(&wanted.name) {
            entry.aliases.retain(|alias| *alias != wanted.name);
            let before = std::mem::replace(&mut entry.name, ModelName::known(&wanted.name));
            entry.aliases.push(before.to_string());
        }
        self.placed.push(place);
        Ok(())
    }

    /// Several names for the same sources are one entry, so that a model is never loaded twice.
    fn of_parts(&self, parts: &Parts) -> Option<usize> {
        self.entries.iter().position(|entry| same(&entry.parts, parts))
    }

    /// Puts the parts of an entry into the order of the layout that they make. Where the family is not known yet, any
    /// layout will do until the model's own configuration says which it is.
    fn arrange(&mut self, place: usize) {
        let entry = &mut self.entries[place];
        let families = entry.family.as_ref().map_or(self.families, std::slice::from_ref);
        if !arrange(&mut entry.parts, families) {
            let parts = entry.parts.iter().map(|(part, _)| part.clone()).collect();
            self.faults.push(CatalogError::Layout { model: entry.name.to_string(), parts, made_of: made_of(families) });
        }
    }

    fn apply(&mut self, place: usize, model: &ModelConfig) {
        if let Some(family) = &model.family {
            match self.families.iter().find(|known| known.name() == family) {
                Some(known) => self.entries[place].family = Some(*known),
                None => self.unknown_family(model, family),
            }
        }
        let entry = &mut self.entries[place];
        if let Availability::Unsupported(reason) = &entry.availability {
            let (model, reason) = (entry.name.to_string(), reason.to_string());
            self.faults.push(CatalogError::Unsupported { model, reason });
        }
        for alias in &model.aliases {
            if !entry.aliases.contains(alias) && entry.name.as_str() != alias {
                entry.aliases.push(alias.clone());
            }
        }
        entry.listed = true;
        entry.pinned |= model.pinned;
        entry.idle_ttl = model.idle_ttl.or(entry.idle_ttl);
        entry.cache_dir = model.cache_dir.clone().or(entry.cache_dir.take());
        entry.overrides.overlay(&model.overrides);
        self.configured.push((place, model.clone()));
    }

    fn unknown_family(&mut self, model: &ModelConfig, family: &str) {
        let known = self.families.iter().map(|known| known.name().to_owned()).collect();
        self.faults.push(CatalogError::Family { model: model.name.clone(), family: family.to_owned(), known });
    }

    /// The one that is named, else the first of the configuration, else the one inside this program.
    fn default(&self, config: &Config, names: &Names) -> Result<usize, CatalogError> {
        if let Some(asked) = &config.default {
            // Refused as a model, which has been said.
            let said = !self.faults.is_empty() && config.models.iter().any(|model| model.name == *asked);
            if said && names.get(asked).is_none() {
                return Ok(0);
            }
            return names.get(asked).ok_or_else(|| CatalogError::Default(unknown(asked, &self.entries, names)));
        }
        let first = self.configured.first().map(|(place, _)| *place);
        let inside = || self.entries.iter().position(Entry::is_embedded);
        match first.or_else(inside) {
            Some(place) => Ok(place),
            // Something was configured and refused, which has been said.
            None if !config.models.is_empty() => Ok(0),
            None => Err(CatalogError::NoDefault),
        }
    }

    /// Those that say so; if none does, the default, unless it says no.
    fn resolve_preload(&mut self, default: usize) {
        let said =
            |place: usize, what: bool| self.configured.iter().any(|(p, m)| *p == place && m.preload == Some(what));
        let any = self.configured.iter().any(|(_, model)| model.preload == Some(true));
        let preload: Vec<bool> = (0..self.entries.len())
            .map(|place| if any { said(place, true) } else { place == default && !said(place, false) })
            .collect();
        for (entry, preload) in self.entries.iter_mut().zip(preload) {
            entry.preload = preload;
        }
    }
}

/// Whether a model of the configuration is to be read as a known one is: a program of its own may read other formats.
fn reads(model: &ModelConfig, known: &Entry) -> bool {
    let by_family = model.family.as_ref().is_none_or(|family| known.family.is_some_and(|own| own.name() == family));
    by_family && model.overrides.worker == WorkerChoice::default()
}

/// The files of a model that is in a folder of this machine, or that has none; `None`: they are elsewhere.
fn at_hand(entry: &Entry) -> Option<ModelFiles> {
    let mut files = ModelFiles::default();
    for (part, source) in &entry.parts {
        let Source::Folder(folder) = source else { return None };
        // A folder that cannot be read is told when the model is asked for.
        for file in store::files_of(folder).ok()? {
            let path = folder.join(&file);
            files.insert(part, &file, Location::Disk(path));
        }
    }
    Some(files)
}

/// The answer to a name that nobody has.
pub(super) fn unknown(asked: &str, entries: &[Entry], names: &Names) -> Unknown {
    let name = |entry: &Entry| entry.name.to_string();
    let nearest = names.nearest(asked).map(|place| name(&entries[place]));
    let (listed, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.listed);
    let known = listed.into_iter().chain(others).map(name).collect();
    Unknown { asked: asked.to_owned(), nearest, known }
}

/// An entry that nothing is known of but its name and where it comes from.
fn entry(name: &str, parts: Vec<(String, Source)>) -> Entry {
    Entry {
        name: ModelName::known(name),
        aliases: Vec::new(),
        slug: String::new(),
        family: None,
        parts,
        availability: Availability::Available,
        program: None,
        licence: None,
        million_parameters: None,
        listed: false,
        preload: false,
        pinned: false,
        idle_ttl: None,
        cache_dir: None,
        almost: None,
        fallback: None,
        overrides: PlacementOverrides::default(),
    }
}

// === impl Wanted ===

impl Wanted {
    /// `acme/my-whisper`, `acme/my-whisper@v2`, `/models/x`, `./x`, `file:/models/x`, `hf://acme/x`, `embedded:x`, or
    /// any other name with sources beside it.
    fn of(
        model: &ModelConfig,
        ConfiguredParts { parts: said, optional }: ConfiguredParts,
    ) -> Result<Self, CatalogError> {
        let text = model.name.trim();
        let itself = if is_source(text) { Some(parsed(&model.name, text.parse())?) } else { folder(text) };
        let wanted = match itself {
            Some(itself) => Self { name: name_of(&itself), parts: whole(itself), optional, revision: None },
            None => {
                let (name, revision) = text.split_once('@').map_or((text, None), |(name, at)| (name, Some(at)));
                let revision = revision.map(str::to_owned);
                Self { name: name.to_owned(), parts: said.clone(), optional, revision }
            }
        };
        if !said.is_empty() && !same(&said, &wanted.parts) {
            return Err(twice(&model.name, &said, &wanted.parts));
        }
        if is_name(&wanted.name) { Ok(wanted) } else { Err(CatalogError::Name { model: model.name.clone() }) }
    }

    /// Where the files of a name that no preset has come from: where it says, or the hub if it looks like a repository.
    fn implied(&self, model: &str) -> Result<Option<Parts>, CatalogError> {
        match self.parts.is_empty() {
            false => self.with(&self.parts).map(Some),
            true if self.name.contains('/') => {
                let itself = parsed(model, Source::hub(&self.name, self.revision.as_deref()));
                itself.map(|itself| Some([whole(itself), self.optional.clone()].concat()))
            }
            true => Ok(None),
        }
    }

    /// Whether it says where the files come from.
    fn insists(&self) -> bool {
        !self.parts.is_empty() || !self.optional.is_empty() || self.revision.is_some()
    }

    /// These parts at its revision, and its optional ones.
    fn with(&self, parts: &Parts) -> Result<Parts, CatalogError> {
        let optional = |part: &str| self.optional.iter().any(|(optional, _)| optional == part);
        let others = parts.iter().filter(|(part, _)| !optional(part)).cloned().collect();
        Ok([self.at(&others)?, self.optional.clone()].concat())
    }

    fn at(&self, parts: &Parts) -> Result<Parts, CatalogError> {
        match (&self.revision, parts.as_slice()) {
            (None, _) => Ok(parts.clone()),
            (Some(revision), [(part, source)]) => Ok(vec![(part.clone(), parsed(&self.name, source.at(revision))?)]),
            (Some(_), _) => Err(CatalogError::Revision { model: self.name.clone(), sources: shown(parts) }),
        }
    }
}

fn parsed(model: &str, source: Result<Source, SourceError>) -> Result<Source, CatalogError> {
    source.map_err(|source| CatalogError::Source { model: model.to_owned(), source })
}

fn twice(model: &str, first: &Parts, second: &Parts) -> CatalogError {
    let (first, second) = (shown(first), shown(second));
    CatalogError::Twice { model: model.to_owned(), what: "the sources", first, second }
}

fn is_source(text: &str) -> bool {
    text.contains("://") || text.starts_with("embedded:") || text.starts_with("file:")
}

fn folder(text: &str) -> Option<Source> {
    let path = text.starts_with('/') || text.starts_with("./") || text.starts_with("../") || text == ".";
    path.then(|| Source::Folder(text.into()))
}

/// What a source without a name is called.
fn name_of(source: &Source) -> String {
    match source {
        Source::Embedded(name) => name.clone(),
        Source::Hub { repo, .. } => repo.clone(),
        Source::Bucket(address) => address.key.rsplit('/').next().unwrap_or(&address.bucket).to_owned(),
        Source::File(link) => link.stem(),
        Source::Folder(folder) => {
            folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let component = |part: &str| !part.is_empty() && part.chars().all(plain) && part != "." && part != "..";
    name.split('/').count() <= 2 && name.split('/').all(component)
}
