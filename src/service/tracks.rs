//! The tracks of a recording as they are decoded: each by itself, or all as one.

use std::time::Duration;

use super::{
    ServiceError,
    memory::MemoryShare,
    sound::{Decoded, Parted},
};
use crate::{
    audio::{DecodeError, Pcm},
    speech::{Part, Warning},
};

/// Takes tracks one after the other. Of several, those that can be decoded are heard; the others are told of.
pub(super) struct TrackGatherer {
    mixed: bool,
    /// One for each track, or their sum.
    sounds: Vec<(Part, Pcm)>,
    /// Tracks in the sum.
    summed: usize,
    /// Of all tracks that are apart.
    seconds: f64,
    warnings: Vec<Warning>,
    share: MemoryShare,
    /// Why the first of those that are left out is.
    fault: Option<ServiceError>,
}

// === impl TrackGatherer ===

impl TrackGatherer {
    /// Each by itself. Nothing is taken of the share yet.
    pub fn apart(share: MemoryShare) -> Self {
        let (sounds, warnings) = (Vec::new(), Vec::new());
        Self { mixed: false, sounds, summed: 0, seconds: 0.0, warnings, share, fault: None }
    }

    /// All as one, their mean.
    pub fn mixed(share: MemoryShare) -> Self {
        Self { mixed: true, ..Self::apart(share) }
    }

    /// Whether nothing could be decoded so far.
    pub fn is_empty(&self) -> bool {
        self.sounds.is_empty()
    }

    /// How long the next track may be: apart, the seconds of all of them count.
    pub fn left_of(&self, longest: Duration) -> Duration {
        longest.saturating_sub(Duration::try_from_secs_f64(self.seconds).unwrap_or_default())
    }

    /// Takes what came of the next track.
    pub fn take(
        mut self,
        number: usize,
        track: Result<(Decoded, MemoryShare), ServiceError>,
        longest: Duration,
    ) -> Result<Self, ServiceError> {
        match track {
            Ok((Decoded { channels, warnings }, share)) => {
                self.share.merge(share);
                self.warnings.extend(warnings);
                channels.into_iter().try_for_each(|pcm| self.add(number, pcm))?;
            }
            Err(ServiceError::Audio(DecodeError::TooLong { .. })) if self.seconds > 0.0 => {
                return Err(DecodeError::TracksTooLong { limit: longest }.into());
            }
            Err(
                error @ (ServiceError::Undecoded { .. }
                | ServiceError::Audio(
                    DecodeError::Unsupported(_) | DecodeError::Corrupt(_) | DecodeError::NoSound,
                )),
            ) => {
                self.warnings.push(Warning::left_out(number, &error));
                self.fault.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    fn add(&mut self, number: usize, pcm: Pcm) -> Result<(), ServiceError> {
        match self.sounds.first_mut() {
            Some((_, sum)) if self.mixed => {
                sum.add(pcm);
                self.summed += 1;
                self.share.resize(size_of_val(sum.samples()))?;
            }
            _ => {
                self.seconds += if self.mixed { 0.0 } else { pcm.seconds() };
                self.sounds.push((if self.mixed { Part::WHOLE } else { Part::track(number) }, pcm));
                self.summed = 1;
            }
        }
        Ok(())
    }

    /// All that is to be heard.
    ///
    /// # Errors
    /// Why the first track could not be decoded, if none could.
    pub fn finish(self) -> Result<Parted, ServiceError> {
        let Self { mut sounds, summed, mut warnings, share, fault, .. } = self;
        match (sounds.first_mut(), fault) {
            (None, fault) => return Err(fault.unwrap_or(DecodeError::NoSound.into())),
            (Some((_, sum)), _) if summed > 1 => sum.scale(1.0 / summed as f32),
            _ => {}
        }
        warnings.dedup();
        Ok(Parted { sounds, warnings, share })
    }
}
