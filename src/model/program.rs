//! Programs of other projects, which the models of some families run as processes of their own.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ProgramChoice, WorkerChoice, WorkerRules};
use crate::speech::{Fault, Kind};

/// What such a program is called, how one gets it, and how it is asked about itself.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// As it stands on the path.
    pub command: &'static str,
    /// The setting that says where it is.
    pub setting: &'static str,
    /// What brings it to Debian and its like.
    pub install: &'static str,
    /// Has the program at a path tell what there is to know of it.
    pub survey: fn(&Path) -> Result<ProgramFacts, NoProgram>,
}

/// Where programs are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// The folders of the path, in order.
    pub path: Vec<PathBuf>,
    /// By command, and by the name of a library; of others [`ProgramChoice::Auto`] holds.
    pub choices: BTreeMap<&'static str, ProgramChoice>,
    /// What holds for models that are programs themselves.
    pub workers: WorkerRules,
    /// What the configuration says of the model in question, where it is one of those.
    pub worker: WorkerChoice,
}

/// What a program says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramFacts {
    pub path: PathBuf,
    pub command: &'static str,
    pub version: String,
    /// Those that it has, the usual one first.
    pub voices: Vec<ProgramVoice>,
    /// Manners in which each of its voices can be had, as `voice+variant`.
    pub variants: Vec<String>,
    /// Hertz.
    pub sample_rate: u32,
}

/// A voice of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramVoice {
    /// As requests name it.
    pub name: String,
    /// As the program itself does; requests may as well.
    pub identifier: String,
    /// What people call it; requests may as well.
    pub label: String,
    /// BCP 47 tags of what it speaks.
    pub tags: Vec<Cow<'static, str>>,
    /// Its rank among those that speak each of them: the lowest is the usual one.
    pub ranks: Vec<u32>,
}

/// Why a program cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProgram {
    #[error(
        "it needs the program {command}, which is not on this machine; `{install}` brings it to Debian and Ubuntu, \
         and {setting} may say where it is"
    )]
    Missing { command: &'static str, setting: &'static str, install: &'static str },
    #[error("it needs the program {command}, which {setting} = \"off\" forbids")]
    Off { command: &'static str, setting: &'static str },
    #[error("{setting} names no program that can be run; the path of {command}, auto or off would be right")]
    NotThere { command: &'static str, setting: &'static str },
    #[error("the program {command} is here and {reason}")]
    Faulty { command: &'static str, reason: String },
    /// It is no program that is missing, but what its models are computed by.
    #[error("it needs the library {library}: {reason}")]
    Library { library: &'static str, reason: String },
}

// === impl Programs ===

impl Programs {
    /// Looks at the disk.
    pub fn find(&self, program: &Program) -> Result<PathBuf, NoProgram> {
        let &Program { command, setting, install, .. } = program;
        match self.choices.get(command).unwrap_or(&ProgramChoice::Auto) {
            ProgramChoice::Off => Err(NoProgram::Off { command, setting }),
            ProgramChoice::At(path) if can_be_run(path) => Ok(path.clone()),
            ProgramChoice::At(_) => Err(NoProgram::NotThere { command, setting }),
            ProgramChoice::Auto => {
                let found = self.path.iter().map(|folder| folder.join(command)).find(|path| can_be_run(path));
                found.ok_or(NoProgram::Missing { command, setting, install })
            }
        }
    }

    /// Finds a program, runs it, and has it tell what there is to know of it.
    pub fn survey(&self, program: &Program) -> Result<ProgramFacts, NoProgram> {
        (program.survey)(&self.find(program)?)
    }
}

/// Whether it is a file, and somebody may execute it.
pub fn can_be_run(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

// === impl ProgramFacts ===

/// For a table: `espeak-ng 1.51`.
impl fmt::Display for ProgramFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.command, self.version)
    }
}

impl ProgramFacts {
    /// The voice that a name means, by whatever it is called, and the variant after a `+`.
    pub fn voice(&self, asked: &str) -> Option<(&ProgramVoice, Option<&str>)> {
        let (name, variant) = match asked.split_once('+') {
            Some((name, variant)) => (name, Some(self.variants.iter().find(|known| *known == variant)?.as_str())),
            None => (asked, None),
        };
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let called = |of: fn(&ProgramVoice) -> &str| self.voices.iter().find(|voice| is(of(voice)));
        let voice = called(|voice| &voice.name).or_else(|| called(|voice| &voice.identifier));
        Some((voice.or_else(|| called(|voice| &voice.label))?, variant))
    }

