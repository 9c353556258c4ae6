//! The files of our crates, with comments, strings and characters blanked out.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// A file of `src/`.
pub struct Source {
    /// From the folder of the program's crate on.
    pub path: PathBuf,
    /// `store/hub.rs` is `[store, hub]`, `store/mod.rs` is `[store]`.
    pub module: Vec<String>,
    /// As many lines as the file, ASCII only.
    pub code: String,
    /// Where each `mod x { … }` stands, the outer before the inner.
    inline: Vec<(Range<usize>, String)>,
    /// Where items stand that only tests are built with.
    tests: Vec<Range<usize>>,
}

// === impl Source ===

impl Source {
    pub fn new(path: PathBuf, module: Vec<String>, text: &str) -> Self {
        let code = code_of(text);
        let (inline, tests) = (inline_modules(&code), test_items(&code));
        Self { path, module, code, inline, tests }
    }

    fn read(folder: &str, part_of: &[&str], path: &Path) -> Self {
        let relative = path.strip_prefix(root().join(folder)).expect("a file below");
        let below = relative.with_extension("");
        let parts =
            part_of.iter().copied().map(str::to_owned).chain(below.iter().map(|part| part.to_string_lossy().into()));
        let mut module: Vec<String> = parts.collect();
        if ["mod", "lib", "main"].contains(&module.last().map_or("", String::as_str)) {
            module.pop();
        }
        let mut text = fs::read_to_string(path).expect("source is UTF-8");
        if let [name, ..] = part_of {
            text = text.replace("crate::", &format!("crate::{name}::"));
        }
        Self::new(Path::new(folder).join(relative), module, &text)
    }

    /// A line of it, for people.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// In a file of tests, or in an item behind `#[cfg(test)]`.
    pub fn in_test(&self, at: usize) -> bool {
        self.module.iter().any(|part| part == "tests") || self.tests.iter().any(|range| range.contains(&at))
    }

    /// The module that this place is in.
    pub fn module_at(&self, at: usize) -> Vec<String> {
        let inline = self.inline.iter().filter(|(range, _)| range.contains(&at)).map(|(_, name)| name);
        self.module.iter().chain(inline).cloned().collect()
    }

    /// The modules that this file declares behind `#[cfg(test)]` and that are files of their own.
    fn test_files(&self) -> Vec<Vec<String>> {
        let items = self.tests.iter().map(|range| &self.code[range.clone()]);
        let names = items.filter_map(|item| item.strip_suffix(';')?.split_once("mod ").map(|(_, name)| name));
        names.map(|name| [self.module.clone(), vec![name.trim().to_owned()]].concat()).collect()
    }
}

/// Where code is, and the module that the folder stands for: the crates beside the program's are modules of it, by name.
const FOLDERS: [(&str, &[&str]); 3] = [("src", &[]), ("crates/audio/src", &["audio"]), ("crates/nn/src", &["nn"])];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything in our crates. A file that is declared for tests only is a test throughout.
pub fn sources() -> Vec<Source> {
    let mut sources: Vec<_> = FOLDERS.iter().flat_map(|(folder, module)| sources_below(folder, module)).collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let tests: Vec<_> = sources.iter().flat_map(Source::test_files).collect();
    for source in sources.iter_mut().filter(|source| tests.iter().any(|module| source.module.starts_with(module))) {
        source.tests = std::iter::once(0..source.code.len()).collect();
    }
    sources
}

fn sources_below(folder: &str, module: &[&str]) -> Vec<Source> {
    let mut folders = vec![root().join(folder)];
    let mut sources = Vec::new();
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(&below).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            match path.extension() {
                None if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => sources.push(Source::read(folder, module, &path)),
                _ => {}
            }
        }
    }
    assert!(!sources.is_empty(), "{folder} holds no code");
    sources
}

/// The items behind `#[cfg(test)]`, each up to its semicolon or the brace that closes it.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let item = |(at, attribute): (usize, &str)| at..at + attribute.len() + item_length(&code[at + attribute.len()..]);
    code.match_indices("#[cfg(test)]").map(item).collect()
}

fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + 1;
        }
    }
    code.len()
}

/// Where each `mod x { … }` stands, braces included.
fn inline_modules(code: &str) -> Vec<(Range<usize>, String)> {
    let module = |(at, _): (usize, &str)| {
        let mut words = code[..at].trim_end().rsplit(char::is_whitespace);
        let (name, keyword) = (words.next()?, words.next()?);
        (keyword == "mod").then(|| (at..at + item_length(&code[at..]), name.to_owned()))
    };
    code.match_indices('{').filter_map(module).collect()
}

/// The text with comments, strings and characters blanked out, line by line as it was, and ASCII only.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| string(rest, &code)).or_else(|| character(rest)).unwrap_or(0);
        if skipped == 0 {
            code.push(if c.is_ascii() { c } else { ' ' });
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

fn string(rest: &str, before: &str) -> Option<usize> {
    let raw = rest.strip_prefix('r').filter(|_| !before.ends_with(|c| is_word(c) && c != 'b'));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(1 + hashes + 1 + body.find(&close).map_or(body.len(), |end| end + close.len()));
    }
    let body = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            '"' if !escaped => return Some(at + 2),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Some(rest.len())
}

/// `'x'` and `'\n'`, but not the lifetime `'x`.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    let first = body.chars().next()?;
    if first == '\\' {
        return body[2..].find('\'').map(|end| 2 + end + 2);
    }
    body[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
