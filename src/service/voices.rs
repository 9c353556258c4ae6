//! Voices: recordings of speakers in one folder, for models that speak with a voice they were shown.
//!
//! A voice is a file, `<name>.<whatever>`; who runs the machine may put them there by hand as well. The folder is the
//! truth: nothing is kept beside it but what was found out about each file, for as long as the file stays as it is, and
//! what recordings sound like, decoded and resampled, as much as there is memory for.

mod error;
mod folder;
mod length;
mod notes;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

pub use error::VoiceError;
pub use notes::VoiceNotes;

use self::length::{LONGEST, SHORTEST};
use super::request::{ANY_RATE, Recording};
use crate::{
    audio::{self, Decoded, Pcm, UnusableRate},
    model::LruCache,
    speech::ReferenceVoice,
};

/// A recording that is never louder, of full scale 1, is silent.
const SILENT: f32 = 1e-3;
/// Bytes of what a model wrote down of recordings, at most: some ten thousand of them.
const TRANSCRIPTS: u64 = 4 << 20;

/// The voices of this server. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Voices(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: Option<PathBuf>,
    /// Locked for a look-up, never across an await.
    known: Mutex<HashMap<PathBuf, Known>>,
    /// Recordings by their sha256, and, resampled, by that and the rate. Locked as briefly.
    decoded: Mutex<LruCache<Arc<Pcm>>>,
    /// What a model wrote down of recordings, by their sha256. Locked as briefly.
    transcripts: Mutex<LruCache<Arc<str>>>,
}

/// What was found out about a file, and when.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    facts: Result<Facts, VoiceError>,
}

/// A recording of a speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    pub name: String,
    pub seconds: f64,
    /// Of the recording, in hertz.
    pub sample_rate: u32,
    pub created: SystemTime,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

/// What is in a file.
#[derive(Clone, Debug)]
struct Facts {
    seconds: f64,
    sample_rate: u32,
    sha256: String,
}

// === impl Voices ===

impl Voices {
    /// Without a folder there are no voices, and none can be added. `memory`: bytes of decoded recordings that are kept.
    pub fn new(folder: Option<PathBuf>, memory: u64) -> Self {
        let decoded = Mutex::new(LruCache::new(memory));
        let transcripts = Mutex::new(LruCache::new(TRANSCRIPTS));
        Self(Arc::new(Shared { folder, known: Mutex::default(), decoded, transcripts }))
    }

    /// All of them, by name. A file that is no recording of a voice is left out.
    pub async fn list(&self) -> Result<Vec<Voice>, VoiceError> {
        self.blocking(|shared| {
            let files = shared.files()?;
            shared.known.lock().retain(|path, _| files.values().any(|file| file == path));
            Ok(files.iter().filter_map(|(name, path)| shared.look(name, path).ok()).collect())
        })
        .await
    }

    pub async fn find(&self, name: String) -> Result<Voice, VoiceError> {
        self.blocking(move |shared| {
            let (name, path) = shared.named(&name)?;
            shared.look(&name, &path)
        })
        .await
    }

    /// The voice of that name, for a model that is to speak with it, at the rate of its recording.
    pub async fn reference(&self, name: String) -> Result<ReferenceVoice, VoiceError> {
        self.blocking(move |shared| {
            let (_, path) = shared.named(&name)?;
            let facts = shared.facts(&path)?;
            let kept = shared.decoded.lock().get(&facts.sha256);
            let reference = match kept {
                Some(audio) => ReferenceVoice { audio, sha256: facts.sha256, transcript: None },
                None => shared.reference(&std::fs::read(&path)?, file_name(&path))?,
            };
            Ok(ReferenceVoice { transcript: folder::transcript(&path)?, ..reference })
        })
        .await
    }

