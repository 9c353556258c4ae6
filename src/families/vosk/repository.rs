//! Which files a model has, where they stand, and what can be told of them before the library reads them.
//!
//! Alpha Cephei lays models out in two ways, and the library tells them apart by `am/final.mdl`. What it needs and does not
//! find, or finds to be something else, it tells to the error output of the process and to nobody else, so that it is looked at
//! here.

use std::path::{Path, PathBuf};

use super::graph;
use crate::model::{LoadError, Location, ModelFiles};

/// The one part.
pub const PART: &str = "model";
/// The acoustic model, by whose name alone a model is of this kind.
pub const ACOUSTIC: &str = "am/final.mdl";

/// Hertz where a model does not say it: Kaldi's own default.
const USUAL_RATE: u32 = 16_000;
const RATES: std::ops::RangeInclusive<u32> = 8000..=48_000;
/// What Kaldi's objects begin with, in binary and as a text.
const TRANSITIONS: [&[u8]; 2] = [b"\0B<TransitionModel>", b"<TransitionModel>"];
/// Which frames the estimate of a speaker looks at, where there is one.
const SPLICE: &str = "ivector/splice.conf";
/// What the spliced features go through: a matrix of Kaldi, in binary.
const TRANSFORM: &str = "ivector/final.mat";
const MATRICES: [&[u8]; 2] = [b"\0BFM ", b"\0BDM "];
/// Where a configuration does not say it: Kaldi's own defaults.
const USUAL_CEPS: i64 = 13;
const USUAL_CONTEXT: i64 = 4;
/// Bytes of a configuration.
const LONGEST_CONFIG: usize = 64 << 10;

/// Names of files in one of the layouts.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    acoustic: &'static str,
    /// Options of the decoder, which the library has itself for the old layout.
    decoder: Option<&'static str>,
    features: &'static str,
    /// All in one.
    graph: &'static str,
    /// In two, the second of which a grammar may take the place of.
    lexicon: &'static str,
    grammar: &'static str,
    disambiguation: &'static str,
}

const NEW: Layout = Layout {
    acoustic: ACOUSTIC,
    decoder: Some("conf/model.conf"),
    features: "conf/mfcc.conf",
    graph: "graph/HCLG.fst",
    lexicon: "graph/HCLr.fst",
    grammar: "graph/Gr.fst",
    disambiguation: "graph/disambig_tid.int",
};
const OLD: Layout = Layout {
    acoustic: "final.mdl",
    decoder: None,
    features: "mfcc.conf",
    graph: "HCLG.fst",
    lexicon: "HCLr.fst",
    grammar: "Gr.fst",
    disambiguation: "disambig_tid.int",
};

/// Whether these are a model.
pub fn recognises(listing: &[String]) -> bool {
    layout(listing).is_some_and(|layout| layout.missing(listing).is_none())
}

/// All of a model: the library takes what it finds.
pub fn files(listing: &[String]) -> Result<Vec<String>, LoadError> {
    let missing = layout(listing).map_or(Some(ACOUSTIC), |layout| layout.missing(listing));
    match missing {
        Some(file) => Err(LoadError::Missing(file.to_owned())),
        None => Ok(listing.iter().filter(|file| belongs(file)).cloned().collect()),
    }
}

/// What is no page, and nothing hidden.
fn belongs(file: &str) -> bool {
    let hidden = file.split('/').any(|part| part.starts_with('.'));
    !hidden && !file.ends_with(".md") && !file.ends_with("README")
}

fn layout(listing: &[String]) -> Option<&'static Layout> {
    [&NEW, &OLD].into_iter().find(|layout| listing.iter().any(|file| file == layout.acoustic))
}

// === impl Layout ===

