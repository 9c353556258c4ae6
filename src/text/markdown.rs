//! Markdown as people read it aloud: the words of headings, lists, links and tables, without the marks.

use std::borrow::Cow;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::properties::is_unspaced;

/// The text of `source`, with a blank line where a block ends.
///
/// A link is its words and an image its description; code is read as it stands; a table is read row by row, its cells
/// as a list; the tags of HTML are left out, the text between them is not.
pub(super) fn text(source: &str) -> String {
    let source = without_false_definitions(source);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut out = String::with_capacity(source.len());
    for (event, range) in Parser::new_ext(&source, options).into_offset_iter() {
        match event {
            Event::Text(text) | Event::Code(text) => out.push_str(&text),
            Event::Html(html) => untagged(&html, &mut out),
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Rule => end_block(&mut out),
            Event::Start(Tag::Item) => out.push_str(number_of_item(&source[range])),
            Event::Start(Tag::List(_)) => end_sentence(&mut out), // an item, if this list is within one
            Event::Start(tag) if begins_block(&tag) => end_block(&mut out),
            Event::End(tag) => end(tag, &mut out),
            _ => {}
        }
    }
    // The library eats the white space at the ends, which may part this text from what stands beside it.
    let (before, after) = (source.starts_with(char::is_whitespace), source.ends_with(char::is_whitespace));
    let ends = |there: bool| if there { " " } else { "" };
    format!("{}{}{}", ends(before), out.trim(), ends(after))
}

/// `[Anna]: Hello!` in a dialogue is no definition of a link: that has an address. What is none is escaped.
fn without_false_definitions(source: &str) -> Cow<'_, str> {
    if !source.contains("]:") {
        return Cow::Borrowed(source);
    }
    let escaped = source.split_inclusive('\n').flat_map(|line| {
        let at = line.len() - line.trim_start().len();
        let target = line[at..].starts_with('[').then(|| line.split_once("]:")).flatten();
        let fake = target
            .is_some_and(|(_, target)| !target.contains("://") && !target.trim_start().starts_with(['#', '/', '<']));
        [&line[..at], if fake { "\\" } else { "" }, &line[at..]]
    });
    Cow::Owned(escaped.collect())
}

fn begins_block(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Paragraph | Tag::Heading { .. } | Tag::BlockQuote(_) | Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::Table(_)
    )
}

fn end(tag: TagEnd, out: &mut String) {
    match tag {
        TagEnd::TableCell => out.push_str(", "),
        TagEnd::TableHead | TagEnd::TableRow => {
            out.truncate(out.trim_end_matches([',', ' ']).len());
            end_sentence(out);
        }
        TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::Item => end_sentence(out),
        TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::HtmlBlock | TagEnd::List(_) | TagEnd::Table => {
            end_block(out)
        }
        _ => {}
    }
}

/// Ends a heading, an item or a row as a sentence, so that it is heard as one.
fn end_sentence(out: &mut String) {
    out.truncate(out.trim_end().len());
    match out.chars().next_back() {
        Some(c) if is_unspaced(c) => out.push('。'),
        Some(c) if c.is_alphanumeric() => out.push('.'),
        _ => {}
    }
    end_block(out);
}

fn end_block(out: &mut String) {
    out.truncate(out.trim_end().len());
    match out.is_empty() {
        true => {}
        false if ends_with_number(out) => out.push(' '),
        false => out.push_str("\n\n"),
    }
}

/// Whether nothing follows the number of an item yet: `1.` and its paragraph belong together.
fn ends_with_number(out: &str) -> bool {
    let last = out.rsplit('\n').next().unwrap_or_default();
    last.strip_suffix('.').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `12. ` of a numbered item as it was written, nothing of others.
fn number_of_item(item: &str) -> &str {
    let digits = item.bytes().take_while(u8::is_ascii_digit).count();
    match item.as_bytes().get(digits) {
        Some(b'.') if digits > 0 => item.get(..digits + 2).filter(|mark| mark.ends_with(' ')).unwrap_or_default(),
        _ => "",
    }
}

fn untagged(html: &str, out: &mut String) {
    let mut rest = html;
    while let Some((text, tag)) = rest.split_once('<') {
        out.push_str(text);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
}
