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
        samples.extend(said(file));
        samples.extend(&silence);
    }
    encode_wav(&Pcm::new(samples, 16_000))
}

/// A WAV file of two channels, on each of which a shipped recording begins after so many seconds.
pub fn call(sides: [(f64, &str); 2]) -> Vec<u8> {
    let side = |(silence, file): (f64, &str)| [vec![0.0; (silence * 16_000.0) as usize], said(file)].concat();
    let [left, right] = sides.map(side);
    let at = |side: &[f32], frame: usize| side.get(frame).copied().unwrap_or_default();
    let frames = (0..left.len().max(right.len())).flat_map(|frame| [at(&left, frame), at(&right, frame)]);
    encode_wav(&Pcm::interleaved(frames.collect(), 16_000, 2))
}

/// The samples of a shipped recording.
fn said(file: &str) -> Vec<f32> {
    let limit = std::time::Duration::from_secs(60);
    sconce::audio::decode(&super::recording(file), None, 16_000, limit).unwrap().pcm.samples().to_vec()
}

/// A WAV file of a shipped recording said again and again.
pub fn babble(seconds: f64) -> Vec<u8> {
    let said = said("good-morning.flac");
    let samples = said.iter().copied().cycle().take((seconds * 16_000.0) as usize).collect();
    encode_wav(&Pcm::new(samples, 16_000))
}
