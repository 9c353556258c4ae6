use super::*;
use crate::testing::{Dice, rms, tone};

const RATE: u32 = 24_000;
const HERTZ: f64 = 220.0;
/// The most that a sine of amplitude 0.5 moves from one sample to the next.
const STEP: f32 = (0.5 * std::f64::consts::TAU * HERTZ / RATE as f64) as f32;

fn speech(seconds: f64) -> Vec<f32> {
    tone(HERTZ, 0.5, RATE, seconds)
}

/// 38 dB below [`speech`], where a murmur is heard and an ear is annoyed.
fn murmur(seconds: f64) -> Vec<f32> {
    let mut dice = Dice(11);
    (0..samples(seconds)).map(|_| 0.008 * dice.noise()).collect()
}

fn silence(seconds: f64) -> Vec<f32> {
    vec![0.0; samples(seconds)]
}

fn samples(seconds: f64) -> usize {
    (seconds * f64::from(RATE)).round() as usize
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Blocks with a gap after each but the last, pushed in pieces.
fn joined(blocks: &[Vec<f32>], gap: Duration, piece: usize) -> Vec<f32> {
    let (mut joiner, mut out) = (Joiner::new(RATE, 1, &JoinSettings::default()), Vec::new());
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            joiner.end_block(gap, &mut out);
        }
        block.chunks(piece).for_each(|piece| joiner.push(piece, &mut out));
    }
    joiner.finish(&mut out);
    out
}

