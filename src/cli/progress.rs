//! How far things are: bars on a terminal, and elsewhere a line now and then.

mod fetches;
mod lines;

use std::{
    collections::HashMap,
    io::{IsTerminal, stderr},
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

pub(super) use self::fetches::Place;
use self::{
    fetches::Fetches,
    lines::{Lines, SILENCE},
};
use crate::{
    lifecycle::{ModelStatus, Snapshot, Status},
    speech::ModelName,
    store::Phase,
};

const BYTES: &str = "{prefix}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
const SOUND: &str = "{bar:30} {percent}%  {eta} left";
const TEXT: &str = "{bar:30} {percent}%  {eta} left  {msg}";
const BUSY: &str = "{spinner} {prefix}  {msg} {elapsed}";

/// A bar over a recording of so many seconds; its positions are milliseconds.
pub(super) fn of_sound(seconds: f64) -> ProgressBar {
    ProgressBar::new((seconds * 1000.0) as u64).with_style(style(SOUND))
}

/// A bar over a text of so many bytes.
pub(super) fn of_text(bytes: u64) -> ProgressBar {
    ProgressBar::new(bytes).with_style(style(TEXT))
}

/// Shows how models come in, until it is dropped; then nothing of it is left on the screen but a line for each that came.
pub(super) struct Watching {
    task: JoinHandle<()>,
    /// Behind a lock, so that nothing is drawn once they are over.
    bars: Arc<Mutex<Bars>>,
    changes: watch::Receiver<Arc<Snapshot>>,
    /// Behind a lock for the moment in which a state is looked at.
    fetches: Arc<Mutex<Fetches>>,
}

/// `place` says where the files of a model lie, as far as the command knows.
pub(super) fn of_models(changes: watch::Receiver<Arc<Snapshot>>, place: Place) -> Watching {
    let (bars, fetches) = (Arc::default(), Arc::new(Mutex::new(Fetches::new(place))));
    let task = match stderr().is_terminal() {
        true => tokio::spawn(draw(changes.clone(), Arc::clone(&bars), fetches.clone())),
        false => tokio::spawn(tell(changes.clone(), fetches.clone())),
    };
    Watching { task, bars, changes, fetches }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
        self.bars.lock().end();
        ended(&self.fetches, &self.changes.borrow()).for_each(|line| eprintln!("{line}"));
    }
}

/// The lines of downloads that are over in this state.
fn ended(fetches: &Mutex<Fetches>, snapshot: &Snapshot) -> std::vec::IntoIter<String> {
    let (mut fetches, now) = (fetches.lock(), Instant::now());
    snapshot.models.iter().filter_map(|model| fetches.line(model, now)).collect::<Vec<_>>().into_iter()
}

async fn draw(mut changes: watch::Receiver<Arc<Snapshot>>, bars: Arc<Mutex<Bars>>, fetches: Arc<Mutex<Fetches>>) {
    while changes.changed().await.is_ok() {
        let snapshot = changes.borrow_and_update().clone();
        let mut bars = bars.lock();
        if bars.over {
            return;
        }
        snapshot.models.iter().for_each(|model| bars.show(model));
        for line in ended(&fetches, &snapshot) {
            let _ = bars.all.println(line);
        }
    }
}

async fn tell(mut changes: watch::Receiver<Arc<Snapshot>>, fetches: Arc<Mutex<Fetches>>) {
    let mut lines = Lines::default();
    loop {
        // Nothing changes while nothing comes, and that is worth a line as well.
        if let Ok(Err(_)) = timeout(SILENCE, changes.changed()).await {
            return;
        }
        let (snapshot, now) = (changes.borrow_and_update().clone(), Instant::now());
        snapshot.models.iter().filter_map(|model| lines.line(model, now)).for_each(|line| eprintln!("{line}"));
        ended(&fetches, &snapshot).for_each(|line| eprintln!("{line}"));
    }
}

#[derive(Default)]
struct Bars {
    all: MultiProgress,
    one: HashMap<ModelName, (Status, ProgressBar)>,
    /// The screen belongs to what comes next.
    over: bool,
}

impl Bars {
    fn show(&mut self, model: &ModelStatus) {
        if self.one.get(&model.name).is_none_or(|(status, _)| *status != model.status) {
            self.change(model);
        }
        if let (Some((_, bar)), Some(progress)) = (self.one.get(&model.name), &model.progress) {
            // A bar over nothing would be full before anything came.
            if progress.bytes_total > 0 && bar.length().is_none() {
                bar.disable_steady_tick();
                bar.set_style(style(BYTES));
            }
            if progress.bytes_total > 0 {
                bar.set_length(progress.bytes_total);
            }
            bar.set_position(progress.bytes_done);
            bar.set_message(progress.phase.as_str());
        }
    }

    fn change(&mut self, model: &ModelStatus) {
        if let Some((_, old)) = self.one.remove(&model.name) {
            old.finish_and_clear();
        }
        let what = match model.status {
            Status::Downloading => Phase::Resolving.as_str(),
            Status::Loading => "loading",
            Status::NotLoaded | Status::Ready | Status::Failed => return,
        };
        let bar = ProgressBar::new_spinner().with_style(style(BUSY)).with_message(what);
        // Among the others first: what it draws before that, nobody clears.
        let bar = self.all.add(bar.with_prefix(model.name.to_string()));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.one.insert(model.name.clone(), (model.status, bar));
    }

    fn end(&mut self) {
        self.over = true;
        self.one.values().for_each(|(_, bar)| bar.finish_and_clear());
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates above are constants, and a test holds them to be well formed.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_well_formed() {
        for template in [BYTES, SOUND, TEXT, BUSY] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
