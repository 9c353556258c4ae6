//! From a text to the numbers that a network reads: what PyPI's `vosk-tts` makes of it, with which the voices were trained.

use super::{
    config::{BEGIN, BLANK, END, Form, NO_MARK, SPACE, VoiceConfig, placed},
    dictionary::Dictionary,
    letters,
};
use crate::{model::RequestError, text::sentences};

/// Symbols that are said at once, and characters: a minute of speech has about as many, attention takes memory by the square
/// of them, and a BERT reads no more than 512 tokens.
const LONGEST: usize = 1000;
const MOST_CHARACTERS: usize = 400;
/// Marks of a text, each with a symbol of its own.
const MARKS: &str = ",.?!;:\"()";
const DASH: &str = "-";
const ELLIPSIS: &str = "...";
/// What may end a sentence, the first of them that is there.
const ENDS: [&str; 5] = [ELLIPSIS, ".", "!", "?", DASH];

/// The front end of one model.
pub struct FrontEnd {
    pub config: VoiceConfig,
    pub dictionary: Dictionary,
}

/// What is said at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// As the BERT reads it.
    pub text: String,
    /// A row for each stream, of a number for each symbol.
    pub ids: Vec<Vec<i64>>,
    /// Where in the text each symbol stands.
    pub places: Vec<Place>,
}

/// Where a symbol stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Begin,
    Byte(usize),
    End,
}

/// A word, or what stands between two.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    kind: Kind,
    at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// In small letters.
    Word(String),
    Mark(&'static str),
    Space,
}

/// A symbol of the streams, before the marks that follow it are known.
struct Step {
    id: i64,
    marks: Vec<&'static str>,
    quoted: bool,
    at: Place,
}

// === impl Utterance ===

impl Utterance {
    pub fn streams(&self) -> usize {
        self.ids.len()
    }
}

// === impl FrontEnd ===

impl FrontEnd {
    /// The sentences of a text, each as the network reads it.
    pub fn read(&self, text: &str, has_bert: bool) -> Result<Vec<Utterance>, RequestError> {
        let form = self.config.form(has_bert);
        let mut all = Vec::new();
        for sentence in sentences(text) {
            let words: Vec<&str> = sentence.split_whitespace().collect();
            self.add(&words, form, &mut all)?;
        }
        match all.is_empty() {
            false => Ok(all),
            true => Err(invalid("the text has nothing that can be spoken; Russian words would be right".to_owned())),
        }
    }

    /// What is too long to be said at once is cut in the middle, between words.
    fn add(&self, words: &[&str], form: Form, all: &mut Vec<Utterance>) -> Result<(), RequestError> {
        let text = Text::of(&words.join(" "));
        let pieces = text.pieces(matches!(form, Form::Streams { .. }));
        if !pieces.iter().any(|piece| matches!(&piece.kind, Kind::Word(word) if word.contains(char::is_alphanumeric))) {
            return Ok(());
        }
        let short = text.chars.len() <= MOST_CHARACTERS;
        let utterance = if short { Some(self.utterance(&text, &pieces, form)?) } else { None };
        match (utterance.filter(|utterance| utterance.places.len() <= LONGEST), words.len()) {
            (Some(utterance), _) => all.push(utterance),
            (None, 0 | 1) => {
                let begins: String = text.plain.chars().take(20).collect();
                return Err(invalid(format!("what begins with {begins:?} is too long without a blank in it")));
            }
            (None, count) => {
                let (first, second) = words.split_at(count / 2);
                self.add(first, form, all)?;
                self.add(second, form, all)?;
            }
        }
        Ok(())
    }

    /// Something short that can be said.
    pub fn any_utterance(&self, has_bert: bool) -> Utterance {
        let none = Text::of("");
        let any = self.read("а", has_bert).ok().and_then(|all| all.into_iter().next());
        any.or_else(|| self.utterance(&none, &[], self.config.form(has_bert)).ok()).unwrap_or(Utterance {
            text: String::new(),
            ids: vec![vec![BLANK]],
            places: vec![Place::Begin],
        })
    }

