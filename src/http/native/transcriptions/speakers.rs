//! `diarize`, and the speakers whose voices are known, as OpenAI's clients name them.

use bytes::Bytes;

use crate::{
    http::{form::Form, native::audio, problem::Problem},
    service::{MemoryBudget, Recording},
};

const NAMES: &str = "known_speaker_names";
const REFERENCES: &str = "known_speaker_references";
/// Speakers that may be known; OpenAI takes four.
const MOST: usize = 16;
/// Characters of a name.
const LONGEST: usize = 64;

/// Whether it is to be told who says what, and who may be among them.
pub(super) struct Speakers {
    pub diarize: bool,
    pub known: Vec<(String, Recording)>,
}

/// `wanted`: the format of the answer tells who says what.
pub(super) fn take(form: &mut Form, wanted: bool, bodies: &MemoryBudget) -> Result<Speakers, Problem> {
    let (asked, names, references) = (form.flag("diarize")?, form.list(NAMES), form.references());
    let known = known(names, &references, bodies)?;
    match asked {
        Some(false) if wanted => {
            Err(Problem::invalid("diarize", "response_format diarized_json tells who says what; leave diarize out"))
        }
        Some(false) if !known.is_empty() => {
            Err(Problem::invalid(NAMES, format!("{NAMES} needs diarize, or response_format diarized_json")))
        }
        _ => Ok(Speakers { diarize: wanted || asked == Some(true) || !known.is_empty(), known }),
    }
}

fn known(names: Vec<String>, references: &[Bytes], bodies: &MemoryBudget) -> Result<Vec<(String, Recording)>, Problem> {
    let (many, voices) = (names.len(), references.len());
    if many != voices {
        let param = if many > voices { NAMES } else { REFERENCES };
        let message = format!("there are {many} {NAMES} and {voices} {REFERENCES}; each speaker has one of both");
        return Err(Problem::invalid(param, message));
    }
    if many > MOST {
        return Err(Problem::invalid(NAMES, format!("there are {many} {NAMES}; there may be {MOST}")));
    }
    for (at, name) in names.iter().enumerate() {
        let fine = (1..=LONGEST).contains(&name.chars().count())
            && name.trim() == name
            && !name.contains(['<', '>', '&'])
            && !name.contains(char::is_control);
        if !fine {
            let message = format!("{name:?} is no name of a speaker; 1 to {LONGEST} characters without <, > and & are");
            return Err(Problem::invalid(NAMES, message));
        }
        if names[..at].contains(name) {
            return Err(Problem::invalid(NAMES, format!("there are two speakers {name:?}")));
        }
    }
    names.into_iter().zip(references).map(|(name, url)| Ok((name, reference(url, bodies)?))).collect()
}

fn reference(url: &[u8], bodies: &MemoryBudget) -> Result<Recording, Problem> {
    let wrong = || {
        let message = "a reference of a speaker is a data URL of a recording, such as data:audio/wav;base64,UklGR…";
        Problem::invalid(REFERENCES, message)
    };
    let url = std::str::from_utf8(url).map_err(|_| wrong())?;
    if !url.starts_with("data:") {
        return Err(wrong());
    }
    audio::from_base64(url, bodies).map_err(|problem| match problem.param.as_deref() {
        Some("audio") => wrong(),
        _ => problem,
    })
}
