//! What is said: the headers of both directions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    frame::Frame,
    manifest::{PROTOCOL, Voice},
};
use crate::speech::{MarkKind, TaskKind};

/// Bytes of answers to one job that a program may have sent and that nobody took yet.
pub const WINDOW: usize = 4 << 20;
/// What a program may say of itself.
const MOST_VOICES: usize = 4096;
const MOST_OPTIONS: usize = 256;
const LONGEST_NAME: usize = 200;
/// Hertz.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WorkerRequest<'a> {
    /// First.
    Hello {
        protocol: u32,
        model: &'a str,
        device: String,
        threads: usize,
        /// Jobs at once, at most.
        concurrency: usize,
        /// Bytes of pieces of one job that may be sent without a `more`.
        window: usize,
    },
    Job(Box<Job<'a>>),
    /// So many bytes of the pieces of a job were taken.
    More {
        id: u64,
        bytes: usize,
    },
    /// Nobody waits for it any more.
    Cancel {
        id: u64,
    },
    Ping {
        id: u64,
    },
    /// Last.
    Shutdown,
}

/// A request. The sound that belongs to it follows: first that which is heard or converted, then that of the voice.
#[derive(Debug, Default, Serialize)]
pub struct Job<'a> {
    pub id: u64,
    pub task: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Sound>,
    /// A voice of the program's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<&'a str>,
    /// A recording whose voice it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f32>,
    /// Semitones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<&'a str>,
    /// Whether the text is wanted in English.
    #[serde(skip_serializing_if = "is_not")]
    pub translate: bool,
    /// `none`, `segment` or `word`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
}

fn is_not(flag: &bool) -> bool {
    !flag
}

/// Sound that follows a header: samples of 32-bit floating point, the lowest byte first, in one channel.
#[derive(Debug, Serialize)]
pub struct Sound {
    pub samples: usize,
    /// Hertz.
    pub rate: u32,
}

/// The sound of a voice that follows a header.
#[derive(Debug, Serialize)]
pub struct Reference<'a> {
    #[serde(flatten)]
    pub sound: Sound,
    pub sha256: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<&'a str>,
}

/// What a program says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    Hello(Box<Hello>),
    Progress {
        #[serde(default)]
        message: String,
    },
    Ready,
    /// Sound, which follows.
    Piece(Piece),
    Segment(Segment),
    Done(Done),
    Error(Failure),
    Pong {
        id: u64,
    },
}

/// What a program is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hello {
    pub protocol: u32,
    pub name: String,
    tasks: Vec<String>,
    /// Jobs that it works on at once; 0 counts as 1.
    pub concurrency: usize,
    /// Characters that it says in one go.
    pub max_text: Option<usize>,
    /// Hertz of the sound that it makes, where a piece does not say it.
    pub sample_rate: Option<u32>,
    /// The usual one first.
    pub voices: Vec<Voice>,
    /// Whether it speaks with the voice of a recording.
    pub cloning: bool,
    /// Whether it follows a speed.
    pub speed: bool,
    /// Whether it translates.
    pub translate: bool,
    /// Its knobs.
    pub options: BTreeMap<String, OptionKind>,
    /// What is said before anybody asks.
    pub warm_up: Option<String>,
}

/// What an option may be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OptionKind {
    /// `number`, `integer`, `string` or `boolean`; anything, where it says nothing.
    pub r#type: Option<String>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    /// What it may be, where that can be listed.
    pub values: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Piece {
    pub id: u64,
    /// Hertz; as `hello` said if absent.
    pub rate: Option<u32>,
    #[serde(default)]
    pub format: Format,
}

/// Of samples, the lowest byte first.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    F32le,
    S16le,
}

#[derive(Debug, Deserialize)]
pub struct Segment {
    pub id: u64,
    /// Seconds.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    pub text: String,
    #[serde(default)]
    pub words: Vec<Word>,
}

