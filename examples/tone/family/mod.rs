//! A family whose models say a text in tones, a letter each, and hum along with a recording.

mod batch;
mod hum;
mod options;
mod say;
pub mod song;
mod voice;

use sconce::{
    model::{
        Batch, Broken, DeviceId, Family, Knob, LoadError, Model, ModelFiles, OwnVoice, Placement, Precision, Preset,
    },
    speech::{Convert, Synthesize, TaskKind},
};

use self::voice::Voices;

/// Hertz of all sound, in and out.
pub const RATE: u32 = 24_000;

/// The family. A `config.json` with `"model_type": "tone"` is all there is of a model.
pub struct Tone;

/// A model.
struct Tones {
    max_batch: usize,
    voices: Voices,
}

impl Family for Tone {
    fn name(&self) -> &'static str {
        "tone"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize, TaskKind::Convert]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        RATE
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        voice::OWN
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
        config["model_type"] == "tone"
    }

    fn files(&self, _part: &str, _listing: &[String]) -> Result<Vec<String>, LoadError> {
        Ok(vec!["config.json".to_owned()])
    }

    fn footprint(&self, _files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        Ok(0)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let voices = Voices { references: place.references.clone(), fingerprint: files.fingerprint("model")? };
        Ok(Box::new(Tones { max_batch: place.max_batch, voices }))
    }
}

impl Model for Tones {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        batch::work(requests, &self.voices);
        Ok(())
    }

    fn convert(&mut self, requests: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        batch::work(requests, &self.voices);
        Ok(())
    }
}
