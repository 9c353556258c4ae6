use std::time::Duration;

use super::*;
use crate::{
    DecodeError, Decoded, decode, resample,
    testing::{Dice, rms, sine_in, tone},
};

mod players;

const RATES: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Decibels of [`speech`] over the error that a decoder must leave at the worst rate and number of channels, about 2 dB
/// below what was measured. `docs/AUDIO.md` has the figures.
fn least(format: AudioFormat) -> f64 {
    match format {
        AudioFormat::Wav | AudioFormat::Pcm | AudioFormat::Flac => 74.0,
        AudioFormat::Mp3 => 20.0,
        AudioFormat::Opus => 8.0,
        AudioFormat::Aac => 17.0,
    }
}

/// Something like a voice: harmonics under formants with a moving pitch, syllables, and noise between them.
fn speech(rate: u32, seconds: f64, pitch: f64) -> Vec<f32> {
    let (mut phase, mut dice) = (0.0f64, Dice(7));
    let sample = |n: usize| {
        let time = n as f64 / f64::from(rate);
        let hertz = pitch * (1.0 + 0.2 * (2.0 * time).sin());
        phase += std::f64::consts::TAU * hertz / f64::from(rate);
        let harmonics = (1..40).take_while(|k| hertz * f64::from(*k) < 0.4 * f64::from(rate));
        let sum: f64 = harmonics.map(|k| formants(hertz * f64::from(k)) * (phase * f64::from(k)).sin()).sum();
        let syllable = (0.5 - 0.5 * (std::f64::consts::TAU * 3.0 * time).cos()).powf(0.7);
        (0.06 * sum * syllable + 0.003 * f64::from(dice.noise()) * (1.0 - syllable)) as f32
    };
    (0..(seconds * f64::from(rate)) as usize).map(sample).collect()
}

fn formants(hertz: f64) -> f64 {
    let peak = |at: f64, width: f64| 1.0 / (1.0 + ((hertz - at) / width).powi(2));
    peak(700.0, 250.0) + 0.5 * peak(1_800.0, 400.0) + 0.1 * peak(3_000.0, 600.0) + 0.01
}

fn sound(rate: u32, channels: usize, seconds: f64) -> Pcm {
    let left = speech(rate, seconds, 120.0);
    if channels == 1 {
        return Pcm::new(left, rate);
    }
    let right = speech(rate, seconds, 190.0);
    Pcm::interleaved(left.into_iter().zip(right).flat_map(|(left, right)| [left, right]).collect(), rate, 2)
}

/// In pieces of so many samples.
fn streamed(pcm: &Pcm, format: AudioFormat, piece: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(format, pcm.rate(), pcm.channels()).unwrap();
    let mut stream = Vec::new();
    for piece in pcm.samples().chunks(piece) {
        stream.extend(encoder.push(piece).unwrap());
    }
    stream.extend(encoder.finish().unwrap());
    stream
}

/// What [`Encoder::finish_file`] makes of it.
fn filed(pcm: &Pcm, format: AudioFormat) -> Vec<u8> {
    let mut encoder = Encoder::new(format, pcm.rate(), pcm.channels()).unwrap();
    let mut file = encoder.push(pcm.samples()).unwrap();
    let (end, head) = encoder.finish_file().unwrap();
    file.extend(end);
    if let Some(head) = head {
        file[..head.len()].copy_from_slice(&head);
    }
    file
}

#[test]
fn a_file_that_was_streamed_can_be_given_its_length_afterwards() {
    let pcm = sound(24_000, 1, 0.7);
    for format in AudioFormat::ALL {
        // The tag of MP3 has no place in a stream.
        let expected =
            if format == AudioFormat::Mp3 { streamed(&pcm, format, 999) } else { encode(&pcm, format).unwrap() };
        assert!(filed(&pcm, format) == expected, "{format}");
    }
}

/// At the rate that it was written at, mixed to mono.
fn heard(format: AudioFormat, file: &[u8], pcm: &Pcm) -> Result<Decoded, DecodeError> {
    let rate = format.nearest_rate(pcm.rate());
    match format {
        AudioFormat::Pcm => {
            let header = streamed(&Pcm::interleaved(Vec::new(), pcm.rate(), pcm.channels()), AudioFormat::Wav, 1);
            decode(&[&header, file].concat(), None, rate, Duration::from_secs(60))
        }
        _ => decode(file, None, rate, Duration::from_secs(60)),
    }
}

/// Samples that come before the sound. A file says of itself what to leave out; a stream of MP3 cannot, and ADTS has
/// no place for it.
fn run_up(format: AudioFormat, whole: bool) -> usize {
    match format {
        AudioFormat::Mp3 if !whole => 528 + 529,
        AudioFormat::Aac => 1024,
        _ => 0,
    }
}

/// Samples after the sound, at most.
fn padding(format: AudioFormat, whole: bool) -> usize {
    match format {
        AudioFormat::Mp3 if !whole => 2 * 1152,
        AudioFormat::Aac => 1024,
        _ => 0,
    }
}

