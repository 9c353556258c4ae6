//! Passages: a text of any length in parts that can be read, spoken and kept one by one.

use super::{Boundary, sentence};

/// The parts of a plain text, in order and none longer than `longest` bytes (but for a single character that is), and what
/// ends with each: a paragraph where one ends late enough, else a sentence, else a word. Joined they are the text again.
/// Takes time in proportion to the text, and memory to `longest`.
pub fn passages(text: &str, longest: usize) -> impl Iterator<Item = (&str, Boundary)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (end, boundary) = cut(rest, longest);
        let (passage, after) = rest.split_at(end);
        rest = after;
        (!passage.is_empty()).then_some((passage, boundary))
    })
}

/// Where the first passage of `text` ends, in bytes.
fn cut(text: &str, longest: usize) -> (usize, Boundary) {
    if text.len() <= longest {
        return (text.len(), Boundary::Paragraph);
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    let window = &text[..text.floor_char_boundary(longest).max(first)];
    // The last sentence of the window may go on behind it.
    let mut ends = sentence::ends(window);
    ends.pop();
    let late = |(end, _): &&(usize, Boundary)| *end > window.len() / 2;
    let paragraph = ends.iter().rev().take_while(late).find(|(_, boundary)| *boundary >= Boundary::Paragraph);
    if let Some(end) = paragraph.or(ends.last()) {
        return *end;
    }
    match window.char_indices().rev().find(|(_, c)| c.is_whitespace()) {
        Some((at, c)) => (at + c.len_utf8(), Boundary::Word),
        None => (window.len(), Boundary::Word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, longest: usize) -> Vec<(&str, Boundary)> {
        let all: Vec<_> = passages(text, longest).collect();
        assert_eq!(all.iter().map(|(passage, _)| *passage).collect::<String>(), text);
        let most = longest.max(4);
        assert!(all.iter().all(|(passage, _)| !passage.is_empty() && passage.len() <= most), "{all:?}");
        all
    }

    #[test]
    fn a_short_text_is_one_passage() {
        assert_eq!(check("One. Two.", 100), [("One. Two.", Boundary::Paragraph)]);
        assert_eq!(check("", 100), []);
    }

    #[test]
    fn a_passage_ends_with_a_paragraph_else_a_sentence_else_a_word() {
        let text = "One is here. Two.\n\nThree is a longer one. Four.";
        assert_eq!(check(text, 30)[0], ("One is here. Two.\n\n", Boundary::Paragraph));
        assert_eq!(check("One is here. Two goes on and on and on.", 20)[0], ("One is here. ", Boundary::Sentence));
        assert_eq!(check("one word and another word", 12)[0], ("one word ", Boundary::Word));
    }

    #[test]
    fn any_text_is_cut_whatever_it_is() {
        for longest in [0, 1, 2, 3, 7, 100] {
            for text in ["é".repeat(50), "🎉".repeat(50), "a".repeat(333), "\n\n".repeat(70), ". ".repeat(70)] {
                check(&text, longest);
            }
        }
    }
}
