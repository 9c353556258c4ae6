//! Films whose edit list drops, moves and repeats parts of the sound.

use super::{
    film::{Edit, Film},
    *,
};

/// Two seconds, of which no sample is like one nearby.
fn ramp() -> Vec<i16> {
    (0..32_000).map(|n| n as i16).collect()
}

/// What is heard, as samples of 16 bits.
fn heard_of(edits: &[Edit]) -> Vec<i16> {
    let samples = ramp();
    let film = Film { rate: RATE, samples: &samples, edits };
    let decoded = heard(&film.bytes());
    assert!(!decoded.truncated, "{edits:?}");
    assert_eq!(heard(&film.bytes_with_index_last()), decoded);
    decoded.pcm.samples().iter().map(|sample| (sample * 32_768.0).round() as i16).collect()
}

fn silence(samples: usize) -> Vec<i16> {
    vec![0; samples]
}

#[test]
fn pieces_are_heard_in_the_order_of_the_list() {
    let all = ramp();
    for (edits, expected) in [
        (&[][..], all.clone()),
        (&[(500, Some(1_600))], all[1_600..9_600].to_vec()),
        // The middle is dropped.
        (&[(500, Some(0)), (500, Some(24_000))], [&all[..8_000], &all[24_000..]].concat()),
        // It is silent before, between, and not after.
        (
            &[(100, None), (500, Some(0)), (250, None), (500, Some(8_000)), (100, None)],
            [&silence(1_600)[..], &all[..8_000], &silence(4_000), &all[8_000..16_000]].concat(),
        ),
        // The end comes first, and a piece is heard three times.
        (
            &[(500, Some(24_000)), (250, Some(0)), (250, Some(0)), (250, Some(0))],
            [&all[24_000..], &all[..4_000], &all[..4_000], &all[..4_000]].concat(),
        ),
        // Two that overlap each other.
        (&[(1_000, Some(0)), (1_000, Some(8_000))], [&all[..16_000], &all[8_000..24_000]].concat()),
        // One after the other is as if there was one, and one of no length is none.
        (&[(250, Some(0)), (0, Some(9_000)), (250, Some(4_000))], all[..8_000].to_vec()),
    ] {
        let heard = heard_of(edits);
        assert_eq!(heard.len(), expected.len(), "{edits:?}");
        assert!(heard == expected, "{edits:?}");
    }
}

/// What a list asks for beyond the end of the track is not there.
#[test]
fn beyond_the_track_there_is_nothing() {
    let all = ramp();
    let film = |edits: &[Edit]| heard(&Film { rate: RATE, samples: &all, edits }.bytes());
    let late = film(&[(500, Some(0)), (1_000, Some(24_000)), (500, Some(400_000))]);
    assert_eq!((late.pcm.samples().len(), late.truncated), (16_000, true));
    // In the middle it is silent, so that what follows is where it belongs.
    let middle = film(&[(1_000, Some(24_000)), (500, Some(0))]);
    assert_eq!(middle.pcm.samples().len(), 24_000);
    assert!(middle.pcm.samples()[8_000..16_000].iter().all(|sample| *sample == 0.0));
    assert_eq!((middle.pcm.samples()[16_100] * 32_768.0).round(), 100.0);
    let nothing = Film { rate: RATE, samples: &all, edits: &[(10, Some(1 << 30)), (10, Some(1 << 29))] };
    assert_eq!(refused(&nothing.bytes()), DecodeError::Corrupt("it ends too early".to_owned()));
}

#[test]
fn times_may_count_from_the_sound_without_the_silence() {
    let all = ramp();
    let file =
        Film { rate: RATE, samples: &all, edits: &[(900, None), (500, Some(0)), (900, None), (250, Some(16_000))] };
    let selection = Selection { origin: TimeOrigin::Sound, ..Selection::default() };
    // What is not heard does not count.
    let limit = Duration::from_millis(800);
    let selected = decode_selected(&file.bytes(), None, RATE, limit, selection, &mut |_| true).unwrap();
    assert_eq!(selected.channels[0].samples().len(), 12_000);
}

