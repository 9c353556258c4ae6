//! How a request is put to a program, and what its answers are to the one who asked.

use super::{
    frame::Frame,
    message::{Done, Format, Hello, Job, Piece, Reference, Segment, Sound, Word, WorkerRequest, is_rate},
    options,
};
use crate::{
    audio::{Pcm, samples_of_pcm16},
    model::RequestError,
    speech::{
        Convert, Mark, Part, SpeechEvent, SpeechSummary, Summary, Synthesize, Task, Timestamps, Transcribe,
        TranscribeMode, TranscriptEvent, VoiceInput, languages,
    },
};

/// Seconds of sound that anything may take.
const LEAST_SECONDS: f64 = 30.0;
/// Seconds that a character may take: a number of ten digits takes a second and a half a digit.
const SECONDS_A_CHARACTER: f64 = 3.0;
/// Times as long as what is converted.
const LONGER: f64 = 3.0;
/// Bytes of a transcription.
const MOST_TEXT: usize = 16 << 20;

/// What a program has said so far in answer to one request.
#[derive(Debug, Default)]
pub struct Tally {
    /// Of sound.
    pub seconds: f64,
    longest: f64,
    rate: Option<u32>,
    segments: usize,
    text: usize,
}

/// A task that a program can be given.
pub trait Worked: Task {
    /// The job, with the sound that belongs to it.
    fn pose(&self, id: u64, hello: &Hello) -> Result<Frame, RequestError>;

    /// What may come of it.
    fn tally(&self) -> Tally;

    /// A part of the answer, or why it is none.
    fn piece(&self, _piece: &Piece, _sound: &[u8], _hello: &Hello, _tally: &mut Tally) -> Result<Self::Piece, String> {
        Err(format!("it sends sound for a job that is to {}", Self::KIND))
    }

    /// A part of the answer, or why it is none.
    fn segment(&self, _segment: Segment, _tally: &mut Tally) -> Result<Self::Piece, String> {
        Err(format!("it sends text for a job that is to {}", Self::KIND))
    }

    /// The last part.
    fn done(&self, done: Done, tally: &Tally) -> Result<Self::Piece, RequestError>;
}

fn framed(job: Job<'_>, payload: Vec<u8>) -> Frame {
    WorkerRequest::Job(Box::new(job)).frame(payload)
}

fn unsupported<T>(param: &'static str, message: &str) -> Result<T, RequestError> {
    Err(RequestError::Unsupported { param, message: message.to_owned() })
}

/// Appends sound.
fn append(pcm: &Pcm, payload: &mut Vec<u8>) -> Sound {
    let samples = pcm.mono();
    payload.reserve(samples.len() * size_of::<f32>());
    payload.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    Sound { samples: samples.len(), rate: pcm.rate() }
}

