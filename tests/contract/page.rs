//! `docs/ADDING-A-FAMILY.md` says what is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const PAGE: &str = include_str!("../../docs/ADDING-A-FAMILY.md");
const CONTRACT: &str = include_str!("../../src/model/family.rs");

#[test]
fn every_path_on_the_page_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths: Vec<&str> = quoted(PAGE).filter(|text| text.contains('/') || text.ends_with(".md")).collect();
    assert!(paths.len() > 12, "{paths:?}");
    for path in paths {
        assert!(root.join(path).exists(), "{path} is named and not there");
    }
}

#[test]
fn the_methods_of_the_contract_are_those_on_the_page_and_as_required() {
    for (subject, heading) in [("Family", "## `Family`"), ("Model", "## `Model`")] {
        let section = PAGE.split("\n## ").find(|section| heading.ends_with(section.split(':').next().unwrap()));
        let rows = section.unwrap().lines().filter(|line| line.starts_with("| `"));
        let row =
            |line: &str| (quoted(line).next().unwrap().to_owned(), line.split('|').nth(2).unwrap().trim() == "yes");
        assert_eq!(rows.map(row).collect::<BTreeMap<_, _>>(), methods(subject), "{subject}: the page, and the code");
    }
}

#[test]
fn what_the_page_promises_by_a_call_has_such_a_call() {
    let sources = ["batch", "request", "input", "files"].map(source).concat();
    let calls: BTreeSet<&str> = quoted(PAGE)
        .filter(|text| ["Batch::", "Request::", "Input::", "ModelFiles::"].iter().any(|of| text.starts_with(of)))
        .collect();
    assert!(calls.len() > 8, "{calls:?}");
    for call in calls {
        let name = call.split("::").nth(1).unwrap();
        let there = [format!("pub fn {name}"), format!("    {name}(C),"), format!("    {name},\n")];
        assert!(there.iter().any(|text| sources.contains(text)), "{call} is named and not there");
    }
}

#[test]
fn the_code_on_the_page_is_that_of_the_example() {
    let example = include_str!("../../examples/tone/family/batch.rs");
    let blocks: Vec<&str> = PAGE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 1);
    assert!(blocks.iter().all(|block| example.contains(block)), "the loop of the page is not that of the example");
}

/// What stands between backticks, outside of blocks of code.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

fn source(file: &str) -> String {
    std::fs::read_to_string(format!("{}/src/model/{file}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The methods of a trait, and whether each has to be written.
fn methods(subject: &str) -> BTreeMap<String, bool> {
    let start = CONTRACT.split(&format!("pub trait {subject}:")).nth(1).expect("the trait");
    let body = start.split("\n}\n").next().unwrap();
    let signatures = body.split("\n    fn ").skip(1);
    let method = |text: &str| {
        let (name, signature) = (text.split('(').next().unwrap(), text.lines().next().unwrap());
        (name.to_owned(), signature.ends_with(';'))
    };
    signatures.map(method).collect()
}