    fn utterance(&self, text: &Text, pieces: &[Piece], form: Form) -> Result<Utterance, RequestError> {
        let (ids, places) = match form {
            Form::Streams { placed } => self.streams(pieces, placed)?,
            Form::Blanks => self.row(pieces, true)?,
            Form::NoBlanks => self.row(pieces, false)?,
        };
        Ok(Utterance { text: text.plain.clone(), ids, places })
    }

    /// One row. Marks that have no number are left out.
    fn row(&self, pieces: &[Piece], blanks: bool) -> Result<(Vec<Vec<i64>>, Vec<Place>), RequestError> {
        let mut symbols: Vec<(&[i64], Place)> = Vec::new();
        let own = |symbol: &str| self.config.ids(symbol).unwrap_or_default();
        symbols.push((own(BEGIN), Place::Begin));
        for piece in pieces {
            match &piece.kind {
                Kind::Space => symbols.push((own(SPACE), piece.at)),
                Kind::Mark(mark) => symbols.extend(self.config.ids(mark).map(|ids| (ids, piece.at))),
                Kind::Word(word) => {
                    let sounds = self.numbers(word, &self.sounds(word))?;
                    symbols.extend(sounds.into_iter().map(|ids| (ids, piece.at)));
                }
            }
        }
        symbols.push((own(END), Place::End));
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for (at, (numbers, place)) in symbols.into_iter().enumerate() {
            let blank = (blanks && at > 0).then_some(&BLANK);
            let numbers = blank.into_iter().chain(numbers);
            numbers.for_each(|number| {
                ids.push(*number);
                places.push(place);
            });
        }
        Ok((vec![ids], places))
    }

    /// Five rows: the symbol, the mark that stands there, whether it is in quotes, the next mark, and that which ends the sentence.
    fn streams(&self, pieces: &[Piece], is_placed: bool) -> Result<(Vec<Vec<i64>>, Vec<Place>), RequestError> {
        let own = |symbol: &str| self.config.ids(symbol).and_then(|ids| ids.first()).copied();
        let number = |symbol: &str| own(symbol).unwrap_or(BLANK);
        let step = |id, marks, quoted, at| Step { id, marks, quoted, at };
        let mut steps = vec![step(number(BEGIN), Vec::new(), false, Place::Begin)];
        let (mut marks, mut quoted) = (Vec::new(), false);
        for piece in pieces {
            match &piece.kind {
                Kind::Mark("\"") => quoted = !quoted,
                // Marks that the model has not been trained with it does not hear of.
                Kind::Mark(mark) => marks.extend(own(mark).map(|_| *mark)),
                Kind::Space => steps.push(step(number(SPACE), std::mem::take(&mut marks), quoted, piece.at)),
                Kind::Word(word) => {
                    let sounds = self.sounds(word);
                    let sounds = if is_placed { placed(&sounds) } else { sounds };
                    for ids in self.numbers(word, &sounds)? {
                        steps.push(step(ids[0], Vec::new(), quoted, piece.at));
                    }
                    marks.clear();
                }
            }
        }
        steps.push(step(number(SPACE), marks, quoted, Place::End));
        steps.push(step(number(END), Vec::new(), false, Place::End));
        let (mut next, mut end) = (SPACE, SPACE);
        let mut rows = vec![Vec::new(); 5];
        for step in steps.iter().rev() {
            end = ENDS.into_iter().find(|mark| step.marks.contains(mark)).unwrap_or(end);
            let here = step.marks.first().copied();
            next = here.unwrap_or(next);
            let column = [step.id, number(here.unwrap_or(NO_MARK)), step.quoted.into(), number(next), number(end)];
            rows.iter_mut().zip(column).for_each(|(row, number)| row.push(number));
        }
        rows.iter_mut().for_each(|row| row.reverse());
        Ok((rows, steps.iter().map(|step| step.at).collect()))
    }

