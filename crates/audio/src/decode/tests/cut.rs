//! Recordings that break off.

use super::{film::Film, *};

/// Whose index is at their end, and what is told of them where it is lost.
const INDEX_LAST: &[(&str, &str)] = &[
    ("aac.m4a", "the moov box of MP4"),
    ("alac.m4a", "the moov box of MP4"),
    ("film.mp4", "the moov box of MP4"),
    ("opus.mp4", "the moov box of MP4"),
    ("alac.caf", "the packet table of CAF"),
];
/// All that they hold is one packet or page, which is lost; and one whose length nobody knew.
const OTHERS: &[&str] =
    &["six.flac", "vorbis.ogg", "flac.ogg", "opus.ogg", "opus_stereo.ogg", "opus_six.ogg", "vorbis.webm", "pipe.wav"];
/// Nothing tells their run-up.
const WITH_RUN_UP: &[&str] = &["aac.aac", "fragmented.mp4"];

/// The parts of a file that are there after its end was lost, as a share of it.
fn begun(bytes: &[u8], share: f64) -> &[u8] {
    &bytes[..(bytes.len() as f64 * share) as usize]
}

#[test]
fn a_file_that_breaks_off_gives_what_it_holds() {
    let names = SINES.iter().map(|(name, ..)| name).chain(WITH_RUN_UP).chain(&["tracks.mkv"]);
    for name in names.filter(|name| !INDEX_LAST.iter().any(|(other, _)| *name == other) && !OTHERS.contains(name)) {
        let whole = fixture(name);
        for share in [0.6, 0.75, 0.9] {
            let decoded = decode(begun(&whole, share), None, RATE, MINUTE);
            let decoded = decoded.unwrap_or_else(|error| panic!("{name} at {share}: {error}"));
            let (seconds, most) = (decoded.pcm.seconds(), heard(&whole).pcm.seconds());
            assert!(decoded.truncated, "{name} at {share}: {seconds} s");
            assert!(seconds > 0.02 && seconds < most + 1e-6, "{name} at {share}: {seconds} of {most} s");
            // What is heard is the beginning: a codec may need what follows for the end of it.
            let (level, _) = sine_in(440.0, &decoded.pcm.samples()[..320], RATE);
            assert!(level > 0.3 || WITH_RUN_UP.contains(name), "{name} at {share}: {level}");
        }
    }
}

#[test]
fn what_cannot_be_read_without_its_index_says_so() {
    for (name, index) in INDEX_LAST {
        for share in [0.6, 0.75] {
            let error = refused(begun(&fixture(name), share));
            assert_eq!(error, DecodeError::NoIndex(index), "{name} at {share}");
            assert!(!error.may_be_heard_otherwise() && error.to_string().contains("fragmented MP4"), "{error}");
        }
    }
}

#[test]
fn a_film_is_heard_to_its_last_whole_packet() {
    let samples: Vec<i16> = (0..4_800).map(|n| (n % 100 * 300) as i16).collect();
    let film = Film { rate: RATE, samples: &samples, edits: &[] };
    let whole = film.bytes();
    for lost in [1, 2, 3, 1_001, 6_000] {
        let decoded = heard(&whole[..whole.len() - lost]);
        assert_eq!(decoded.pcm.samples().len(), samples.len() - lost.div_ceil(2), "{lost}");
        // 50 ms may be the padding of a codec, but a file that is cut off says more than its length.
        assert!(decoded.truncated, "{lost}");
    }
    let last = film.bytes_with_index_last();
    assert_eq!(heard(&last), heard(&whole));
    assert_eq!(refused(&last[..last.len() - 700]), DecodeError::NoIndex("the moov box of MP4"));
}

/// Fragments that are there are heard, and of the one that is not the packets that are.
#[test]
fn a_fragmented_mp4_may_end_anywhere() {
    let whole = fixture("fragmented.mp4");
    let mut before = 0.0;
    for length in (700..whole.len() - 130).step_by(60) {
        match decode(&whole[..length], None, RATE, MINUTE) {
            Ok(decoded) => {
                assert!(decoded.pcm.seconds() >= before, "{length}");
                before = decoded.pcm.seconds();
            }
            Err(error) => assert!(before == 0.0 && matches!(error, DecodeError::Corrupt(_)), "{length}: {error}"),
        }
    }
    assert!(before > 0.25, "{before}");
}

/// Headers that say a few bytes too much lost nothing; more than that is a recording that ends too early.
#[test]
fn some_bytes_too_many_are_no_loss() {
    let data = vec![0x11; 3_200];
    let wave = wav(1, 16, 1, 16_000, &data);
    let rf64 = |length: u64| {
        let sizes: [&[u8]; 4] = [&[0; 8], &length.to_le_bytes(), &[0; 8], &[0; 4]];
        let rest = [&wave[12..40], &u32::MAX.to_le_bytes(), &data].concat();
        [b"RF64\xFF\xFF\xFF\xFFWAVEds64\x1C\0\0\0", &sizes.concat()[..], &rest].concat()
    };
    let au = |length: u64| {
        let fields = [24, length as u32, 3, 16_000, 1].map(u32::to_be_bytes).concat();
        [b".snd", &fields[..], &data].concat()
    };
    let riff = |length: u64| [&wave[..40], &(length as u32).to_le_bytes(), &data].concat();
    let (aiff, caf) = (fixture("pcm.aiff"), fixture("pcm.caf"));
    let patched = |file: &[u8], name: &[u8; 4], width: usize, more: u64| {
        let at = file.windows(4).position(|window| window == name).unwrap() + 4;
        let mut field = [0; 8];
        field[8 - width..].copy_from_slice(&file[at..at + width]);
        let value = (u64::from_be_bytes(field) + more).to_be_bytes();
        [&file[..at], &value[8 - width..], &file[at + width..]].concat()
    };
    for (more, truncated) in [(0, false), (1, false), (44, false), (64, false), (200, true), (1 << 20, true)] {
        for (name, file, samples) in [
            ("wav", riff(3_200 + more), 1_600),
            ("rf64", rf64(3_200 + more), 1_600),
            ("au", au(3_200 + more), 1_600),
            ("aiff", patched(&aiff, b"SSND", 4, more), 4_800),
            ("caf", patched(&caf, b"data", 8, more), 4_800),
        ] {
            let decoded = heard(&file);
            assert_eq!((decoded.pcm.samples().len(), decoded.truncated), (samples, truncated), "{name}, {more} more");
        }
    }
    // Of the length of RF64, which is made for more than 4 GiB, much may be lost.
    assert!(heard(&rf64(5 << 30)).truncated);
    for length in [0, u64::MAX] {
        assert!(!heard(&rf64(length)).truncated, "{length}: nobody knew it");
    }
}

/// However little is there of it: what is heard is as much as there is, and no more than before.
#[test]
fn no_cut_is_a_panic() {
    for name in
        ["fragmented.mp4", "aac_stereo.m4a", "alac.caf", "opus.ogg", "opus.webm", "live.webm", "mono.mp3", "aac.aac"]
    {
        let whole = fixture(name);
        let most = heard(&whole).pcm.seconds();
        for length in (1..whole.len()).step_by(13) {
            if let Ok(decoded) = decode(&whole[..length], None, RATE, MINUTE) {
                assert!(decoded.pcm.seconds() <= most + 0.01, "{name} {length}");
            }
        }
    }
}
