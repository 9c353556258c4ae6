//! The same text in the characters that models know: NFKC, plain quotes, no emoji, no control characters.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::properties::{is_emoji, is_invisible, is_letter, is_mark};

/// Drops control characters but line breaks and tabs, and changes nothing else.
pub(super) fn without_controls(text: &str) -> Cow<'_, str> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(control) { Cow::Owned(text.replace(control, "")) } else { Cow::Borrowed(text) }
}

/// Folds compatibility forms, maps typographic quotes and hyphens, drops what is not spoken, and makes every run of white
/// space a single space, or `\n\n` where a paragraph ends. Folding twice is folding once.
pub(super) fn fold(text: &str) -> String {
    spaced(&mapped(&composed(&visible(text))))
}

/// Superscripts change what a number means, and wide punctuation is what models of Chinese and Japanese were trained on.
fn keeps_its_form(c: char) -> bool {
    matches!(c, '⁰' | '¹' | '²' | '³' | '⁴'..='⁹' | '！' | '（' | '）' | '，' | '：' | '；' | '？' | '～')
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut last = ' ';
    for c in text.chars() {
        match c {
            '\u{200C}' | '\u{200D}' if is_letter(last) || is_mark(last) => out.push(c), // shapes Indic and Persian words
            '‼' | '⁉' | 'ℹ' | 'Ⓜ' | '㊗' | '㊙' => out.push(c),                         // NFKC makes text of them
            '″' => out.push('"'),                                                       // NFKC makes two primes of it
            '™' | '℠' | '©' | '®' => {}
            c if is_emoji(c) || is_invisible(c) => {}
            '¼'..='¾' | '⅐'..='⅞' | '↉' => {
                let glued = if last.is_ascii_digit() { " " } else { "" };
                out.push_str(glued); // 2½ is not 21/2
                out.push(c);
            }
            _ => out.push(c),
        }
        last = c;
    }
    out
}

/// NFKC of everything but what keeps its form.
fn composed(text: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let mut out = String::with_capacity(text.len());
    for run in text.split_inclusive(keeps_its_form) {
        let kept = run.chars().next_back().filter(|&c| keeps_its_form(c));
        out.push_str(&nfkc.normalize(&run[..run.len() - kept.map_or(0, char::len_utf8)]));
        out.extend(kept);
    }
    out
}

fn mapped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' => '\'',
            '“' | '”' | '„' | '‟' => '"',
            '‐' | '‑' | '−' | '﹣' => '-',
            '―' => '—',
            '⁄' | '∕' => '/',
            c => c,
        })
        .collect()
}

fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run: Option<usize> = None; // line breaks in the white space at hand
    for c in text.chars() {
        if c.is_whitespace() {
            let breaks = match c {
                '\n' => 1,
                '\u{2029}' => 2,
                _ => 0,
            };
            run = Some(run.unwrap_or(0) + breaks);
            continue;
        }
        out.push_str(white(run.take()));
        out.push(c);
    }
    out.push_str(white(run));
    out
}

fn white(breaks: Option<usize>) -> &'static str {
    match breaks {
        None => "",
        Some(0 | 1) => " ",
        Some(_) => "\n\n",
    }
}
