//! From Markdown to HTML, with anchors where GitHub has them and links that lead to pages of this server.

use std::collections::BTreeMap;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html::push_html};

use super::source;

/// A page without its frame.
pub(super) struct Rendered {
    /// The text of its first heading.
    pub title: String,
    pub body: String,
}

/// The anchors of one page; no two are alike.
#[derive(Default)]
struct Anchors(BTreeMap<String, usize>);

/// Where a link leads.
enum Target {
    /// As it is written.
    Outside,
    /// A page of this server, with or without an anchor.
    Page(String),
    /// A file of the repository, which no page shows.
    File(String),
}

pub(super) fn render(markdown: &str) -> Rendered {
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let title = anchor_headings(&mut events);
    let mut body = String::new();
    push_html(&mut body, rewrite_links(events).into_iter().flat_map(framed));
    Rendered { title, body }
}

/// Gives every heading its anchor; the text of the first.
fn anchor_headings(events: &mut [Event<'_>]) -> String {
    let (mut anchors, mut title) = (Anchors::default(), None);
    for place in 0..events.len() {
        if let Event::Start(Tag::Heading { .. }) = events[place] {
            let text = text_of(&events[place..]);
            let anchor = anchors.of(&text);
            title.get_or_insert(text);
            if let Event::Start(Tag::Heading { id, .. }) = &mut events[place] {
                *id = Some(anchor.into());
            }
        }
    }
    title.unwrap_or_default()
}

/// The text of the heading that these events begin with.
fn text_of(events: &[Event<'_>]) -> String {
    let heading = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let texts = heading.filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}

/// Links between pages lead to pages; a link to another file of the repository becomes its text and the file's path.
fn rewrite_links(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let (mut rewritten, mut file) = (Vec::with_capacity(events.len()), None);
    for event in events {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => match target(&dest_url) {
                Target::Outside => rewritten.push(Event::Start(Tag::Link { link_type, dest_url, title, id })),
                Target::Page(address) => {
                    let dest_url = CowStr::from(address);
                    rewritten.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
                }
                Target::File(path) => file = Some(path),
            },
            Event::End(TagEnd::Link) if file.is_some() => {
                let path = file.take().unwrap_or_default();
                rewritten.extend([Event::Text(" (".into()), Event::Code(path.into()), Event::Text(")".into())]);
            }
            event => rewritten.push(event),
        }
    }
    rewritten
}

fn target(link: &str) -> Target {
    if link.contains("://") || link.starts_with('#') || link.starts_with("mailto:") {
        return Target::Outside;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    match path.strip_suffix(".md").filter(|name| source::has(name)) {
        Some(name) => Target::Page(anchor.map_or(address(name), |anchor| format!("{}#{anchor}", address(name)))),
        None => Target::File(path.trim_start_matches("../").to_owned()),
    }
}

/// Of a page, from any other one: all lie in one folder, wherever a proxy puts it.
pub(super) fn address(name: &str) -> String {
    if name == source::FIRST { "./".to_owned() } else { name.to_owned() }
}

/// A table scrolls by itself where it is wider than the page.
fn framed(event: Event<'_>) -> Vec<Event<'_>> {
    match event {
        Event::Start(Tag::Table(_)) => vec![Event::Html("<div class=\"wide\" tabindex=\"0\">\n".into()), event],
        Event::End(TagEnd::Table) => vec![event, Event::Html("</div>\n".into())],
        event => vec![event],
    }
}

// === impl Anchors ===

impl Anchors {
    /// Letters, digits, `_` and `-` of the text in lower case, with `-` for spaces; a second one alike ends in `-1`.
    fn of(&mut self, text: &str) -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
        let slug: String = text.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let before = self.0.entry(slug.clone()).or_default();
        *before += 1;
        if *before == 1 { slug } else { format!("{slug}-{}", *before - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(markdown: &str) -> String {
        render(markdown).body
    }

    #[test]
    fn headings_have_the_anchors_that_github_gives_them() {
        let page = render("# How `it` is, said\n\n## A [link](x.md)!\n\n## A link\n");
        assert_eq!(page.title, "How it is, said");
        for anchor in ["how-it-is-said", "a-link", "a-link-1"] {
            assert!(page.body.contains(&format!("id=\"{anchor}\"")), "{}", page.body);
        }
    }

    #[test]
    fn links_lead_to_pages_and_what_is_none_is_named() {
        assert!(body("[a](apis.md#openai)").contains("<a href=\"apis#openai\">a</a>"));
        assert!(body("[a](index.md)").contains("<a href=\"./\">a</a>"));
        assert!(body("[a](#b)").contains("<a href=\"#b\">a</a>"));
        assert!(body("[a](https://example.com/x.md)").contains("<a href=\"https://example.com/x.md\">a</a>"));
        assert!(body("[the kit](../deploy/README.md#x)").contains("the kit (<code>deploy/README.md</code>)"));
    }

    #[test]
    fn a_wide_table_scrolls_by_itself() {
        assert!(body("| a |\n|---|\n| b |\n").contains("<div class=\"wide\" tabindex=\"0\">\n<table>"));
    }
}
