use proptest::prelude::*;

use super::{super::parts::Parts, *};

fn plain(text: &str) -> Vec<Part> {
    let mut parts = Parts::default();
    parts.text(text, Prosody::default());
    parts.into_vec()
}

fn cut(text: &str, target: usize, max: usize) -> Vec<String> {
    chunks(&plain(text), ChunkLimits { target, max }).iter().map(Chunk::text).collect()
}

fn spoken(text: &str, phonemes: &str) -> Part {
    let phonemes = Some(phonemes.to_owned()).filter(|phonemes| !phonemes.is_empty());
    Part::Say(Span { text: text.to_owned(), phonemes, prosody: Prosody::default() })
}

const PAUSE: Boundary = Boundary::Pause(Duration::from_secs(1));

#[test]
fn fills_chunks_with_whole_sentences() {
    let text = "One two three. Four five six. Seven eight nine. Ten.";
    assert_eq!(cut(text, 30, 40), ["One two three. Four five six.", "Seven eight nine. Ten."]);
    assert_eq!(cut(text, 300, 400), [text]);
}

#[test]
fn a_sentence_that_is_too_long_is_cut_at_clauses_then_at_words() {
    assert_eq!(
        cut("One two, three four, five six seven eight.", 20, 24),
        ["One two, three four,", "five six seven eight."]
    );
    assert_eq!(cut("One two three four five six.", 10, 12), ["One two", "three four", "five six."]);
}

#[test]
fn a_sentence_between_target_and_limit_stays_whole() {
    assert_eq!(cut("One two three four five. Six.", 10, 30), ["One two three four five.", "Six."]);
}

#[test]
fn a_tiny_sentence_goes_with_its_neighbour() {
    assert_eq!(cut("Hi. One two three four five six.", 20, 40), ["Hi. One two three four five six."]);
}

#[test]
fn a_word_that_is_too_long_is_cut_between_graphemes() {
    assert_eq!(cut("a Donaudampfschiff b", 5, 6), ["a", "Donaud", "ampfsc", "hiff b"]);
    assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 3, 3), ["e\u{301}", "e\u{301}", "e\u{301}"]);
    assert_eq!(cut("e\u{301}\u{302}\u{303}", 2, 2), ["e\u{301}", "\u{302}\u{303}"]);
}

#[test]
fn chinese_and_japanese_are_cut_without_spaces() {
    assert_eq!(cut("你好，世界。今天天气很好。", 6, 8), ["你好，世界。", "今天天气很好。"]);
    assert_eq!(cut("今天天气很好今天", 4, 4), ["今天天气", "很好今天"]);
    assert_eq!(cut("コーヒーをください", 4, 4), ["コーヒー", "をくださ", "い"]);
    assert_eq!(cut("「はい」と「いいえ」", 5, 5), ["「はい」と", "「いいえ」"]);
}

#[test]
fn chunks_say_what_ends_with_them() {
    let text = "One two, three four. Five six.\n\nSeven eight nine ten";
    let ends: Vec<_> = chunks(&plain(text), ChunkLimits { target: 8, max: 12 }).iter().map(|chunk| chunk.end).collect();
    use Boundary as B;
    assert_eq!(ends, [B::Clause, B::Sentence, B::Paragraph, B::Word, B::Sentence]);
}

#[test]
fn pauses_end_chunks_and_add_up() {
    let parts =
        [Part::Boundary(PAUSE), spoken("One. ", ""), Part::Boundary(PAUSE), Part::Boundary(PAUSE), spoken("Two.", "")];
    let chunks = chunks(&parts, ChunkLimits { target: 100, max: 100 });
    let texts: Vec<_> = chunks.iter().map(|chunk| (chunk.text(), chunk.end)).collect();
    let two = Boundary::Pause(Duration::from_secs(2));
    let expected = [(String::new(), PAUSE), ("One.".to_owned(), two), ("Two.".to_owned(), Boundary::Sentence)];
    assert_eq!(texts, expected);
}