/// The voice, by its name or its sound.
fn voice<'a>(
    asked: Option<&'a VoiceInput>,
    hello: &Hello,
    payload: &mut Vec<u8>,
) -> Result<(Option<&'a str>, Option<Reference<'a>>), RequestError> {
    match asked {
        None => Ok((None, None)),
        Some(VoiceInput::Named(name)) if hello.voices.is_empty() || hello.voices.iter().any(|v| v.name == *name) => {
            Ok((Some(name), None))
        }
        Some(VoiceInput::Named(name)) => {
            let known = hello.voices.iter().take(20).map(|voice| voice.name.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("there is no voice {name:?}; this model has {known}");
            Err(RequestError::Invalid { param: "voice", message })
        }
        Some(VoiceInput::Reference(reference)) if hello.cloning => {
            let sound = append(&reference.audio, payload);
            let transcript = reference.transcript.as_deref();
            Ok((None, Some(Reference { sound, sha256: &reference.sha256, transcript })))
        }
        Some(VoiceInput::Reference(_)) => unsupported("voice", "this model speaks with its own voices only"),
        Some(VoiceInput::Blend(_)) => unsupported("voice", "this model blends no voices"),
        Some(VoiceInput::Cast(_)) => unsupported("voice", "this model speaks with one voice; give it one"),
    }
}

/// Sound of an answer.
fn sound(piece: &Piece, bytes: &[u8], hello: &Hello, tally: &mut Tally) -> Result<SpeechEvent, String> {
    let Some(rate) = piece.rate.or(hello.sample_rate) else {
        return Err("neither its hello nor its sound says how many hertz it has".to_owned());
    };
    if !is_rate(rate) || tally.rate.is_some_and(|before| before != rate) {
        return Err(format!(
            "its sound has {rate} hertz; one rate of 4000 to 192000 for a whole answer would be right"
        ));
    }
    tally.rate = Some(rate);
    let samples: Vec<f32> = match piece.format {
        Format::F32le => {
            let (words, rest) = bytes.as_chunks();
            whole(rest)?;
            words.iter().map(|word| sane(f32::from_le_bytes(*word))).collect()
        }
        Format::S16le => {
            whole(&bytes[bytes.len() & !1..])?;
            samples_of_pcm16(bytes).collect()
        }
    };
    let pcm = Pcm::new(samples, rate);
    tally.seconds += pcm.seconds();
    if tally.seconds > tally.longest {
        return Err(format!("it found no end within {:.0} s of sound", tally.longest));
    }
    Ok(SpeechEvent::Audio(pcm))
}

fn whole(rest: &[u8]) -> Result<(), String> {
    if rest.is_empty() { Ok(()) } else { Err("its sound ends in the middle of a sample".to_owned()) }
}

fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

fn spoken(done: Done, tally: &Tally, seed: Option<u64>) -> SpeechEvent {
    let marks = done.marks.into_iter().filter(|mark| in_order(mark.start, mark.end));
    let marks = marks.map(|mark| Mark { kind: mark.kind.into(), text: mark.text, start: mark.start, end: mark.end });
    let marks = marks.collect();
    SpeechEvent::Done(SpeechSummary { seconds: tally.seconds, tokens: 0, seed: done.seed.or(seed), marks, tail: None })
}

fn in_order(start: f64, end: f64) -> bool {
    start.is_finite() && end.is_finite() && 0.0 <= start && start <= end
}

impl Worked for Synthesize {
    fn pose(&self, id: u64, hello: &Hello) -> Result<Frame, RequestError> {
        let asked = &self.options;
        options::check(&asked.options, hello)?;
        if asked.speed.is_some_and(|speed| speed != 1.0) && !hello.speed {
            return unsupported("speed", "this model speaks at its own pace only");
        }
        let mut payload = Vec::new();
        let (voice, reference) = voice(asked.voice.as_ref(), hello, &mut payload)?;
        let job = Job {
            id,
            task: Self::KIND.as_str(),
            text: Some(&self.text),
            voice,
            reference,
            language: asked.language.as_deref(),
            speed: asked.speed,
            pitch: Some(self.pitch).filter(|pitch| *pitch != 0.0),
            instructions: asked.instructions.as_deref(),
            temperature: asked.temperature,
            seed: asked.seed,
            options: asked.options.clone(),
            ..Job::default()
        };
        Ok(framed(job, payload))
    }

    fn tally(&self) -> Tally {
        let slower = f64::from(self.options.speed.unwrap_or(1.0)).clamp(0.05, 1.0);
        let characters = self.text.chars().count() as f64;
        Tally { longest: (LEAST_SECONDS + characters * SECONDS_A_CHARACTER) / slower, ..Tally::default() }
    }

    fn piece(&self, piece: &Piece, bytes: &[u8], hello: &Hello, tally: &mut Tally) -> Result<SpeechEvent, String> {
        sound(piece, bytes, hello, tally)
    }

    fn done(&self, done: Done, tally: &Tally) -> Result<SpeechEvent, RequestError> {
        if tally.seconds == 0.0 {
            let message = "nothing in the text can be said".to_owned();
            return Err(RequestError::Invalid { param: "text", message });
        }
        Ok(spoken(done, tally, self.options.seed))
    }
}

impl Worked for Convert {
    fn pose(&self, id: u64, hello: &Hello) -> Result<Frame, RequestError> {
        let asked = &self.options;
        options::check(&asked.options, hello)?;
        let mut payload = Vec::new();
        let audio = Some(append(&self.audio, &mut payload));
        let (voice, reference) = voice(asked.voice.as_ref(), hello, &mut payload)?;
        let (task, seed, options) = (Self::KIND.as_str(), asked.seed, asked.options.clone());
        Ok(framed(Job { id, task, audio, voice, reference, seed, options, ..Job::default() }, payload))
    }

    fn tally(&self) -> Tally {
        Tally { longest: LEAST_SECONDS + self.audio.seconds() * LONGER, ..Tally::default() }
    }

    fn piece(&self, piece: &Piece, bytes: &[u8], hello: &Hello, tally: &mut Tally) -> Result<SpeechEvent, String> {
        sound(piece, bytes, hello, tally)
    }

    fn done(&self, done: Done, tally: &Tally) -> Result<SpeechEvent, RequestError> {
        Ok(spoken(done, tally, self.options.seed))
    }
}

impl Worked for Transcribe {
    fn pose(&self, id: u64, hello: &Hello) -> Result<Frame, RequestError> {
        let asked = &self.options;
        options::check(&asked.options, hello)?;
        let translate = asked.mode == TranscribeMode::Translate;
        if translate && !hello.translate {
            return unsupported("task", "this model does not translate");
        }
        let mut payload = Vec::new();
        let job = Job {
            id,
            task: Self::KIND.as_str(),
            audio: Some(append(&self.audio, &mut payload)),
            language: asked.language.as_deref().map(|language| languages::code(language).unwrap_or(language)),
            prompt: asked.prompt.as_deref(),
            temperature: asked.temperature,
            translate,
            timestamps: Some(match asked.timestamps {
                Timestamps::None => "none",
                Timestamps::Segment => "segment",
                Timestamps::Word => "word",
            }),
            options: asked.options.clone(),
            ..Job::default()
        };
        Ok(framed(job, payload))
    }

    fn tally(&self) -> Tally {
        Tally::default()
    }

    fn segment(&self, segment: Segment, tally: &mut Tally) -> Result<TranscriptEvent, String> {
        let Segment { start, end, text, words, .. } = segment;
        let times = words.iter().map(|word| (word.start, word.end)).chain([(start, end)]);
        for (start, end) in times {
            if !in_order(start, end) {
                return Err(format!("something that it heard lasts from {start} s to {end} s"));
            }
        }
        tally.text += text.len() + words.iter().map(|word| word.word.len()).sum::<usize>();
        if tally.text > MOST_TEXT {
            return Err(format!("it heard more than {MOST_TEXT} bytes of text"));
        }
        let word = |word: Word| crate::speech::Word {
            word: word.word,
            start: word.start,
            end: word.end,
            probability: word.probability,
            part: Part::WHOLE,
            speaker: None,
        };
        let wanted = self.options.timestamps == Timestamps::Word;
        let words = if wanted { words.into_iter().map(word).collect() } else { Vec::new() };
        tally.segments += 1;
        Ok(TranscriptEvent::Segment(crate::speech::Segment {
            id: tally.segments - 1,
            seek: 0,
            start,
            end,
            text,
            tokens: Vec::new(),
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 0.0,
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            words,
            logprobs: Vec::new(),
            alternatives: Vec::new(),
        }))
    }

    fn done(&self, done: Done, _tally: &Tally) -> Result<TranscriptEvent, RequestError> {
        let said = done.language.as_deref().and_then(languages::code).map(str::to_owned);
        let asked = || self.options.language.as_deref().and_then(languages::code).map(str::to_owned);
        let language = said.or_else(asked).unwrap_or_default();
        Ok(TranscriptEvent::Done(Summary { language, duration: self.audio.seconds(), tokens: 0 }))
    }
}
