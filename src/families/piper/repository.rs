//! Which files a voice needs.

use crate::model::{LoadError, ModelFiles};

/// The network, with what is known of it beside it; or the network alone.
pub const MODEL: &str = "model";
/// What is known of a network that comes from elsewhere.
pub const CONFIG: &str = "config";

const NETWORK: &str = ".onnx";
/// After the name of the network.
const BESIDE: &str = ".json";
/// Where nothing is beside it.
const ALONE: &str = "config.json";

/// Of a part, among those of its repository.
pub fn files(part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    let ending = |ending: &str| listing.iter().filter(|file| file.ends_with(ending)).cloned().collect::<Vec<String>>();
    if part == CONFIG {
        return one(ending(BESIDE), "*.onnx.json").map(|file| vec![file]);
    }
    let networks = ending(NETWORK);
    let described: Vec<String> = networks.iter().filter(|file| listing.contains(&beside(file))).cloned().collect();
    let network = one(if described.is_empty() { networks } else { described }, "*.onnx")?;
    let config = [beside(&network), ALONE.to_owned()].into_iter().find(|file| listing.contains(file));
    Ok([network].into_iter().chain(config).collect())
}

/// Whether these are a voice.
pub fn recognises(listing: &[String]) -> bool {
    listing.iter().any(|file| file.ends_with(NETWORK) && listing.contains(&beside(file)))
}

/// Of a loaded part: the name of the network, and of the part and the file that says what is known of it.
pub fn names(files: &ModelFiles) -> Result<(String, &'static str, String), LoadError> {
    let listing: Vec<String> = files.names(MODEL).map(str::to_owned).collect();
    let mut needed = self::files(MODEL, &listing)?.into_iter();
    let network = needed.next().ok_or_else(|| LoadError::Missing("*.onnx".to_owned()))?;
    match (needed.next(), files.names(CONFIG).next()) {
        (_, Some(config)) => Ok((network, CONFIG, config.to_owned())),
        (Some(config), None) => Ok((network, MODEL, config)),
        (None, None) => Err(LoadError::Missing(beside(&network))),
    }
}

fn beside(network: &str) -> String {
    format!("{network}{BESIDE}")
}

fn one(mut found: Vec<String>, wanted: &str) -> Result<String, LoadError> {
    match (found.pop(), found.len()) {
        (Some(file), 0) => Ok(file),
        (Some(file), more) => Err(LoadError::Malformed {
            file,
            reason: format!("{more} more are beside it, and a model is one voice; the address of one would be right"),
        }),
        (None, _) => Err(LoadError::Missing(wanted.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(part: &str, listing: &[&str]) -> Result<String, String> {
        let listing: Vec<String> = listing.iter().map(|&file| file.to_owned()).collect();
        files(part, &listing).map(|files| files.join(" ")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_voice_is_a_network_and_what_is_known_of_it() {
        let voice = ["MODEL_CARD", "en-joe.onnx", "en-joe.onnx.json", "other.onnx", "tokens.txt"];
        assert_eq!(chosen(MODEL, &voice).unwrap(), "en-joe.onnx en-joe.onnx.json");
        assert_eq!(chosen(MODEL, &["model.onnx", "config.json"]).unwrap(), "model.onnx config.json");
        assert_eq!(chosen(MODEL, &["a/model.onnx"]).unwrap(), "a/model.onnx", "what is known of it is another part");
        assert_eq!(chosen(CONFIG, &["en-joe.onnx.json"]).unwrap(), "en-joe.onnx.json");
        assert_eq!(chosen(MODEL, &["README.md"]).unwrap_err(), "the file *.onnx is missing");
        let many = chosen(MODEL, &["a.onnx", "a.onnx.json", "b.onnx", "b.onnx.json"]).unwrap_err();
        assert!(many.starts_with("b.onnx is not what it should be: 1 more are beside it"), "{many}");
        assert!(recognises(&["a.onnx".to_owned(), "a.onnx.json".to_owned()]) && !recognises(&["a.onnx".to_owned()]));
    }
}
