//! Holds the table of what each module may import. This table is the one that counts; `docs/ARCHITECTURE.md` explains
//! it.
//!
//! The scan reads paths that begin with `crate::` or climb by `super::`, in code, not in comments or strings. Tests
//! inside `src/` may build whatever lies below their module, directly or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// From the leaves up: nobody imports a module that stands below its own line.
const MAY_USE: &[(&str, &[&str])] = &[
    ("audio", &[]),
    ("text", &[]),
    ("speech", &["audio"]),
    ("model", &["speech", "audio"]),
    ("nn", &[]),
    ("remote", &["speech"]),
    ("families", &["model", "speech", "audio", "nn"]),
    ("store", &["remote", "speech", "model"]),
    ("catalog", &["families", "model", "speech", "store"]),
    ("runtime", &["model", "speech"]),
    ("lifecycle", &["store", "runtime", "model", "speech"]),
    ("service", &["catalog", "lifecycle", "runtime", "remote", "model", "speech", "audio"]),
    // What the work of a job is, its `Worker` knows.
    ("jobs", &["remote", "speech"]),
    // Status pages show what the catalog and the lifecycle know.
    ("http", &["jobs", "service", "catalog", "lifecycle", "remote", "model", "speech", "audio"]),
    ("telemetry", &[]),
    // The configuration and the composition root know every module's `Config`; `app` takes it as plain values.
    (
        "config",
        &["app", "jobs", "remote", "store", "catalog", "model", "runtime", "lifecycle", "service", "http", "telemetry"],
    ),
    // Beside the three that do the work, what it prints.
    ("cli", &["app", "config", "telemetry", "service", "lifecycle", "catalog", "store", "model", "speech", "audio"]),
    (
        "app",
        &[
            "audio",
            "text",
            "speech",
            "model",
            "nn",
            "remote",
            "families",
            "store",
            "catalog",
            "runtime",
            "lifecycle",
            "service",
            "jobs",
            "http",
            "telemetry",
        ],
    ),
];

/// The parts of `http` that speak a protocol. None of them knows another, and what they share knows none of them.
const PROTOCOLS: [&str; 6] = ["admin", "generate", "jobs", "oip", "openai", "vertex"];
/// Folders of `http` that protocols share.
const SHARED: [&str; 5] = ["access", "models", "native", "openapi", "problem"];
/// What puts the protocols together: every route, and the document of all of them.
const KNOWS_PROTOCOLS: [&str; 2] = ["routes", "openapi"];

/// The only module that may make a `ModelName`, outside of tests.
const NAMES_MODELS: &str = "catalog";

/// A file of `src/`.
struct Source {
    path: PathBuf,
    /// `store/hub.rs` is `[store, hub]`, `store/mod.rs` is `[store]`.
    module: Vec<String>,
    code: String,
}

/// A path in code, from the crate's root: the first two segments at most.
#[derive(Debug, PartialEq)]
struct Import {
    line: usize,
    target: Vec<String>,
    in_test: bool,
}

#[test]
fn every_module_has_a_line_in_the_table() {
    let modules: BTreeSet<String> = sources().into_iter().filter_map(|source| source.module.first().cloned()).collect();
    let table: BTreeSet<String> = MAY_USE.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(modules, table, "src/ (left) and the table in tests/architecture (right) differ");
}

#[test]
fn nobody_imports_what_the_table_does_not_allow() {
    assert_clean(|source, import| {
        let module = source.module.first()?;
        let target = import.target.first()?;
        let allowed = if import.in_test { below(module) } else { direct(module) };
        let fine = target == module || allowed.contains(target.as_str());
        let list = allowed.into_iter().collect::<Vec<_>>().join(", ");
        (!fine).then(|| format!("{module} may not use {target}; it may use [{list}]"))
    });
}

#[test]
fn families_do_not_import_each_other() {
    assert_clean(|source, import| {
        let family = source.module.get(1).filter(|_| source.module[0] == "families")?;
        let target = import.target.get(1).filter(|_| import.target[0] == "families")?;
        (family != target).then(|| format!("the family {family} may not use families::{target}"))
    });
}

#[test]
fn protocols_do_not_import_each_other() {
    assert_clean(|source, import| {
        let part = source.module.get(1).filter(|_| source.module[0] == "http")?;
        let target = import.target.get(1).filter(|_| import.target[0] == "http")?;
        let fine = part == target || KNOWS_PROTOCOLS.contains(&part.as_str()) || !PROTOCOLS.contains(&target.as_str());
        (!fine).then(|| format!("http::{part} may not use the protocol http::{target}; what they share is in `native`"))
    });
}

