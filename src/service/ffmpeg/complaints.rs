//! What the program, and its guard before it, say on standard error.

use crate::process::REPORT;

/// Bytes and lines of it that the caller is told.
const TOLD: usize = 400;
const TOLD_LINES: usize = 4;

/// How far it is apart, as its guard says in its first line, and what stands behind that.
pub(super) fn reported(complaints: &str) -> (&str, &str) {
    match complaints.strip_prefix(REPORT) {
        Some(report) => report.split_once('\n').unwrap_or((report, "")),
        None => ("", complaints),
    }
}

/// What it complains of, in few words: without the addresses of its parts, and each thing once. That a pipe has no end to go to is
/// no fault of a file.
pub(super) fn faults(complaints: &str) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in complaints.lines() {
        let line = match line.split_once(" @ 0x") {
            Some((part, rest)) => format!("{part}{}", rest.trim_start_matches(|c: char| c.is_ascii_hexdigit())),
            None => line.to_owned(),
        };
        let line: String = line.trim().chars().filter(|c| !c.is_control()).collect();
        let is_told = !line.is_empty() && !line.starts_with("[cache]") && !line.starts_with("Last message repeated");
        if is_told && lines.len() < TOLD_LINES && !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut text = lines.join("; ");
    text.truncate(text.floor_char_boundary(TOLD));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guard_reports_is_no_complaint() {
        let said = format!("{REPORT}network processes users privileges\nmp3: Header missing\n");
        assert_eq!(reported(&said), ("network processes users privileges", "mp3: Header missing\n"));
        assert_eq!(reported("mp3: Header missing"), ("", "mp3: Header missing"));
    }

    #[test]
    fn faults_are_told_in_few_words() {
        let said = "[mp3float @ 0x55d1c0ffee00] Header missing\n[mp3float @ 0x55d1c0ffee00] Header missing\n\
                    Error while decoding stream #0:0: Invalid data found when processing input\u{7}\n\n";
        let told = "[mp3float] Header missing; \
                    Error while decoding stream #0:0: Invalid data found when processing input";
        assert_eq!(faults(said).as_deref(), Some(told));
        assert_eq!(faults(" \n"), None);
        let of_the_pipe =
            "[cache @ 0x55d1c0ffee00] Inner protocol failed to seekback end : -38\n    Last message repeated 4 times\n";
        assert_eq!(faults(of_the_pipe), None);
        let many: String = (0..100).map(|n| format!("fault {n} \u{e9}{}\n", "x".repeat(200))).collect();
        assert!(faults(&many).is_some_and(|told| told.len() <= TOLD));
    }
}
