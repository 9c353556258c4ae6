use std::time::Duration;

use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::cli::{
    server::{Model, RequestFailure},
    top::figures::tests::sample,
};

/// What a terminal of that size shows.
fn shown(screen: &Screen, now: Instant, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|area| frame(screen, now, area.area(), area.buffer_mut())).unwrap();
    lines(terminal.backend().buffer()).collect()
}

fn known(at: Instant) -> Screen {
    let mut screen = Screen::new("http://127.0.0.1:8080");
    screen.learn(Ok(sample(at, 4)));
    screen
}

#[test]
fn a_wide_terminal_shows_everything() {
    let at = Instant::now();
    let lines = shown(&known(at), at, 140, 14);
    assert_eq!(
        lines,
        [
            "Sconce 0.1.0 at http://127.0.0.1:8080 (one) · up 5 min · load mode on demand",
            "Memory: cpu 14.0 MB of 8.0 GB · whole process 210 MB",
            "",
            "MODEL      STATE             DEVICE   MEMORY  REVISION     LAST USE  IN FLIGHT  QUEUE     P50     P95  \
             RT FACTOR  FIRST SOUND",
            "a/ready *  ready             cpu     12.0 MB  0123456789  3.0 s ago          1      2  0.20 s  0.29 s  \
             \u{20}       –            –",
            "a/coming   downloading 30 %                –                      –          0      0       –       –  \
             \u{20}       –            –",
            "a/failed   failed                          –                      –          0      0       –       –  \
             \u{20}       –            –",
            "",
            "Requests, since its start: 4, 0 failed · in flight 1, waiting for a model 2 · latency p50 0.20 s, p95 0.29 s · \
             cold starts 1",
            "a/coming: downloading, 12.3 MB of 40.0 MB, 5.2 MB/s, 5.3 s left, 2 waiting",
            "a/failed: the repository a/failed does not exist (3 times); tried again in 12 s",
            "",
            "",
            "q quit · ? keys · sorted by state",
        ]
    );
}

#[test]
fn a_narrow_terminal_keeps_what_counts_and_never_breaks() {
    let at = Instant::now();
    let mut screen = known(at);
    screen.selected = Some("a/ready".to_owned());
    let lines = shown(&screen, at, 44, 30);
    assert!(lines.iter().any(|line| line == "MODEL      STATE             IN FLIGHT"), "{lines:#?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 44), "{lines:#?}");
    let all = lines.join(" ");
    for part in ["revision 0123456789abcdef", "does not exist", "p95 0.29 s", "q quit"] {
        assert!(all.contains(part), "{part}: {lines:#?}");
    }
    for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 2), (12, 8), (300, 1), (80, 5)] {
        shown(&screen, at, width, height);
        shown(&Screen::new("http://h"), at, width, height);
    }
}

#[test]
fn many_models_scroll_to_the_one_that_was_chosen() {
    let at = Instant::now();
    let mut many = sample(at, 0);
    let one = many.status.models[1].clone();
    many.status.models = (0..40).map(|number| Model { name: format!("m/{number:02}"), ..one.clone() }).collect();
    let mut screen = Screen::new("http://h");
    screen.learn(Ok(many));
    let lines = shown(&screen, at, 100, 16).join("\n");
    assert!(lines.contains("m/00") && !lines.contains("m/39"), "{lines}");
    assert!(lines.contains("Requests, ") && lines.contains("q quit"), "the rest keeps its place: {lines}");
    screen.selected = Some("m/39".to_owned());
    assert!(shown(&screen, at, 100, 16).join("\n").contains("m/39  "), "{lines}");
}

#[test]
fn trouble_is_told_with_what_helps_and_since_when() {
    let at = Instant::now();
    let (url, reason) = ("http://127.0.0.1:8080".to_owned(), "connection refused".to_owned());
    let mut screen = Screen::new(&url);
    screen.learn(Err(RequestFailure::Silent { url: url.clone(), reason: reason.clone() }));
    let lines = shown(&screen, at, 160, 6).join("\n");
    let said = "does not answer: connection refused. Is the server running there? --url names another. Trying again.";
    assert!(lines.contains(said) && !lines.contains("What is below"), "{lines}");

    let mut screen = known(at);
    screen.learn(Err(RequestFailure::Silent { url, reason }));
    let lines = shown(&screen, at + Duration::from_secs(8), 160, 16).join("\n");
    assert!(lines.contains("Trying again. What is below was so 8.0 s ago."), "{lines}");
    assert!(lines.contains("a/ready *"), "{lines}");
}

#[test]
fn help_tells_the_keys() {
    let at = Instant::now();
    let mut screen = known(at);
    screen.help = true;
    let lines = shown(&screen, at, 80, 20).join("\n");
    assert!(lines.contains("Ctrl-C quit") && lines.contains("select a model"), "{lines}");
}

#[test]
fn as_text_it_has_no_keys_and_nothing_is_cut() {
    let at = Instant::now();
    let text = text(&known(at), at);
    assert!(
        text.starts_with("Sconce 0.1.0 at") && text.contains("FIRST SOUND") && text.ends_with("in 12 s\n"),
        "{text}"
    );
    assert!(!text.contains("quit") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn what_a_server_says_moves_no_cursor() {
    let at = Instant::now();
    let mut hostile = sample(at, 0);
    hostile.status.models[0].name = "a/\u{1b}[2Jx".to_owned();
    hostile.status.server = "one\u{7}\r".to_owned();
    let mut screen = Screen::new("http://h");
    screen.learn(Ok(hostile));
    let drawn = shown(&screen, at, 120, 12).join("") + &text(&screen, at);
    assert!(!drawn.chars().any(|letter| letter.is_control() && letter != '\n'), "{drawn:?}");
}
