//! Which files of a repository make a model. One repository holds several variants, and some have been renamed there.
//! The network that marks sounds comes from a place of its own.

use crate::model::{LoadError, ModelFiles};

/// The part of a model that is whatever its repository holds.
pub const MODEL: &str = "model";
/// That of the multilingual model, which lies in the repository of the English one.
pub const MULTILINGUAL: &str = "multilingual";
/// That of a model which only converts voices, from the same repository.
pub const VOICE_CONVERSION: &str = "s3gen";
/// That of what marks the sound of any of them, which nobody has to have.
pub const WATERMARK: &str = "watermark";

const ENGLISH_T3: &[&str] = &["t3_cfg.safetensors", "t3_cfg.pt"];
const TURBO_T3: &[&str] = &["t3_turbo_v1.safetensors", "t3_nano_v1.safetensors"];
/// The reference takes the second version; the third has to be asked for, by a folder that holds no other.
const MULTILINGUAL_T3: &[&str] = &[
    "t3_mtl23ls_v2.safetensors",
    "t3_23lang.safetensors",
    "t3_mtl23ls_v3.safetensors",
    "t3_mtl23ls_v2.pt",
    "t3_mtl23ls_v3.pt",
];
const S3GEN: &[&str] = &["s3gen.safetensors", "s3gen.pt", "s3gen_v3.safetensors", "s3gen_v3.pt"];
const MEAN_FLOW: &[&str] = &["s3gen_meanflow.safetensors", "s3gen_meanflow.pt"];
const VOICE_ENCODER: &[&str] = &["ve.safetensors", "ve.pt"];
const ENGLISH_TEXT: &[&str] = &["tokenizer.json"];
const MULTILINGUAL_TEXT: &[&str] = &["grapheme_mtl_merged_expanded_v1.json", "mtl_tokenizer.json"];
/// How the multilingual model reads Chinese.
const CANGJIE: &[&str] = &["Cangjie5_TC.json"];
const GPT2_TEXT: [&str; 2] = ["vocab.json", "merges.txt"];
const GPT2_MORE: [&str; 2] = ["added_tokens.json", "tokenizer_config.json"];
const CONDITIONALS: &[&str] = &["conds.safetensors", "conds.pt"];
/// As `resemble-perth` has it: the network after so many steps.
const PERTH: &str = "perth_net_250000.pth.tar";
const PERTH_ENDINGS: [&str; 2] = [".pth.tar", ".safetensors"];

/// The files of a model, by what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub part: String,
    pub s3gen: String,
    /// What the model speaks with; `None`: it only converts.
    pub speech: Option<SpeechFiles>,
    /// Its own voice.
    pub conditionals: Option<String>,
    /// Of the part [`WATERMARK`]; `None`: sounds are not marked.
    pub watermark: Option<String>,
}

/// What it takes to make speech tokens of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechFiles {
    pub t3: String,
    pub voice_encoder: String,
    pub text: TextFiles,
}

/// A tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextFiles {
    English(String),
    /// And the table for Chinese, if it is there.
    Multilingual(String, Option<String>),
    Gpt2(String),
    /// Vocabulary and merges, and what there is beside them.
    Gpt2Parts(Vec<String>),
}

// === impl Repository ===

impl Repository {
    /// What a part needs of a repository's files.
    pub fn of(part: &str, listing: &[String]) -> Result<Self, LoadError> {
        let speech = match part {
            VOICE_CONVERSION => None,
            MULTILINGUAL => Some(SpeechFiles::multilingual(listing)?),
            // A folder that has nothing to speak with converts.
            _ if listing.iter().any(|file| is_t3(file)) => Some(SpeechFiles::of(listing)?),
            _ => None,
        };
        let of_turbo = matches!(&speech, Some(speech) if speech.text.is_gpt2());
        let s3gen = match of_turbo {
            true => [MEAN_FLOW, S3GEN].concat(),
            false => [S3GEN, MEAN_FLOW].concat(),
        };
        let s3gen = needed(listing, &s3gen)?;
        let conditionals = first(listing, CONDITIONALS);
        Ok(Self { part: part.to_owned(), s3gen, speech, conditionals, watermark: None })
    }

    /// Of files that are here, or to come.
    pub fn in_files(files: &ModelFiles) -> Result<Self, LoadError> {
        let part = [MULTILINGUAL, VOICE_CONVERSION].into_iter().find(|part| files.has_part(part)).unwrap_or(MODEL);
        let watermark = files.has_part(WATERMARK).then(|| watermark(&listing(files, WATERMARK))).transpose()?;
        Ok(Self { watermark, ..Self::of(part, &listing(files, part))? })
    }