/// Decibels of the sound over the error.
fn ratio(expected: &[f32], decoded: &[f32]) -> f64 {
    let error: Vec<f32> = expected.iter().zip(decoded).map(|(expected, decoded)| expected - decoded).collect();
    20.0 * (rms(expected) / rms(&error).max(1e-9)).log10()
}

fn check(format: AudioFormat, pcm: &Pcm, file: &[u8], whole: bool) -> f64 {
    let name = format!("{format} of {} Hz x {}, whole: {whole}", pcm.rate(), pcm.channels());
    let decoded = heard(format, file, pcm).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!decoded.truncated, "{name}");
    assert_eq!(decoded.source.channels, pcm.channels(), "{name}");
    let mono = resample(&Pcm::new(pcm.mono().into_owned(), pcm.rate()), format.nearest_rate(pcm.rate())).unwrap();
    let (expected, run_up) = (mono.samples(), run_up(format, whole));
    let extra = decoded.pcm.samples().len() as i64 - expected.len() as i64 - run_up as i64;
    assert!((0..=padding(format, whole) as i64).contains(&extra), "{name}: {extra} samples too many");
    ratio(expected, &decoded.pcm.samples()[run_up..])
}

#[test]
fn every_format_gives_the_sound_back_at_its_place() {
    for (rate, channels) in RATES.into_iter().flat_map(|rate| [(rate, 1), (rate, 2)]) {
        let pcm = sound(rate, channels, 0.7);
        for format in AudioFormat::ALL {
            for (file, whole) in [(encode(&pcm, format).unwrap(), true), (streamed(&pcm, format, 4_801), false)] {
                let ratio = check(format, &pcm, &file, whole);
                println!("{format} of {rate} Hz x {channels}, whole: {whole}: {ratio:.1} dB");
                assert!(ratio > least(format), "{format} of {rate} Hz x {channels}, whole: {whole}: {ratio:.1} dB");
            }
        }
    }
}

#[test]
fn pieces_of_any_size_give_the_same_stream() {
    for (format, channels) in AudioFormat::ALL.into_iter().flat_map(|format| [(format, 1), (format, 2)]) {
        let pcm = sound(22_050, channels, 0.3);
        let once = streamed(&pcm, format, usize::MAX);
        for piece in [1, 3, 441, 4_410] {
            assert!(streamed(&pcm, format, piece) == once, "{format} x {channels} in pieces of {piece}");
        }
    }
}

#[test]
fn a_file_is_the_stream_with_an_honest_start() {
    let pcm = sound(24_000, 1, 0.3);
    for format in AudioFormat::ALL {
        let (file, stream) = (encode(&pcm, format).unwrap(), streamed(&pcm, format, 1_000));
        let tail = stream.len().min(file.len()) - 100;
        assert_eq!(file[file.len() - tail..], stream[stream.len() - tail..], "{format}");
    }
    let (file, stream) = (encode(&pcm, AudioFormat::Wav).unwrap(), streamed(&pcm, AudioFormat::Wav, 1_000));
    assert_eq!(file, encode_wav(&pcm));
    assert_eq!((&stream[4..8], &stream[40..44]), (&[0xFF; 4][..], &[0xFF; 4][..]));
    let (file, stream) = (encode(&pcm, AudioFormat::Flac).unwrap(), streamed(&pcm, AudioFormat::Flac, 1_000));
    assert_eq!(file[22..26], 7_200u32.to_be_bytes(), "the lower 32 bits of the number of samples");
    assert_eq!(stream[22..42], [0; 20], "neither the length nor the checksum is known");
}

#[test]
fn sound_comes_out_while_it_goes_in() {
    for (format, rate) in AudioFormat::ALL.into_iter().flat_map(|format| [(format, 24_000), (format, 44_100)]) {
        let pcm = sound(rate, 1, 1.0);
        let mut encoder = Encoder::new(format, rate, 1).unwrap();
        let start = encoder.push(&[]).unwrap().len();
        assert_eq!(start > 0, !matches!(format, AudioFormat::Pcm | AudioFormat::Mp3 | AudioFormat::Aac), "{format}");
        let first = encoder.push(&pcm.samples()[..rate as usize / 10]).unwrap();
        assert!(!first.is_empty(), "{format} of {rate} Hz: nothing after 100 ms");
    }
}

#[test]
fn little_is_held_back_however_long_the_stream() {
    for format in AudioFormat::ALL {
        let pcm = sound(24_000, 2, 3.0);
        let mut encoder = Encoder::new(format, 24_000, 2).unwrap();
        let mut stream = Vec::new();
        for piece in pcm.samples().chunks(333) {
            stream.extend(encoder.push(piece).unwrap());
        }
        let held = encoder.finish().unwrap().len() as f64 / stream.len() as f64 * 3.0;
        assert!(held < 0.2, "{format}: {held} s");
    }
}

