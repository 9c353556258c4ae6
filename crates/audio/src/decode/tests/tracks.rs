//! Files with several tracks, of which one is asked for by its number.

use super::*;

/// Of the tracks of our files, in hertz.
const TONES: [f64; 3] = [440.0, 880.0, 1_760.0];

fn track(bytes: &[u8], number: usize) -> Result<Selected, DecodeError> {
    let selection = Selection { track: Some(number), ..Selection::default() };
    decode_selected(bytes, None, RATE, MINUTE, selection, &mut |_| true)
}

fn tone_of(selected: &Selected) -> f64 {
    let level = |hertz: &&f64| sine_in(**hertz, selected.channels[0].samples(), RATE).0;
    *TONES.iter().max_by(|one, other| level(one).total_cmp(&level(other))).unwrap()
}

/// The file with another codec in its first track, which nothing here knows.
fn with_unknown_first(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let description = file.windows(4).position(|window| window == b"stsd").unwrap();
    let codec = description + file[description..].windows(4).position(|window| window == b"mp4a").unwrap();
    file[codec..codec + 4].copy_from_slice(b"samr");
    file
}

#[test]
fn tracks_are_numbered_in_the_order_of_the_file() {
    for name in ["tracks.mkv", "tracks.mp4"] {
        let file = fixture(name);
        for (number, tone) in TONES.iter().enumerate() {
            assert_eq!(tone_of(&track(&file, number).unwrap()), *tone, "{name} {number}");
            assert_eq!(probe(&file, None, Some(number), MINUTE), Ok(()));
        }
        let missing = DecodeError::NoSuchTrack { track: 3, tracks: Some(3) };
        assert_eq!(
            (track(&file, 3), probe(&file, None, Some(3), MINUTE)),
            (Err(missing.clone()), Err(missing.clone()))
        );
        assert_eq!(missing.to_string(), "there is no audio track 3; the file has 3, from 0 to 2");
    }
}

#[test]
fn without_a_number_the_first_is_heard() {
    let selected =
        |name: &str| decode_selected(&fixture(name), None, RATE, MINUTE, Selection::default(), &mut |_| true).unwrap();
    assert_eq!((tone_of(&selected("tracks.mkv")), tone_of(&selected("tracks.mp4"))), (440.0, 440.0));
}

#[test]
fn a_file_of_one_track_has_track_0() {
    for name in ["pcm_s16.wav", "mono.mp3", "opus.ogg", "film.mp4", "stereo.flac"] {
        let file = fixture(name);
        assert_eq!(track(&file, 0).unwrap().channels[0], heard(&file).pcm, "{name}");
        let refusal = track(&file, 1).unwrap_err();
        assert_eq!(refusal.to_string(), "there is no audio track 1; the file has one, which is track 0", "{name}");
    }
    assert_eq!(track(&fixture("silent_film.mp4"), 0), Err(DecodeError::NoSound));
    assert_eq!(track(b"no sound", 1), Err(DecodeError::Unrecognised));
}

/// Otherwise the numbers would be those of other tracks where another program reads the file.
#[test]
fn what_cannot_be_decoded_is_counted_all_the_same() {
    let file = with_unknown_first(&fixture("tracks.mp4"));
    assert_eq!(track(&file, 0), Err(DecodeError::Unsupported("the codec AMR".to_owned())));
    assert_eq!(tone_of(&track(&file, 1).unwrap()), 880.0);
    assert_eq!(track(&file, 3), Err(DecodeError::NoSuchTrack { track: 3, tracks: Some(3) }));
    assert_eq!(
        tone_of(&decode_selected(&file, None, RATE, MINUTE, Selection::default(), &mut |_| true).unwrap()),
        880.0
    );
}

#[test]
fn a_matroska_file_with_a_track_of_no_known_kind_is_for_another_decoder() {
    let mut file = fixture("tracks.mkv");
    let codec = file.windows(6).position(|window| window == b"A_OPUS").unwrap();
    file[codec..codec + 6].copy_from_slice(b"A_WHAT");
    let refusal = track(&file, 1).unwrap_err();
    assert!(matches!(&refusal, DecodeError::Unsupported(what) if what.contains("unknown kind")), "{refusal}");
    assert!(refusal.may_be_heard_otherwise());
}
