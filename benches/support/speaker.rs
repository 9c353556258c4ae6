//! A model that speaks, in a process of its own that is asked line by line: our side of what is compared in `beside.rs`. It is
//! loaded, warmed up and given requests through the contract by which the server's runtime does it, so what it takes is
//! what the server takes for the model. Its steps are those that it tells its thread of.

use std::{fs, io::BufRead, path::Path, sync::Arc, thread, time::Instant};

use anyhow::{Context, ensure};
use sconce::{
    config::{self, Sources},
    families::FAMILIES,
    model::{Admission, Batch, Location, Model, ModelFiles, Request, Responses, request},
    runtime::{Host, Installed, Placer},
    speech::{ModelName, SpeechEvent, Synthesize, SynthesizeOptions},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Hertz of the processor time that the kernel tells.
const TICKS: f64 = 100.0;
const PART: &str = "model";
/// What says which family a model is of, where there are parts.
const CONFIG: &str = "config.json";

/// Seconds by the clock, and of processor time.
pub type Took = [f64; 2];

/// What loading took, and the bytes that the process had in memory at its worst until then.
#[derive(Debug, Deserialize, Serialize)]
pub struct Loaded {
    pub load: Took,
    pub peak: u64,
}

/// What one answer took.
#[derive(Debug, Deserialize, Serialize)]
pub struct Spoken {
    pub tokens: usize,
    /// Of sound.
    pub seconds: f64,
    /// One token, after the prompt.
    pub token: Took,
    /// To make sound of all of them.
    pub sound: Took,
    /// From the request to its first sound, and to its last.
    pub first: Took,
    pub whole: Took,
}

/// Bytes that the process had in memory at its worst since it was loaded, and the pages of files among those it has now.
#[derive(Debug, Deserialize, Serialize)]
pub struct Memory {
    pub peak: u64,
    pub mapped: u64,
}

#[derive(Clone, Copy)]
struct Moment {
    clock: Instant,
    processor: f64,
}

/// When the model made its steps. Nobody else comes.
#[derive(Default)]
struct Steps(Vec<Moment>);

/// What a caller hears.
struct Heard {
    first: Moment,
    seconds: f64,
    tokens: usize,
}

/// Loads the model in a folder, says so, and answers `whole TOKENS`, `stream TOKENS` and `peak` until nobody asks.
#[allow(clippy::print_stdout, reason = "its answers")]
pub fn serve(folder: &Path, dtype: &str, threads: usize) -> anyhow::Result<()> {
    let began = Moment::now();
    let mut model = load(folder, dtype, threads)?;
    let loaded = Loaded { load: began.elapsed(), peak: memory()?.peak };
    println!("{}", serde_json::to_string(&loaded)?);
    fs::write("/proc/self/clear_refs", "5")?; // the peak is now what it has
    model.warm_up()?;
    let text = fs::read_to_string(folder.join("sentence.txt"))?;
    for line in std::io::stdin().lock().lines() {
        let answer = match line?.split(' ').collect::<Vec<_>>()[..] {
            ["whole", tokens] => serde_json::to_string(&speak(model.as_mut(), &text, tokens.parse()?, Some(0))?)?,
            ["stream", tokens] => serde_json::to_string(&speak(model.as_mut(), &text, tokens.parse()?, None)?)?,
            ["peak"] => serde_json::to_string(&memory()?)?,
            ref other => anyhow::bail!("{other:?} is nothing to ask"),
        };
        println!("{answer}");
    }
    Ok(())
}

/// As the server's configuration would have it.
fn load(folder: &Path, dtype: &str, threads: usize) -> anyhow::Result<Box<dyn Model>> {
    let mut sources = Sources::default();
    let settings = [("DTYPE", dtype), ("DEVICE", "cpu"), ("THREADS", &threads.to_string())];
    let settings = settings.map(|(setting, value)| (format!("SCONCE_RUNTIME__{setting}"), value.to_owned()));
    sources.environment.extend(settings);
    // Where programs of others are.
    sources.environment.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
    let config = config::load(&sources)?.config.runtime;
    let placer = Placer::new(&config, Arc::new(Installed::new(Host::here())))?;
    let mut files = ModelFiles::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type()?.is_dir() {
            true => insert(&mut files, &name, &entry.path())?,
            false => files.insert(PART, &name, Location::Disk(entry.path())),
        }
    }
    let config = fs::read(folder.join(PART).join(CONFIG)).ok();
    let config: Value = config.map_or(Ok(Value::Null), |json| serde_json::from_slice(&json))?;
    let listing: Vec<String> = files.names(PART).map(str::to_owned).collect();
    let family = FAMILIES.iter().find(|family| family.recognises_files(&listing) || family.recognises(&config));
    let family = family.context("no family knows these files")?;
    let place = placer.place(&ModelName::known("benchmark"), *family, &Default::default(), None)?.placement;
    Ok(family.load(&files, &place)?)
}

