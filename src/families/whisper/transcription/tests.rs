use super::{
    super::{
        fixtures,
        generation::{Generation, Hints},
    },
    *,
};
use crate::{
    audio::Pcm,
    speech::{HEARING_RATE, Timestamps, TranscribeMode},
};

fn ask(seconds: f64) -> Transcribe {
    let samples = vec![0.0; (seconds * f64::from(HEARING_RATE)) as usize];
    Transcribe {
        audio: Pcm::new(samples, HEARING_RATE),
        language: Some("en".to_owned()),
        goal: TranscribeMode::Transcribe,
        prompt: None,
        temperature: None,
        timestamps: Timestamps::Segment,
        logprobs: false,
        options: serde_json::Map::new(),
    }
}

/// Logits that all but decide for one token.
fn sure(token: u32) -> Vec<f32> {
    let mut logits = vec![0.0; fixtures::config().vocab_size];
    logits[token as usize] = 30.0;
    logits
}

/// Feeds a transcription the tokens of each window in turn; gives its segments and the prompt of each window.
fn play(transcription: &mut Transcription, windows: &[&[u32]]) -> (Vec<Segment>, Vec<Vec<u32>>) {
    let end = transcription.recipe.tokens.end;
    let (mut segments, mut prompts) = (Vec::new(), Vec::new());
    for window in windows {
        assert!(matches!(transcription.need(), Need::Window { .. }), "{:?}", transcription.need());
        transcription.listened();
        let mut prompt = Vec::new();
        let mut script = window.iter().chain([&end]);
        while let Need::Logits(Feed { tokens, .. }) = transcription.need() {
            let prompting = prompt.len() < 3 || !prompt.ends_with(&opening(transcription));
            if prompting {
                prompt.extend(tokens);
            }
            let whole = prompt.ends_with(&opening(transcription));
            let next = if prompting && !whole { sure(0) } else { sure(*script.next().unwrap()) };
            segments.extend(transcription.hear(next).unwrap());
        }
        prompts.push(prompt);
    }
    (segments, prompts)
}

fn opening(transcription: &Transcription) -> Vec<u32> {
    transcription.recipe.tokens.opening("en", TranscribeMode::Transcribe)
}

#[test]
fn windows_follow_each_other_from_end_to_end_of_segments() {
    let recipe = fixtures::recipe();
    let time = recipe.tokens.times;
    let mut transcription = Transcription::new(recipe.clone(), &ask(3.0)).unwrap();
    let first = [time, 300, time + 40, time + 45, 301];
    let second = [time, 302, time + 70];
    let third = [time, 303, time + 50];
    let (segments, prompts) = play(&mut transcription, &[&first, &second, &third]);
    assert!(transcription.is_over());
    let seen: Vec<_> = segments.iter().map(|s| (s.id, s.seek, s.start, s.end)).collect();
    assert_eq!(seen, [(0, 0, 0.0, 0.8), (1, 80, 0.8, 2.2), (2, 280, 2.8, 3.0)], "the last ends with the recording");
    let opening = recipe.tokens.opening("en", TranscribeMode::Transcribe);
    let previous = recipe.tokens.previous.unwrap();
    assert_eq!(prompts[0], opening);
    assert_eq!(prompts[1], [&[previous, time, 300, time + 40], &opening[..]].concat());
    assert_eq!(prompts[2], [&[previous, time, 300, time + 40, time, 302, time + 70], &opening[..]].concat());
}

