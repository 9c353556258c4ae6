//! What a caller asked, checked against what the model can do.

use std::ops::Bound;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    lyrics::{Lyrics, MOST_SECTIONS},
    net::SamplingOptions,
    references::LONGEST,
};
use crate::{
    families::option_values::{by_chance, counted, invalid},
    model::{Knob, KnobValues, RequestError},
    speech::SynthesizeOptions,
};

/// Tokens of a section, unless a request says otherwise: half a minute of both tracks, as in the reference's script.
pub const USUAL_TOKENS: usize = 3000;
/// The same, at most.
pub const MOST_TOKENS: usize = 6000;
/// Tokens before which a section does not end, as in the reference's script.
const LEAST_TOKENS: usize = 100;
/// Blocks of the second stage that are worked on at once, at most: our own kernels take no more, and a section of the usual length
/// has no more.
pub const MOST_BLOCKS: usize = 16;
/// Guidance in the first section, and in all others, as in the reference's script.
const GUIDANCE: (f32, f32) = (1.5, 1.2);
/// Seconds of a recording that the song is to be like, as in the reference's script.
const REFERENCE: (f64, f64) = (0.0, 30.0);
/// No recording is longer: it would have as many tokens as two sections.
const LONGEST_REFERENCE: f64 = LONGEST.as_secs() as f64;
/// Bytes of what is said of the genre: some dozens of tags.
const MOST_GENRE: usize = 500;
/// Of both tracks.
const TOKENS_A_SECOND: f64 = 100.0;
/// Tokens that are sung while somebody waits: fifteen seconds of a song.
const SHORT: usize = 1500;

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[
    Knob::whole(
        "max_sections",
        1.0,
        MOST_SECTIONS as f64,
        "all",
        "Sections that are sung, from the first on; the others are read, and not sung",
    ),
    Knob::whole(
        "max_new_tokens",
        2.0,
        MOST_TOKENS as f64,
        "3000",
        "Tokens of a section, at most; 100 are a second of both tracks",
    ),
    Knob::new(
        "guidance_scale",
        KnobValues::Number(Bound::Included(1.0), Bound::Included(10.0)),
        "1.5 in the first section, 1.2 in the others",
        "How much lyrics and genre count; 1 is no guidance, and half the work",
    ),
    Knob::number("temperature", 0.0, 10.0, "1", "Of the tokens; 0: always the likeliest"),
    Knob::count("top_k", 0.0, "50, or what the model's files say", "How many of the likeliest tokens; 0: all"),
    Knob::new(
        "top_p",
        KnobValues::Number(Bound::Excluded(0.0), Bound::Included(1.0)),
        "0.93",
        "Share that the likeliest tokens have together; 1: all",
    ),
    Knob::number("repetition_penalty", 1.0, 10.0, "1.1", "Of tokens that were read or sung before; 1: none"),
    Knob::whole(
        "stage2_batch",
        1.0,
        MOST_BLOCKS as f64,
        "16",
        "Blocks of six seconds of a track that the second stage works on at once; it begins when so many are whole, or the \
         section is over",
    ),
    Knob::number(
        "prompt_start",
        0.0,
        LONGEST_REFERENCE,
        "0",
        "Where the song is to be like a recording: from this second of it",
    ),
    Knob::number("prompt_end", 0.0, LONGEST_REFERENCE, "30 s later", "And to this one"),
];

/// How a song is to be sung.
#[derive(Clone, Debug)]
pub struct SongOptions {
    pub genre: String,
    pub sampling: SamplingOptions,
    pub guidance_scale: Option<f32>,
    pub max_sections: Option<usize>,
    pub max_new_tokens: usize,
    pub min_new_tokens: usize,
    /// Blocks that the second stage works on at once, and begins with unless the section is over.
    pub stage2_batch: usize,
    /// Seconds of a recording.
    pub prompt: (f64, f64),
    pub seed: u64,
}

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    max_sections: Option<usize>,
    max_new_tokens: Option<usize>,
    guidance_scale: Option<f32>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    repetition_penalty: Option<f32>,
    stage2_batch: Option<usize>,
    prompt_start: Option<f64>,
    prompt_end: Option<f64>,
}