#[test]
fn phonemes_stay_with_their_word_and_uncut() {
    let parts = [spoken("I say ", ""), spoken("New Orleans", "nu ɔrlinz"), spoken(" now.", "")];
    let texts = |max| -> Vec<Vec<(String, bool)>> {
        let spans =
            |chunk: &Chunk| chunk.spans.iter().map(|span| (span.text.clone(), span.phonemes.is_some())).collect();
        chunks(&parts, ChunkLimits { target: max, max }).iter().map(spans).collect()
    };
    let span = |text: &str, phonemes| (text.to_owned(), phonemes);
    assert_eq!(texts(12), [vec![span("I say", false)], vec![span("New Orleans", true)], vec![span("now.", false)]]);
    assert_eq!(texts(40), [vec![span("I say ", false), span("New Orleans", true), span(" now.", false)]]);
    let broken: Vec<_> = texts(6).concat();
    assert!(broken.iter().all(|(_, phonemes)| !phonemes), "{broken:?}");
}

#[test]
fn a_chunk_has_one_prosody() {
    let fast = Prosody { rate: 2.0, ..Prosody::default() };
    let mut parts = Parts::default();
    parts.text("Slow. ", Prosody::default());
    parts.text("Fast.", fast);
    let chunks = chunks(&parts.into_vec(), ChunkLimits { target: 100, max: 100 });
    let said: Vec<_> = chunks.iter().map(|chunk| (chunk.text(), chunk.prosody())).collect();
    assert_eq!(said, [("Slow.".to_owned(), Prosody::default()), ("Fast.".to_owned(), fast)]);
}

#[test]
fn nothing_makes_no_chunks() {
    assert!(chunks(&[], ChunkLimits { target: 0, max: 0 }).is_empty());
    assert!(cut(" \n ", 0, 0).is_empty());
    assert_eq!(cut("ab c", 0, 0), ["a", "b", "c"]);
}

fn unspaced(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn nothing_is_lost_and_limits_hold(text in "\\PC{0,200}|([a-z]{1,12}[ ,.!?\n\u{301}你ー「」]{1,2}){0,40}", target in 0_usize..60, max in 0_usize..60) {
        let chunks = cut(&text, target, max);
        prop_assert_eq!(unspaced(&chunks.concat()), unspaced(&text));
        for chunk in &chunks {
            prop_assert!((1..=max.max(1)).contains(&chunk.chars().count()), "{chunk:?}");
            prop_assert_eq!(chunk.trim(), chunk.as_str());
        }
    }

    #[test]
    fn words_that_fit_are_never_broken(text in "([a-zé'.,-]{1,12}[ \n]{1,3}){0,40}", target in 0_usize..60, max in 12_usize..60) {
        let chunks = cut(&text, target, max);
        let words: Vec<&str> = chunks.iter().flat_map(|chunk| chunk.split_whitespace()).collect();
        prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn spans_are_cut_as_one_text(pieces in prop::collection::vec(("[a-c .,]{1,9}", any::<bool>()), 0..20), max in 1_usize..20) {
        let parts: Vec<Part> = pieces.iter().map(|(text, solid)| spoken(text, if *solid { "x" } else { "" })).collect();
        let whole: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        let chunks = chunks(&parts, ChunkLimits { target: max, max });
        let texts: Vec<String> = chunks.iter().map(Chunk::text).collect();
        prop_assert_eq!(unspaced(&texts.concat()), unspaced(&whole));
        prop_assert!(texts.iter().all(|text| (1..=max).contains(&text.chars().count())), "{:?}", texts);
    }

    #[test]
    fn sentences_joined_are_the_text(text in "\\PC{0,200}|[a-zA-Z0-9.!?'\") \n\r\u{300}。！]{0,200}") {
        prop_assert_eq!(sentence::sentences(&text).concat(), text);
    }
}