#[test]
fn tokens_of_the_text_have_their_log_probabilities_when_they_are_asked_for() {
    let recipe = fixtures::recipe();
    let time = recipe.tokens.times;
    for asked in [true, false] {
        let mut transcription =
            Transcription::new(recipe.clone(), &Transcribe { logprobs: asked, ..ask(1.8) }).unwrap();
        let (segments, _) = play(&mut transcription, &[&[time, 300, 301, time + 40, time + 40, 302, time + 80]]);
        assert_eq!(segments.len(), 2);
        for (segment, text) in segments.iter().zip([&[300, 301][..], &[302]]) {
            let bytes: Vec<&[u8]> = segment.logprobs.iter().map(|token| token.bytes.as_slice()).collect();
            let expected: Vec<&[u8]> = text.iter().map(|id| recipe.tokens.bytes(*id)).collect();
            assert_eq!(bytes, if asked { expected } else { vec![] });
            assert!(segment.logprobs.iter().all(|token| (-1e-3..=0.0).contains(&token.logprob)), "{segment:?}");
        }
    }
}

#[test]
fn a_model_that_is_not_used_to_times_in_its_prompt_gets_none() {
    let (tokens, config) = (fixtures::tokens(), fixtures::config());
    let hints = Hints { prompt_timestamps: Some(false), ..Hints::default() };
    let generation = Generation::new(&hints, &tokens, &config).unwrap();
    let recipe = Arc::new(Recipe::new(tokens, generation, &config));
    let time = recipe.tokens.times;
    let mut transcription = Transcription::new(recipe.clone(), &ask(3.0)).unwrap();
    let (_, prompts) = play(&mut transcription, &[&[time, 300, time + 40, time + 40], &[time, 302, time + 70]]);
    let opening = recipe.tokens.opening("en", TranscribeMode::Transcribe);
    assert_eq!(prompts[1], [&[recipe.tokens.previous.unwrap(), 300], &opening[..]].concat());
}

#[test]
fn a_silent_window_is_passed_over_and_told_to_nobody() {
    let recipe = fixtures::recipe();
    let mut transcription = Transcription::new(recipe.clone(), &ask(4.0)).unwrap();
    transcription.listened();
    transcription.hear(sure(recipe.tokens.no_speech.unwrap())).unwrap();
    // Nothing is likelier than anything else: improbable, at whatever temperature.
    while let Need::Logits(_) = transcription.need() {
        let flat = vec![0.0; fixtures::config().vocab_size];
        assert_eq!(transcription.hear(flat).unwrap(), []);
    }
    assert_eq!(transcription.need(), Need::Window { seek: 200 });
}

#[test]
fn the_language_is_the_likeliest_of_those_that_there_are() {
    let recipe = fixtures::recipe();
    let mut transcription = Transcription::new(recipe.clone(), &Transcribe { language: None, ..ask(1.0) }).unwrap();
    transcription.listened();
    assert_eq!(transcription.need(), Need::Logits(Feed { keep: 0, tokens: vec![recipe.tokens.start] }));
    let mut logits = sure(300);
    let (_, german) = recipe.tokens.languages().iter().find(|(code, _)| *code == "de").unwrap();
    logits[*german as usize] = 3.0;
    transcription.hear(logits).unwrap();
    assert_eq!(transcription.summary().language, "de");
}

#[test]
fn numbers_that_are_no_distribution_fail_the_request() {
    let mut transcription = Transcription::new(fixtures::recipe(), &ask(1.0)).unwrap();
    transcription.listened();
    transcription.hear(sure(0)).unwrap();
    assert_eq!(transcription.hear(vec![f32::NAN; fixtures::config().vocab_size]), Err(NoDistribution));
}

#[test]
fn what_a_window_is_fed_never_exceeds_the_decoder() {
    let recipe = fixtures::recipe();
    let long = Transcribe { prompt: Some("the quick brown fox ".repeat(50)), ..ask(1.0) };
    let mut transcription = Transcription::new(recipe.clone(), &long).unwrap();
    transcription.listened();
    let mut most = 0;
    while let Need::Logits(Feed { keep, tokens }) = transcription.need() {
        most = most.max(keep + tokens.len());
        transcription.hear(vec![0.0; fixtures::config().vocab_size]).unwrap();
    }
    assert!(most <= recipe.context && most > recipe.context / 2, "{most} of {}", recipe.context);
}