#[derive(Debug, Deserialize)]
pub struct Word {
    pub word: String,
    pub start: f64,
    pub end: f64,
    #[serde(default = "sure")]
    pub probability: f32,
}

fn sure() -> f32 {
    1.0
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Done {
    pub id: u64,
    /// Of a recording.
    pub language: Option<String>,
    pub seed: Option<u64>,
    pub marks: Vec<Mark>,
}

#[derive(Debug, Deserialize)]
pub struct Mark {
    pub kind: MarkOf,
    pub text: String,
    pub start: f64,
    pub end: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkOf {
    Word,
    Sentence,
}

/// A job that comes to nothing; without an `id` all of the program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Failure {
    pub id: Option<u64>,
    /// `invalid`: the request is wrong; `unsupported`: this model cannot do that; anything else: it failed.
    pub kind: String,
    /// The field of the request that is wrong.
    pub param: String,
    pub message: String,
}

// === impl WorkerRequest ===

impl WorkerRequest<'_> {
    /// With the sound that follows it.
    pub fn frame(&self, payload: Vec<u8>) -> Frame {
        // A header of these types is always JSON: its maps have texts for keys, and no number of it is infinite.
        Frame { header: serde_json::to_vec(self).unwrap_or_default(), payload }
    }
}

// === impl Answer ===

impl Answer {
    pub fn read(frame: &Frame) -> Result<Self, String> {
        let answer: Self = serde_json::from_slice(&frame.header).map_err(|error| {
            let begin: String = String::from_utf8_lossy(&frame.header).chars().take(80).collect();
            format!("it says what nobody understands ({error}): {begin:?}")
        })?;
        match (&answer, frame.payload.is_empty()) {
            (Self::Piece(_), _) | (_, true) => Ok(answer),
            _ => Err("it sends sound with a message that has none".to_owned()),
        }
    }
}

// === impl Hello ===

impl Hello {
    /// What is wrong with it, for a model that is to do these tasks.
    pub fn check(&self, wanted: &[TaskKind]) -> Result<(), String> {
        if self.protocol != PROTOCOL {
            return Err(format!("it speaks the protocol {}, and this server {PROTOCOL}", self.protocol));
        }
        if let Some(missing) = wanted.iter().find(|task| !self.tasks.iter().any(|name| name == task.as_str())) {
            let tasks = self.tasks.iter().take(9).map(|task| shortened(task)).collect::<Vec<_>>().join(", ");
            return Err(format!("it is to {missing}, and says that it does [{tasks}]"));
        }
        if let Some(rate) = self.sample_rate.filter(|rate| !RATES.contains(rate)) {
            return Err(format!("its sample_rate is {rate}; 4000 to 192000 hertz would be right"));
        }
        if self.max_text == Some(0) {
            return Err("its max_text is 0; the characters that it says in one go would be right".to_owned());
        }
        let long = |name: &str| name.len() > LONGEST_NAME;
        let names = self.voices.iter().flat_map(|voice| std::iter::once(&voice.name).chain(&voice.languages));
        if self.voices.len() > MOST_VOICES || self.options.len() > MOST_OPTIONS {
            return Err(format!("it has more than {MOST_VOICES} voices or {MOST_OPTIONS} options"));
        }
        if long(&self.name) || names.chain(self.options.keys()).any(|name| long(name)) {
            return Err(format!("one of its names has more than {LONGEST_NAME} bytes"));
        }
        Ok(())
    }

    /// As it may be shown.
    pub fn name(&self) -> String {
        shortened(&self.name)
    }
}

/// For a line of the log, or a sentence.
pub fn shortened(text: &str) -> String {
    const MOST: usize = 500;
    text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether a piece may have this rate.
pub fn is_rate(rate: u32) -> bool {
    RATES.contains(&rate)
}

impl From<MarkOf> for MarkKind {
    fn from(kind: MarkOf) -> Self {
        match kind {
            MarkOf::Word => Self::Word,
            MarkOf::Sentence => Self::Sentence,
        }
    }
}