impl Layout {
    /// Of files that are here.
    pub fn of(files: &ModelFiles) -> Result<&'static Self, LoadError> {
        let listing: Vec<String> = files.names(PART).map(str::to_owned).collect();
        let layout = layout(&listing).ok_or_else(|| LoadError::Missing(ACOUSTIC.to_owned()))?;
        layout.missing(&listing).map_or(Ok(layout), |file| Err(LoadError::Missing(file.to_owned())))
    }

    fn missing(&self, listing: &[String]) -> Option<&'static str> {
        let has = |file: &str| listing.iter().any(|known| known == file);
        let in_two = [self.lexicon, self.grammar, self.disambiguation];
        let graph: &[&'static str] = match has(self.lexicon) || has(self.grammar) {
            true if !has(self.graph) => &in_two,
            _ => &[self.graph],
        };
        let needed = [Some(self.features), self.decoder].into_iter().flatten().chain(graph.iter().copied());
        needed.into_iter().find(|file| !has(file))
    }

    /// Whether another grammar can take the place of its own.
    pub fn takes_grammars(&self, files: &ModelFiles) -> bool {
        !files.has(PART, self.graph)
    }

    /// Hertz that it hears at.
    pub fn rate(&self, files: &ModelFiles) -> Result<u32, LoadError> {
        let text = options(files, self.features)?;
        let Some(said) = text.iter().find_map(|(name, value)| (name == "sample-frequency").then_some(value)) else {
            return Ok(USUAL_RATE);
        };
        let rate = said.parse::<f32>().ok().filter(|rate| (*RATES.start() as f32..=*RATES.end() as f32).contains(rate));
        rate.map(|rate| rate as u32).ok_or_else(|| {
            let (low, high) = (RATES.start(), RATES.end());
            malformed(self.features, format!("sample-frequency is {said}; {low} to {high} would be right"))
        })
    }

    /// Refuses what the library would refuse without a word, or would not end with.
    pub fn check(&self, files: &ModelFiles) -> Result<(), LoadError> {
        self.rate(files)?;
        // Without options that fit the networks it searches without end, or ends the process.
        for file in self.decoder.into_iter().chain([SPLICE].into_iter().filter(|file| files.has(PART, file))) {
            options(files, file)?;
        }
        if files.has(PART, SPLICE) && files.has(PART, TRANSFORM) {
            self.check_splice(files)?;
        }
        let (beginning, _) = files.beginning(PART, self.acoustic)?;
        if !TRANSITIONS.iter().any(|right| beginning.starts_with(right)) {
            return Err(malformed(self.acoustic, "it is no acoustic model of Kaldi".to_owned()));
        }
        if files.has(PART, self.disambiguation) {
            // Without its marks the library looks for them beyond its memory.
            let bytes = files.open(PART, self.disambiguation)?;
            if !bytes.iter().any(u8::is_ascii_digit)
                || !bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_whitespace())
            {
                return Err(malformed(self.disambiguation, "it is no list of numbers".to_owned()));
            }
            if !bytes.ends_with(b"\n") {
                return Err(malformed(self.disambiguation, "it is cut off: its last line has no end".to_owned()));
            }
        }
        for file in [self.graph, self.lexicon, self.grammar].into_iter().filter(|file| files.has(PART, file)) {
            let (beginning, _) = files.beginning(PART, file)?;
            if let Some(fault) = graph::fault(&beginning) {
                return Err(malformed(file, fault.to_owned()));
            }
        }
        Ok(())
    }

    /// That as many numbers are spliced as the matrix takes: the library asserts it.
    fn check_splice(&self, files: &ModelFiles) -> Result<(), LoadError> {
        let said = |file: &str, name: &str, usual: i64| -> Result<i64, LoadError> {
            let options = options(files, file)?;
            let said = options.iter().find(|(known, _)| known == name).map(|(_, value)| value.parse().ok());
            let number = said.unwrap_or(Some(usual)).filter(|number| (0..=1000).contains(number));
            number.ok_or_else(|| malformed(file, format!("{name} is no number from 0 to 1000")))
        };
        let frames = 1 + said(SPLICE, "left-context", USUAL_CONTEXT)? + said(SPLICE, "right-context", USUAL_CONTEXT)?;
        let spliced = frames * said(self.features, "num-ceps", USUAL_CEPS)?;
        let (beginning, _) = files.beginning(PART, TRANSFORM)?;
        let Some(sizes) = MATRICES.iter().find_map(|kind| beginning.strip_prefix(*kind)) else { return Ok(()) };
        // Each after a byte that says how many bytes it has: rows, columns.
        match sizes.get(6..10).and_then(|four| four.try_into().ok()).map(i32::from_le_bytes).map(i64::from) {
            Some(columns) if columns == spliced || columns == spliced + 1 => Ok(()),
            columns => Err(malformed(
                SPLICE,
                format!("it makes {spliced} numbers, and {TRANSFORM} takes {}", columns.unwrap_or_default()),
            )),
        }
    }

    /// The folder that all of it is in.
    pub fn folder(&self, files: &ModelFiles) -> Result<PathBuf, LoadError> {
        let mut folders = files.iter().map(|(_, name, location)| match location {
            Location::Disk(path) => folder_of(path, name),
            Location::Embedded(_) | Location::Ahead { .. } => None,
        });
        let first = folders.next().flatten();
        match first.filter(|first| folders.all(|folder| folder == Some(*first))) {
            Some(folder) => Ok(folder.to_owned()),
            None => Err(LoadError::Unsupported("libvosk reads a model from one folder of a disk".to_owned())),
        }
    }
}

