//! Who speaks when: a vector for each moment of speech, those that are alike together, and a name for each group.

mod clustering;
mod names;
mod network;
mod turns;
mod windows;

use std::{ops::Range, path::Path};

pub use self::turns::SpeakerTurns;
use self::{
    clustering::{Cluster, cluster},
    network::{SETTING, SpeakerNetwork},
    windows::{Window, windows},
};
use super::{network_file::NetworkFault, voice_detection::VoiceDetection};
use crate::{
    audio::{Pcm, UnusableRate, resample},
    nn::Threads,
    speech::{Fault, Kind},
};

/// Speech of which less is there tells little of its speaker: such windows make no group, and join the one that they are most
/// like.
const TELLING: f64 = 0.8;
/// A group of a single window is more often a moment of somebody else than a speaker of their own: it joins the group that it is
/// most like, if it is at least by so much of the threshold.
const ALONE: f32 = 0.5;

/// How speakers are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeakerSettings {
    /// Cosine of two voices from which on they are one speaker's.
    pub threshold: f32,
    /// Speakers of a recording, at most.
    pub most: usize,
}

/// Somebody whose voice is known.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownSpeaker {
    pub name: String,
    pub voice: Pcm,
}

/// Tells who speaks when.
pub struct Diarizer {
    network: SpeakerNetwork,
    settings: SpeakerSettings,
    voices: VoiceDetection,
    threads: Threads,
}

