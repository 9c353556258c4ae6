use super::*;

const RATE: u32 = 16_000;
const LIMIT: ItemLimit = ItemLimit { longest: Duration::from_secs(4), setting: "live.max_item" };

fn silence(seconds: f64) -> Vec<f32> {
    vec![0.0; (seconds * f64::from(RATE)) as usize]
}

/// As much of a voice as the detector looks for: partials that come and go.
fn voice(seconds: f64) -> Vec<f32> {
    let sample = |n: usize| {
        let at = n as f64 / f64::from(RATE);
        let partials = (1..20).map(|partial| (std::f64::consts::TAU * 150.0 * f64::from(partial) * at).sin());
        (partials.sum::<f64>() * (at * 4.0 * std::f64::consts::PI).sin().abs() / 60.0) as f32
    };
    (0..silence(seconds).len()).map(sample).collect()
}

fn turns(detection: Option<VoiceActivity>) -> Turns {
    Turns::new(RATE, LIMIT, detection, VoiceDetection::default())
}

fn push(turns: &mut Turns, samples: &[f32]) -> Vec<Turn> {
    let mut told = Vec::new();
    turns.push(samples, |turn| told.push(turn)).unwrap();
    told
}

/// What was told, in words, with times in tenths of a second.
fn words(told: &[Turn]) -> Vec<String> {
    let tenths = |at: &Duration| (at.as_secs_f64() * 10.0).round() / 10.0;
    let word = |turn: &Turn| match turn {
        Turn::Started { item, at } => format!("{} starts at {}", item.0, tenths(at)),
        Turn::Stopped { item, at } => format!("{} stops at {}", item.0, tenths(at)),
        Turn::Whole { item, samples } => {
            let seconds = Duration::from_secs_f64(samples.len() as f64 / f64::from(RATE));
            format!("{} has {}", item.0, tenths(&seconds))
        }
    };
    told.iter().map(word).collect()
}

#[test]
fn speech_between_pauses_is_an_item_with_what_is_kept_around_it() {
    let sound = [silence(2.0), voice(1.0), silence(2.0), voice(1.5), silence(2.0)].concat();
    let told = push(&mut turns(Some(VoiceActivity::default())), &sound);
    let want = ["0 starts at 1.7", "0 stops at 3.5", "0 has 1.9", "1 starts at 4.7", "1 stops at 7", "1 has 2.4"];
    assert_eq!(words(&told), want);
    let Turn::Whole { samples, .. } = &told[2] else { panic!() };
    let at = sound.windows(samples.len()).position(|window| window == samples).unwrap();
    assert!((at as f64 / f64::from(RATE) - 1.7).abs() < 0.08, "{at}");
}

#[test]
fn who_never_speaks_fills_no_memory() {
    let mut turns = turns(Some(VoiceActivity::default()));
    for _ in 0..100 {
        assert!(push(&mut turns, &silence(1.0)).is_empty());
    }
    assert!(turns.bytes() < RATE as usize * 4, "{}", turns.bytes());
    assert_eq!(turns.current(), None);
}

#[test]
fn who_never_pauses_is_cut_where_an_item_may_be_no_longer() {
    let mut turns = turns(Some(VoiceActivity::default()));
    let told = words(&push(&mut turns, &[silence(1.0), voice(9.0), silence(1.0)].concat()));
    let want = [
        "0 starts at 0.7",
        "0 stops at 4.7",
        "0 has 4",
        "1 starts at 4.7",
        "1 stops at 8.7",
        "1 has 4",
        "2 starts at 8.7",
        "2 stops at 10.4",
        "2 has 1.8",
    ];
    assert_eq!(told, want);
}

#[test]
fn without_detection_the_caller_says_where_an_item_ends() {
    let mut turns = turns(None);
    assert!(push(&mut turns, &voice(1.0)).is_empty());
    assert_eq!(turns.current().map(|(item, samples)| (item, samples.len())), Some((ItemId(0), RATE as usize)));
    assert_eq!(words(&[turns.commit().unwrap()]), ["0 has 1"]);
    push(&mut turns, &voice(0.5));
    turns.clear();
    push(&mut turns, &voice(0.3));
    assert_eq!(words(&[turns.commit().unwrap()]), ["1 has 0.3"]);
}

#[test]
fn a_caller_may_end_an_item_while_somebody_speaks() {
    let mut turns = turns(Some(VoiceActivity::default()));
    assert_eq!(words(&push(&mut turns, &[silence(1.0), voice(1.0)].concat())), ["0 starts at 0.7"]);
    assert_eq!(words(&[turns.commit().unwrap()]), ["0 has 1.3"]);
    let told = words(&push(&mut turns, &[voice(1.0), silence(1.0)].concat()));
    assert_eq!(told, ["1 starts at 2", "1 stops at 3.5", "1 has 1.5"]);
}

#[test]
fn too_much_and_too_little_is_refused_and_nothing_changes() {
    let mut turns = turns(None);
    assert_eq!(turns.commit(), Err(TurnError::TooShort { has: Duration::ZERO }));
    push(&mut turns, &voice(3.9));
    let full = turns.push(&voice(0.2), |_| panic!()).unwrap_err();
    assert!(full.to_string().contains("longer than 4 s (`live.max_item`)"), "{full}");
    push(&mut turns, &voice(0.1));
    assert_eq!(words(&[turns.commit().unwrap()]), ["0 has 4"]);
    push(&mut turns, &voice(0.05));
    let short = turns.commit().unwrap_err();
    assert_eq!(short.to_string(), "the buffer holds 50 ms of sound; an item has at least 100 ms");
}

#[test]
fn settings_change_between_items_and_time_goes_on() {
    let mut turns = turns(None);
    push(&mut turns, &voice(1.0));
    let detection = Some(VoiceActivity::default());
    let held = turns.set(RATE, detection).unwrap_err();
    assert!(held.to_string().contains("commit or clear it first"), "{held}");
    assert!(turns.set(8000, None).is_err());
    turns.commit().unwrap();
    turns.set(8000, None).unwrap();
    assert_eq!(turns.rate(), 8000);
    turns.set(RATE, detection).unwrap();
    assert_eq!(words(&push(&mut turns, &[silence(1.0), voice(1.0)].concat())), ["1 starts at 1.7"]);
    // Who speaks goes on in the same item.
    turns.set(RATE, None).unwrap();
    assert!(turns.current().is_some());
    assert_eq!(words(&[turns.commit().unwrap()]), ["1 has 1.3"]);
}
