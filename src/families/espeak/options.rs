//! What a caller asked, checked against what the program can do.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    model::{ProgramFacts, RequestError},
    speech::{Synthesize, VoiceInput, languages},
};

/// Words a minute at the usual speed: the program's own.
const USUAL_WORDS: f32 = 175.0;
/// Words a minute, as the program bounds them.
const WORDS: std::ops::RangeInclusive<f32> = 80.0..=450.0;
/// The program's own pitch, of 0 to 99.
const USUAL_PITCH: f32 = 50.0;
/// Semitones of a step of its pitch. Measured: the fundamental of a vowel of the voice `en-us` at 0, 20, … 99 lies on this
/// line within half a semitone.
const STEP: f32 = 0.216;
const PITCHES: std::ops::RangeInclusive<f32> = 0.0..=99.0;

/// How a text is said, as the program takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Manner {
    /// An identifier, with a variant after a `+`.
    voice: String,
    words_per_minute: u32,
    pitch: u32,
    knobs: Knobs,
}

/// The knobs of this family: `options` of a request, as the program's options of that name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    /// 0 to 99.
    pitch: Option<u32>,
    /// 0 to 200.
    amplitude: Option<u32>,
    /// Between words, in hundredths of a second at the usual speed: 0 to 500.
    word_gap: Option<u32>,
}

// === impl Manner ===

impl Manner {
    pub fn of(asked: &Synthesize, facts: &ProgramFacts) -> Result<Self, RequestError> {
        let options = &asked.options;
        let knobs = Knobs::read(&Value::Object(options.options.clone()))?;
        let voice = voice(options.voice.as_ref(), options.language.as_deref(), facts)?;
        let words_per_minute = words_per_minute(options.speed.unwrap_or(1.0))?;
        let pitch = pitch(knobs.pitch.map_or(USUAL_PITCH, |pitch| pitch as f32), asked.pitch)?;
        Ok(Self { voice, words_per_minute, pitch, knobs })
    }

    /// Of the command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = ["--stdin", "--stdout", "-b", "1", "-v"].map(str::to_owned).to_vec();
        arguments.push(self.voice.clone());
        let numbers = [
            ("-s", Some(self.words_per_minute)),
            ("-p", Some(self.pitch)),
            ("-a", self.knobs.amplitude),
            ("-g", self.knobs.word_gap),
        ];
        for (option, number) in numbers {
            arguments.extend(number.map(|number| [option.to_owned(), number.to_string()]).into_iter().flatten());
        }
        arguments
    }

    /// Seconds that so many characters may take, at most. A number of ten digits, or a sign that is called by its number,
    /// takes a second and a half a character.
    pub fn longest(&self, characters: usize) -> f64 {
        let slower = f64::from(USUAL_WORDS) / f64::from(self.words_per_minute);
        let gaps = f64::from(self.knobs.word_gap.unwrap_or(0)) / 100.0;
        30.0 + characters as f64 * (3.0 + gaps) * slower.max(1.0)
    }
}

fn invalid<T>(param: &'static str, message: String) -> Result<T, RequestError> {
    Err(RequestError::Invalid { param, message })
}

/// The voice that is named; else that of the language; else the usual one.
fn voice(voice: Option<&VoiceInput>, language: Option<&str>, facts: &ProgramFacts) -> Result<String, RequestError> {
    match (voice, language) {
        (Some(VoiceInput::Named(name)), _) => match facts.voice(name) {
            Some((voice, Some(variant))) => Ok(format!("{}+{variant}", voice.identifier)),
            Some((voice, None)) => Ok(voice.identifier.clone()),
            None => {
                let message = format!(
                    "there is no voice {name:?}; one of GET /v1/audio/voices, such as en-us or de, would be right, also \
                     with a variant, as en-us+f3"
                );
                invalid("voice", message)
            }
        },
        (Some(VoiceInput::Reference(_) | VoiceInput::Blend(_) | VoiceInput::Cast(_)), _) => {
            Err(RequestError::Unsupported {
                param: "voice",
                message: "this model speaks with its own voices only".to_owned(),
            })
        }
        (None, Some(language)) => {
            let code = || languages::code(language).and_then(|code| facts.speaker_of(code));
            match facts.speaker_of(language).or_else(code) {
                Some(voice) => Ok(voice.identifier.clone()),
                None => {
                    let message = format!("no voice of this model speaks {language:?}");
                    Err(RequestError::Unsupported { param: "language", message })
                }
            }
        }
        (None, None) => match facts.voices.first() {
            Some(voice) => Ok(voice.identifier.clone()),
            None => invalid("voice", "this model has no voice".to_owned()),
        },
    }
}

fn words_per_minute(speed: f32) -> Result<u32, RequestError> {
    let words = (USUAL_WORDS * speed).round();
    match WORDS.contains(&words) {
        true => Ok(words as u32),
        false => {
            let bounds = [WORDS.start(), WORDS.end()].map(|words| words / USUAL_WORDS);
            invalid(
                "speed",
                format!("the speed {speed} is out of range; {:.2} to {:.2} are possible", bounds[0], bounds[1]),
            )
        }
    }
}

/// So many semitones above a pitch of the program.
fn pitch(base: f32, semitones: f32) -> Result<u32, RequestError> {
    let pitch = (base + semitones / STEP).round();
    match PITCHES.contains(&pitch) {
        true => Ok(pitch as u32),
        false => {
            let (low, high) = ((PITCHES.start() - base) * STEP, (PITCHES.end() - base) * STEP);
            let message =
                format!("a pitch of {semitones:+.1} semitones is out of range; {low:+.1} to {high:+.1} are possible");
            invalid("text", message)
        }
    }
}

// === impl Knobs ===

impl Knobs {
    fn read(options: &Value) -> Result<Self, RequestError> {
        let knobs = Self::deserialize(options).or_else(|error| invalid("options", error.to_string()))?;
        let bounds =
            [("pitch", knobs.pitch, 99), ("amplitude", knobs.amplitude, 200), ("word_gap", knobs.word_gap, 500)];
        for (name, value, most) in bounds {
            if let Some(value) = value.filter(|value| *value > most) {
                return invalid("options", format!("{name} is {value}; 0 to {most} would be right"));
            }
        }
        Ok(knobs)
    }
}