    /// Those that hold weights.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        let speech = self.speech.iter().flat_map(|speech| [speech.t3.as_str(), &speech.voice_encoder]);
        speech.chain([self.s3gen.as_str()])
    }

    pub fn into_files(self) -> Vec<String> {
        let mut files = vec![self.s3gen];
        files.extend(self.conditionals);
        if let Some(speech) = self.speech {
            files.extend([speech.t3, speech.voice_encoder]);
            files.extend(speech.text.into_files());
        }
        files
    }
}

// === impl SpeechFiles ===

impl SpeechFiles {
    fn of(listing: &[String]) -> Result<Self, LoadError> {
        if let Some(t3) = first(listing, ENGLISH_T3) {
            return Self::with(listing, t3, TextFiles::English(needed(listing, ENGLISH_TEXT)?));
        }
        if let Some(t3) = first(listing, TURBO_T3) {
            return Self::with(listing, t3, TextFiles::gpt2(listing)?);
        }
        Self::multilingual(listing)
    }

    /// Of the 23 languages, or of one: those have names of their own (`t3_hi.safetensors`).
    fn multilingual(listing: &[String]) -> Result<Self, LoadError> {
        let t3 = first(listing, MULTILINGUAL_T3);
        let other = || listing.iter().find(|file| is_t3(file) && !ENGLISH_T3.contains(&file.as_str())).cloned();
        let t3 = t3.or_else(other).ok_or_else(|| LoadError::Missing(MULTILINGUAL_T3[0].to_owned()))?;
        let text = TextFiles::Multilingual(needed(listing, MULTILINGUAL_TEXT)?, first(listing, CANGJIE));
        Self::with(listing, t3, text)
    }

    fn with(listing: &[String], t3: String, text: TextFiles) -> Result<Self, LoadError> {
        Ok(Self { t3, voice_encoder: needed(listing, VOICE_ENCODER)?, text })
    }
}

// === impl TextFiles ===

impl TextFiles {
    fn gpt2(listing: &[String]) -> Result<Self, LoadError> {
        let has = |file: &&str| listing.iter().any(|listed| listed == file);
        if GPT2_TEXT.iter().all(has) {
            let files = GPT2_TEXT.iter().chain(GPT2_MORE.iter().filter(|file| has(file)));
            return Ok(Self::Gpt2Parts(files.map(|&file| file.to_owned()).collect()));
        }
        match first(listing, ENGLISH_TEXT) {
            Some(file) => Ok(Self::Gpt2(file)),
            None => Err(LoadError::Missing(GPT2_TEXT[0].to_owned())),
        }
    }

    pub fn is_gpt2(&self) -> bool {
        matches!(self, Self::Gpt2(_) | Self::Gpt2Parts(_))
    }

    fn into_files(self) -> Vec<String> {
        match self {
            Self::English(file) | Self::Gpt2(file) => vec![file],
            Self::Multilingual(file, cangjie) => [file].into_iter().chain(cangjie).collect(),
            Self::Gpt2Parts(files) => files,
        }
    }
}

/// The network after the most steps, as the reference chooses it.
pub fn watermark(listing: &[String]) -> Result<String, LoadError> {
    let steps = |file: &String| {
        let numbered = file.strip_prefix("perth_net_")?;
        PERTH_ENDINGS.iter().find_map(|ending| numbered.strip_suffix(ending)?.parse::<u64>().ok())
    };
    let latest = listing.iter().filter(|file| steps(file).is_some()).max_by_key(|file| steps(file));
    latest.cloned().ok_or_else(|| LoadError::Missing(PERTH.to_owned()))
}

fn listing(files: &ModelFiles, part: &str) -> Vec<String> {
    files.names(part).map(str::to_owned).collect()
}

fn is_t3(file: &str) -> bool {
    file.starts_with("t3_") && (file.ends_with(".safetensors") || file.ends_with(".pt"))
}

/// The first of the names that is there.
fn first(listing: &[String], names: &[&str]) -> Option<String> {
    names.iter().find(|name| listing.iter().any(|listed| listed == *name)).map(|&name| name.to_owned())
}

