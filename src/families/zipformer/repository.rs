//! Which files a model has: an encoder, a decoder and a joiner of one export, wherever they stand, and the table of symbols.

use crate::model::{LoadError, ModelFiles};

/// The one part.
pub const PART: &str = "model";

const NETWORKS: [&str; 3] = ["encoder", "decoder", "joiner"];
const ONNX: &str = ".onnx";
const TOKENS: &str = "tokens.txt";
/// In the name of a file whose weights are small numbers.
const SMALL: [&str; 2] = [".int8", ".fp16"];
/// In the name of one that hears sound as it comes.
const CHUNKS: &str = "chunk";

/// The names of the files of one model.
#[derive(Debug, PartialEq, Eq)]
pub struct TransducerFiles {
    pub encoder: String,
    pub decoder: String,
    pub joiner: String,
    pub tokens: String,
}

/// Of those in a repository.
pub fn files(listing: &[String]) -> Result<Vec<String>, LoadError> {
    let TransducerFiles { encoder, decoder, joiner, tokens } = TransducerFiles::among(listing)?;
    Ok(vec![encoder, decoder, joiner, tokens])
}

// === impl TransducerFiles ===

impl TransducerFiles {
    pub fn of(files: &ModelFiles) -> Result<Self, LoadError> {
        Self::among(&files.names(PART).map(str::to_owned).collect::<Vec<_>>())
    }

    /// Of several exports one that hears sound as it comes, else the one with the largest numbers, else the one with the
    /// shortest name.
    fn among(listing: &[String]) -> Result<Self, LoadError> {
        let missing = |file: &str| LoadError::Missing(file.to_owned());
        let mut encoders: Vec<(&str, &str)> = listing.iter().filter_map(|file| after(file, NETWORKS[0])).collect();
        encoders.sort_by_key(|(folder, export)| {
            let small = SMALL.iter().any(|small| export.contains(small));
            (!export.contains(CHUNKS), small, export.len(), folder.len(), *folder, *export)
        });
        if encoders.is_empty() {
            return Err(missing("encoder.onnx"));
        }
        let whole = |(folder, export): &(&str, &str)| {
            let [encoder, decoder, joiner] = NETWORKS.map(|network| beside(listing, folder, network, export));
            Some((encoder?, decoder?, joiner?))
        };
        let lacks = || {
            let (folder, export) = encoders[0];
            let lacking = NETWORKS.into_iter().find(|network| beside(listing, folder, network, export).is_none());
            missing(&format!("{folder}{}{export}", lacking.unwrap_or_default()))
        };
        let (encoder, decoder, joiner) = encoders.iter().find_map(whole).ok_or_else(lacks)?;
        let mut tokens: Vec<&String> = listing.iter().filter(|file| name(file) == TOKENS).collect();
        tokens.sort_by_key(|file| (file.len(), file.as_str()));
        let tokens = tokens.first().ok_or_else(|| missing(TOKENS))?.to_string();
        Ok(Self { encoder, decoder, joiner, tokens })
    }
}

fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// The folder of a file that is such a network, and what its name says of its export.
fn after<'a>(file: &'a str, network: &str) -> Option<(&'a str, &'a str)> {
    let export = name(file).strip_prefix(network).filter(|export| export.ends_with(ONNX))?;
    Some((&file[..file.len() - name(file).len()], export))
}

/// The file of another network of the same export, which may have other numbers.
fn beside(listing: &[String], folder: &str, network: &str, export: &str) -> Option<String> {
    let larger = SMALL.iter().fold(export.to_owned(), |name, small| name.replace(small, ""));
    let names = [format!("{folder}{network}{export}"), format!("{folder}{network}{larger}")];
    names.into_iter().find(|name| listing.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(listing: &[&str]) -> Result<String, String> {
        let listing: Vec<String> = listing.iter().map(|&file| file.to_owned()).collect();
        files(&listing).map(|files| files.join(" ")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_export_is_three_networks_of_one_kind() {
        let vosk = [
            "README.md",
            "am-onnx/decoder.int8.onnx",
            "am-onnx/decoder.onnx",
            "am-onnx/encoder.int8.onnx",
            "am-onnx/encoder.onnx",
            "am-onnx/joiner.int8.onnx",
            "am-onnx/joiner.onnx",
            "lang/tokens.txt",
        ];
        let plain = "am-onnx/encoder.onnx am-onnx/decoder.onnx am-onnx/joiner.onnx lang/tokens.txt";
        assert_eq!(chosen(&vosk).unwrap(), plain);
        let mixed = [
            "decoder-epoch-9-avg-1.onnx",
            "encoder-epoch-9-avg-1.int8.onnx",
            "joiner-epoch-9-avg-1.int8.onnx",
            "tokens.txt",
        ];
        let [decoder, encoder, joiner, tokens] = mixed;
        assert_eq!(chosen(&mixed).unwrap(), [encoder, decoder, joiner, tokens].join(" "));
        let chunks = ["am/encoder.chunk64.onnx", "am/decoder.chunk64.onnx", "am/joiner.chunk64.onnx"];
        assert!(chosen(&[&vosk[..], &chunks].concat()).unwrap().starts_with("am/encoder.chunk64.onnx"));
        assert_eq!(chosen(&[&vosk[..], &chunks[..2]].concat()).unwrap(), plain, "half of an export is none");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(chosen(&["a.onnx", "tokens.txt"]).unwrap_err(), "the file encoder.onnx is missing");
        assert_eq!(chosen(&["am/encoder.onnx"]).unwrap_err(), "the file am/decoder.onnx is missing");
        assert_eq!(chosen(&["encoder.onnx", "decoder.onnx"]).unwrap_err(), "the file joiner.onnx is missing");
        let tableless = chosen(&["encoder.onnx", "decoder.onnx", "joiner.onnx"]);
        assert_eq!(tableless.unwrap_err(), "the file tokens.txt is missing");
    }
}
