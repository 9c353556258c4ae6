//! Chunks: as much of a text as a model speaks at once.

use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Boundary, Part, Prosody, Span,
    properties::{category, is_mark, is_unspaced},
    sentence,
};
use icu_properties::props::GeneralCategory;

#[cfg(test)]
mod tests;

/// How much a family speaks well at once, in characters (Unicode scalar values, white space between words included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// What a chunk should not exceed if sentences allow it. A chunk of less than a quarter of it is avoided.
    pub target: usize,
    /// What no chunk exceeds. Zero counts as one.
    pub max: usize,
}

/// One block for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// All of one prosody, without white space at the ends, at most `max` characters together. Empty where the text
    /// begins with a pause.
    pub spans: Vec<Span>,
    /// What ends with it.
    pub end: Boundary,
}

impl Chunk {
    /// The words, as a family without phonemes reads them.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    pub fn prosody(&self) -> Prosody {
        self.spans.first().map_or_else(Prosody::default, |span| span.prosody)
    }
}

/// Cuts `parts` into chunks: at the ends of sentences, else of clauses, else between words. Joined again they are the same
/// words. Two things are cut further, because nothing else is left: a word longer than the limit, between graphemes
/// (between characters where one grapheme is longer than the limit), and text with phonemes longer than the limit, which
/// then loses the phonemes. White space becomes single spaces.
///
/// Chinese and Japanese may be cut between any two characters; other scripts that are written without spaces (Thai, Lao,
/// Khmer, Burmese) are cut at their spaces, and a longer run counts as a long word.
pub fn chunks(parts: &[Part], limits: ChunkLimits) -> Vec<Chunk> {
    let max = limits.max.max(1);
    let limits = ChunkLimits { target: limits.target.clamp(1, max), max };
    let mut out = Vec::new();
    let mut run: Vec<&Span> = Vec::new();
    for part in parts {
        match part {
            Part::Say(span) => {
                if run.last().is_some_and(|last| last.prosody != span.prosody) {
                    Run::of(&run).cut(limits, &mut out);
                    run.clear();
                }
                run.push(span);
            }
            Part::Boundary(boundary) => {
                Run::of(&run).cut(limits, &mut out);
                run.clear();
                end(*boundary, &mut out);
            }
        }
    }
    Run::of(&run).cut(limits, &mut out);
    out
}

/// Lets the last chunk end with `boundary` at least; pauses add up.
fn end(boundary: Boundary, out: &mut Vec<Chunk>) {
    match (out.last_mut(), boundary) {
        (Some(Chunk { end: Boundary::Pause(sum), .. }), Boundary::Pause(more)) => *sum = sum.saturating_add(more),
        (Some(last), boundary) => last.end = last.end.max(boundary),
        (None, Boundary::Pause(length)) if length > Duration::ZERO => {
            out.push(Chunk { spans: Vec::new(), end: boundary })
        }
        (None, _) => {}
    }
}

/// Neighbouring spans of one prosody, as one text.
struct Run {
    text: String,
    prosody: Prosody,
    /// Where spans with phonemes lie in `text`, in bytes, and their phonemes.
    solid: Vec<(usize, usize, String)>,
}

/// What is never cut: a word, with the white space after it.
#[derive(Clone, Copy)]
struct Atom {
    /// The end in bytes.
    end: usize,
    /// Characters, those of the white space apart.
    length: usize,
    white: usize,
    boundary: Boundary,
}

impl Run {
    fn of(spans: &[&Span]) -> Self {
        let mut run = Self { text: String::new(), prosody: Prosody::default(), solid: Vec::new() };
        for span in spans {
            let start = run.text.len();
            let leads = run.text.is_empty();
            run.text.push_str(if leads { span.text.trim_start() } else { &span.text });
            run.prosody = span.prosody;
            if let Some(phonemes) = span.phonemes.as_ref().filter(|_| run.text.len() > start) {
                run.solid.push((start, run.text.len(), phonemes.clone()));
            }
        }
        run
    }

