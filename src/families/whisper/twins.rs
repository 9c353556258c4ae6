//! What other programs call the same models: by their size alone, or by the name of a copy in a format of their own.
//!
//! faster-whisper, and the servers on it, name repositories of CTranslate2's format; whisper.cpp names files of ggml's.
//! Those are made of the weights that OpenAI published, so that whoever asks for one is served by the original. A copy
//! that somebody fine-tuned is another model, and none of these names.

/// The well-known model that holds the same weights.
pub fn twin(name: &str) -> Option<&'static str> {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("hf://").unwrap_or(&name);
    // As it stands where a name is one segment of a path.
    match name.split_once('/').or_else(|| name.split_once("--")) {
        None => of_size(name).or_else(|| of_ctranslate2(name)).or_else(|| of_ggml(name)),
        Some(("systran" | "guillaumekln", repo)) => of_ctranslate2(repo),
        Some(("deepdml" | "mobiuslabsgmbh" | "dropbox-dash", repo)) => {
            of_ctranslate2(repo.strip_suffix("-ct2").unwrap_or(repo)).filter(|twin| *twin == TURBO)
        }
        Some(("distil-whisper", repo)) => {
            repo.strip_suffix("-ct2").or_else(|| repo.strip_suffix("-ggml")).and_then(distilled)
        }
        Some(("ggerganov" | "ggml-org", path)) => of_ggml(path.strip_prefix("whisper.cpp")?.strip_prefix(['/', ':'])?),
        Some(_) => None,
    }
}

const TURBO: &str = "openai/whisper-large-v3-turbo";

/// As the command lines of openai-whisper and faster-whisper have it.
fn of_size(size: &str) -> Option<&'static str> {
    Some(match size {
        "tiny" => "openai/whisper-tiny",
        "tiny.en" => "openai/whisper-tiny.en",
        "base" => "openai/whisper-base",
        "base.en" => "openai/whisper-base.en",
        "small" => "openai/whisper-small",
        "small.en" => "openai/whisper-small.en",
        "medium" => "openai/whisper-medium",
        "medium.en" => "openai/whisper-medium.en",
        "large-v1" => "openai/whisper-large",
        "large-v2" => "openai/whisper-large-v2",
        "large-v3" | "large" => "openai/whisper-large-v3",
        "large-v3-turbo" | "turbo" => TURBO,
        _ => return None,
    })
}

/// As faster-whisper's repositories are called.
fn of_ctranslate2(repo: &str) -> Option<&'static str> {
    match repo.strip_prefix("faster-distil-whisper-") {
        Some(size) => distilled(&format!("distil-{size}")),
        None => of_size(repo.strip_prefix("faster-whisper-")?),
    }
}

fn distilled(repo: &str) -> Option<&'static str> {
    Some(match repo {
        "distil-small.en" => "distil-whisper/distil-small.en",
        "distil-medium.en" => "distil-whisper/distil-medium.en",
        "distil-large-v2" => "distil-whisper/distil-large-v2",
        "distil-large-v3" => "distil-whisper/distil-large-v3",
        "distil-large-v3.5" => "distil-whisper/distil-large-v3.5",
        _ => return None,
    })
}

/// As whisper.cpp's files are called, whatever they are quantised to.
fn of_ggml(file: &str) -> Option<&'static str> {
    let model = file.strip_prefix("ggml-")?.strip_suffix(".bin")?;
    let whole = model.rsplit_once("-q").filter(|(_, kind)| kind.starts_with(|c: char| c.is_ascii_digit()));
    let model = whole.map_or(model, |(model, _)| model);
    of_size(model).or_else(|| distilled(model))
}

#[cfg(test)]
mod tests {
    use super::{super::presets::PRESETS, *};

    #[test]
    fn every_copy_has_its_original() {
        for (name, original) in [
            ("Systran/faster-whisper-tiny", "openai/whisper-tiny"),
            ("Systran/faster-whisper-base.en", "openai/whisper-base.en"),
            (" systran/faster-whisper-LARGE-v1 ", "openai/whisper-large"),
            ("guillaumekln/faster-whisper-large-v2", "openai/whisper-large-v2"),
            ("faster-whisper-medium", "openai/whisper-medium"),
            ("Systran--faster-whisper-small", "openai/whisper-small"),
            ("Systran/faster-distil-whisper-large-v3", "distil-whisper/distil-large-v3"),
            ("Systran/faster-distil-whisper-small.en", "distil-whisper/distil-small.en"),
            ("distil-whisper/distil-large-v3.5-ct2", "distil-whisper/distil-large-v3.5"),
            ("distil-whisper/distil-large-v3-ggml", "distil-whisper/distil-large-v3"),
            ("deepdml/faster-whisper-large-v3-turbo-ct2", TURBO),
            ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", TURBO),
            ("dropbox-dash/faster-whisper-large-v3-turbo", TURBO),
            ("tiny", "openai/whisper-tiny"),
            ("large", "openai/whisper-large-v3"),
            ("turbo", TURBO),
            ("ggml-base.bin", "openai/whisper-base"),
            ("ggml-small.en-q8_0.bin", "openai/whisper-small.en"),
            ("ggml-large-v3-turbo-q5_0.bin", TURBO),
            ("ggml-distil-large-v3.bin", "distil-whisper/distil-large-v3"),
            ("ggerganov/whisper.cpp/ggml-tiny.en-q5_1.bin", "openai/whisper-tiny.en"),
            ("ggerganov/whisper.cpp:ggml-medium.bin", "openai/whisper-medium"),
            ("hf://ggml-org/whisper.cpp/ggml-large-v2.bin", "openai/whisper-large-v2"),
        ] {
            assert_eq!(twin(name), Some(original), "{name}");
            assert!(PRESETS.iter().any(|preset| preset.name == original), "{original}");
        }
    }

    #[test]
    fn what_may_be_another_model_is_none() {
        for name in [
            "somebody/faster-whisper-base",
            "deepdml/faster-whisper-base",
            "Systran/faster-whisper-base@main",
            "openai/tiny",
            "ggerganov/whisper.cpp",
            "ggerganov/whisper.cpp/ggml-small.en-tdrz.bin",
            "ggml-base.en-encoder.mlmodelc.zip",
            "whisper-1",
            "base-q8_0",
            "",
        ] {
            assert_eq!(twin(name), None, "{name}");
        }
    }
}
