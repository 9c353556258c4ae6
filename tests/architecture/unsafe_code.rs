//! `unsafe` has few homes. The compiler denies it in the whole crate, and each home says `allow(unsafe_code)` and why; here
//! they all are, so that a new one is a decision.

use std::collections::BTreeSet;

use crate::source::sources;

const HOMES: [&str; 8] = [
    "crates/nn/src/cpu/",              // vector instructions, and threads that write parts of one buffer
    "crates/nn/src/gpu/",              // what a kernel is given the compiler cannot check
    "src/model/mapped.rs",             // to map a file is a promise that nobody cuts it short
    "src/runtime/cuda.rs",             // the driver is a C library
    "src/runtime/memory.rs",           // the allocator is a C library
    "crates/audio/src/decode/opus.rs", // libopus is C in Rust
    "crates/audio/src/encode/opus.rs",
    "src/families/vosk/api.rs", // libvosk is a C library
];

#[test]
fn unsafe_code_is_at_home_where_the_list_says() {
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        let home = HOMES.into_iter().find(|home| path.starts_with(home));
        for (at, line) in source.code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
            match home {
                Some(home) => drop(found.insert(home)),
                None => wrong.push(format!("{}: {}", source.place(at + 1), line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "what needs `unsafe` belongs into {HOMES:?}:\n{}", wrong.join("\n"));
    assert_eq!(found, BTreeSet::from(HOMES), "a home (right) that needs no `unsafe` leaves the list");
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|part| part == word)
}
