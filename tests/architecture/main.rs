//! Holds the table of what each module may import, and that no files use each other in a circle. This table is the one
//! that counts; `docs/ARCHITECTURE.md` explains it.
//!
//! The scan reads paths in code, not in comments or strings. Tests inside `src/` may build whatever lies below their
//! module, directly or not, and no circle of files runs through them.

mod files;
mod links;
mod paths;
mod source;
mod unsafe_code;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use self::{
    files::Files,
    source::{Source, sources},
};

/// From the leaves up: nobody imports a module that stands below its own line.
const MAY_USE: &[(&str, &[&str])] = &[
    ("audio", &[]),
    ("text", &[]),
    ("process", &[]),
    ("speech", &["audio"]),
    ("model", &["process", "speech", "audio", "text"]),
    ("nn", &[]),
    ("listening", &["audio", "nn", "speech"]),
    ("remote", &["speech"]),
    ("families", &["model", "process", "speech", "audio", "text", "nn"]),
    ("store", &["remote", "speech", "model"]),
    ("catalog", &["families", "model", "speech", "store"]),
    ("runtime", &["model", "speech"]),
    ("lifecycle", &["store", "runtime", "model", "speech"]),
    (
        "service",
        &["catalog", "lifecycle", "listening", "runtime", "remote", "model", "process", "speech", "audio", "text"],
    ),
    // What the work of a job is, its `Worker` knows.
    ("jobs", &["remote", "speech"]),
    // Status pages show what the catalog and the lifecycle know.
    ("http", &["jobs", "service", "catalog", "lifecycle", "remote", "model", "speech", "audio", "text"]),
    // A protocol as well, over its own port.
    ("wyoming", &["service", "catalog", "model", "speech", "audio", "text"]),
    // How addresses and errors are shown without their secrets.
    ("telemetry", &["remote"]),
    // The configuration and the composition root know every module's `Config`; `app` takes it as plain values.
    (
        "config",
        &[
            "app",
            "jobs",
            "process",
            "speech",
            "remote",
            "store",
            "catalog",
            "model",
            "runtime",
            "lifecycle",
            "listening",
            "service",
            "http",
            "wyoming",
            "telemetry",
        ],
    ),
    // Beside the three that do the work, what it prints.
    (
        "cli",
        &[
            "app",
            "config",
            "telemetry",
            "service",
            "lifecycle",
            "catalog",
            "store",
            "model",
            "process",
            "speech",
            "audio",
            "text",
        ],
    ),
    (
        "app",
        &[
            "process",
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
            "listening",
            "service",
            "jobs",
            "http",
            "wyoming",
            "telemetry",
        ],
    ),
];

/// The parts of `http` that speak a protocol. None of them knows another, and what they share knows none of them.
const PROTOCOLS: [&str; 10] =
    ["admin", "console", "docs", "generate", "jobs", "oip", "openai", "realtime", "vertex", "vosk"];
/// Folders of `http` that protocols share.
const SHARED: [&str; 6] = ["access", "live", "models", "native", "openapi", "problem"];
/// What puts the protocols together: every route, and the documents of all of them.
const KNOWS_PROTOCOLS: [&str; 3] = ["asyncapi", "openapi", "routes"];

/// The only module that may make a `ModelName`, outside of tests.
const NAMES_MODELS: &str = "catalog";

