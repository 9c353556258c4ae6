//! A server without sockets, and what tests ask of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sconce::{
    app::App,
    config::{self, Sources},
    families::whisper::Whisper,
    model::Family,
    service::{Answer, Call, Served, Service, ServiceError, SpeakRequest, Speaking},
    speech::{Speech, SpeechEvent, Synthesize, SynthesizeOptions, Task},
    text::Markup,
};
use serde_json::json;
use tempfile::TempDir;

pub const FAMILIES: &[&dyn Family] = &[&Whisper, &crate::family::Tone, &crate::family::song::ToneSong];
/// Nothing in a test takes longer; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The parts of a server, with one model of tones.
pub struct Stage {
    app: App,
    _folder: TempDir,
}

impl Stage {
    /// Must be within a tokio runtime.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tones();
        let source = format!("file:{}", folder.path().display());
        let cache = folder.path().join("cache").display().to_string();
        let usual = [("MODEL_ID", "tone"), ("SCONCE_MODELS__TONE__SOURCE", &source), ("HF_HUB_CACHE", &cache)];
        let variables = usual.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = Sources { environment: BTreeMap::from_iter(variables), ..Sources::default() };
        let mut config = config::load(&sources).unwrap_or_else(|faults| panic!("{faults}")).config;
        config.catalog.families = FAMILIES;
        Self { app: App::build(config).unwrap(), _folder: folder }
    }

    pub fn service(&self) -> &Service {
        self.app.service()
    }

    pub async fn speak(&self, asked: Synthesize) -> Answer<Synthesize> {
        self.try_speak(asked).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn try_speak(&self, asked: Synthesize) -> Result<Answer<Synthesize>, ServiceError> {
        in_time(self.service().synthesize(call(), asked)).await
    }

    /// The same by way of reading and chunks.
    pub async fn read(&self, asked: Synthesize) -> Speaking {
        let Synthesize { text, options, .. } = asked;
        let (markup, normalize, normalize_loudness) = (Markup::Plain, true, None);
        let asked = SpeakRequest { text, markup, normalize, normalize_loudness, options };
        in_time(self.service().speak(call(), asked)).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether the model waits for those who read or write.
    pub fn parked(&self) -> bool {
        let snapshot = self.service().lifecycle().snapshot();
        snapshot.models.iter().any(|model| model.pulse.as_ref().is_some_and(|pulse| pulse.parked()))
    }

    pub async fn parks(&self) {
        until("the pause", || self.parked()).await;
    }

    /// What a metric counts, over all of its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let families = self.app.registry().gather();
        let family = families.iter().find(|family| family.name() == name);
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value() + metric.get_histogram().get_sample_count() as f64
        };
        family.map_or(0.0, |family| family.get_metric().iter().map(value).sum())
    }
}

/// The folder of a model of tones.
pub fn tones() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.json"), json!({"model_type": "tone"}).to_string()).unwrap();
    folder
}

pub fn call() -> Call {
    Call {
        deadline: None,
        id: "test".to_owned(),
        protocol: "test",
        model: Some("tone".to_owned()),
        wait: Some(PATIENCE),
        time_limit: None,
        served: Served::default(),
        keep_alive: None,
        allowance: None,
    }
}

/// To be said with the seed 1.
pub fn say(text: &str) -> Synthesize {
    say_with(text, SynthesizeOptions::default())
}

pub fn say_with(text: &str, options: SynthesizeOptions) -> Synthesize {
    let options = SynthesizeOptions { seed: options.seed.or(Some(1)), ..options };
    Synthesize { text: text.to_owned(), options, ..Synthesize::default() }
}

/// With one of the family's own knobs.
pub fn say_turned(text: &str, knob: &str, value: serde_json::Value) -> Synthesize {
    let options = [(knob.to_owned(), value)].into_iter().collect();
    say_with(text, SynthesizeOptions { options, ..SynthesizeOptions::default() })
}

pub async fn whole<T: Task<Piece = SpeechEvent>>(answer: Answer<T>) -> Result<Speech, ServiceError> {
    in_time(answer.whole()).await
}

pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it hangs")
}

pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