/// Why nobody can be told apart.
#[derive(Debug, thiserror::Error)]
pub enum DiarizationError {
    #[error("in the reference of {name:?} nobody is heard to speak")]
    Silent { name: String },
    #[error(transparent)]
    Rate(#[from] UnusableRate),
    #[error("internal error: the speakers could not be told apart")]
    Network(#[source] candle_core::Error),
    /// Nobody waits for it any more.
    #[error("the speakers were not told apart")]
    Stopped,
}

// === impl SpeakerSettings ===

impl Default for SpeakerSettings {
    fn default() -> Self {
        Self { threshold: 0.3, most: 16 }
    }
}

// === impl Diarizer ===

impl Diarizer {
    pub(super) fn open(
        path: &Path,
        settings: SpeakerSettings,
        voices: VoiceDetection,
        threads: usize,
    ) -> Result<Self, NetworkFault> {
        let threads = Threads::start("speakers", threads)
            .map_err(|source| NetworkFault::Threads { setting: SETTING, source: source.into() })?;
        Ok(Self { network: SpeakerNetwork::open(path)?, settings, voices, threads })
    }

    /// Bytes that [`Self::turns`] needs beside the sound, at most, for so many seconds of it.
    pub fn bytes(&self, seconds: f64) -> usize {
        // The sound at the network's rate and without its pauses, what a window takes on its way, and the vectors.
        let sound = (seconds * f64::from(SpeakerNetwork::RATE)) as usize * size_of::<f32>() * 2;
        sound + windows::LONGEST_BYTES + windows::MOST * self.network.width() * size_of::<f32>() * 2
    }

    /// Who speaks when in a recording. `stopped` is asked now and then whether anybody still waits.
    pub fn turns(
        &self,
        pcm: &Pcm,
        known: &[KnownSpeaker],
        stopped: impl Fn() -> bool + Sync,
    ) -> Result<SpeakerTurns, DiarizationError> {
        let (sound, stretches) = self.speech(pcm)?;
        let windows = windows(&stretches);
        let mut vectors = Vec::with_capacity(windows.len());
        for window in &windows {
            if stopped() {
                return Err(DiarizationError::Stopped);
            }
            vectors.push(self.embed(window.samples(&sound))?);
        }
        let clusters = self.clusters(&windows, &vectors, &stopped)?;
        let known = known.iter().map(|known| Ok((known.name.clone(), self.voice(known)?)));
        let known = known.collect::<Result<Vec<_>, DiarizationError>>()?;
        let (names, of_cluster) = names::assign(&clusters, &known, self.settings.threshold);
        let mut speakers = vec![0; windows.len()];
        for (cluster, name) in clusters.iter().zip(of_cluster) {
            cluster.members.iter().for_each(|at| speakers[*at] = name);
        }
        Ok(SpeakerTurns::new(names, windows::turns(&windows, &speakers)))
    }

    /// The sound at the network's rate, and where in it somebody speaks, in seconds.
    fn speech(&self, pcm: &Pcm) -> Result<(Pcm, Vec<Range<f64>>), DiarizationError> {
        let stretches = self.voices.excerpt(windows::ACTIVITY, pcm).timeline;
        // The pause that ended it tells nothing of a voice.
        let stretches = stretches.stretches().map(|stretch| stretch.start..windows::spoken_until(&stretch)).collect();
        Ok((resample(pcm, SpeakerNetwork::RATE)?, stretches))
    }

    /// The voice of somebody who is known: the mean of all that they say.
    fn voice(&self, known: &KnownSpeaker) -> Result<Vec<f32>, DiarizationError> {
        let (sound, stretches) = self.speech(&known.voice)?;
        let windows = windows(&stretches);
        let vectors = windows.iter().map(|window| self.embed(window.samples(&sound)));
        let vectors = vectors.collect::<Result<Vec<_>, _>>()?;
        network::mean(&vectors).ok_or_else(|| DiarizationError::Silent { name: known.name.clone() })
    }

    fn embed(&self, samples: &[f32]) -> Result<Vec<f32>, DiarizationError> {
        self.threads.install(|| self.network.embed(samples)).map_err(DiarizationError::Network)
    }

    /// One for each speaker.
    fn clusters(
        &self,
        windows: &[Window],
        vectors: &[Vec<f32>],
        stopped: &impl Fn() -> bool,
    ) -> Result<Vec<Cluster>, DiarizationError> {
        let is_telling = |at: &usize| windows[*at].seconds() >= TELLING;
        let (telling, others): (Vec<usize>, Vec<usize>) = (0..windows.len()).partition(is_telling);
        // Where all are short they have to do.
        let (telling, others) = if telling.is_empty() { (others, telling) } else { (telling, others) };
        let of: Vec<Vec<f32>> = telling.iter().map(|at| vectors[*at].clone()).collect();
        let mut clusters = cluster(&of, self.settings.threshold, stopped).ok_or(DiarizationError::Stopped)?;
        clusters.iter_mut().for_each(|cluster| cluster.members.iter_mut().for_each(|at| *at = telling[*at]));
        let too_many = clusters.split_off(clusters.len().min(self.settings.most));
        let alone = clusters.split_off(clusters.partition_point(|cluster| cluster.members.len() > 1));
        let (mut speakers, mut singles) = (clusters, Vec::new());
        for single in alone {
            match closest(&speakers, &vectors[single.members[0]]) {
                Some((at, cosine)) if cosine >= ALONE * self.settings.threshold => speakers[at].join(single),
                _ => singles.push(single),
            }
        }
        speakers.append(&mut singles);
        for at in too_many.into_iter().flat_map(|cluster| cluster.members).chain(others) {
            if let Some((speaker, _)) = closest(&speakers, &vectors[at]) {
                speakers[speaker].add(at);
            }
        }
        Ok(speakers)
    }
}

fn closest(clusters: &[Cluster], vector: &[f32]) -> Option<(usize, f32)> {
    let cosines = clusters.iter().map(|cluster| cluster.cosine(vector)).enumerate();
    cosines.max_by(|one, other| one.1.total_cmp(&other.1))
}

impl Fault for DiarizationError {
    fn kind(&self) -> Kind {
        match self {
            Self::Silent { .. } | Self::Rate(_) => Kind::Invalid,
            Self::Network(_) | Self::Stopped => Kind::Internal,
        }
    }

    fn param(&self) -> Option<&str> {
        matches!(self, Self::Silent { .. }).then_some("known_speaker_references")
    }
}

#[cfg(test)]
mod tests;