/// A path in code, from the crate's root.
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
        // A file beside the families' folders is what they share.
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/families/{target}.rs")).is_file();
        (family != target && !shared).then(|| format!("the family {family} may not use families::{target}"))
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
                let place = source.place(1 + source.code[..at].matches('\n').count());
                wrong.push(format!("{place}: only {NAMES_MODELS} may call ModelName::known"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources();
    let circles = Files::new(&sources).circles();
    let text: Vec<String> = circles.iter().map(|circle| circle.join("\n")).collect();
    assert!(circles.is_empty(), "what both need belongs into a file of its own:\n\n{}\n", text.join("\n\n"));
}

/// Runs a rule over every import in `src/`.
fn assert_clean(rule: impl Fn(&Source, &Import) -> Option<String>) {
    let mut wrong = Vec::new();
    for source in sources() {
        for import in imports(&source) {
            wrong.extend(rule(&source, &import).map(|broken| format!("{}: {broken}", source.place(import.line))));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The paths that begin with `crate`, `self` or `super`.
fn imports(source: &Source) -> Vec<Import> {
    let import = |mention: &paths::Mention| {
        let target = source.absolute(mention).filter(|target| !target.is_empty() && *target != ["*"])?;
        Some(Import { line: mention.line, target, in_test: source.in_test(mention.at) })
    };
    source.mentions().iter().filter_map(import).collect()
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

// === the scanner's own tests ===

fn source(path: &str, module: &[&str], text: &str) -> Source {
    Source::new(path.into(), module.iter().map(|part| (*part).to_owned()).collect(), text)
}

fn targets(module: &[&str], text: &str) -> Vec<String> {
    let source = source("src/x.rs", module, text);
    imports(&source).iter().map(|import| format!("{}:{}", import.line, import.target.join("::"))).collect()
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
    let source = source("src/x.rs", &["store"], text);
    assert!(imports(&source).iter().all(|import| import.in_test));
    assert!(below("http").contains("families") && !below("http").contains("app"));
}

/// The circles of these files: path, module, text.
fn circles(files: &[(&str, &[&str], &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, module, text)| source(path, module, text)).collect();
    let circles = Files::new(&sources).circles();
    circles.iter().map(|circle| circle.join("; ")).collect()
}

const STORE: &str = "mod hub;\nmod part;\npub use part::Part;\n";

#[test]
fn a_parent_that_hands_on_what_its_children_define_is_no_circle() {
    let hub = "use super::Part;\nuse crate::store::part;\nfn f(x: Part) -> part::Size {}";
    let part = "pub struct Part;\npub struct Size;\n#[cfg(test)]\nmod tests {\n    use super::super::hub::f;\n}";
    let files = [("m", &["store"][..], STORE), ("h", &["store", "hub"], hub), ("p", &["store", "part"], part)];
    assert_eq!(circles(&files), Vec::<String>::new());
}

#[test]
fn a_circle_is_found_through_parents_renames_globs_and_macros() {
    let part = "pub struct Part;\npub enum Kind { A }\nmacro_rules! made { () => {} }\npub(crate) use made;\n";
    for (hub, used) in [
        ("use super::Part as P;", "super::Part"),
        ("use super::*;\nfn f(x: Part) {}", "super::Part"),
        ("fn f() { crate::store::part::made!() }", "crate::store::part::made"),
        ("use super::part as other;\nfn f() -> u8 { g(other::Kind::A) }", "other::Kind::A"),
    ] {
        let part = format!("{part}fn g() {{ super::hub::h() }}");
        let hub = format!("{hub}\npub(super) const fn h() {{}}");
        let files = [("m", &["store"][..], STORE), ("h", &["store", "hub"], &hub), ("p", &["store", "part"], &part)];
        let found = circles(&files);
        assert_eq!(found.len(), 1, "{hub}");
        assert!(found[0].contains(&format!("names {used}, which is in p")), "{found:?}");
        assert!(found[0].contains("p:5 names super::hub::h, which is in h"), "{found:?}");
    }
}

#[test]
fn a_child_that_uses_its_parents_item_is_a_circle_where_the_parent_uses_the_child() {
    let parent = "mod part;\nstruct Inner;\nfn f() { part::g() }";
    let files = [("m", &["store"][..], parent), ("p", &["store", "part"], "fn g() -> super::Inner {}")];
    assert_eq!(circles(&files), ["m:3 names part::g, which is in p; p:1 names super::Inner, which is in m"]);
}

#[test]
fn the_table_has_no_circle() {
    let order: BTreeMap<_, _> = MAY_USE.iter().map(|(module, _)| (*module, below(module))).collect();
    let circles: Vec<_> = order.iter().filter(|(module, below)| below.contains(*module)).collect();
    assert!(circles.is_empty(), "{circles:?}");
}