#[test]
fn every_folder_of_http_is_a_protocol_or_shared() {
    let is_folder = |part: &String| Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(part).is_dir();
    let parts = sources().into_iter().filter(|source| source.module.first().is_some_and(|module| module == "http"));
    let parts: BTreeSet<String> = parts.filter_map(|source| source.module.get(1).cloned()).collect();
    let known = |part: &&String| PROTOCOLS.contains(&part.as_str()) || SHARED.contains(&part.as_str());
    let unknown: Vec<_> = parts.iter().filter(|part| is_folder(part)).filter(|part| !known(part)).collect();
    assert!(unknown.is_empty(), "{unknown:?} should stand in PROTOCOLS or in SHARED");
    let missing: Vec<_> = PROTOCOLS.iter().filter(|protocol| !parts.contains(**protocol)).collect();
    assert!(missing.is_empty(), "there is no protocol {missing:?}");
}

#[test]
fn only_the_catalog_makes_model_names() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module.first().is_some_and(|name| name != NAMES_MODELS)) {
        for (at, _) in source.code.match_indices("ModelName::known") {
            if !source.in_test(at) {
                let place = source.place(line_of(&source.code, at));
                wrong.push(format!("{place}: only {NAMES_MODELS} may call ModelName::known"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a rule over every import in `src/`.
fn assert_clean(rule: impl Fn(&Source, &Import) -> Option<String>) {
    let mut wrong = Vec::new();
    for source in sources() {
        for import in source.imports() {
            wrong.extend(rule(&source, &import).map(|broken| format!("{}: {broken}", source.place(import.line))));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn direct(module: &str) -> BTreeSet<&'static str> {
    MAY_USE.iter().find(|(name, _)| *name == module).into_iter().flat_map(|(_, uses)| uses.iter().copied()).collect()
}

/// Everything that a module stands on, directly or not.
fn below(module: &str) -> BTreeSet<&'static str> {
    let mut found = direct(module);
    loop {
        let more: BTreeSet<_> = found.iter().flat_map(|module| direct(module)).chain(found.iter().copied()).collect();
        if more == found {
            return found;
        }
        found = more;
    }
}

// === reading src/ ===

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src/ is readable") {
            let path = entry.expect("src/ is readable").path();
            match path.extension() {
                None if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => sources.push(Source::read(&root, &path)),
                _ => {}
            }
        }
    }
    assert!(sources.len() > 10, "src/ holds more files than {}", sources.len());
    sources
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let relative = path.strip_prefix(root).expect("a file of src/");
        let mut module: Vec<String> =
            relative.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if ["mod", "lib", "main"].contains(&module.last().map_or("", String::as_str)) {
            module.pop();
        }
        let text = fs::read_to_string(path).expect("source is UTF-8");
        Self { path: Path::new("src").join(relative), module, code: code_of(&text) }
    }

    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// Inside a test file, or after `#[cfg(test)]`, which stands at the end of a file.
    fn in_test(&self, at: usize) -> bool {
        self.module.iter().any(|part| part == "tests") || self.code[..at].contains("#[cfg(test)]\nmod ")
    }

    fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (at, _) in self.code.match_indices("::") {
            let root = match word_before(&self.code, at) {
                "crate" => Some(Vec::new()),
                "super" if !self.code[..at - "super".len()].ends_with("::") => self.parent(at),
                _ => None,
            };
            let Some(root) = root else { continue };
            let (line, in_test) = (line_of(&self.code, at), self.in_test(at));
            for path in paths(&self.code[at + 2..]) {
                let Some(target) = join(&root, path) else { continue };
                imports.push(Import { line, target, in_test });
            }
        }
        imports
    }

    /// The module above the one that this place is in.
    fn parent(&self, at: usize) -> Option<Vec<String>> {
        let mut module = self.module.clone();
        module.extend(inline_modules(&self.code[..at]));
        module.pop()?;
        Some(module)
    }
}

/// `super`s climb further; what is left is cut to two segments. `None`: it stays where it is, at a glob of the root.
fn join(root: &[String], path: Vec<String>) -> Option<Vec<String>> {
    let mut target = root.to_vec();
    for segment in path {
        match segment.as_str() {
            "super" => drop(target.pop()),
            "self" | "" => {}
            _ => target.push(segment),
        }
    }
    target.truncate(2);
    (!target.is_empty()).then_some(target)
}

/// The paths that a use tree or an expression names: `a::{b, c::d}` is `[a, b]` and `[a, c, d]`.
fn paths(code: &str) -> Vec<Vec<String>> {
    tree(code).0
}

/// The paths, and what follows them.
fn tree(code: &str) -> (Vec<Vec<String>>, &str) {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        let mut all = Vec::new();
        loop {
            let (paths, after) = tree(rest);
            all.extend(paths);
            let end = after.find([',', '}']).unwrap_or(after.len());
            match after[end..].strip_prefix(',') {
                Some(next) => rest = next,
                None => return (all, after[end..].strip_prefix('}').unwrap_or("")),
            }
        }
    }
    let end = code.find(|c: char| !is_word(c) && c != '*').unwrap_or(code.len());
    let (head, rest) = code.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => {
            let (tails, rest) = tree(rest);
            (tails.into_iter().map(|tail| [vec![head.to_owned()], tail].concat()).collect(), rest)
        }
        _ => (vec![vec![head.to_owned()]], rest),
    }
}

