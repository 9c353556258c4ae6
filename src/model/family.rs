//! What a model is, and what a kind of models is.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    Batch, Broken, DeviceId, Knob, LoadError, ModelFiles, NoProgram, Outside, Placement, Precision, Program, Programs,
    RandomModel, RequestError, Signal,
};
use crate::{
    speech::{Convert, SpeechEstimate, Synthesize, SynthesizeOptions, TaskKind, Transcribe},
    text::{ChunkLimits, LengthCheck, Phonemizer, Script},
};

/// Hertz that models of speech hear at, unless their family says otherwise.
const USUAL_RATE: u32 = 16_000;

/// A loaded model. It lives on one thread, so its methods take `&mut self` and need no lock.
///
/// A request's own failure goes to that request; `Err(Broken)` means that the model itself must go. A panic counts as
/// that. Each method returns when it has nothing more in hand and nobody is to be admitted.
pub trait Model: Send {
    /// How many requests it can work on at once; a batch admits no more.
    fn max_batch(&self) -> usize {
        1
    }

    fn transcribe(&mut self, requests: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        requests.refuse();
        Ok(())
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        requests.refuse();
        Ok(())
    }

    fn convert(&mut self, requests: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        requests.refuse();
        Ok(())
    }

    /// One short real inference for each task, so that the first request is as fast as the second.
    fn warm_up(&mut self) -> Result<(), Broken> {
        Ok(())
    }

    /// The process that it is, or that does its work, where there is one.
    fn outside(&self) -> Option<Arc<Outside>> {
        None
    }

    /// After its device had no memory left for what it was to compute, and it let all its requests fall: forgets what is left of
    /// them. Whether it can go on.
    fn recover(&mut self) -> bool {
        false
    }

    /// What it may raise, from any thread, to be [looked after](Self::look) while it has nothing to do.
    fn woken_by(&mut self, _signal: Arc<Signal>) {}

    /// Whether it still lives, when it asked for a look and nobody asks it anything.
    fn look(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

/// A stateless description of one kind of model. Adding one is a folder, a `mod` line and a line in `FAMILIES`.
pub trait Family: Sync {
    /// Lower case, for example `whisper`.
    fn name(&self) -> &'static str;

    fn tasks(&self) -> &'static [TaskKind];

    /// What a model of these parts does, where that is less.
    fn tasks_of(&self, _parts: &[&str]) -> &'static [TaskKind] {
        self.tasks()
    }

    /// Hertz of the sound that comes with a request: of the recording that is heard or converted, and of a recording
    /// whose voice is to speak.
    fn input_rate(&self, _task: TaskKind) -> u32 {
        USUAL_RATE
    }

    /// Whether its models hear while somebody speaks: they take [sound as it comes](Batch::admit_live), and say what it seems
    /// to be so far ([`TranscriptEvent::Partial`](crate::speech::TranscriptEvent::Partial)).
    fn hears_live(&self) -> bool {
        false
    }

    /// Whether its models tell when each word is said.
    fn tells_words(&self) -> bool {
        true
    }

    /// How much of a text its models speak well in one go.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 200, max: 300 }
    }

