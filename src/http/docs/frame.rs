//! What stands around each page: the way to the others.

use super::{
    render::{Rendered, address},
    source::{self, Line},
};

/// The whole page.
pub(super) fn framed(name: &str, page: &Rendered) -> String {
    format!(
        include_str!("frame.html"),
        title = escaped(&page.title),
        contents = contents(name),
        body = page.body,
        neighbours = neighbours(name),
    )
}

/// Every page, under the part that it belongs to.
fn contents(current: &str) -> String {
    let mut html = String::from("<ul>\n");
    for line in source::summary() {
        match line {
            Line::Part(part) => html.push_str(&format!("</ul>\n<h2>{}</h2>\n<ul>\n", escaped(part))),
            Line::Page { title, name } => {
                let here = if name == current { " aria-current=\"page\"" } else { "" };
                html.push_str(&format!("<li><a href=\"{}\"{here}>{}</a></li>\n", address(name), escaped(title)));
            }
        }
    }
    html + "</ul>\n"
}

/// The pages before and after.
fn neighbours(current: &str) -> String {
    let pages: Vec<_> = source::in_order().collect();
    let Some(place) = pages.iter().position(|(_, name)| *name == current) else { return String::new() };
    let link = |place: Option<usize>, rel: &str| {
        let found = place.and_then(|place| pages.get(place));
        found.map_or_else(String::new, |(title, name)| {
            format!("<a rel=\"{rel}\" href=\"{}\">{}</a>\n", address(name), escaped(title))
        })
    };
    link(place.checked_sub(1), "prev") + &link(Some(place + 1), "next")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