/// The files of a part that has a folder of its own.
fn insert(files: &mut ModelFiles, part: &str, folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(part, &entry.file_name().to_string_lossy(), Location::Disk(entry.path()));
    }
    Ok(())
}

/// One sentence, after as many tokens as `first_block` says, or as requests usually have it.
fn speak(model: &mut dyn Model, text: &str, tokens: usize, first_block: Option<usize>) -> anyhow::Result<Spoken> {
    let mut knobs = json!({"max_new_tokens": tokens});
    if let Some(first_block) = first_block {
        knobs["first_block"] = first_block.into();
    }
    let options = knobs.as_object().cloned().unwrap_or_default();
    let options = SynthesizeOptions { seed: Some(1), options, ..SynthesizeOptions::default() };
    let ask = Synthesize { text: text.to_owned(), options, ..Synthesize::default() };
    let (mut steps, began) = (Steps::default(), Moment::now());
    let (request, responses) = request("benchmark".to_owned(), ask, None);
    let listener = thread::spawn(move || listen(responses));
    model.synthesize(&mut Batch::new(vec![request], &mut steps))?;
    let ended = Moment::now();
    let heard = listener.join().map_err(|_| anyhow::anyhow!("the listener panicked"))??;
    ensure!(heard.tokens == tokens, "the text ended after {} tokens", heard.tokens);
    let (token, spoken) = steps.token()?;
    let sound = std::array::from_fn(|at| ended.since(spoken)[at] - token[at]);
    let (first, whole) = (heard.first.since(began), ended.since(began));
    Ok(Spoken { tokens, seconds: heard.seconds, token, sound, first, whole })
}

fn listen(mut responses: Responses<Synthesize>) -> anyhow::Result<Heard> {
    let (mut first, mut seconds) = (None, 0.0);
    while let Some(event) = responses.blocking_next() {
        match event? {
            SpeechEvent::Audio(sound) => {
                first.get_or_insert_with(Moment::now);
                ensure!(sound.samples().iter().all(|sample| sample.is_finite()), "this is no sound");
                seconds += sound.seconds();
            }
            SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {}
            SpeechEvent::Done(summary) => {
                let first = first.context("there was no sound")?;
                return Ok(Heard { first, seconds, tokens: summary.tokens });
            }
        }
    }
    anyhow::bail!("the answer broke off")
}

fn memory() -> anyhow::Result<Memory> {
    let status = fs::read_to_string("/proc/self/status")?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
        line.and_then(|kib| kib.trim().parse::<u64>().ok()).map(|kib| kib * 1024).with_context(|| name.to_owned())
    };
    Ok(Memory { peak: bytes("VmHWM:")?, mapped: bytes("RssFile:")? })
}

// === impl Moment ===

impl Moment {
    fn now() -> Self {
        Self { clock: Instant::now(), processor: processor_seconds().unwrap_or(f64::NAN) }
    }

    fn since(self, before: Self) -> Took {
        [(self.clock - before.clock).as_secs_f64(), self.processor - before.processor]
    }

    fn elapsed(self) -> Took {
        Self::now().since(self)
    }
}

/// Of all threads, those that are over among them.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which is in parentheses, come the state and ten more; see proc(5).
    let fields = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2);
    Some(fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

// === impl Steps ===

impl Steps {
    /// What a token takes, and when the last step but one was done: in the last the sound of all is made.
    fn token(&self) -> anyhow::Result<(Took, Moment)> {
        let bare = self.0.split_last().map_or(&[][..], |(_, bare)| bare);
        let [first, .., last] = bare else { anyhow::bail!("{} steps are too few", bare.len()) };
        Ok((last.since(*first).map(|took| took / (bare.len() - 1) as f64), *last))
    }
}

impl Admission<Synthesize> for Steps {
    fn next(&mut self) -> Option<Request<Synthesize>> {
        None
    }

    fn step(&mut self) {
        self.0.push(Moment::now());
    }
}