    /// Signs that nobody hears are none.
    fn sounds(&self, word: &str) -> Vec<String> {
        let is_sound = |sound: &String| self.config.knows(sound) || sound.contains(char::is_alphanumeric);
        let by_letters = || letters::sounds(word).into_iter().filter(is_sound).collect();
        self.dictionary.sounds(word).unwrap_or_else(by_letters)
    }

    /// Those of the sounds of a word, none of which can be left out.
    fn numbers(&self, word: &str, sounds: &[String]) -> Result<Vec<&[i64]>, RequestError> {
        let mut numbers = Vec::new();
        for sound in sounds {
            numbers.push(self.config.ids(sound).ok_or_else(|| {
                invalid(format!(
                    "this voice cannot read {word:?}: it has no sound for {sound:?}; words in Russian letters would be \
                     right, and a lexicon may say how it is spoken"
                ))
            })?);
        }
        Ok(numbers)
    }
}

/// A text, and where its characters stand in what the BERT reads of it.
struct Text {
    chars: Vec<(char, usize)>,
    /// Without marks of stress.
    plain: String,
}

// === impl Text ===

impl Text {
    fn of(text: &str) -> Self {
        let (mut chars, mut plain) = (Vec::new(), String::new());
        for c in text.chars() {
            let (c, count) = match c {
                '—' | '–' | '―' => ('-', 1),
                '«' | '»' | '“' | '”' | '„' => ('"', 1),
                '…' => ('.', 3),
                c => (c, 1),
            };
            for _ in 0..count {
                chars.push((c, plain.len()));
                plain.extend((c != '+').then_some(c));
            }
        }
        Self { chars, plain }
    }

    /// `streams`: a dash that stands apart is a mark of the word before it, and three dots are one.
    fn pieces(&self, streams: bool) -> Vec<Piece> {
        let mut chars = self.chars.clone();
        let mut at = 0;
        while streams && at + 1 < chars.len() {
            if (chars[at].0, chars[at + 1].0) == (' ', '-') {
                (chars[at].0, chars[at + 1].0) = ('-', ' ');
                at += 1;
            }
            at += 1;
        }
        let (mut pieces, mut rest) = (Vec::new(), chars.as_slice());
        while let Some((_, place)) = rest.first() {
            let at = Place::Byte(*place);
            let begins = |with: &str| with.chars().eq(rest.iter().take(with.len()).map(|(c, _)| *c));
            let (kind, length) = match rest[0].0 {
                _ if streams && begins(ELLIPSIS) => (Kind::Mark(ELLIPSIS), 3),
                _ if streams && begins("- ") => (Kind::Mark(DASH), 2),
                ' ' => (Kind::Space, 1),
                c => match mark(c) {
                    Some(mark) => (Kind::Mark(mark), 1),
                    None => word(rest, streams),
                },
            };
            pieces.push(Piece { kind, at });
            rest = &rest[length..];
        }
        pieces
    }
}

fn mark(c: char) -> Option<&'static str> {
    MARKS.find(c).map(|at| &MARKS[at..=at])
}

/// That which something begins with, and how many characters it has.
fn word(rest: &[(char, usize)], streams: bool) -> (Kind, usize) {
    let ends = |at: usize| {
        let dash = || streams && rest[at].0 == '-' && rest.get(at + 1).is_some_and(|(next, _)| *next == ' ');
        rest[at].0 == ' ' || mark(rest[at].0).is_some() || dash()
    };
    let length = (1..rest.len()).find(|at| ends(*at)).unwrap_or(rest.len());
    let word: String = rest[..length].iter().flat_map(|(c, _)| c.to_lowercase()).collect();
    match word.as_str() {
        DASH => (Kind::Mark(DASH), length),
        _ => (Kind::Word(word), length),
    }
}

fn invalid(message: String) -> RequestError {
    RequestError::Invalid { param: "text", message }
}