fn needed(listing: &[String], names: &[&str]) -> Result<String, LoadError> {
    first(listing, names).ok_or_else(|| LoadError::Missing(names[0].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[&str]) -> Vec<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    /// What lies in the published repository, of several variants.
    const PUBLISHED: &[&str] = &[
        "README.md",
        "Cangjie5_TC.json",
        "conds.pt",
        "grapheme_mtl_merged_expanded_v1.json",
        "mtl_tokenizer.json",
        "s3gen.pt",
        "s3gen.safetensors",
        "t3_23lang.safetensors",
        "t3_cfg.pt",
        "t3_cfg.safetensors",
        "t3_mtl23ls_v2.safetensors",
        "t3_mtl23ls_v3.safetensors",
        "tokenizer.json",
        "ve.pt",
        "ve.safetensors",
    ];

    #[test]
    fn each_part_of_the_published_repository_takes_what_it_needs() {
        let files = |part: &str| {
            let mut files = Repository::of(part, &listing(PUBLISHED)).unwrap().into_files();
            files.sort();
            files
        };
        let english = ["conds.pt", "s3gen.safetensors", "t3_cfg.safetensors", "tokenizer.json", "ve.safetensors"];
        assert_eq!(files(MODEL), english);
        assert_eq!(files(VOICE_CONVERSION), ["conds.pt", "s3gen.safetensors"]);
        let multilingual = [
            "Cangjie5_TC.json",
            "conds.pt",
            "grapheme_mtl_merged_expanded_v1.json",
            "s3gen.safetensors",
            "t3_mtl23ls_v2.safetensors",
            "ve.safetensors",
        ];
        assert_eq!(files(MULTILINGUAL), multilingual);
    }

    #[test]
    fn turbo_comes_with_mean_flow_and_the_vocabulary_of_gpt2() {
        let files = [
            "added_tokens.json",
            "conds.pt",
            "merges.txt",
            "s3gen.safetensors",
            "s3gen_meanflow.safetensors",
            "t3_turbo_v1.safetensors",
            "tokenizer_config.json",
            "ve.safetensors",
            "vocab.json",
        ];
        let found = Repository::of(MODEL, &listing(&files)).unwrap();
        assert_eq!(found.s3gen, "s3gen_meanflow.safetensors");
        let text = ["vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"];
        assert_eq!(found.speech.unwrap().text, TextFiles::Gpt2Parts(listing(&text)));
    }

    #[test]
    fn a_folder_of_one_language_or_of_conversion_alone_is_a_model() {
        let files = ["t3_hi.safetensors", "s3gen_v3.pt", "ve.pt", "grapheme_mtl_merged_expanded_v1.json"];
        let found = Repository::of(MODEL, &listing(&files)).unwrap();
        assert_eq!((found.s3gen.as_str(), found.conditionals), ("s3gen_v3.pt", None));
        assert_eq!(found.speech.unwrap().t3, "t3_hi.safetensors");
        assert_eq!(Repository::of(MODEL, &listing(&["s3gen.safetensors"])).unwrap().speech, None);
    }

    #[test]
    fn of_watermarks_the_one_that_learned_longest_is_taken() {
        let files =
            ["hparams.yaml", "perth_net_9000.pth.tar", "perth_net_250000.pth.tar", "perth_net_x.pth.tar", "id.txt"];
        assert_eq!(watermark(&listing(&files)).unwrap(), PERTH);
        assert_eq!(watermark(&listing(&["perth_net_1.safetensors"])).unwrap(), "perth_net_1.safetensors");
        let missing = watermark(&listing(&["hparams.yaml"])).unwrap_err().to_string();
        assert_eq!(missing, "the file perth_net_250000.pth.tar is missing");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |part: &str, files: &[&str]| Repository::of(part, &listing(files)).unwrap_err().to_string();
        assert_eq!(missing(MODEL, &["config.json"]), "the file s3gen.safetensors is missing");
        assert_eq!(missing(MODEL, &["t3_cfg.safetensors"]), "the file tokenizer.json is missing");
        assert_eq!(missing(MODEL, &["t3_cfg.pt", "tokenizer.json"]), "the file ve.safetensors is missing");
        assert_eq!(missing(MODEL, &["t3_turbo_v1.safetensors"]), "the file vocab.json is missing");
        let english = ["t3_cfg.safetensors", "tokenizer.json", "ve.safetensors", "s3gen.pt"];
        assert_eq!(missing(MULTILINGUAL, &english), "the file t3_mtl23ls_v2.safetensors is missing");
    }
}
