//! What the screen knows, and what keys do to it.

use std::{
    collections::VecDeque,
    sync::LazyLock,
    time::{Duration, Instant},
};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::figures::{Dashboard, Sort};
use crate::cli::{
    server::{RequestFailure, Sample, Values},
    units::span,
};

/// Over how much time a quantile or a rate is taken.
const WINDOW: Duration = Duration::from_secs(60);
/// What was counted before a server began.
static NOTHING: LazyLock<Values> = LazyLock::new(Values::default);

/// All that is drawn comes from here and from the clock.
pub(super) struct Screen {
    pub url: String,
    pub trouble: Option<RequestFailure>,
    pub sort: Sort,
    pub help: bool,
    /// The name of a model, so that it stays when others come and go.
    pub selected: Option<String>,
    /// Of the last minute, oldest first, and one before.
    samples: VecDeque<Sample>,
}

/// What comes after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
}

// === impl Screen ===

impl Screen {
    pub fn new(url: &str) -> Self {
        let (trouble, samples) = (None, VecDeque::new());
        Self { url: url.to_owned(), trouble, sort: Sort::default(), help: false, selected: None, samples }
    }

    pub fn learn(&mut self, outcome: Result<Sample, RequestFailure>) {
        let sample = match outcome {
            Ok(sample) => sample,
            Err(trouble) => return self.trouble = Some(trouble),
        };
        self.trouble = None;
        // Another process counts from nothing.
        if self.samples.back().is_some_and(|last| started(last) != started(&sample)) {
            self.samples.clear();
        }
        let old = sample.at.checked_sub(WINDOW);
        self.samples.push_back(sample);
        while self.samples.get(1).is_some_and(|second| old.is_some_and(|old| second.at <= old)) {
            self.samples.pop_front();
        }
    }

    pub fn press(&mut self, key: KeyEvent) -> Next {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            KeyCode::Char('c') if control => return Next::Leave,
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('?') => self.help = !self.help,
            _ => {}
        }
        Next::Stay
    }

    /// The last answer, as it is shown now; `None` before the first.
    pub fn board(&self, now: Instant) -> Option<Dashboard> {
        let last = self.samples.back()?;
        let (before, window) = self.before(last);
        Some(Dashboard::new(last, before, window, self.sort, now))
    }

    /// Since when nothing new is known.
    pub fn asked(&self) -> Option<Instant> {
        self.samples.back().map(|sample| sample.at)
    }

    /// What had been counted a minute ago, or when this began to look; at the first look, when the server began.
    fn before(&self, last: &Sample) -> (&Values, String) {
        match self.samples.front() {
            Some(first) if self.samples.len() > 1 => {
                let seconds = last.at.saturating_duration_since(first.at).as_secs_f64();
                (&first.values, format!("the last {}", span(seconds.max(1.0))))
            }
            _ => (&NOTHING, "since its start".to_owned()),
        }
    }

    /// The model that is so many lines further on; without one that was chosen, the first or the last.
    fn select(&mut self, by: isize) {
        let names = self.board(Instant::now()).map(|board| board.names()).unwrap_or_default();
        let at = self.selected.as_ref().and_then(|name| names.iter().position(|other| other == name));
        let wanted = match at {
            Some(at) => at.saturating_add_signed(by),
            None if by > 0 => 0,
            None => names.len(),
        };
        self.selected = names.into_iter().enumerate().take_while(|(at, _)| *at <= wanted).last().map(|(_, name)| name);
    }
}

/// When the process began, in seconds since 1970; `None` where it does not say.
fn started(sample: &Sample) -> Option<f64> {
    sample.values.get("process_start_time_seconds", &[])
}

#[cfg(test)]
mod tests {
    use super::{super::figures::tests::sample, *};

    fn pressed(screen: &mut Screen, code: KeyCode) -> Next {
        screen.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_select_sort_and_leave() {
        let mut screen = Screen::new("http://h");
        assert_eq!(pressed(&mut screen, KeyCode::Down), Next::Stay);
        assert_eq!(screen.selected, None, "there is none yet");
        screen.learn(Ok(sample(Instant::now(), 0)));
        let names = screen.board(Instant::now()).unwrap().names();
        for (key, at) in [('j', 0), ('j', 1), ('k', 0), ('k', 0)] {
            pressed(&mut screen, KeyCode::Char(key));
            assert_eq!(screen.selected.as_ref(), Some(&names[at]), "{key}");
        }
        for _ in 0..names.len() + 2 {
            pressed(&mut screen, KeyCode::Down);
        }
        assert_eq!(screen.selected.as_ref(), names.last());
        pressed(&mut screen, KeyCode::Char('s'));
        assert_eq!(screen.sort, Sort::default().next());
        pressed(&mut screen, KeyCode::Char('?'));
        assert!(screen.help);
        assert_eq!(pressed(&mut screen, KeyCode::Char('c')), Next::Stay);
        assert_eq!(screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Next::Leave);
        assert_eq!([KeyCode::Esc, KeyCode::Char('q')].map(|key| pressed(&mut screen, key)), [Next::Leave; 2]);
    }

    #[test]
    fn the_window_grows_to_a_minute_and_begins_anew_with_the_server() {
        let (mut screen, begun) = (Screen::new("http://h"), Instant::now());
        let mut window = |seconds: u64, counted| {
            screen.learn(Ok(sample(begun + Duration::from_secs(seconds), counted)));
            let board = screen.board(begun + Duration::from_secs(seconds)).unwrap();
            (board.totals.window, board.totals.requests)
        };
        assert_eq!(window(0, 5), ("since its start".to_owned(), 5.0));
        assert_eq!(window(10, 7), ("the last 10 s".to_owned(), 2.0));
        assert_eq!(window(60, 9), ("the last 60 s".to_owned(), 4.0));
        assert_eq!(window(75, 12), ("the last 65 s".to_owned(), 5.0), "since the second of them");
        let mut restarted = sample(begun + Duration::from_secs(76), 1);
        restarted.values = Values::parse("process_start_time_seconds 99\nsconce_requests_total{model=\"a/b\"} 1\n");
        screen.learn(Ok(restarted));
        assert_eq!(screen.board(begun).unwrap().totals.requests, 1.0);
    }

    #[test]
    fn trouble_stays_until_an_answer_comes_and_what_was_known_is_kept() {
        let mut screen = Screen::new("http://h");
        screen.learn(Ok(sample(Instant::now(), 0)));
        screen.learn(Err(RequestFailure::Slow { url: "http://h".to_owned() }));
        assert!(screen.trouble.is_some() && screen.board(Instant::now()).is_some());
        screen.learn(Ok(sample(Instant::now(), 0)));
        assert!(screen.trouble.is_none());
    }
}
