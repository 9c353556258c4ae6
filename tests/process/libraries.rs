//! What commands say of models that need a library or a program which is not on this machine.

use tempfile::TempDir;

use crate::program::{outcome, sconce};

#[test]
fn commands_say_which_library_a_model_lacks_and_how_to_get_it() {
    let cache = TempDir::new().unwrap();
    let onnx = "it needs the library ONNX Runtime: it is not on this machine; `pip install onnxruntime` brings it";
    let vosk = "it needs the library libvosk: it is not on this machine; `pip install vosk` brings it";
    for (model, name, said) in [
        ("vosk-tts-ru", "alphacep/vosk-model-tts-ru-0.9-multi", onnx),
        ("vosk-tts-ru-0.7", "alphacep/vosk-model-tts-ru-0.7-multi", onnx),
        ("zipformer-ru", "alphacep/vosk-model-ru", onnx),
        ("zipformer-small-streaming-ru", "alphacep/vosk-model-small-streaming-ru", onnx),
        ("piper", "rhasspy/en_US-ljspeech-medium", onnx),
        ("kokoro", "onnx-community/Kokoro-82M-v1.0-ONNX", onnx),
        ("vosk-de", "alphacep/vosk-model-small-de-0.15", vosk),
        ("espeak-ng", "espeak-ng", "espeak-ng"),
    ] {
        let command = |arguments: &[&str]| {
            let mut command = sconce(&cache);
            command.args(arguments).env("PATH", "/nowhere").env("MODEL_ID", model);
            command
        };
        let (_, checked, code) = outcome(&mut command(&["check-config"]));
        assert!(code == 0 && checked.contains(&format!("{name} cannot be served here")), "{model}: {code} {checked}");
        assert!(checked.contains(said), "{model}: {checked}");
        let (listed, _, _) = outcome(&mut command(&["models"]));
        assert!(reason(&listed, name).contains(said), "{model}: {listed}");
    }
}

/// Why `sconce models` says that a model cannot be served: below its table, by a number.
pub fn reason<'a>(listed: &'a str, model: &str) -> &'a str {
    let line = listed.lines().find(|line| line.starts_with(model)).unwrap_or_else(|| panic!("{model}: {listed}"));
    let number = line.split_once("unsupported [").and_then(|(_, rest)| rest.split_once(']')).map(|(number, _)| number);
    let begins = format!("[{}] ", number.unwrap_or_else(|| panic!("{model}: {line}")));
    listed.lines().find_map(|line| line.strip_prefix(begins.as_str())).unwrap_or_else(|| panic!("{model}: {listed}"))
}