    /// [`Self::reference`], if there is a voice of that name. A file that is no recording of a voice is none.
    pub async fn of_name(&self, name: &str) -> Result<Option<ReferenceVoice>, VoiceError> {
        match self.find(name.to_owned()).await {
            Ok(voice) => self.reference(voice.name).await.map(Some),
            Err(error @ (VoiceError::Folder(_) | VoiceError::Broken)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// A voice that a caller shows with a request.
    ///
    /// `transcript`: what is said in it, if the caller says so.
    pub async fn of_sample(&self, sample: Recording, transcript: Option<String>) -> Result<ReferenceVoice, VoiceError> {
        let notes = VoiceNotes { transcript, consent: None };
        notes.check()?;
        let found = self.blocking(move |shared| shared.reference(&sample.bytes, sample.hint.as_deref())).await?;
        Ok(ReferenceVoice { transcript: notes.transcript, ..found })
    }

    /// A voice at this rate, in hertz. Takes time where it is not kept.
    pub(super) fn at_rate(&self, voice: &ReferenceVoice, rate: u32) -> Result<Arc<Pcm>, UnusableRate> {
        if voice.audio.rate() == rate {
            return Ok(voice.audio.clone());
        }
        let key = format!("{}@{rate}", voice.sha256);
        if let Some(kept) = self.0.decoded.lock().get(&key) {
            return Ok(kept);
        }
        let audio = Arc::new(audio::resample(&voice.audio, rate)?);
        self.0.keep(key, &audio);
        Ok(audio)
    }

    /// What a model wrote down of a recording before.
    pub(super) fn transcript(&self, sha256: &str) -> Option<String> {
        self.0.transcripts.lock().get(sha256).map(|words| words.to_string())
    }

    pub(super) fn keep_transcript(&self, sha256: &str, words: &str) {
        let bytes = (sha256.len() + words.len()) as u64;
        self.0.transcripts.lock().put(sha256.to_owned(), words.into(), bytes);
    }

    /// The recording at a path that a caller gave, which must lie in the folder: as it is, or from there on.
    pub async fn at(&self, path: PathBuf) -> Result<Voice, VoiceError> {
        self.blocking(move |shared| {
            let path = folder::within(shared.folder.as_deref().ok_or(VoiceError::Outside)?, &path)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            shared.look(&name, &path)
        })
        .await
    }

    /// Keeps a recording under a name that is still free, and what is written about it beside it.
    pub async fn add(&self, name: String, sample: Recording, notes: VoiceNotes) -> Result<Voice, VoiceError> {
        self.blocking(move |shared| {
            notes.check()?;
            let target = shared.folder.as_deref().ok_or(VoiceError::NoFolder)?;
            folder::check_name(&name)?;
            if shared.files()?.contains_key(&name) {
                return Err(VoiceError::Exists { name });
            }
            let decoded = listen(&sample.bytes, sample.hint.as_deref(), ANY_RATE)?;
            let path = folder::write(target, &name, extension(decoded.source.container), &sample.bytes)?;
            folder::write_notes(&path, &notes)?;
            shared.look(&name, &path)
        })
        .await
    }

    pub async fn remove(&self, name: String) -> Result<(), VoiceError> {
        self.blocking(move |shared| {
            let (_, path) = shared.named(&name)?;
            std::fs::remove_file(&path).map_err(VoiceError::from)?;
            folder::remove_notes(&path);
            shared.known.lock().remove(&path);
            Ok(())
        })
        .await
    }

    /// Files and decoding are for threads that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, VoiceError> + Send + 'static,
    ) -> Result<T, VoiceError> {
        let shared = self.0.clone();
        tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or(Err(VoiceError::Broken))
    }
}

// === impl Shared ===

impl Shared {
    fn files(&self) -> Result<BTreeMap<String, PathBuf>, VoiceError> {
        self.folder.as_deref().map_or_else(|| Ok(Default::default()), folder::files)
    }

    fn named(&self, name: &str) -> Result<(String, PathBuf), VoiceError> {
        let mut files = self.files()?;
        files
            .remove_entry(name)
            .ok_or_else(|| VoiceError::Unknown { asked: name.to_owned(), known: files.into_keys().collect() })
    }

    fn look(&self, name: &str, path: &Path) -> Result<Voice, VoiceError> {
        let Facts { seconds, sample_rate, .. } = self.facts(path)?;
        Ok(Voice { name: name.to_owned(), seconds, sample_rate, created: std::fs::metadata(path)?.modified()? })
    }

    fn facts(&self, path: &Path) -> Result<Facts, VoiceError> {
        let about = std::fs::metadata(path)?;
        let stamp = Stamp { bytes: about.len(), modified: about.modified()? };
        if let Some(known) = self.known.lock().get(path)
            && known.stamp == stamp
        {
            return known.facts.clone();
        }
        let facts = self.read(path);
        if let Err(error) = &facts {
            tracing::warn!(file = %path.display(), %error, "a file among the voices is not used");
        }
        self.known.lock().insert(path.to_owned(), Known { stamp, facts: facts.clone() });
        facts
    }

    fn read(&self, path: &Path) -> Result<Facts, VoiceError> {
        let ReferenceVoice { audio, sha256, .. } = self.reference(&std::fs::read(path)?, file_name(path))?;
        Ok(Facts { seconds: audio.seconds(), sample_rate: audio.rate(), sha256 })
    }

    /// A recording as models are shown it.
    fn reference(&self, bytes: &[u8], hint: Option<&str>) -> Result<ReferenceVoice, VoiceError> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let kept = self.decoded.lock().get(&sha256);
        let audio = match kept {
            Some(audio) => audio,
            None => {
                let rate = listen(bytes, hint, ANY_RATE)?.source.rate;
                let audio = Arc::new(listen(bytes, hint, rate)?.pcm);
                self.keep(sha256.clone(), &audio);
                audio
            }
        };
        Ok(ReferenceVoice { audio, sha256, transcript: None })
    }

    fn keep(&self, name: String, audio: &Arc<Pcm>) {
        self.decoded.lock().put(name, audio.clone(), size_of_val(audio.samples()) as u64);
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name().and_then(|name| name.to_str())
}

/// Decodes a recording, which must be one of a voice, at so many hertz.
fn listen(bytes: &[u8], hint: Option<&str>, rate: u32) -> Result<Decoded, VoiceError> {
    let decoded = audio::decode(bytes, hint, rate, LONGEST)?;
    if decoded.pcm.duration() < SHORTEST {
        return Err(VoiceError::TooShort { seconds: decoded.pcm.seconds() });
    }
    match decoded.pcm.samples().iter().any(|sample| sample.abs() > SILENT) {
        true => Ok(decoded),
        false => Err(VoiceError::Silent),
    }
}

/// Of a file, for people: the content decides what it is.
fn extension(container: &str) -> &str {
    match container {
        "wave" => "wav",
        "isomp4" => "m4a",
        "matroska" => "webm",
        container => container,
    }
}
