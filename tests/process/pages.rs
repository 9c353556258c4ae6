//! What the pages say of settings, fields, codes and log lines is so.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::checkout;

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");
const COMMANDS: &str = include_str!("../../docs/commands.md");
const CONFIGURATION: &str = include_str!("../../docs/CONFIGURATION.md");
const PROBLEM: &str = include_str!("../../src/http/problem.rs");

/// Endings of files, which look like settings: `jobs.redb`, `store.rs`.
const FILES: [&str; 10] = [".rs", ".md", ".json", ".toml", ".yaml", ".sh", ".redb", ".part", ".py", ".txt"];
/// What begins like a setting and is none.
const OTHERS: [&str; 9] = [
    // Values of the chart.
    "jobs.type",
    "metrics.authorization",
    // Actions of `parameters.action`.
    "jobs.remove",
    "jobs.status",
    "models.download",
    "models.load",
    "models.status",
    "models.unload",
    // A method.
    "store.fetch",
];
/// Names that tables and commands use and others gave: of metrics, of jq, of a package.
const FOREIGN: [&str; 4] = ["process_resident_memory_bytes", "process_open_fds", "to_entries", "huggingface_hub"];

/// Every file below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// Every source of ours, one after the other.
fn sources() -> String {
    let files = ["src", "crates"].into_iter().flat_map(|folder| below(&checkout(folder)));
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Every page and every text that somebody deploys by, with its name.
fn pages() -> Vec<(String, String)> {
    let folders = ["docs", "charts", "deploy"].into_iter().flat_map(|folder| below(&checkout(folder)));
    let alone = ["README.md", "Dockerfile", "entrypoint.sh"].map(checkout);
    let paths = folders.chain(alone).filter(|path| !path.ends_with("CONFIGURATION.md"));
    let text = |path: PathBuf| Some((path.display().to_string(), fs::read_to_string(&path).ok()?));
    paths.filter_map(text).collect()
}

/// What stands between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The first column of the table below a line that begins so.
fn first_column<'a>(page: &'a str, head: &str) -> Vec<&'a str> {
    let table = page.split_once(head).unwrap_or_else(|| panic!("no table {head:?}")).1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim()).collect()
}

/// Every setting by its whole name; those of one model as `models.*.name`.
fn settings() -> BTreeSet<String> {
    let (mut known, mut section) = (BTreeSet::new(), String::new());
    for line in CONFIGURATION.lines() {
        if let Some(head) = line.strip_prefix("## ") {
            section = head.trim_matches(|sign| "`[]".contains(sign)).replace("<name>", "*");
        }
        if let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
            known.insert(if section == "General" { name.to_owned() } else { format!("{section}.{name}") });
        }
    }
    known
}

fn is_setting(known: &BTreeSet<String>, name: &str) -> bool {
    let of_one_model = || {
        let mut parts = name.splitn(3, '.');
        let (first, rest) = (parts.next(), parts.nth(1));
        let field = rest.map(|rest| rest.split('.').next().unwrap_or_default());
        let has = |field: &str| {
            let whole = format!("models.*.{field}");
            known.iter().any(|setting| *setting == whole || setting.starts_with(&format!("{whole}.")))
        };
        first == Some("models") && field.is_some_and(has)
    };
    let section = || known.iter().any(|setting| setting.starts_with(&format!("{name}.")));
    known.contains(name) || section() || of_one_model()
}