#[test]
fn no_sound_is_a_stream_without_sound() {
    for format in AudioFormat::ALL {
        let nothing = Pcm::new(Vec::new(), 24_000);
        for file in [encode(&nothing, format).unwrap(), streamed(&nothing, format, 1)] {
            if let Ok(decoded) = heard(format, &file, &nothing) {
                assert!(format == AudioFormat::Mp3 && rms(decoded.pcm.samples()) == 0.0, "{format}: {decoded:?}");
            }
        }
    }
}

#[test]
fn the_shortest_sounds_come_back_whole() {
    for (format, frames) in AudioFormat::ALL.into_iter().flat_map(|format| [1, 2, 15, 100].map(|n| (format, n))) {
        for channels in [1, 2] {
            let pcm = Pcm::interleaved(vec![0.25; frames * channels], 24_000, channels);
            let decoded = heard(format, &encode(&pcm, format).unwrap(), &pcm).unwrap_or_else(|error| {
                panic!("{format}, {frames} frames of {channels}: {error}");
            });
            assert!(decoded.pcm.samples().len() >= frames, "{format}, {frames} frames of {channels}");
        }
    }
}

#[test]
fn a_frame_that_is_not_whole_is_left_out() {
    let mut encoder = Encoder::new(AudioFormat::Pcm, 24_000, 2).unwrap();
    let stream = [encoder.push(&[0.5]).unwrap(), encoder.push(&[0.25, -0.5]).unwrap(), encoder.finish().unwrap()];
    assert_eq!(stream.concat(), [0, 0x40, 0, 0x20]);
}

#[test]
fn hostile_samples_are_clipped_or_silent() {
    let mut dice = Dice(3);
    let wild = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, f32::MIN_POSITIVE, 1.5, -2.0];
    let samples: Vec<f32> = (0..24_000).map(|_| wild[dice.roll(wild.len())]).collect();
    for (format, rate, channels) in
        AudioFormat::ALL.into_iter().flat_map(|format| [(format, 24_000, 1), (format, 44_100, 2), (format, 9_999, 1)])
    {
        let pcm = Pcm::interleaved(samples.clone(), rate, channels);
        let decoded = heard(format, &encode(&pcm, format).unwrap(), &pcm).unwrap();
        assert!(decoded.pcm.samples().iter().all(|sample| sample.abs() < 4.0), "{format} of {rate} Hz x {channels}");
    }
    assert_eq!([f32::NAN, 2.0, f32::NEG_INFINITY, 0.5].map(clip), [0.0, 1.0, -1.0, 0.5]);
}

#[test]
fn the_rate_that_is_asked_for_is_met() {
    for (format, to) in AudioFormat::ALL.into_iter().flat_map(|format| [(format, 16_000), (format, 48_000)]) {
        let pcm = Pcm::new(tone(440.0, 0.5, 22_050, 0.5), 22_050);
        let mut encoder = Encoder::resampled(format, 22_050, to, 1).unwrap();
        assert_eq!(encoder.rate(), to);
        let stream = [encoder.push(pcm.samples()).unwrap(), encoder.finish().unwrap()].concat();
        let decoded = heard(format, &stream, &Pcm::new(Vec::new(), to)).unwrap();
        assert_eq!(decoded.source.rate, if format == AudioFormat::Opus { 48_000 } else { to }, "{format}");
        let (level, _) = sine_in(440.0, &decoded.pcm.samples()[to as usize / 10..to as usize * 2 / 5], to);
        assert!((level - 0.5).abs() < 0.02, "{format} at {to} Hz: level {level}");
    }
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let refused = |rate, channels| AudioFormat::ALL.map(|format| Encoder::new(format, rate, channels).err());
    for error in refused(24_000, 0).into_iter().chain(refused(24_000, 3)).flatten() {
        assert!(matches!(error, EncodeError::Channels(0 | 3)), "{error:?}");
    }
    for rate in [0, 1, 999, 768_001, u32::MAX] {
        for error in refused(rate, 1) {
            assert_eq!(error.unwrap(), EncodeError::Rate(crate::UnusableRate(rate)));
        }
    }
    assert_eq!(EncodeError::Channels(3).to_string(), "sound of 3 channels is not encoded; of 1 or 2 it is");
}

#[test]
fn a_panic_in_a_library_is_an_error() {
    struct Broken;
    impl Codec for Broken {
        fn push(&mut self, _: &[f32], _: &mut Vec<u8>) -> Result<(), EncodeError> {
            panic!("as asked for")
        }
    }
    let mut encoder = Encoder::new(AudioFormat::Flac, 24_000, 1).unwrap();
    encoder.codec = Box::new(Broken);
    let error = encoder.push(&[0.0]).unwrap_err();
    assert_eq!(error.to_string(), "the flac encoder failed: it panicked");
}

#[test]
fn an_encoder_may_change_its_thread() {
    fn sent<T: Send>(_: &T) {}
    sent(&Encoder::new(AudioFormat::Opus, 24_000, 1).unwrap());
}
