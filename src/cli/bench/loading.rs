//! How a model comes into memory, phase by phase, as `/models/events` tells it.

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Map, Value};

use super::client::Client;

/// What bringing a model in took.
#[derive(Debug, Serialize)]
pub(super) struct Loading {
    /// Phase → seconds, in their order: resolving, checking, downloading, verifying and so on, as far as there was something
    /// to do, then loading, which a first inference ends.
    pub phases: Map<String, Value>,
    /// From the request for it until it was ready.
    pub seconds: f64,
}

/// The phases so far.
struct Timeline {
    began: Instant,
    phases: Vec<(String, Duration)>,
    now: String,
    since: Instant,
}

/// What a model does at a moment.
#[derive(Debug, PartialEq)]
enum Moment {
    In(String),
    Ready,
    Failed(String),
}

/// Has a server load a model, and follows it; `tell` hears of each phase.
pub(super) async fn load(client: &Client, model: &str, tell: impl Fn(&str)) -> anyhow::Result<Loading> {
    let mut events = client.events("/models/events").await?;
    client.command(&path(model, "load")?).await.with_context(|| format!("{model} cannot be loaded"))?;
    let mut timeline = Timeline::new();
    while let Some(data) = events.next().await? {
        let event: Value = serde_json::from_str(&data).context("an event of /models/events is no JSON")?;
        match moment(&event["models"][model]) {
            Some(Moment::In(phase)) if phase != timeline.now => {
                tell(&phase);
                timeline.enter(phase);
            }
            Some(Moment::Ready) => return Ok(timeline.end()),
            Some(Moment::Failed(reason)) => anyhow::bail!("{model} cannot be loaded: {reason}"),
            Some(Moment::In(_)) | None => {}
        }
    }
    anyhow::bail!("the server ended while {model} was loaded")
}

/// The path of a command for a model, which is not waited for.
fn path(model: &str, command: &str) -> anyhow::Result<String> {
    let mut url = Url::parse("http://server/")?;
    url.path_segments_mut().ok().context("a path")?.clear().extend(["models", model, command]);
    Ok(format!("{}?wait=0", url.path()))
}

/// Of the state of a model; `None` before anybody asked for it.
fn moment(state: &Value) -> Option<Moment> {
    match state["status"].as_str()? {
        "ready" => Some(Moment::Ready),
        "failed" => Some(Moment::Failed(state["error"]["message"].as_str().unwrap_or("no reason is known").to_owned())),
        "downloading" => Some(Moment::In(state["progress"]["phase"].as_str().unwrap_or("resolving").to_owned())),
        "loading" => Some(Moment::In("loading".to_owned())),
        _ => None,
    }
}

// === impl Timeline ===

impl Timeline {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, phases: Vec::new(), now: "resolving".to_owned(), since: now }
    }

    fn enter(&mut self, phase: String) {
        let now = Instant::now();
        let ended = std::mem::replace(&mut self.now, phase);
        self.phases.push((ended, now - self.since));
        self.since = now;
    }

    fn end(mut self) -> Loading {
        self.enter(String::new());
        let mut phases = Map::new();
        for (phase, took) in self.phases {
            let before = phases.get(&phase).and_then(Value::as_f64).unwrap_or_default();
            phases.insert(phase, (before + took.as_secs_f64()).into());
        }
        Loading { phases, seconds: (self.since - self.began).as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_is_a_phase_an_end_or_nothing() {
        let phase = |name: &str| Some(Moment::In(name.to_owned()));
        assert_eq!(moment(&json!({"status": "downloading", "progress": {"phase": "verifying"}})), phase("verifying"));
        assert_eq!(moment(&json!({"status": "downloading"})), phase("resolving"));
        assert_eq!(moment(&json!({"status": "loading"})), phase("loading"));
        assert_eq!(moment(&json!({"status": "ready"})), Some(Moment::Ready));
        let failed = json!({"status": "failed", "error": {"message": "no room"}});
        assert_eq!(moment(&failed), Some(Moment::Failed("no room".to_owned())));
        assert_eq!((moment(&json!({"status": "not_loaded"})), moment(&Value::Null)), (None, None));
    }

    #[test]
    fn a_phase_that_comes_again_is_told_once_and_all_of_them_are_the_whole() {
        let mut timeline = Timeline::new();
        for phase in ["downloading", "verifying", "downloading", "loading"] {
            timeline.enter(phase.to_owned());
        }
        let loading = timeline.end();
        let names: Vec<&String> = loading.phases.keys().collect();
        assert_eq!(names, ["resolving", "downloading", "verifying", "loading"]);
        let sum: f64 = loading.phases.values().filter_map(Value::as_f64).sum();
        assert!((sum - loading.seconds).abs() < 1e-6, "{loading:?}");
    }

    #[test]
    fn any_name_has_a_path() {
        assert_eq!(path("openai/whisper-tiny", "load").unwrap(), "/models/openai%2Fwhisper-tiny/load?wait=0");
        assert_eq!(path("a?b", "load").unwrap(), "/models/a%3Fb/load?wait=0");
    }
}
