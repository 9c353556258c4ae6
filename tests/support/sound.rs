//! Sounds made on the spot.

use sconce::audio::{Pcm, encode_wav};

/// A WAV file of digital silence.
pub fn silence(seconds: f64) -> Vec<u8> {
    encode_wav(&Pcm::new(vec![0.0; (seconds * 16_000.0) as usize], 16_000))
}

/// A WAV file of shipped recordings, with so many seconds of silence before, between and after them.
pub fn apart(files: &[&str], seconds: f64) -> Vec<u8> {
    let silence = vec![0.0; (seconds * 16_000.0) as usize];
    let mut samples = silence.clone();
    for file in files {
        let limit = std::time::Duration::from_secs(60);
        let said = sconce::audio::decode(&super::recording(file), None, 16_000, limit).unwrap().pcm;
        samples.extend(said.samples());
        samples.extend(&silence);
    }
    encode_wav(&Pcm::new(samples, 16_000))
}

/// A WAV file of a shipped recording said again and again.
pub fn babble(seconds: f64) -> Vec<u8> {
    let said = super::recording("good-morning.flac");
    let limit = std::time::Duration::from_secs(60);
    let said = sconce::audio::decode(&said, None, 16_000, limit).unwrap().pcm;
    let samples = said.samples().iter().copied().cycle().take((seconds * 16_000.0) as usize).collect();
    encode_wav(&Pcm::new(samples, 16_000))
}