/// At another rate, and with the run-up of a codec: what is asked for is there to the millisecond.
#[test]
fn a_codec_and_another_rate_are_no_hindrance() {
    let sound = tone(440.0, 0.5, 44_100, 1.0);
    let samples: Vec<i16> = sound.iter().map(|sample| (sample * 32_767.0) as i16).collect();
    // 100 periods of 440 Hz are dropped, so that the tone goes on.
    let edits = [(250, Some(0)), (500, None), (250, Some(11_025 + 10_022 + 1))];
    let decoded = heard(&Film { rate: 44_100, samples: &samples, edits: &edits }.bytes());
    assert_eq!(decoded.pcm.samples().len(), 16_000);
    let quiet = rms(&decoded.pcm.samples()[4_100..11_900]);
    assert!(quiet < 1e-3, "{quiet}");
    for part in [0..3_900, 12_100..15_900] {
        let level = rms(&decoded.pcm.samples()[part]) * 2f64.sqrt();
        assert!((level - 0.5).abs() < 0.01, "{level}");
    }
}

/// A list can ask for more than there is memory for. It is refused before anything is made.
#[test]
fn lists_that_blow_up_are_refused() {
    let all = ramp();
    let film = |edits: &[Edit]| Film { rate: RATE, samples: &all, edits }.bytes();
    let limit = Duration::from_secs(60);
    let mut most = 0;
    let mut asked = |file: &[u8]| {
        let mut room = |bytes: usize| {
            most = most.max(bytes);
            true
        };
        decode_selected(file, None, RATE, limit, Selection::default(), &mut room).unwrap_err()
    };
    let again = [(2_000, Some(0)), (1_000, Some(1))].repeat(100);
    for edits in [&[(u32::MAX, None), (500, Some(0))][..], &[(u32::MAX, Some(0)), (1, Some(1 << 30))], &again] {
        assert_eq!(asked(&film(edits)), DecodeError::TooLong { limit }, "{}", edits.len());
    }
    let many = [(1, Some(0)), (1, Some(1_000))].repeat(100_000);
    assert_eq!(asked(&film(&many)), DecodeError::TooManyEdits { edits: 200_000, most: 4096 });
    // It says that there are four billion, of which two are there.
    let mut lies = film(&[(500, Some(0)), (500, Some(24_000))]);
    let at = lies.windows(4).position(|name| name == b"elst").unwrap() + 8;
    lies[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    let refusal = asked(&lies);
    assert!(matches!(refusal, DecodeError::Corrupt(_)), "{refusal}");
    assert!(most <= 1 << 20, "{most} bytes were asked for");
}

/// What is put together is asked for, beside what it is made of.
#[test]
fn the_memory_of_both_is_asked_for() {
    let all = ramp();
    let file =
        Film { rate: RATE, samples: &all, edits: &[(2_000, Some(0)), (1_000, Some(0)), (1_000, Some(0))] }.bytes();
    let mut most = 0;
    let mut ask = |allowed: usize| {
        decode_selected(&file, None, RATE, MINUTE, Selection::default(), &mut |bytes| {
            most = most.max(bytes);
            bytes <= allowed
        })
    };
    let heard = ask(usize::MAX).unwrap();
    assert_eq!(heard.channels[0].samples().len(), 64_000);
    assert_eq!(ask(300_000), Err(DecodeError::NoRoom));
    assert!(most >= (64_000 + 32_000) * size_of::<f32>(), "{most}");
}

#[test]
fn a_part_of_an_opus_track_is_the_right_one() {
    let file = fixture("opus.mp4");
    let whole = heard(&file);
    let at = file.windows(4).position(|name| name == b"elst").unwrap() + 12;
    let mut later = file.clone();
    // 100 ms from 150 ms on, in units of 48 kHz, after the run-up of the decoder.
    later[at..at + 4].copy_from_slice(&100u32.to_be_bytes());
    later[at + 4..at + 8].copy_from_slice(&(312u32 + 7_200).to_be_bytes());
    let part = heard(&later);
    assert_eq!(part.pcm.samples().len(), 1_600);
    let apart = part.pcm.samples().iter().zip(&whole.pcm.samples()[2_400..]).map(|(one, other)| (one - other).abs());
    assert!(apart.fold(0.0, f32::max) < 0.02);
}
