//! English as it is spoken: everything that is not letters becomes words.
//!
//! The text is taken apart at white space into tokens, and each [`Rule`] looks at one token and a few after it. The first
//! rule that knows the token decides; what none knows is spelled out by its parts (`compound`). A rule reads each token a
//! fixed number of times, so that the whole is linear in the text.

mod abbreviation;
mod amount;
mod compound;
mod date;
pub(super) mod number;
mod numeral;
mod roman;
#[cfg(test)]
mod tests;
mod unit;
mod web;
mod words;

use words::{Reading, Token, Words};

/// A kind of English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct English {
    /// Whether the day stands before the month in 4/5/2024, as everywhere but in America.
    british: bool,
}

/// In this order; a token that two rules know is the first one's.
const RULES: &[Rule] = &[
    web::read,
    date::numeric,
    date::named,
    date::time,
    numeral::phone,
    abbreviation::read,
    amount::money,
    amount::height,
    numeral::special,
    amount::measure,
    numeral::read,
    roman::read,
];

/// How a token is read, together with some after it; nothing if the rule does not know it.
type Rule = fn(&Words<'_>, usize) -> Option<Reading>;

impl English {
    /// The English of a language tag, if it is one.
    pub fn of(language: &str) -> Option<Self> {
        let mut tags = language.split(['-', '_']);
        tags.next().filter(|tag| tag.eq_ignore_ascii_case("en"))?;
        let american = tags.all(|tag| matches!(tag.to_ascii_uppercase().as_str(), "US" | "LATN" | "PH" | "PR"));
        Some(Self { british: !american })
    }

    /// `text`, which is folded, in words. A token that `keep` knows is left as it is.
    pub fn speak(self, text: &str, keep: impl Fn(&str) -> bool) -> String {
        let paragraphs = text.split("\n\n").map(|paragraph| self.paragraph(paragraph, &keep));
        paragraphs.collect::<Vec<_>>().join("\n\n")
    }

    fn paragraph(self, text: &str, keep: &dyn Fn(&str) -> bool) -> String {
        let parted = parted(text);
        let words = Words { tokens: parted.split(' ').map(Token::of).collect(), british: self.british };
        let mut out: Vec<String> = Vec::with_capacity(words.tokens.len());
        let mut at = 0;
        while at < words.tokens.len() {
            let token = &words.tokens[at];
            let reading = reading(&words, at, keep);
            let tail = &words.tail(at + reading.tokens - 1)[reading.swallowed..];
            let year = token.lead == "'" && token.core.starts_with(|c: char| c.is_ascii_digit()); // '68
            let lead = if year { String::new() } else { unmarked(token.lead) };
            out.push(format!("{lead}{}{}", reading.text, unmarked(tail)));
            at += reading.tokens;
        }
        // White space at the ends parts the text from what stands beside it; within, a token may have become nothing.
        let last = out.len() - 1;
        let kept = out.iter().enumerate().filter(|(at, word)| !word.is_empty() || *at == 0 || *at == last);
        kept.map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ")
    }
}

fn reading(words: &Words<'_>, at: usize, keep: &dyn Fn(&str) -> bool) -> Reading {
    let core = words.core(at);
    let dotted = || words.tail(at).starts_with('.').then(|| format!("{core}."));
    if core.is_empty() || keep(core) || dotted().is_some_and(|dotted| keep(&dotted)) {
        return Reading::of(core.to_owned(), 1);
    }
    if core.bytes().all(|byte| byte.is_ascii_lowercase()) && words.tail(at).is_empty() && !abbreviation::is_bare(core) {
        return Reading::of(core.to_owned(), 1); // most words
    }
    let known = RULES.iter().find_map(|rule| rule(words, at));
    known.unwrap_or_else(|| Reading::of(compound::read(core), 1))
}

/// Dashes and arrows between words stand by themselves.
fn parted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (c, next) {
            ('—', _) => push_apart("—", &mut out, next),
            ('–', Some(next)) if !(last.is_ascii_digit() && (next.is_ascii_digit() || "$£€".contains(next))) => {
                push_apart("—", &mut out, Some(next))
            }
            ('-', Some('-')) if !out.ends_with('-') => {
                while chars.next_if_eq(&'-').is_some() {}
                push_apart("—", &mut out, chars.peek().copied());
            }
            ('-' | '=', Some('>')) => {
                chars.next();
                push_apart("→", &mut out, chars.peek().copied());
            }
            ('*', Some(' ')) if out.ends_with(' ') && out.trim_end().ends_with(|c: char| c.is_ascii_digit()) => {
                out.push('×')
            }
            ('→' | '⇒', _) => push_apart("→", &mut out, next),
            _ => out.push(c),
        }
        last = c;
    }
    out
}

fn push_apart(mark: &str, out: &mut String, next: Option<char>) {
    if !out.ends_with(' ') && !out.is_empty() {
        out.push(' ');
    }
    out.push_str(mark);
    if next.is_some_and(|next| next != ' ') {
        out.push(' ');
    }
}

/// Punctuation without the signs of emphasis and code. Square brackets stay: `[laugh]` means something to some families.
fn unmarked(punctuation: &str) -> String {
    punctuation.replace(['*', '_', '`', '{', '}'], "")
}