    /// The usual voice of a language, which is written as a BCP 47 tag: of the whole tag, else of as much of its
    /// beginning as is known.
    pub fn speaker_of(&self, language: &str) -> Option<&ProgramVoice> {
        let mut tag = language.to_ascii_lowercase().replace('_', "-");
        loop {
            let able = self.voices.iter().filter_map(|voice| Some((voice.rank(&tag)?, voice)));
            if let Some((_, voice)) = able.min_by_key(|(rank, _)| *rank) {
                return Some(voice);
            }
            tag.truncate(tag.rfind('-')?);
        }
    }
}

// === impl ProgramVoice ===

impl ProgramVoice {
    /// Among those that speak a language, by its tag; `None`: it does not.
    fn rank(&self, tag: &str) -> Option<u32> {
        let ranked = self.tags.iter().zip(&self.ranks);
        ranked.filter(|(known, _)| *known == tag).map(|(_, rank)| *rank).min()
    }
}

// === impl NoProgram ===

impl Fault for NoProgram {
    fn kind(&self) -> Kind {
        Kind::Unsupported
    }

    /// It may be installed, or answer, the next time.
    fn permanent(&self) -> bool {
        false
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        command: "sh",
        setting: "speech.sh",
        install: "apt-get install dash",
        survey: |_| Err(NoProgram::Faulty { command: "sh", reason: "says nothing".to_owned() }),
    };

    #[test]
    fn a_program_is_found_on_the_path_or_where_it_is_said_to_be() {
        let path = ["/nowhere", "/bin"].map(PathBuf::from).to_vec();
        let with =
            |choice| Programs { path: path.clone(), choices: BTreeMap::from([("sh", choice)]), ..Programs::default() };
        assert_eq!(with(ProgramChoice::Auto).find(&PROGRAM), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(with(ProgramChoice::At("/bin/cat".into())).find(&PROGRAM), Ok(PathBuf::from("/bin/cat")));
        let refused = |programs: Programs| programs.find(&PROGRAM).unwrap_err().to_string();
        assert!(refused(with(ProgramChoice::Off)).contains("speech.sh = \"off\""));
        assert!(refused(Programs::default()).contains("`apt-get install dash`"));
        let silent = with(ProgramChoice::Auto).survey(&PROGRAM).unwrap_err();
        assert_eq!(silent.to_string(), "the program sh is here and says nothing");
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        std::fs::write(&text, "no program").unwrap();
        for wrong in [text, folder.path().to_owned(), "/nowhere/sh".into()] {
            let message = refused(with(ProgramChoice::At(wrong)));
            assert!(message.starts_with("speech.sh names no program"), "{message}");
        }
    }

    fn voice(name: &str, identifier: &str, languages: &[(&str, u32)]) -> ProgramVoice {
        let tags = languages.iter().map(|(tag, _)| (*tag).to_owned().into()).collect();
        let ranks = languages.iter().map(|(_, rank)| *rank).collect();
        let (name, label) = (name.to_owned(), name.to_uppercase());
        ProgramVoice { name, identifier: identifier.to_owned(), label, tags, ranks }
    }

    fn facts() -> ProgramFacts {
        let voices = vec![
            voice("en-us", "gmw/en-US", &[("en-us", 2), ("en", 3)]),
            voice("en-gb", "gmw/en", &[("en-gb", 2), ("en", 2)]),
            voice("pt-br", "roa/pt-BR", &[("pt-br", 5), ("pt", 6)]),
        ];
        let variants = vec!["f3".to_owned()];
        let (path, version) = (PathBuf::from("/bin/sh"), "1".to_owned());
        ProgramFacts { path, command: "sh", version, voices, variants, sample_rate: 22_050 }
    }

    #[test]
    fn a_voice_is_known_by_its_names_and_in_its_variants() {
        let facts = facts();
        let found = |asked| facts.voice(asked).map(|(voice, variant)| (voice.name.as_str(), variant));
        for asked in ["en-us", "EN-US", "gmw/en-US"] {
            assert_eq!(found(asked), Some(("en-us", None)));
        }
        assert_eq!(found("EN-GB+f3"), Some(("en-gb", Some("f3"))));
        for unknown in ["", "en", "en-us+f4", "en-us+", "+f3", "klingon"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_language_has_a_usual_voice() {
        let facts = facts();
        let of = |tag| facts.speaker_of(tag).map(|voice| voice.name.as_str());
        let cases = [("en", "en-gb"), ("en_US", "en-us"), ("en-AU", "en-gb"), ("pt", "pt-br"), ("pt-PT", "pt-br")];
        for (tag, name) in cases {
            assert_eq!(of(tag), Some(name), "{tag}");
        }
        assert_eq!((of("tlh"), of("")), (None, None));
    }
}
