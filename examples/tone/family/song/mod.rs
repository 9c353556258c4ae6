//! A family whose models sing: each line of a text is a section, sung in tones, high and low ones and both together. What was
//! sung is not sung again after a restart.

mod checkpoint;
mod options;
mod row;

use sconce::{
    model::{
        Batch, Broken, DeviceId, Family, Knob, LoadError, Model, ModelFiles, Placement, Precision, Preset, RequestError,
    },
    speech::{Synthesize, SynthesizeOptions, TaskKind},
    text::LengthCheck,
};

use self::row::Row;

/// The family. A `config.json` with `"model_type": "tone-song"` is all there is of a model.
pub struct ToneSong;

/// A model.
struct Singer {
    max_batch: usize,
}

/// Sounds of a song, first the usual one.
pub const STEMS: &[&str] = &["mix", "low", "high"];
/// Sections that nobody waits for.
const LONG: usize = 8;

/// The lines of a text that have something in them.
pub fn sections(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

impl Family for ToneSong {
    fn name(&self) -> &'static str {
        "tone-song"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    fn takes_text_whole(&self) -> bool {
        true
    }

    fn stems(&self) -> &'static [&'static str] {
        STEMS
    }

    fn is_long(&self, text: &str, _options: &SynthesizeOptions) -> bool {
        sections(text).count() >= LONG
    }

    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn check(&self, _text: &str, options: &SynthesizeOptions) -> Result<(), RequestError> {
        options::Options::parse(&options.options).map(drop)
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    fn dtypes(&self, _device: DeviceId) -> &'static [Precision] {
        &[Precision::F32]
    }

    fn presets(&self) -> &'static [Preset] {
        &[]
    }

    fn recognises(&self, config: &serde_json::Value) -> bool {
        config["model_type"] == "tone-song"
    }

    fn files(&self, _part: &str, _listing: &[String]) -> Result<Vec<String>, LoadError> {
        Ok(vec!["config.json".to_owned()])
    }

    fn footprint(&self, _files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        Ok(0)
    }

    fn load(&self, _files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        Ok(Box::new(Singer { max_batch: place.max_batch }))
    }
}

impl Model for Singer {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = requests.admit(usize::MAX);
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            rows.extend(newcomers.into_iter().filter_map(Row::new));
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            // Every row, so no `any`, which would stop at the first.
            match rows.iter_mut().filter_map(Row::step).count() {
                0 => requests.park(rows.iter().map(|row| &row.request)),
                _ => requests.step(),
            }
        }
    }
}