    fn cut(mut self, limits: ChunkLimits, out: &mut Vec<Chunk>) {
        let atoms = self.atoms(limits.max);
        let mut start = 0; // in bytes
        for (end, boundary) in pack(&atoms, limits) {
            out.push(Chunk { spans: self.spans(start, end), end: boundary });
            start = end;
        }
    }

    /// The words in order, none longer than `max` characters.
    fn atoms(&mut self, max: usize) -> Vec<Atom> {
        self.soften(max);
        let mut atoms = Vec::new();
        let mut start = 0;
        for (end, boundary) in self.opportunities() {
            let word = self.text[start..end].trim_end();
            let length = word.chars().count();
            let white = self.text[start + word.len()..end].chars().count();
            if length > max {
                shatter(word, start, max, &mut atoms);
                let last = atoms.len() - 1;
                atoms[last] = Atom { end, white, boundary, ..atoms[last] };
            } else if length > 0 {
                atoms.push(Atom { end, length, white, boundary });
            }
            start = end;
        }
        atoms
    }

    /// Takes the phonemes from what is too long with them, so that it may be cut like other text.
    fn soften(&mut self, max: usize) {
        if self.solid.is_empty() {
            return;
        }
        let mut start = 0;
        let fits = |end| self.text[std::mem::replace(&mut start, end)..end].trim_end().chars().count() <= max;
        let ends: Vec<usize> = self.opportunities().into_iter().map(|(end, _)| end).collect();
        let fits: Vec<bool> = ends.iter().copied().map(fits).collect();
        self.solid.retain(|&(from, ..)| fits[ends.partition_point(|&end| end <= from)]);
    }

    /// Where the text may be cut, in bytes, and what ends there; its end is the last.
    fn opportunities(&self) -> Vec<(usize, Boundary)> {
        let mut sentences = sentence::ends(&self.text).into_iter().peekable();
        let mut solid = self.solid.iter().peekable();
        let mut all = Vec::new();
        let mut before = Before::default();
        for (at, c) in self.text.char_indices().chain([(self.text.len(), '\0')]) {
            while solid.next_if(|&&(_, to, _)| to <= at).is_some() {}
            while sentences.next_if(|&(end, _)| end < at).is_some() {}
            let inside = solid.peek().is_some_and(|&&(from, to, _)| from < at && at < to);
            let sentence = sentences.peek().filter(|&&(end, _)| end == at).map(|&(_, boundary)| boundary);
            let cut = sentence.or_else(|| before.may_break(c).then(|| before.boundary()));
            match cut.filter(|_| at > 0 && !inside) {
                Some(boundary) => all.push((at, boundary)),
                None if at == self.text.len() && at > 0 => all.push((at, before.boundary())),
                None => {}
            }
            before.take(c);
        }
        all
    }

    /// The spans of the text from `start` to `end`.
    fn spans(&self, start: usize, end: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        let text = self.text[start..end].trim_end();
        let (end, start) = (start + text.len(), start + text.len() - text.trim_start().len());
        let mut at = start;
        let first = self.solid.partition_point(|&(_, to, _)| to <= start);
        for (from, to, phonemes) in self.solid[first..].iter().take_while(|(from, ..)| *from < end) {
            self.push(at, *from, None, &mut spans);
            self.push(*from, (*to).min(end), Some(phonemes.clone()), &mut spans);
            at = *to;
        }
        self.push(at, end, None, &mut spans);
        spans
    }

    fn push(&self, from: usize, to: usize, phonemes: Option<String>, spans: &mut Vec<Span>) {
        if from < to {
            spans.push(Span { text: single_spaced(&self.text[from..to]), phonemes, prosody: self.prosody });
        }
    }
}

/// What stands before a place in a text.
#[derive(Default)]
struct Before {
    last: Option<char>,
    /// The last that is neither white space nor closes something.
    mark: Option<char>,
}

impl Before {
    fn may_break(&self, next: char) -> bool {
        match self.last {
            Some(last) if last.is_whitespace() => !next.is_whitespace(),
            Some(last) => may_break_unspaced(last, next),
            None => false,
        }
    }