    /// How long its models may take to say a text; what is shorter or longer is said once more, under another seed.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::default()
    }

    /// What its models can read aloud; any script, if empty.
    fn scripts(&self) -> &'static [Script] {
        &[]
    }

    /// The language that its models speak, a BCP 47 tag, where that is one: texts are read so that do not say theirs.
    fn speaks(&self) -> Option<&str> {
        let mut languages = self.voices().iter().flat_map(|voice| voice.languages);
        let first = languages.next()?;
        let one = self.voices().iter().all(|voice| voice.languages.len() == 1) && languages.all(|other| other == first);
        one.then_some(first.as_ref())
    }

    /// Which words of a text its models read themselves, such as who speaks: they are not spelled out, whatever else is in them.
    fn tags(&self) -> fn(&str) -> bool {
        |_| false
    }

    /// Whether its models take a text as it was written and whole, as lyrics are, whose lines and marks mean something:
    /// nothing of it is read, cut or normalised, and nothing of the sound is trimmed or joined.
    fn takes_text_whole(&self) -> bool {
        false
    }

    /// The sounds that its models make of one text, each of which can be asked for; the first where nobody asks. Empty: they
    /// make one, which has no name.
    fn stems(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether this takes longer than somebody at a connection waits, so that it is better done as a job.
    fn is_long(&self, _text: &str, _options: &SynthesizeOptions) -> bool {
        false
    }

    /// What becomes of a text at most, where that can be told before a model is loaded for it: who keeps its sound has to have
    /// room for that.
    fn estimate(&self, _text: &str, _options: &SynthesizeOptions) -> Option<SpeechEstimate> {
        None
    }

    /// Whether its models speak as `instructions` say.
    fn follows_instructions(&self) -> bool {
        false
    }

    /// Whether its models speak higher or lower where a text asks for it.
    fn follows_pitch(&self) -> bool {
        false
    }

    /// Whether its models speak the parts of a dialogue in a voice each: where not, a list of voices is refused.
    fn speaks_dialogue(&self) -> bool {
        false
    }

    /// Whether its models speak in the voice of a recording only if they are told what is said in it. Where nobody wrote that
    /// down another model of this server may, if the configuration names one.
    fn needs_transcript(&self) -> bool {
        false
    }

    /// What is wrong with a text, or with what is said of it, as far as can be told before a model is loaded for it. Each chunk
    /// is checked once more by the model.
    fn check(&self, _text: &str, _options: &SynthesizeOptions) -> Result<(), RequestError> {
        Ok(())
    }

    /// Who does what its models do not, where callers are likely to ask them: reads well as a sentence.
    fn instead(&self, _task: TaskKind) -> Option<&'static str> {
        None
    }

    /// What must be agreed to before files of its well-known models are fetched; `None`: nothing beyond their licence.
    fn terms(&self) -> Option<&'static Terms> {
        None
    }

    /// Voices that its models have themselves, the usual one first; empty where each model has others, or none.
    fn voices(&self) -> &'static [OwnVoice<'static>] {
        &[]
    }

    /// Whether a name is that of one of its own voices; `None` where only the loaded model knows.
    fn has_voice(&self, name: &str) -> Option<bool> {
        let own = self.voices();
        (!own.is_empty()).then(|| own.iter().any(|voice| voice.name == name))
    }

    /// The program of another project that its models run as a process of its own; `None`: they run none. Whenever the
    /// configuration is read it is looked for, and, where the configuration names such a model, asked.
    fn program(&self) -> Option<&'static Program> {
        None
    }

    /// Whether what its models need of this machine beside their files and [their program](Self::program) is there, such as
    /// a library. `thoroughly`: the configuration names such a model, so that it may be tried, which takes milliseconds.
    fn check_machine(&self, _programs: &Programs, _thoroughly: bool) -> Result<(), NoProgram> {
        Ok(())
    }

    /// Who turns text into phonemes, where its program does that as well.
    fn phonemizer(&self, _programs: &Programs) -> Result<Option<Box<dyn Phonemizer>>, NoProgram> {
        Ok(None)
    }

    /// What `options` of a request may hold, for `/openapi.json` and whoever makes fields of it. A family that says nothing
    /// has none.
    fn knobs(&self) -> &'static [Knob] {
        &[]
    }

    /// The one of its `options` that may be `{"id": …}` with a recording that the server keeps: the model is given it as
    /// [what it goes on with](crate::speech::SynthesizeOptions::prefix).
    fn prefix_option(&self) -> Option<&'static str> {
        None
    }

    /// The types of weights and activations that it can compute in on such a device, and first the one that is usual there.
    fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
        match device {
            DeviceId::Cpu => &[Precision::F32, Precision::F16, Precision::Bf16],
            DeviceId::Cuda(_) | DeviceId::Metal => &[Precision::F16, Precision::F32, Precision::Bf16],
        }
    }

    /// Well-known models of this kind.
    fn presets(&self) -> &'static [Preset];

    /// The one of those that other programs have under this name: by a short name of its size, or in a format of their own that
    /// is not read here. A model that the configuration calls so goes before it.
    fn twin(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// A model of the shape of one of them with random weights, to measure what that takes without its files; `None`: nothing
    /// but its files knows its shape.
    fn random_model(&self, _preset: &str) -> Option<&'static dyn RandomModel> {
        None
    }

    /// Whether a `config.json` describes a model of this kind.
    fn recognises(&self, config: &serde_json::Value) -> bool;

    /// Why a model that no family recognises cannot be read, where this one knows the format that another program has for its
    /// models: by its `config.json`, or by the names of its files. `name` is what it is called where it comes from.
    fn foreign(&self, _name: &str, _config: Option<&serde_json::Value>, _listing: &[String]) -> Option<String> {
        None
    }

    /// Whether a folder that has no `config.json` holds a model of this kind, by the names of its files.
    fn recognises_files(&self, _listing: &[String]) -> bool {
        false
    }

    /// A file by whose name alone a model is of this kind, whatever else is beside it.
    fn marker(&self) -> Option<&'static str> {
        None
    }

    /// The kind of one model, where its configuration or its files say more of it than its kind does: what it does, which
    /// voices it has. `None`: nothing more, or it is of another kind. A model that cannot be run here is refused, with what
    /// would be right. `files` may be no more than those that lie in a folder.
    fn described(
        &self,
        _name: &str,
        _files: &ModelFiles,
        _programs: &Programs,
    ) -> Result<Option<&'static dyn Family>, LoadError> {
        Ok(None)
    }

    /// The ways in which a model of this kind can be spread over sources: names of parts, each of which has a source of
    /// its own. The first part of each holds its `config.json`.
    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&["model"]]
    }

    /// Parts that a model may have beside those of any layout, each with a source of its own.
    fn optional_parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// The name of what marks all sound that a model of these files makes, so that a program can tell that it is synthetic;
    /// `None`: nothing does.
    fn watermark(&self, _files: &ModelFiles) -> Option<&'static str> {
        None
    }

    /// Which of the files in a repository a part needs. Pure.
    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError>;

    /// Whether its models have parts that can take turns on a device, where there is no room for all of them together
    /// ([`Residency::InTurns`](super::Residency::InTurns)). Their footprint is then asked for either way.
    fn takes_turns(&self) -> bool {
        false
    }

    /// Bytes of device memory that the model will take, weights and caches, from the headers alone. It is asked before the
    /// files are fetched as well: then `config.json`, `*.index.json` and the headers of safetensors are known
    /// ([`ModelFiles::beginning`]), and the sizes of all. A family that needs more gets [`LoadError::Ahead`] by it, and is
    /// asked again when the files are here.
    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError>;

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError>;
}

