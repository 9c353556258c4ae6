//! Sound that arrives as samples.

use std::time::Duration;

use super::{DecodeError, sink::sane};
use crate::{Pcm, resample};

/// The same sound as [`decode`](super::decode()) would make of a file that holds it: at `rate` hertz, in one channel, at
/// most `limit` long, and without what is no number.
///
/// # Errors
/// [`DecodeError::NoSound`] without a sample, [`DecodeError::TooLong`], and [`DecodeError::Unsupported`] at a rate that
/// nothing can be brought from.
pub fn conform(pcm: &Pcm, rate: u32, limit: Duration) -> Result<Pcm, DecodeError> {
    if pcm.samples().is_empty() {
        return Err(DecodeError::NoSound);
    }
    if pcm.seconds() > limit.as_secs_f64() {
        return Err(DecodeError::TooLong { limit });
    }
    let samples = pcm.mono().iter().map(|sample| sane(*sample)).collect();
    Ok(resample(&Pcm::new(samples, pcm.rate()), rate)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn samples_come_at_the_rate_that_is_wanted_and_are_numbers() {
        let pcm = conform(&Pcm::new(vec![f32::NAN; 8_000], 8_000), 16_000, LIMIT).unwrap();
        assert_eq!((pcm.rate(), pcm.samples().len()), (16_000, 16_000));
        assert!(pcm.samples().iter().all(|sample| *sample == 0.0));
        let same = Pcm::new(vec![0.25, -0.5], 16_000);
        assert_eq!(conform(&same, 16_000, LIMIT), Ok(same));
    }

    #[test]
    fn what_cannot_be_heard_is_refused() {
        assert_eq!(conform(&Pcm::new(vec![], 8_000), 16_000, LIMIT), Err(DecodeError::NoSound));
        let long = Pcm::new(vec![0.0; 8_001], 8_000);
        assert_eq!(conform(&long, 16_000, LIMIT), Err(DecodeError::TooLong { limit: LIMIT }));
        assert!(matches!(conform(&Pcm::new(vec![0.0], 1), 16_000, LIMIT), Err(DecodeError::Unsupported(_))));
    }
}
