//! The order in which whole items get a place where a model's queue is full.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

/// A line before each model. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Lines {
    // Held for a look and a change.
    lines: Arc<Mutex<HashMap<String, Weak<Line>>>>,
}

/// Who stands in line asks for a place; who comes later waits behind them.
pub(super) struct Line {
    turn: tokio::sync::Mutex<()>,
}

// === impl Lines ===

impl Lines {
    /// That before a model, by its name.
    pub fn before(&self, model: &str) -> Arc<Line> {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(model).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Line { turn: tokio::sync::Mutex::new(()) });
        lines.insert(model.to_owned(), Arc::downgrade(&line));
        line
    }
}

// === impl Line ===

impl Line {
    /// Whether somebody waits for a place.
    pub fn is_empty(&self) -> bool {
        self.turn.try_lock().is_ok()
    }

    /// For the head of the line, in the order in which they came.
    pub async fn turn(&self) -> impl Sized {
        self.turn.lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_came_first_is_first_and_models_have_lines_of_their_own() {
        let lines = Lines::default();
        let line = lines.before("a");
        assert!(line.is_empty());
        let first = line.turn().await;
        assert!(!lines.before("a").is_empty() && lines.before("b").is_empty());
        let (mut second, mut third) = (Box::pin(line.turn()), Box::pin(line.turn()));
        assert!(futures::poll!(&mut second).is_pending() && futures::poll!(&mut third).is_pending());
        drop(first);
        let second = second.await;
        assert!(futures::poll!(&mut third).is_pending());
        drop(second);
        drop(third.await);
        drop(line);
        // Nobody stands there any more.
        lines.before("b");
        assert_eq!(lines.lines.lock().len(), 1);
    }
}