    fn boundary(&self) -> Boundary {
        let clause =
            matches!(self.mark, Some(',' | ';' | ':' | '—' | '–' | '…' | '，' | '、' | '；' | '：' | '،' | '؛'));
        if clause { Boundary::Clause } else { Boundary::Word }
    }

    fn take(&mut self, c: char) {
        self.last = Some(c);
        if !c.is_whitespace() && !is_closing(c) {
            self.mark = Some(c);
        }
    }
}

fn is_closing(c: char) -> bool {
    use GeneralCategory as C;
    matches!(c, '"' | '\'') || matches!(category(c), C::ClosePunctuation | C::FinalPunctuation)
}

/// Chinese and Japanese break between any two characters, but not before what closes, lengthens or is small, and not
/// after what opens.
fn may_break_unspaced(last: char, next: char) -> bool {
    use GeneralCategory as C;
    if last < '\u{2E80}' || next < '\u{2E80}' {
        return false;
    }
    let sticks = matches!(next, 'ー' | '々' | 'ぁ' | 'ぃ' | 'ぅ' | 'ぇ' | 'ぉ' | 'っ' | 'ゃ' | 'ゅ' | 'ょ' | 'ゎ')
        || matches!(next, 'ァ' | 'ィ' | 'ゥ' | 'ェ' | 'ォ' | 'ッ' | 'ャ' | 'ュ' | 'ョ' | 'ヮ' | 'ヵ' | 'ヶ')
        || is_mark(next);
    let opens = |c| matches!(category(c), C::OpenPunctuation | C::InitialPunctuation);
    let ends = is_unspaced(last) || (matches!(category(last), C::OtherPunctuation) || is_closing(last));
    ends && !opens(last) && !sticks && (is_unspaced(next) || opens(next))
}

/// Cuts a word that is too long between graphemes.
fn shatter(word: &str, start: usize, max: usize, atoms: &mut Vec<Atom>) {
    let (mut end, mut length) = (start, 0);
    let mut push = |end, length| atoms.push(Atom { end, length, white: 0, boundary: Boundary::Word });
    for grapheme in word.graphemes(true) {
        let size = grapheme.chars().count();
        if length > 0 && length + size > max {
            push(end, length);
            length = 0;
        }
        for c in grapheme.chars() {
            if length == max {
                push(end, length);
                length = 0;
            }
            end += c.len_utf8();
            length += 1;
        }
    }
    push(end, length);
}

/// Fills chunks with `atoms`, and gives where each ends in bytes and with what.
fn pack(atoms: &[Atom], limits: ChunkLimits) -> Vec<(usize, Boundary)> {
    let mut cuts = Vec::new();
    let mut first = 0;
    while first < atoms.len() {
        let last = fill(&atoms[first..], limits) + first;
        cuts.push((atoms[last].end, atoms[last].boundary));
        first = last + 1;
    }
    cuts
}

/// The index of the last atom of the first chunk.
///
/// Looks at no more atoms than `max` characters hold and takes at least a quarter of `target` of them where it can, so that
/// the whole is linear in the text.
fn fill(atoms: &[Atom], limits: ChunkLimits) -> usize {
    let least = limits.target / 4;
    let (mut sentence, mut clause, mut word) = (None, None, 0);
    let mut length = 0;
    for (at, atom) in atoms.iter().enumerate() {
        let whole = length + atom.length;
        if whole > limits.max {
            return sentence.or(clause).unwrap_or(word);
        }
        if let Some(sentence) = sentence.filter(|_| whole > limits.target) {
            return sentence;
        }
        word = at;
        if whole >= least {
            match atom.boundary {
                Boundary::Word => {}
                Boundary::Clause => clause = Some(at),
                _ => sentence = Some(at),
            }
        }
        length = whole + atom.white;
    }
    atoms.len() - 1
}

fn single_spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !c.is_whitespace() => out.push(c),
            _ if out.ends_with(' ') => {}
            _ => out.push(' '),
        }
    }
    out
}