// === impl SongOptions ===

impl SongOptions {
    /// `top_k`: the model's own.
    pub fn new(asked: &SynthesizeOptions, top_k: Option<usize>) -> Result<Self, RequestError> {
        if asked.speed.is_some_and(|speed| speed != 1.0) {
            let message = "this model sings at a pace of its own; leave speed out, and describe it in instructions";
            return Err(RequestError::Unsupported { param: "speed", message: message.to_owned() });
        }
        let knobs = Knobs::parse(&asked.options)?;
        let max_new_tokens = counted("max_new_tokens", knobs.max_new_tokens, 2..=MOST_TOKENS)?.unwrap_or(USUAL_TOKENS);
        Ok(Self {
            genre: genre(asked.instructions.as_deref())?,
            sampling: knobs.sampling(asked.temperature, top_k)?,
            guidance_scale: knobs.guidance()?,
            max_sections: counted("max_sections", knobs.max_sections, 1..=MOST_SECTIONS)?,
            max_new_tokens,
            min_new_tokens: LEAST_TOKENS.min(max_new_tokens),
            stage2_batch: counted("stage2_batch", knobs.stage2_batch, 1..=MOST_BLOCKS)?.unwrap_or(MOST_BLOCKS),
            prompt: knobs.prompt()?,
            seed: asked.seed.unwrap_or_else(by_chance),
        })
    }

    /// Sections that are sung, of so many.
    pub fn sections(&self, of: usize) -> usize {
        self.max_sections.map_or(of, |most| most.min(of))
    }

    pub fn guidance(&self, section: usize) -> f32 {
        self.guidance_scale.unwrap_or(if section == 0 { GUIDANCE.0 } else { GUIDANCE.1 })
    }

    /// Of so many sections, at most.
    pub fn seconds(&self, sections: usize) -> f64 {
        (sections * self.max_new_tokens) as f64 / TOKENS_A_SECOND
    }

    /// Whether singing takes longer than somebody waits.
    pub fn is_long(&self, lyrics: &Lyrics) -> bool {
        self.sections(lyrics.sections.len()).saturating_mul(self.max_new_tokens) > SHORT
    }
}

/// On one line, as the reference writes it.
fn genre(instructions: Option<&str>) -> Result<String, RequestError> {
    let wrong = |message: String| Err(RequestError::Invalid { param: "instructions", message });
    let genre = instructions.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let example = "as \"inspiring female uplifting pop airy vocal electronic bright vocal\"";
    if genre.is_empty() {
        return wrong(format!(
            "instructions are missing: the genre, instruments, mood, and the gender and timbre of the voice, {example}"
        ));
    }
    if genre.len() > MOST_GENRE {
        let found = genre.len();
        return wrong(format!("instructions have {found} bytes; up to {MOST_GENRE} of tags would be right, {example}"));
    }
    // A bracket would begin a section.
    if genre.contains(['[', ']']) {
        return wrong(format!("instructions have a bracket, which only lyrics have; tags would be right, {example}"));
    }
    Ok(genre)
}

// === impl Knobs ===

impl Knobs {
    fn parse(options: &Map<String, Value>) -> Result<Self, RequestError> {
        serde_json::from_value(Value::Object(options.clone())).map_err(|error| invalid(format!("options: {error}")))
    }