fn steepest(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

/// Seconds from the first to the last sample that is not silence.
fn sounding(samples: &[f32]) -> f64 {
    let loud = |sample: &f32| sample.abs() > 1e-3;
    let first = samples.iter().position(loud).unwrap_or(0);
    let last = samples.iter().rposition(loud).unwrap_or(0);
    (last - first) as f64 / f64::from(RATE)
}

#[test]
fn silence_and_murmur_at_the_ends_are_dropped_but_for_the_margins() {
    let block = [silence(0.7), murmur(0.3), speech(1.0), murmur(0.5), silence(2.0)].concat();
    let out = joined(&[block], Duration::ZERO, 1_000);
    let expected = 0.04 + 1.0 + 0.08;
    let seconds = out.len() as f64 / f64::from(RATE);
    assert!((seconds - expected).abs() < 0.02, "{seconds} s");
    assert!(out[0].abs() < 1e-4 && out[out.len() - 1].abs() < 1e-4, "the ends fade");
}

#[test]
fn a_fading_vowel_is_kept_and_a_murmur_after_it_is_not() {
    let fading: Vec<f32> =
        speech(1.0).iter().enumerate().map(|(n, s)| s * 10f32.powf(-2.0 * n as f32 / 24_000.0)).collect();
    let out = joined(&[[speech(0.3), fading, murmur(1.0)].concat()], Duration::ZERO, 777);
    // 36 dB are lost after 0.9 s of the fade.
    assert!((1.2..1.35).contains(&(out.len() as f64 / f64::from(RATE))), "{}", out.len());
}

#[test]
fn a_gap_is_as_long_as_it_was_asked_for() {
    for gap in [millis(120), millis(500)] {
        let block = [silence(0.3), speech(0.5), silence(0.9)].concat();
        let out = joined(&[block.clone(), block], gap, 4_096);
        let expected = 2.0 * 0.5 + 0.08 + gap.as_secs_f64() + 0.04;
        assert!((sounding(&out) - expected).abs() < 0.025, "{gap:?}: {} s", sounding(&out));
    }
    let endless = joined(&[speech(0.1), speech(0.1)], Duration::MAX, 4_096);
    assert!(endless.len() <= samples(60.3), "a gap is bounded");
}

#[test]
fn nothing_clicks_where_sound_is_cut() {
    for gap in [Duration::ZERO, millis(2), millis(200)] {
        // Cut at any phase: 0.2513 s are 55.29 periods, 0.25 s are 55.
        let blocks = [speech(0.2513), speech(0.2507), [silence(0.2), speech(0.25), silence(0.3)].concat()];
        let out = joined(&blocks, gap, 999);
        // A fade of 8 ms adds at most its own slope; a hard cut would be a step of up to 0.5.
        assert!(steepest(&out) < 1.6 * STEP, "{gap:?}: a step of {} (a sine's is {STEP})", steepest(&out));
    }
}

#[test]
fn a_cross_fade_keeps_the_power() {
    let mut dice = Dice(5);
    let mut noise = |seconds| (0..samples(seconds)).map(|_| 0.5 * dice.noise()).collect::<Vec<f32>>();
    let settings = JoinSettings { fade: millis(200), ..JoinSettings::default() };
    let (mut joiner, mut out) = (Joiner::new(RATE, 1, &settings), Vec::new());
    joiner.push(&noise(1.0), &mut out);
    joiner.end_block(Duration::ZERO, &mut out);
    joiner.push(&noise(1.0), &mut out);
    joiner.finish(&mut out);
    assert_eq!(out.len(), samples(1.8));
    let (before, at) = (rms(&out[samples(0.4)..samples(0.7)]), rms(&out[samples(0.85)..samples(0.95)]));
    assert!((at / before - 1.0).abs() < 0.05, "{at} after {before}");
}

#[test]
fn a_pause_inside_is_kept_and_one_that_is_too_long_is_shortened() {
    let within = |pause| joined(&[[speech(0.4), silence(pause), speech(0.4)].concat()], Duration::ZERO, 512);
    let kept = within(0.6);
    assert_eq!(kept.len(), samples(1.4));
    let shortened = within(7.0);
    let expected = 0.4 + 0.08 + 1.0 + 0.04 + 0.4;
    assert!((shortened.len() as f64 / f64::from(RATE) - expected).abs() < 0.03, "{}", shortened.len());
    assert!(steepest(&shortened) < 1.6 * STEP);
}

#[test]
fn a_block_without_sound_leaves_one_gap() {
    let quiet = [silence(0.5), murmur(0.3)].concat();
    let gap = millis(300);
    let with = joined(&[speech(0.3), quiet.clone(), speech(0.3)], gap, 640);
    assert_eq!(with, joined(&[speech(0.3), speech(0.3)], gap, 640));
    assert_eq!(joined(&[quiet.clone(), speech(0.3), quiet], gap, 640), joined(&[speech(0.3)], gap, 640));
    assert!(joined(&[silence(1.0)], gap, 640).is_empty());
    assert!(joined(&[], gap, 640).is_empty());
}

#[test]
fn blocks_shorter_than_a_fade_neither_click_nor_grow() {
    let blocks = vec![speech(0.012); 40];
    for gap in [Duration::ZERO, millis(1)] {
        let out = joined(&blocks, gap, 100);
        assert!(out.len() <= samples(40.0 * 0.013));
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let blocks = [
        [murmur(0.3), speech(0.4), silence(0.3)].concat(),
        [speech(0.3), silence(3.0), speech(0.2)].concat(),
        murmur(0.2),
    ];
    for gap in [Duration::ZERO, millis(250)] {
        let once = joined(&blocks, gap, usize::MAX);
        for piece in [1, 7, 240, 10_000] {
            assert_eq!(joined(&blocks, gap, piece), once, "{gap:?} in pieces of {piece}");
        }
    }
}

#[test]
fn what_is_held_back_is_bounded() {
    let (mut joiner, mut out) = (Joiner::new(RATE, 1, &JoinSettings::default()), Vec::new());
    let mut pushed = 0;
    for second in 0..30 {
        let piece = if second % 10 < 5 { speech(1.0) } else { murmur(1.0) };
        pushed += piece.len();
        joiner.push(&piece, &mut out);
        let held = joiner.trim.held() + joiner.seam.held();
        assert!(held <= samples(1.2), "{held} samples after {second} s");
        assert!(second >= 5 || pushed - out.len() <= samples(0.02), "speech is held back");
    }
}

#[test]
fn what_is_no_number_is_silence_and_does_not_hide_what_follows() {
    let mut block = speech(1.0);
    (block[5_000], block[5_001], block[5_002]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
    let out = joined(&[block], Duration::ZERO, 100);
    assert_eq!(out.len(), samples(1.0));
    assert!(out.iter().all(|sample| sample.is_finite()));
}

#[test]
fn channels_stay_side_by_side() {
    let settings = JoinSettings::default();
    let (mut joiner, mut both) = (Joiner::new(RATE, 2, &settings), Vec::new());
    let block: Vec<f32> = [silence(0.3), speech(0.3), silence(0.3)].concat();
    let stereo: Vec<f32> = block.iter().flat_map(|sample| [*sample, -sample]).collect();
    joiner.push(&stereo, &mut both);
    joiner.end_block(Duration::ZERO, &mut both);
    joiner.push(&stereo, &mut both);
    joiner.finish(&mut both);
    let mono = joined(&[block.clone(), block], Duration::ZERO, 64);
    let left: Vec<f32> = both.chunks(2).map(|frame| frame[0]).collect();
    assert_eq!(left, mono);
    assert!(both.chunks(2).all(|frame| frame[0] == -frame[1]));
}

#[test]
fn a_moment_of_a_block_is_found_in_the_whole() {
    let (mut joiner, mut out) = (Joiner::new(RATE, 1, &JoinSettings::default()), Vec::new());
    let click = |at: f64| {
        let mut block = [silence(0.3), speech(1.0), silence(3.0), speech(1.0), murmur(0.5)].concat();
        block[samples(at)] = 0.9; // above all speech
        block
    };
    let mut found = Vec::new();
    for at in [0.35, 1.2, 4.4, 5.1] {
        joiner.push(&click(at), &mut out);
        found.push(joiner.place(at).unwrap());
        joiner.end_block(millis(250), &mut out);
    }
    joiner.finish(&mut out);
    let loud = out.iter().enumerate().filter(|(_, sample)| **sample > 0.6).map(|(at, _)| at as f64 / f64::from(RATE));
    assert!(loud.clone().count() == 4, "{:?}", loud.collect::<Vec<_>>());
    for (found, loud) in found.into_iter().zip(loud) {
        assert!((found - loud).abs() < 1e-3, "{found} {loud}");
    }
}

#[test]
fn what_is_dropped_lies_where_the_sound_goes_on() {
    let (mut joiner, mut out) = (Joiner::new(RATE, 1, &JoinSettings::default()), Vec::new());
    assert_eq!(joiner.place(0.0), None);
    joiner.push(&[silence(1.0), speech(0.5), silence(9.0), speech(0.5), silence(1.0)].concat(), &mut out);
    let place = |seconds| joiner.place(seconds).unwrap();
    assert_eq!(place(0.2), 0.0);
    assert!((place(5.0) - place(9.0)).abs() < 1e-9 && place(5.0) < place(10.6));
    let end = place(99.0);
    joiner.finish(&mut out);
    assert!((end - out.len() as f64 / f64::from(RATE)).abs() < 0.02, "{end}");
}
