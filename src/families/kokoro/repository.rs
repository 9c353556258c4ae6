//! Which files a model needs.

use crate::model::{LoadError, ModelFiles};

/// The network, and what is beside it.
pub const MODEL: &str = "model";
/// Voices that come from elsewhere.
pub const VOICES: &str = "voices";

/// With the table of symbols, the one that counts first.
const TABLES: [&str; 2] = ["tokenizer.json", "config.json"];
/// Of several networks the one that is not quantised.
const USUAL: [&str; 2] = ["onnx/model.onnx", "model.onnx"];
const NETWORK: &str = ".onnx";

/// The files of a model that are here.
#[derive(Debug, PartialEq, Eq)]
pub struct KokoroFiles {
    pub network: String,
    pub tables: Vec<String>,
    /// With the parts that they are in.
    pub voices: Vec<(&'static str, String)>,
}

/// Of a part, among those of its repository.
pub fn files(part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    let voices: Vec<String> = listing.iter().filter(|file| is_voice(file)).cloned().collect();
    if part == VOICES {
        return match voices.is_empty() {
            true => Err(LoadError::Missing("voices/*.bin, *.npy or voices*.bin".to_owned())),
            false => Ok(voices),
        };
    }
    let tables =
        TABLES.iter().filter(|table| listing.iter().any(|file| file == *table)).map(|table| (*table).to_owned());
    Ok([network(listing)?].into_iter().chain(tables).chain(voices).collect())
}

/// A folder without `config.json`: a network that is called so, and voices.
pub fn recognises(listing: &[String]) -> bool {
    let named = |file: &String| file.ends_with(NETWORK) && file.to_ascii_lowercase().contains("kokoro");
    listing.iter().any(named) && listing.iter().any(|file| is_voice(file))
}

// === impl KokoroFiles ===

impl KokoroFiles {
    pub fn of(files: &ModelFiles) -> Result<Self, LoadError> {
        let listing: Vec<String> = files.names(MODEL).map(str::to_owned).collect();
        let in_part = |part: &'static str| {
            files.names(part).filter(|file| is_voice(file)).map(move |file| (part, file.to_owned())).collect::<Vec<_>>()
        };
        let voices = [in_part(VOICES), in_part(MODEL)].into_iter().find(|voices| !voices.is_empty());
        let voices = voices.ok_or_else(|| LoadError::Missing("voices/*.bin, *.npy or voices*.bin".to_owned()))?;
        let tables = TABLES.iter().filter(|table| listing.iter().any(|file| file == *table));
        Ok(Self { network: network(&listing)?, tables: tables.map(|table| (*table).to_owned()).collect(), voices })
    }
}

fn network(listing: &[String]) -> Result<String, LoadError> {
    let usual = USUAL.iter().find(|usual| listing.iter().any(|file| file == *usual));
    if let Some(usual) = usual {
        return Ok((*usual).to_owned());
    }
    let mut networks = listing.iter().filter(|file| file.ends_with(NETWORK));
    match (networks.next(), networks.count()) {
        (Some(network), 0) => Ok(network.clone()),
        (Some(network), more) => {
            let reason = format!("{more} more networks are beside it; one, or onnx/model.onnx, would be right");
            Err(LoadError::Malformed { file: network.clone(), reason })
        }
        (None, _) => Err(LoadError::Missing("onnx/model.onnx".to_owned())),
    }
}

/// `voices/af_bella.bin`, `af_bella.npy`, `voices-v1.0.bin`, `voices.npz`.
fn is_voice(file: &str) -> bool {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    match ending {
        "npy" | "npz" => true,
        "bin" => folder.ends_with("voices") || stem.starts_with("voices"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[&str]) -> Vec<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn a_model_is_a_network_and_its_voices() {
        let hub = listing(&[
            "README.md",
            "config.json",
            "onnx/model.onnx",
            "onnx/model_fp16.onnx",
            "tokenizer.json",
            "tokenizer_config.json",
            "voices/af_bella.bin",
            "voices/bm_george.bin",
        ]);
        let needed = "onnx/model.onnx tokenizer.json config.json voices/af_bella.bin voices/bm_george.bin";
        assert_eq!(files(MODEL, &hub).unwrap().join(" "), needed);
        let release = listing(&["kokoro-v1.0.int8.onnx", "voices-v1.0.bin"]);
        assert_eq!(files(MODEL, &release).unwrap(), release);
        assert!(recognises(&release) && !recognises(&listing(&["voice.onnx", "voices.bin"])));
        assert_eq!(files(VOICES, &listing(&["x.txt", "voices.npz"])).unwrap(), ["voices.npz"]);
        assert!(files(VOICES, &[]).unwrap_err().to_string().contains("voices/*.bin"));
        let missing = files(MODEL, &listing(&["kokoro-v1_0.pth"])).unwrap_err().to_string();
        assert_eq!(missing, "the file onnx/model.onnx is missing");
        let several = files(MODEL, &listing(&["a.onnx", "b.onnx"])).unwrap_err().to_string();
        assert!(several.contains("a.onnx is not what it should be: 1 more networks are beside it"), "{several}");
    }
}