    fn sampling(&self, temperature: Option<f32>, top_k: Option<usize>) -> Result<SamplingOptions, RequestError> {
        let usual = SamplingOptions::default();
        let sampling = SamplingOptions {
            temperature: self.temperature.or(temperature).unwrap_or(usual.temperature),
            top_k: self.top_k.or(top_k).unwrap_or(usual.top_k),
            top_p: self.top_p.unwrap_or(usual.top_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(usual.repetition_penalty),
        };
        match sampling.fault() {
            None => Ok(sampling),
            Some((option, value, expected)) => Err(invalid(format!("{option} is {value}; {expected} would be right"))),
        }
    }

    fn guidance(&self) -> Result<Option<f32>, RequestError> {
        match self.guidance_scale {
            Some(scale) if !(1.0..=10.0).contains(&scale) => {
                Err(invalid(format!("guidance_scale is {scale}; 1 to 10 would be right")))
            }
            scale => Ok(scale),
        }
    }

    fn prompt(&self) -> Result<(f64, f64), RequestError> {
        let start = self.prompt_start.unwrap_or(REFERENCE.0);
        let end = self.prompt_end.unwrap_or(LONGEST_REFERENCE.min(start + REFERENCE.1));
        let right = start >= 0.0 && end > start && end <= LONGEST_REFERENCE;
        match right {
            true => Ok((start, end)),
            false => Err(invalid(format!(
                "prompt_start is {start} and prompt_end {end}; seconds of the recording, up to {LONGEST_REFERENCE}, the second \
                 after the first, would be right"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(instructions: &str, options: Value) -> SynthesizeOptions {
        let Value::Object(options) = options else { panic!("an object was expected") };
        SynthesizeOptions { instructions: Some(instructions.to_owned()), options, ..SynthesizeOptions::default() }
    }

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<Knobs>(KNOBS, &[]);
    }

    #[test]
    fn what_is_usual_is_that_of_the_reference() {
        let usual = SongOptions::new(&asked(" pop\n female ", json!({})), None).unwrap();
        assert_eq!(usual.genre, "pop female");
        assert_eq!((usual.guidance(0), usual.guidance(1), usual.guidance(7)), (1.5, 1.2, 1.2));
        assert_eq!((usual.max_new_tokens, usual.min_new_tokens, usual.sections(7)), (3000, 100, 7));
        assert_eq!((usual.sampling.top_k, usual.prompt), (50, (0.0, 30.0)));
        assert_eq!(SongOptions::new(&asked("pop", json!({})), Some(0)).unwrap().sampling.top_k, 0);
        let lyrics = Lyrics::parse("[verse]\nla\n[chorus]\nla").unwrap();
        assert!(usual.is_long(&lyrics));
        let short = SongOptions::new(&asked("pop", json!({"max_sections": 1, "max_new_tokens": 1500})), None).unwrap();
        assert!(!short.is_long(&lyrics));
        assert_eq!((short.sections(2), short.sections(1)), (1, 1));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let long = "pop ".repeat(200);
        for (instructions, options, told) in [
            ("", json!({}), "instructions are missing: the genre"),
            (&long, json!({}), "instructions have 799 bytes"),
            ("[verse] pop", json!({}), "instructions have a bracket"),
            ("pop", json!({"max_sections": 0}), "max_sections is 0; 1 to 20"),
            ("pop", json!({"max_new_tokens": 1}), "max_new_tokens is 1; 2 to 6000"),
            ("pop", json!({"guidance_scale": 0.5}), "guidance_scale is 0.5; 1 to 10"),
            ("pop", json!({"repetition_penalty": 0}), "repetition_penalty is 0; 1 to 10"),
            ("pop", json!({"top_p": 0}), "top_p is 0; above 0, to 1,"),
            ("pop", json!({"stage2_batch": 17}), "stage2_batch is 17; 1 to 16"),
            ("pop", json!({"prompt_start": 5, "prompt_end": 5}), "prompt_start is 5 and prompt_end 5"),
            ("pop", json!({"prompt_end": 61}), "prompt_end 61"),
            ("pop", json!({"yodel": 1}), "unknown field `yodel`"),
        ] {
            let error = SongOptions::new(&asked(instructions, options), None).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let fast = SynthesizeOptions { speed: Some(2.0), ..asked("pop", json!({})) };
        assert!(SongOptions::new(&fast, None).unwrap_err().to_string().contains("pace of its own"));
    }
}