#[test]
fn every_setting_that_a_page_names_exists() {
    let known = settings();
    assert!(known.len() > 90 && known.contains("store.reserve") && known.contains("models.*.queue"), "{known:?}");
    let sections: BTreeSet<&str> = known.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._0123456789".contains(&byte));
    let mut seen = 0;
    for (page, text) in pages() {
        for quote in text.lines().flat_map(quoted) {
            let name = quote.split(" = ").next().unwrap_or_default();
            let of_ours = name.split_once('.').is_some_and(|(section, _)| sections.contains(section)) && plain(name);
            if of_ours && !OTHERS.contains(&name) && !FILES.iter().any(|ending| name.ends_with(ending)) {
                assert!(is_setting(&known, name), "{page} names {name}, which is no setting");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen} settings are named");
}

#[test]
fn every_variable_that_a_page_names_is_a_setting() {
    let known = settings();
    let sign = |sign: char| !(sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == '_');
    for (page, text) in pages() {
        let words = text.split(sign).filter_map(|word| word.strip_prefix("SCONCE_"));
        for word in words.filter(|word| word.contains("__")) {
            let name = word.to_lowercase().replace("__", ".");
            assert!(is_setting(&known, &name), "{page} names SCONCE_{word}, and there is no setting {name}");
        }
    }
}

/// Names with an underscore, of the rows of tables and of what is looked up in `/models/status`.
fn names(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|')).flat_map(quoted);
    let looks = page
        .lines()
        .filter(|line| line.contains("/models/status"))
        .flat_map(|line| line.split(|sign: char| !(sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_')));
    let named = |word: &&str| {
        word.contains('_')
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
    };
    rows.chain(looks).filter(named).collect()
}

/// The words of a text that have an underscore. By bytes, since all sources are much text for a development build.
fn underscored(text: &str) -> BTreeSet<&str> {
    let words = text.as_bytes().split(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
    words.filter(|word| word.contains(&b'_')).filter_map(|word| std::str::from_utf8(word).ok()).collect()
}

#[test]
fn every_field_that_a_table_names_is_in_the_sources() {
    let sources = sources();
    let words = underscored(&sources);
    let mut seen = 0;
    for (page, text) in pages().into_iter().filter(|(page, _)| page.ends_with(".md")) {
        for name in names(&text).into_iter().filter(|name| !FOREIGN.contains(name)) {
            assert!(words.contains(name), "{page} names {name}, which is nowhere in the sources");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} fields are named");
}

/// The texts of a function of `http::problem`, such as the codes of `code`.
fn texts_of(function: &str) -> BTreeSet<&'static str> {
    let body = PROBLEM.split_once(&format!("fn {function}(")).unwrap().1.split_once("\n}\n").unwrap().0;
    body.split('"').skip(1).step_by(2).collect()
}

#[test]
fn every_code_of_an_error_is_in_the_table_and_no_other() {
    let head = "| code | status | OpenAI `type` | Google `status` |";
    let column = first_column(OPERATIONS, head);
    let codes: BTreeSet<&str> = column.iter().flat_map(|cell| quoted(cell)).collect();
    assert_eq!(codes, texts_of("code"), "the table (left) and src/http/problem.rs (right) differ");
    let table = OPERATIONS.split_once(head).unwrap().1;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let cell = |row: &&'static str, at: usize| quoted(row.split('|').nth(at).unwrap()).next().unwrap();
    for row in &rows {
        let kind = PROBLEM.contains(&format!("\"{}\"", cell(row, 3)));
        assert!(kind && texts_of("rpc_status").contains(cell(row, 4)), "{row}");
    }
    let used: BTreeSet<&str> = rows.iter().map(|row| cell(row, 4)).collect();
    assert_eq!(used, texts_of("rpc_status"));
}

#[test]
fn every_exit_code_is_in_a_table_and_no_other() {
    let codes = |page: &'static str, head: &str| -> BTreeSet<u8> {
        first_column(page, head).iter().map(|cell| cell.parse().unwrap()).collect()
    };
    let of = |file: &str| -> BTreeSet<u8> {
        let source = fs::read_to_string(checkout("src/cli").join(file)).unwrap();
        let codes = source.lines().filter_map(|line| line.split_once(": u8 = ")?.1.trim_end_matches(';').parse().ok());
        codes.collect()
    };
    // Success and failure are the standard library's.
    let every = &of("exit.rs") | &BTreeSet::from([0, 1]);
    assert_eq!(codes(OPERATIONS, "| exit code | reason |"), every, "of the server");
    assert_eq!(codes(COMMANDS, "| exit code of `speak` and `convert` | |"), every, "of speak");
    assert_eq!(codes(COMMANDS, "| exit code of `pull` | |"), &every | &of("pull.rs"), "of pull");
}

#[test]
fn the_page_about_the_log_names_lines_that_there_are() {
    let section = OPERATIONS.split("\n## ").find(|section| section.starts_with("The log\n")).expect("a section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let messages: Vec<&str> = rows.flat_map(|row| quoted(row.split(" | ").next().unwrap())).collect();
    assert!(messages.len() > 12, "{messages:?}");
    let sources = sources();
    for message in messages {
        // `switching from … to …` has names in it.
        let text = message.split(" …").next().unwrap();
        assert!(sources.contains(&format!("\"{text}")), "no line says {message:?}");
    }
}
