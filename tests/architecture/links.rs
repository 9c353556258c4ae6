//! Links between the pages of this repository lead to files that are there, and to headings that these have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Where pages are, beside the root itself.
const FOLDERS: [&str; 7] = ["docs", "deploy", "charts", "examples", "training", "assets", ".github"];

/// What a page says of links: where they lead, and which anchors it has.
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

// === impl Page ===

impl Page {
    fn new(markdown: &str) -> Self {
        let (mut links, mut anchors, mut heading) = (Vec::new(), BTreeMap::new(), None);
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    *anchors.entry(anchor).or_insert(0) += 1;
                }
                _ => {}
            }
        }
        let every = anchors.into_iter().flat_map(|(anchor, times)| {
            (0..times).map(move |before| if before == 0 { anchor.clone() } else { format!("{anchor}-{before}") })
        });
        Self { links, anchors: every.collect() }
    }
}

/// As GitHub makes it of the text of a heading.
fn anchor(heading: &str) -> String {
    let kept = |sign: &char| sign.is_alphanumeric() || matches!(sign, '_' | '-' | ' ');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file below a folder.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => below(&entry, found),
            false if entry.extension().is_some_and(|extension| extension == "md") => found.push(entry),
            false => {}
        }
    }
}

/// Every page, by its path.
fn pages() -> BTreeMap<PathBuf, Page> {
    let mut paths = Vec::new();
    FOLDERS.iter().for_each(|folder| below(&root().join(folder), &mut paths));
    let root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    paths.extend(root.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let page = |path: PathBuf| {
        let page = Page::new(&fs::read_to_string(&path).unwrap());
        (path, page)
    };
    paths.into_iter().map(page).collect()
}

/// Without `.` and `..`, as the keys of [`pages`] are.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// What is wrong with a link of a page, if something is.
fn fault(pages: &BTreeMap<PathBuf, Page>, page: &Path, link: &str) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { page.to_owned() } else { plain(&page.parent()?.join(path)) };
    if !target.exists() {
        return Some("there is no such file");
    }
    let anchor = anchor?;
    let Some(page) = pages.get(&target) else { return Some("only pages have headings") };
    (!page.anchors.contains(anchor)).then_some("there is no such heading")
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 50, "{} pages", pages.len());
    let mut wrong = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            let shown = path.strip_prefix(root()).unwrap_or(path).display();
            wrong.extend(fault(&pages, path, link).map(|fault| format!("{shown}: {link}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_link_is_read_as_a_reader_follows_it() {
    let page = Page::new(
        "# How `it` is, said\n\n[a](b.md#c) and `[no](link.md)`\n\n## Twice\n\n## Twice\n\n```\n[no](x.md)\n```\n",
    );
    assert_eq!(page.links, ["b.md#c"]);
    assert_eq!(page.anchors, ["how-it-is-said", "twice", "twice-1"].map(str::to_owned).into());
    let here = root().join("docs/index.md");
    let pages = BTreeMap::from([(here.clone(), page)]);
    let faults: Vec<_> = [
        "https://example.com/x",
        "#twice-1",
        "../docs/./index.md#twice",
        "../src",
        "#thrice",
        "nowhere.md",
        "../Cargo.toml#x",
    ]
    .map(|link| fault(&pages, &here, link))
    .into();
    let expected = [
        None,
        None,
        None,
        None,
        Some("there is no such heading"),
        Some("there is no such file"),
        Some("only pages have headings"),
    ];
    assert_eq!(faults, expected);
}