/// The folder below which a file has this name.
fn folder_of<'a>(path: &'a Path, name: &str) -> Option<&'a Path> {
    let folder = path.ancestors().nth(name.split('/').count())?;
    (folder.join(name) == path).then_some(folder)
}

/// The options of one of Kaldi's configurations: a line each, `--name=value`, and comments after `#`.
fn options(files: &ModelFiles, file: &str) -> Result<Vec<(String, String)>, LoadError> {
    let bytes = files.open(PART, file)?;
    let text = (bytes.len() <= LONGEST_CONFIG).then(|| std::str::from_utf8(&bytes).ok()).flatten();
    let text = text.ok_or_else(|| malformed(file, "it is no configuration of Kaldi".to_owned()))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let option =
        |line: &str| match line.strip_prefix("--").map(|option| option.split_once('=').unwrap_or((option, "true"))) {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(malformed(file, format!("the line {line:?} is no option; --name=value would be one"))),
        };
    let options: Vec<_> = lines.filter(|line| !line.is_empty()).map(option).collect::<Result<_, _>>()?;
    match options.is_empty() {
        true => Err(malformed(file, "it has no option".to_owned())),
        false => Ok(options),
    }
}

fn malformed(file: &str, reason: String) -> LoadError {
    LoadError::Malformed { file: file.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no state and no arc.
    const GRAPH: &[u8] = b"\xd6\xfd\xb2\x7e\x05\0\0\0const\x08\0\0\0standard\x02\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    const WHOLE: &[&str] = &[
        "README",
        "am/final.mdl",
        "conf/mfcc.conf",
        "conf/model.conf",
        "graph/Gr.fst",
        "graph/HCLr.fst",
        "graph/disambig_tid.int",
        "ivector/final.ie",
    ];

    fn listing(files: &[&str]) -> Vec<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    fn without(file: &str) -> Result<Vec<String>, String> {
        let left: Vec<&str> = WHOLE.iter().copied().filter(|&known| known != file).collect();
        assert_eq!(recognises(&listing(&left)), files(&listing(&left)).is_ok());
        files(&listing(&left)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_model_is_all_that_is_in_its_folder() {
        assert_eq!(without("").unwrap().join(" "), WHOLE[1..].join(" "));
        assert!(without("ivector/final.ie").is_ok(), "not each has it");
        let old = ["final.mdl", "mfcc.conf", "HCLG.fst", "words.txt"];
        assert_eq!(files(&listing(&old)).unwrap(), old);
    }

    #[test]
    fn what_is_missing_is_named() {
        for file in ["am/final.mdl", "conf/mfcc.conf", "conf/model.conf", "graph/Gr.fst", "graph/disambig_tid.int"] {
            assert_eq!(without(file).unwrap_err(), format!("the file {file} is missing"));
        }
        let graphless = listing(&["am/final.mdl", "conf/mfcc.conf", "conf/model.conf"]);
        assert_eq!(files(&graphless).unwrap_err().to_string(), "the file graph/HCLG.fst is missing");
        assert!(files(&listing(&["a picture.png"])).is_err() && !recognises(&[]));
    }

    fn with(file: &str, bytes: &'static [u8]) -> ModelFiles {
        let mut all = ModelFiles::default();
        let graph = Location::Embedded(GRAPH);
        for (name, location) in [
            ("am/final.mdl", Location::Embedded(b"\0B<TransitionModel> and so on")),
            ("conf/mfcc.conf", Location::Embedded(b"--sample-frequency=8000 # of telephones\n")),
            ("conf/model.conf", Location::Embedded(b"\n--beam=10.0\n--lattice-beam=2.0\n")),
            ("graph/HCLG.fst", graph),
        ] {
            all.insert(PART, name, location);
        }
        if !file.is_empty() {
            all.insert(PART, file, Location::Embedded(bytes));
        }
        all
    }

    #[test]
    fn what_cannot_be_is_told_before_the_library_reads_it() {
        let check = |file, bytes| NEW.check(&with(file, bytes)).map_err(|error| error.to_string());
        check("", b"").unwrap();
        assert_eq!(NEW.rate(&with("", b"")).unwrap(), 8000);
        assert_eq!(NEW.rate(&with("conf/mfcc.conf", b"--num-ceps=40")).unwrap(), 16_000);
        let cases: [(&str, &[u8], &str); 7] = [
            ("am/final.mdl", b"a text", "it is no acoustic model of Kaldi"),
            ("graph/HCLG.fst", b"a text", "it is no graph of OpenFST"),
            ("graph/HCLG.fst", b"", "it is no graph of OpenFST"),
            ("conf/model.conf", b"", "it has no option"),
            ("conf/model.conf", b"\xff", "it is no configuration of Kaldi"),
            ("conf/mfcc.conf", b"this is a text", "the line \"this is a text\" is no option"),
            ("conf/mfcc.conf", b"--sample-frequency=1", "sample-frequency is 1; 8000 to 48000 would be right"),
        ];
        for (file, bytes, said) in cases {
            let error = check(file, bytes).unwrap_err();
            assert!(error.contains(file) && error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn as_much_is_spliced_as_the_matrix_takes() {
        let check = |splice: &'static [u8]| {
            let mut files = with(SPLICE, splice);
            files.insert(PART, "conf/mfcc.conf", Location::Embedded(b"--num-ceps=40\n"));
            files.insert(PART, TRANSFORM, Location::Embedded(b"\0BFM \x04\x28\0\0\0\x04\x19\x01\0\0"));
            NEW.check(&files).map_err(|error| error.to_string())
        };
        check(b"--left-context=3\n--right-context=3\n").unwrap();
        let error = check(b"--left-context=3\n").unwrap_err();
        assert!(error.contains("it makes 320 numbers, and ivector/final.mat takes 281"), "{error}");
        for wrong in [&b"--left-context=x"[..], b"--left-context=-1", b"--right-context=99999999999999999999"] {
            assert!(check(wrong).unwrap_err().contains("is no number from 0 to 1000"));
        }
    }

    #[test]
    fn the_folder_is_that_of_every_file() {
        let mut files = ModelFiles::default();
        files.insert(PART, "am/final.mdl", Location::Disk("/models/en/am/final.mdl".into()));
        files.insert(PART, "conf/mfcc.conf", Location::Disk("/models/en/conf/mfcc.conf".into()));
        assert_eq!(NEW.folder(&files).unwrap(), Path::new("/models/en"));
        files.insert(PART, "conf/model.conf", Location::Disk("/elsewhere/conf/model.conf".into()));
        assert!(NEW.folder(&files).is_err());
    }
}