/// A well-known model.
#[derive(Debug)]
pub struct Preset {
    /// Canonical, as on the hub: `openai/whisper-tiny`.
    pub name: &'static str,
    /// Other names, none of which holds a `/`; the first is used where a path segment is needed.
    pub aliases: &'static [&'static str],
    /// Part name and source (`hf://…`, `embedded:…`), as one of the family's layouts has them; none, where the layout has
    /// none: a model without files.
    pub parts: &'static [(&'static str, &'static str)],
    pub availability: Availability,
    /// SPDX expression or name of the licence of the weights.
    pub licence: &'static str,
    /// Parameters in millions, for people.
    pub million_parameters: u32,
}

/// A licence of weights that somebody has to agree to, since it asks for more than most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// As [`Preset::licence`].
    pub licence: &'static str,
    /// What it asks for, in short, and where it can be read.
    pub notice: &'static str,
}

/// A voice that models of a family have themselves.
#[derive(Clone, Debug)]
pub struct OwnVoice<'a> {
    /// As requests name it.
    pub name: &'a str,
    /// ISO 639-1 codes of what it speaks, or BCP 47 tags where it speaks a variety; empty: whatever it is given.
    pub languages: &'a [Cow<'static, str>],
    /// Of its sound, in hertz.
    pub sample_rate: u32,
}

/// Whether this build can serve a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    Available,
    /// With the reason.
    Unsupported(Cow<'static, str>),
}

// === impl Family ===

impl fmt::Debug for dyn Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
