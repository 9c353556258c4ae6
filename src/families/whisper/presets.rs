//! The well-known Whisper models.

use crate::model::{Availability, Preset};

/// A model on the hub; its aliases leave the organisation out.
macro_rules! hub {
    ($name:literal, $aliases:expr, $million:literal) => {
        Preset {
            name: $name,
            aliases: &$aliases,
            parts: &[("model", concat!("hf://", $name))],
            availability: Availability::Available,
            licence: "MIT",
            million_parameters: $million,
        }
    };
}

/// The one inside this program, then OpenAI's and the distilled ones, smallest first. `whisper-1`, which is a product
/// of OpenAI and no checkpoint, is not among the aliases.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "sconce/whisper-nano.en",
        aliases: &["whisper-nano.en"],
        parts: &[("model", "embedded:whisper-nano.en")],
        availability: Availability::Available,
        licence: "Apache-2.0",
        million_parameters: 3,
    },
    hub!("openai/whisper-tiny", ["whisper-tiny"], 39),
    hub!("openai/whisper-tiny.en", ["whisper-tiny.en"], 39),
    hub!("openai/whisper-base", ["whisper-base"], 74),
    hub!("openai/whisper-base.en", ["whisper-base.en"], 74),
    hub!("openai/whisper-small", ["whisper-small"], 244),
    hub!("openai/whisper-small.en", ["whisper-small.en"], 244),
    hub!("openai/whisper-medium", ["whisper-medium"], 769),
    hub!("openai/whisper-medium.en", ["whisper-medium.en"], 769),
    hub!("openai/whisper-large", ["whisper-large"], 1550),
    hub!("openai/whisper-large-v2", ["whisper-large-v2"], 1550),
    hub!("openai/whisper-large-v3", ["whisper-large-v3"], 1550),
    hub!("openai/whisper-large-v3-turbo", ["whisper-large-v3-turbo", "whisper-turbo"], 809),
    hub!("distil-whisper/distil-small.en", ["distil-small.en"], 166),
    hub!("distil-whisper/distil-medium.en", ["distil-medium.en"], 394),
    hub!("distil-whisper/distil-large-v2", ["distil-large-v2"], 756),
    hub!("distil-whisper/distil-large-v3", ["distil-large-v3"], 756),
    hub!("distil-whisper/distil-large-v3.5", ["distil-large-v3.5"], 756),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_models_and_no_alias_holds_a_slash() {
        let aliases: Vec<&str> = PRESETS.iter().flat_map(|preset| preset.aliases).copied().collect();
        assert!(aliases.iter().all(|alias| !alias.contains('/')), "{aliases:?}");
        let mut names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).chain(aliases).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