/// The names of the `mod x { … }` that are open at the end of this code.
fn inline_modules(code: &str) -> Vec<String> {
    let mut open: Vec<Option<String>> = Vec::new();
    for (at, brace) in code.match_indices(['{', '}']) {
        if brace == "}" {
            open.pop();
            continue;
        }
        let mut words = code[..at].split_whitespace().rev();
        let (name, keyword) = (words.next(), words.next());
        open.push(name.filter(|_| keyword == Some("mod")).map(str::to_owned));
    }
    open.into_iter().flatten().collect()
}

fn word_before(code: &str, at: usize) -> &str {
    let start = code[..at].rfind(|c| !is_word(c)).map_or(0, |before| before + 1);
    &code[start..at]
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
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

// === the scanner's own tests ===

fn targets(module: &[&str], text: &str) -> Vec<String> {
    let module = module.iter().map(|part| (*part).to_owned()).collect();
    let source = Source { path: "src/x.rs".into(), module, code: code_of(text) };
    source.imports().iter().map(|import| format!("{}:{}", import.line, import.target.join("::"))).collect()
}

#[test]
fn the_scan_finds_every_kind_of_import() {
    let text = "use crate::{audio, model::{Request, job}};\npub use crate::speech;\nfn f(x: crate::nn::Layer) -> u8 {\n\
                crate::runtime::run::<crate::store::Store>() }\nuse super::hub;\nuse super::super::catalog::Config;\n\
                pub(crate) fn g() {}\nuse crate::{\n    http::{self, problem as p},\n    families::*,\n};\n";
    let expected = [
        "1:audio",
        "1:model::Request",
        "1:model::job",
        "2:speech",
        "3:nn::Layer",
        "4:runtime::run",
        "4:store::Store",
        "5:store::hub",
        "6:catalog::Config",
        "8:http",
        "8:http::problem",
        "8:families::*",
    ];
    assert_eq!(targets(&["store", "lease"], text), expected);
}

#[test]
fn the_scan_ignores_what_is_not_code() {
    let text = "//! See [`crate::app`].\n/* crate::cli */\nlet s = \"crate::http \\\" crate::http\";\n\
                let r = r#\"crate::\"config\"#;\nlet c = ['\"', '\\'', '\\u{1F}'];\nfn f<'a>(x: &'a str) {}\nuse crate::nn;\n";
    assert_eq!(targets(&["store"], text), ["7:nn"]);
}

#[test]
fn the_scan_knows_inline_modules_and_tests() {
    let text = "fn f() { if x { y() } }\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use super::super::app;\n}\n";
    assert_eq!(targets(&["store"], text), ["4:store::*", "5:app"]);
    let source = Source { path: "src/x.rs".into(), module: vec!["store".to_owned()], code: code_of(text) };
    assert!(source.imports().iter().all(|import| import.in_test));
    assert!(below("http").contains("families") && !below("http").contains("app"));
}

#[test]
fn the_table_has_no_circle() {
    let order: BTreeMap<_, _> = MAY_USE.iter().map(|(module, _)| (*module, below(module))).collect();
    let circles: Vec<_> = order.iter().filter(|(module, below)| below.contains(*module)).collect();
    assert!(circles.is_empty(), "{circles:?}");
}
