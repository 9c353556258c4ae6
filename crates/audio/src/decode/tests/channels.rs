//! Channels that are kept apart.

use super::*;

const APART: Selection = Selection { track: None, apart: true, origin: TimeOrigin::Container };

fn apart(bytes: &[u8], limit: Duration) -> Result<Selected, DecodeError> {
    decode_selected(bytes, None, RATE, limit, APART, &mut |_| true)
}

/// Two tones, each on its own side.
fn call(rate: u32) -> Vec<u8> {
    let (left, right) = (tone(440.0, 0.5, rate, 0.3), tone(1_000.0, 0.25, rate, 0.3));
    let samples: Vec<f32> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect();
    wav_f32(2, rate, &samples)
}

#[test]
fn each_side_of_a_call_is_heard_by_itself() {
    for rate in [8_000, 16_000, 44_100] {
        let Selected { channels, source, truncated } = apart(&call(rate), MINUTE).unwrap();
        assert_eq!((source.channels, channels.len(), truncated), (2, 2, false));
        for (channel, [here, there]) in channels.iter().zip([[440.0, 1_000.0], [1_000.0, 440.0]]) {
            assert_eq!((channel.rate(), channel.samples().len()), (RATE, 4_800));
            let level = if here == 440.0 { 0.5 } else { 0.25 };
            assert!((sine_in(here, channel.samples(), RATE).0 - level).abs() < 1e-3, "{rate}: {here}");
            assert!(sine_in(there, channel.samples(), RATE).0 < 1e-3, "{rate}: {there} leaks");
        }
    }
}

#[test]
fn what_cancels_out_when_it_is_mixed_is_whole_apart() {
    let first = tone(440.0, 0.5, RATE, 0.3);
    let samples: Vec<f32> = first.iter().flat_map(|sample| [*sample, -*sample]).collect();
    let channels = apart(&wav_f32(2, RATE, &samples), MINUTE).unwrap().channels;
    assert_eq!(channels[0].samples(), first);
    assert!(channels[1].samples().iter().zip(&first).all(|(inverted, sample)| *inverted == -*sample));
}

#[test]
fn of_one_channel_there_is_one() {
    for (name, channels) in [("pcm_s16.wav", 1), ("six.flac", 6), ("opus_stereo.ogg", 2), ("aac_stereo.m4a", 2)] {
        let file = fixture(name);
        let heard = apart(&file, MINUTE).unwrap().channels;
        assert_eq!(heard.len(), channels, "{name}");
        if channels == 1 {
            assert_eq!(heard[0], super::heard(&file).pcm);
        }
    }
}

/// One channel, then two: the second was silent before.
#[test]
fn a_channel_that_appears_later_was_silent_before() {
    let channels = apart(&fixture("chained.ogg"), MINUTE).unwrap().channels;
    assert_eq!(channels.iter().map(|channel| channel.samples().len()).collect::<Vec<_>>(), [9_600, 9_600]);
    let level = |channel: usize, part: std::ops::Range<usize>| rms(&channels[channel].samples()[part]) * 2f64.sqrt();
    assert!((level(0, 0..4_800) - 0.5).abs() < 0.02 && (level(0, 4_800..9_600) - 0.5).abs() < 0.02);
    assert!(level(1, 0..4_000) < 1e-3 && (level(1, 5_000..9_600) - 0.5).abs() < 0.02);
}

#[test]
fn the_seconds_of_all_channels_count() {
    let (file, limit) = (call(RATE), Duration::from_millis(599));
    assert!(decode(&file, None, RATE, limit).is_ok());
    let refusal = apart(&file, limit).unwrap_err();
    assert_eq!(refusal, DecodeError::ChannelsTooLong { channels: 2, limit });
    assert_eq!(refusal.to_string(), "the 2 channels of the audio are longer than 0.599 s together");
    assert!(apart(&file, Duration::from_millis(600)).is_ok());
}

#[test]
fn more_channels_than_are_heard_one_by_one_are_refused() {
    let file = |channels: u16| wav_f32(channels, RATE, &vec![0.1; usize::from(channels) * 160]);
    assert_eq!(apart(&file(8), MINUTE).unwrap().channels.len(), MOST_APART);
    let refusal = apart(&file(9), MINUTE).unwrap_err();
    assert_eq!(refusal, DecodeError::TooManyChannels { channels: 9, most: MOST_APART });
    assert!(decode(&file(9), None, RATE, MINUTE).is_ok(), "mixed, they may be many");
}

#[test]
fn the_memory_of_all_channels_is_asked_for() {
    let mut most = 0;
    let asked = decode_selected(&call(RATE), None, RATE, MINUTE, APART, &mut |bytes| {
        most = bytes.max(most);
        true
    });
    let bytes = |apart: Selected| apart.channels.iter().map(|channel| size_of_val(channel.samples())).sum::<usize>();
    assert!(most >= bytes(asked.unwrap()), "{most}");
    let refused = decode_selected(&call(RATE), None, RATE, MINUTE, APART, &mut |bytes| bytes < 30_000);
    assert_eq!(refused, Err(DecodeError::NoRoom));
}
