use std::{path::PathBuf, time::Instant};

use super::*;
use crate::{
    encode_wav,
    testing::{Dice, rms, sine_in, tone},
};

mod channels;
mod cut;
mod edits;
#[path = "../../../../tests/support/film.rs"]
mod film;
mod hostile;
mod tracks;

const RATE: u32 = 16_000;
const MINUTE: Duration = Duration::from_secs(60);

fn folder() -> PathBuf {
    PathBuf::from("../../tests/fixtures/audio")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn heard(bytes: &[u8]) -> Decoded {
    decode(bytes, None, RATE, MINUTE).expect("this is sound")
}

fn refused(bytes: &[u8]) -> DecodeError {
    decode(bytes, None, RATE, MINUTE).expect_err("this is no sound")
}

/// A WAV file of any kind; `data` as it is.
fn wav(tag: u16, bits: u16, channels: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let frame = channels * bits / 8;
    let mut file = encode_wav(&Pcm::new(Vec::new(), 16_000));
    file[20..22].copy_from_slice(&tag.to_le_bytes());
    file[22..24].copy_from_slice(&channels.to_le_bytes());
    file[24..28].copy_from_slice(&rate.to_le_bytes());
    file[28..32].copy_from_slice(&rate.saturating_mul(frame.into()).to_le_bytes());
    file[32..34].copy_from_slice(&frame.to_le_bytes());
    file[34..36].copy_from_slice(&bits.to_le_bytes());
    file[40..44].copy_from_slice(&(data.len() as u32).to_le_bytes());
    file.extend(data);
    let size = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

/// A WAV file of f32 samples.
fn wav_f32(channels: u16, rate: u32, samples: &[f32]) -> Vec<u8> {
    wav(3, 32, channels, rate, &samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>())
}

/// File, container, codec, rate, channels, level of the tone, and how much longer the file is than 0.3 s (the padding
/// of formats that do not say where the recording ends).
type Expected = (&'static str, &'static str, &'static str, u32, usize, f64, f64);

/// LAME scales to 95 %; the sixth channel of Opus is for low frequencies only.
#[rustfmt::skip]
const SINES: &[Expected] = &[
    ("pcm_u8.wav", "wave", "pcm_u8", 8_000, 1, 0.5, 0.0),
    ("pcm_s16.wav", "wave", "pcm_s16le", 8_000, 1, 0.5, 0.0),
    ("pcm_s24.wav", "wave", "pcm_s24le", 4_000, 1, 0.5, 0.0),
    ("pcm_s32.wav", "wave", "pcm_s32le", 4_000, 1, 0.5, 0.0),
    ("pcm_f32.wav", "wave", "pcm_f32le", 4_000, 1, 0.5, 0.0),
    ("pcm_f64.wav", "wave", "pcm_f64le", 4_000, 1, 0.5, 0.0),
    ("mulaw.wav", "wave", "pcm_mulaw", 8_000, 1, 0.5, 0.0),
    ("alaw.wav", "wave", "pcm_alaw", 8_000, 1, 0.5, 0.0),
    ("adpcm_ms.wav", "wave", "adpcm_ms", 22_050, 1, 0.5, 0.08),
    ("adpcm_ima.wav", "wave", "adpcm_ima_wav", 22_050, 1, 0.5, 0.08),
    ("pipe.wav", "wave", "pcm_s16le", 8_000, 1, 0.5, 0.0),
    ("stereo.flac", "flac", "flac", 44_100, 2, 0.5, 0.0),
    ("six.flac", "flac", "flac", 4_000, 6, 0.5, 0.0),
    ("mono.mp3", "mp3", "mp3", 16_000, 1, 0.475, 0.0),
    ("stereo.mp3", "mp3", "mp3", 44_100, 2, 0.475, 0.0),
    ("tagged.mp3", "mp3", "mp3", 16_000, 1, 0.475, 0.0),
    ("vorbis.ogg", "ogg", "vorbis", 44_100, 1, 0.5, 0.0),
    ("flac.ogg", "ogg", "flac", 8_000, 1, 0.5, 0.0),
    ("opus.ogg", "ogg", "opus", 48_000, 1, 0.5, 0.0),
    ("opus_stereo.ogg", "ogg", "opus", 48_000, 2, 0.5, 0.0),
    ("opus_six.ogg", "ogg", "opus", 48_000, 6, 0.5 * 5.0 / 6.0, 0.0),
    ("opus.mp4", "isomp4", "opus", 48_000, 1, 0.5, 0.0),
    ("opus.webm", "matroska", "opus", 48_000, 1, 0.5, 0.02),
    ("live.webm", "matroska", "opus", 48_000, 1, 0.5, 0.02),
    ("vorbis.webm", "matroska", "vorbis", 44_100, 1, 0.5, 0.02),
    ("aac.m4a", "isomp4", "aac", 44_100, 1, 0.5, 0.0),
    ("aac_stereo.m4a", "isomp4", "aac", 48_000, 2, 0.5, 0.0),
    ("film.mp4", "isomp4", "aac", 44_100, 1, 0.5, 0.0),
    ("alac.m4a", "isomp4", "alac", 8_000, 1, 0.5, 0.0),
    ("pcm.aiff", "aiff", "pcm_s16be", 8_000, 1, 0.5, 0.0),
    ("pcm.caf", "caf", "pcm_s16be", 8_000, 1, 0.5, 0.0),
    ("alac.caf", "caf", "alac", 8_000, 1, 0.5, 0.0),
];

#[test]
fn every_format_gives_the_tone_at_its_level_and_its_place() {
    for &(name, container, codec, rate, channels, level, padding) in SINES {
        let decoded = heard(&fixture(name));
        assert_eq!(decoded.source, SourceFormat { container, codec, rate, channels }, "{name}");
        assert!(!decoded.truncated, "{name}");
        assert_eq!(decoded.pcm.rate(), RATE, "{name}");

        let seconds = decoded.pcm.seconds();
        assert!((0.3 - 1e-4..=0.3 + padding + 1e-4).contains(&seconds), "{name}: {seconds} s");
        let tone = &decoded.pcm.samples()[..4_800];
        let (heard, delay) = sine_in(440.0, tone, RATE);
        assert!((heard / level - 1.0).abs() < 0.02, "{name}: level {heard}");
        assert!(delay.abs() < 1e-4, "{name}: delay {delay} s");
        assert!((rms(tone) * 2f64.sqrt() / level - 1.0).abs() < 0.03, "{name}: something else than the tone");
    }
}

#[test]
fn bare_aac_keeps_its_run_up_because_nothing_tells_its_length() {
    let decoded = heard(&fixture("aac.aac"));
    assert_eq!((decoded.source.container, decoded.source.codec), ("aac", "aac"));
    let run_up = 1024 * 16_000 / 44_100;
    let (level, _) = sine_in(440.0, &decoded.pcm.samples()[run_up..], RATE);
    assert!((level - 0.5).abs() < 0.01, "{level}");
    assert!(rms(&decoded.pcm.samples()[..run_up / 2]) < 0.01);
}

#[test]
fn every_rate_arrives() {
    for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 88_200, 96_000, 192_000] {
        let decoded = heard(&encode_wav(&Pcm::new(tone(440.0, 0.5, rate, 0.4), rate)));
        assert_eq!((decoded.source.rate, decoded.pcm.samples().len()), (rate, 6_400));
        let (level, delay) = sine_in(440.0, decoded.pcm.samples(), RATE);
        assert!((level - 0.5).abs() < 1e-3 && delay.abs() < 2e-6, "{rate}: {level} {delay}");
    }
}

#[test]
fn any_target_rate_is_met() {
    for rate in [8_000, 22_050, 24_000, 48_000] {
        let decoded = decode(&fixture("stereo.flac"), None, rate, MINUTE).expect("this is sound");
        assert_eq!((decoded.pcm.rate(), decoded.pcm.samples().len()), (rate, rate as usize * 3 / 10));
    }
}

#[test]
fn channels_are_averaged() {
    for channels in [1, 2, 3, 6, 8] {
        let first = tone(440.0, 0.8, RATE, 0.3);
        let samples: Vec<f32> =
            first.iter().flat_map(|&sample| (0..channels).map(move |i| if i == 0 { sample } else { 0.0 })).collect();
        let decoded = heard(&wav_f32(channels, RATE, &samples));
        assert_eq!(decoded.source.channels, usize::from(channels));
        let (level, _) = sine_in(440.0, decoded.pcm.samples(), RATE);
        assert!((level - 0.8 / f64::from(channels)).abs() < 1e-3, "{channels}: {level}");
    }
}

#[test]
fn what_we_encode_comes_back() {
    let samples: Vec<f32> = (-5..=5).map(|i| i as f32 / 5.0).collect();
    let decoded = heard(&encode_wav(&Pcm::new(samples.clone(), RATE)));
    for (before, after) in samples.iter().zip(decoded.pcm.samples()) {
        assert!((before - after).abs() <= 1.0 / 32_768.0);
    }
}

#[test]
fn a_wrong_name_or_type_does_not_matter() {
    for (name, ..) in SINES {
        let (bytes, right) = (fixture(name), heard(&fixture(name)));
        for hint in ["audio/mpeg", "audio/wav; codecs=1", "speech.flac", "webm", "", "/", ".", "text/html"] {
            assert_eq!(decode(&bytes, Some(hint), RATE, MINUTE).as_ref(), Ok(&right), "{name} as {hint}");
        }
    }
}

#[test]
fn recordings_one_after_the_other_are_heard_whole() {
    let decoded = heard(&fixture("chained.ogg"));
    assert!((decoded.pcm.seconds() - 0.6).abs() < 1e-3);
    let (mono, stereo) = decoded.pcm.samples().split_at(4_800);
    for part in [mono, stereo] {
        assert!((sine_in(440.0, part, RATE).0 - 0.5).abs() < 0.01);
    }
}

#[test]
fn samples_that_are_no_numbers_are_silence_and_none_is_absurdly_loud() {
    let mut samples = vec![0.25; 1_000];
    samples[10] = f32::NAN;
    samples[11] = f32::INFINITY;
    samples[12] = f32::NEG_INFINITY;
    samples[13] = 1e30;
    let decoded = heard(&wav_f32(1, RATE, &samples));
    assert_eq!(decoded.pcm.samples()[9..15], [0.25, 0.0, 0.0, 0.0, 32_768.0, 0.25]);
}

#[test]
fn a_recording_beyond_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let limit = Duration::from_millis(290);
    for (name, ..) in SINES {
        assert_eq!(decode(&fixture(name), None, RATE, limit), Err(DecodeError::TooLong { limit }), "{name}");
    }
    let exact = Duration::from_millis(300);
    for name in ["pcm_s16.wav", "stereo.flac", "mono.mp3", "opus.ogg", "aac.m4a"] {
        assert!(decode(&fixture(name), None, RATE, exact).is_ok(), "{name}");
    }
    assert_eq!(DecodeError::TooLong { limit }.to_string(), "the audio is longer than 0.29 s");
}

/// What recorders did to the header of a recording, and what is heard of it all the same.
#[test]
fn headers_that_lie_do_no_harm() {
    let samples = tone(440.0, 0.5, RATE, 0.3);
    let right = encode_wav(&Pcm::new(samples, RATE));
    let whole = heard(&right);
    let patched = |at: usize, value: u32| {
        let mut file = right.clone();
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        file
    };
    let list = b"LIST\x06\0\0\0INFOab";
    let rf64 = {
        let sizes: [&[u8]; 4] = [&[0; 8], &(right.len() as u64 - 44).to_le_bytes(), &[0; 8], &[0; 4]];
        let data = [&right[12..40], &u32::MAX.to_le_bytes(), &right[44..]].concat();
        [b"RF64\xFF\xFF\xFF\xFFWAVEds64\x1C\0\0\0", &sizes.concat()[..], &data].concat()
    };
    for (what, file) in [
        (
            "the RIFF size is 36 and that of the data 0",
            [&right[..4], &[36, 0, 0, 0], &right[8..40], &[0; 4], &right[44..]].concat(),
        ),
        ("the RIFF size is 0", patched(4, 0)),
        ("the RIFF size is unknown", patched(4, u32::MAX)),
        ("the RIFF size is short by two", patched(4, right.len() as u32 - 10)),
        ("the data size is 0", patched(40, 0)),
        ("the data size is unknown", patched(40, u32::MAX)),
        ("a list lies before the format", [&right[..12], list, &right[12..]].concat()),
        ("a list lies after the data", [&right, &list[..]].concat()),
        ("it is RF64", rf64),
    ] {
        assert_eq!(heard(&file), whole, "{what}");
    }
    // Nothing but a header, and one that is followed by a description.
    assert_eq!(refused(&[&right[..40], &[0; 4], list].concat()), DecodeError::NoSound);
}

#[test]
fn an_aiff_is_heard_whatever_its_size_says() {
    let right = fixture("pcm.aiff");
    let whole = heard(&right);
    for length in [0, 1, right.len() as u32 - 10, 0x10_0000, u32::MAX] {
        let mut file = right.clone();
        file[4..8].copy_from_slice(&length.to_be_bytes());
        assert_eq!(heard(&file), whole, "{length}");
    }
}

/// Sun's format has its sound as WAVE has it, in another order of bytes.
#[test]
fn au_and_mp3_in_wave_and_live_caf_are_read() {
    let au = |encoding: u32, data: &[u8]| {
        let fields = [24, u32::MAX, encoding, 8_000, 1].map(u32::to_be_bytes).concat();
        [b".snd", &fields[..], data].concat()
    };
    for (name, encoding) in [("mulaw.wav", 1), ("alaw.wav", 27)] {
        let file = fixture(name);
        let at = file.windows(4).position(|name| name == b"data").unwrap() + 8;
        let decoded = heard(&au(encoding, &file[at..][..2_400]));
        assert_eq!(decoded.source.container, "au");
        assert_eq!(decoded.pcm, heard(&file).pcm, "{name}");
    }
    let short: Vec<u8> = [8_192i16; 2_400].iter().flat_map(|sample| sample.to_be_bytes()).collect();
    assert!((heard(&au(3, &short)).pcm.samples()[2_400] - 0.25).abs() < 1e-3);

    let mp3 = fixture("mono.mp3");
    assert_eq!(heard(&wav(0x55, 8, 1, 16_000, &mp3)).pcm, heard(&mp3).pcm);

    let mut caf = fixture("pcm.caf");
    let whole = heard(&caf);
    let at = caf.windows(4).position(|name| name == b"data").unwrap();
    let length = i64::from_be_bytes(caf[at + 4..at + 12].try_into().unwrap());
    caf.truncate(at + 12 + length as usize);
    caf[at + 4..at + 12].copy_from_slice(&(-1i64).to_be_bytes());
    assert_eq!(heard(&caf), whole);
}

#[test]
fn channels_that_cancel_each_other_out_are_not_mixed() {
    let first = tone(440.0, 0.5, RATE, 0.3);
    let level = |channels: u16, second: &dyn Fn(usize) -> f32| {
        let samples: Vec<f32> = first
            .iter()
            .enumerate()
            .flat_map(|(n, &sample)| (0..channels).map(move |channel| if channel == 0 { sample } else { second(n) }))
            .collect();
        sine_in(440.0, heard(&wav_f32(channels, RATE, &samples)).pcm.samples(), RATE).0
    };
    // Inverted: one channel alone, the louder one.
    assert!((level(2, &|n| -first[n]) - 0.5).abs() < 1e-3);
    assert!((level(2, &|n| -0.8 * first[n]) - 0.5).abs() < 1e-3);
    // Equal, quiet and half as loud: the mean.
    assert!((level(2, &|n| first[n]) - 0.5).abs() < 1e-3);
    assert!((level(2, &|_| 0.0) - 0.25).abs() < 1e-3);
    assert!((level(2, &|n| -0.2 * first[n]) - 0.2).abs() < 1e-3);
}

#[test]
fn live_recordings_that_were_joined_are_heard_whole() {
    let (live, other) = (fixture("live.webm"), fixture("vorbis.webm"));
    let joined = heard(&[&live[..], &other].concat());
    let seconds = heard(&live).pcm.seconds() + heard(&other).pcm.seconds();
    assert!((joined.pcm.seconds() - seconds).abs() < 0.01, "{}", joined.pcm.seconds());
    // What follows may be anything.
    let broken = heard(&[&live[..], &other[..60]].concat());
    assert!(broken.truncated && (broken.pcm.seconds() - heard(&live).pcm.seconds()).abs() < 0.01);
}
