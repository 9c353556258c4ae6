//! The whole way, from what is sent to what is said.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

const PLAIN: Reading<'_> = Reading {
    markup: Markup::Plain,
    language: "en-US",
    normalize: true,
    lexicon: None,
    limit: 10_000_000,
    scripts: &[],
    tags: |_| false,
};
const SSML: Reading<'_> = Reading { markup: Markup::Ssml, ..PLAIN };
const VERBATIM: Reading<'_> = Reading { normalize: false, ..PLAIN };
const GERMAN: Reading<'_> = Reading { language: "de", ..PLAIN };

fn said(text: &str, reading: &Reading<'_>) -> String {
    let parts = read(text, reading).unwrap();
    let texts = parts.iter().map(|part| match part {
        Part::Say(span) => span.text.clone(),
        Part::Boundary(Boundary::Pause(length)) => format!("[{}]", length.as_secs_f32()),
        Part::Boundary(_) => "|".to_owned(),
    });
    texts.collect()
}

#[test]
fn what_the_model_reads_itself_stays_as_it_is() {
    let tagged = Reading { tags: |word| word == "SPEAKER0", ..PLAIN };
    assert_eq!(said("[SPEAKER0] Room 2.", &tagged), "[SPEAKER0] Room two.");
    assert!(!said("[SPEAKER0] Room 2.", &PLAIN).contains("SPEAKER0"));
}

#[test]
fn markdown_is_read_as_people_read_it() {
    let cases = [
        ("# Title\n\nSome *text* with **weight**.", "Title.\n\nSome text with weight."),
        ("- milk\n- eggs\n- 5 apples", "milk.\n\neggs.\n\nfive apples."),
        ("1. Stir.\n2. Bake.", "one. Stir.\n\ntwo. Bake."),
        ("1986. A great year.", "nineteen eighty-six. A great year."),
        ("[the docs](https://example.com/a?b) and ![a cat](cat.png)", "the docs and a cat"),
        ("<https://example.com>", "example dot com"),
        ("Run `make all` now.\n\n```sh\nmake test\n```", "Run make all now.\n\nmake test."),
        ("| name | age |\n|---|---|\n| Ann | 5 |", "name, age.\n\nAnn, five."),
        ("> quoted\n\n---\n\nafter", "quoted\n\nafter"),
        ("~~gone~~ ~5", "gone about five"),
        ("<p>Some <b>text</b></p>", "Some text"),
        ("- [x] done\n- [ ] open", "done.\n\nopen."),
        ("2 * 3 * 4 and a_b_c", "two times three times four and a b c"),
        ("[laugh] That is funny [1].", "[laugh] That is funny [one]."),
        ("[Anna]: Hello!\n[Ben]: Hi!", "[Anna]: Hello! [Ben]: Hi!"),
        ("AT&amp;T &lt;3", "A T and T less than three"),
        ("wrapped\nlines", "wrapped lines"),
        ("- 牛奶\n- 鸡蛋", "牛奶。\n\n鸡蛋。"),
    ];
    for (markdown, spoken) in cases {
        assert_eq!(said(markdown, &PLAIN).trim(), spoken, "{markdown:?}");
    }
}

#[test]
fn other_languages_are_cleaned_and_keep_their_numbers() {
    assert_eq!(
        said("# Überschrift\n\nAm 3. Mai kostet’s 5 € 😀 ﬁx!", &GERMAN),
        "Überschrift.\n\nAm 3. Mai kostet's 5 € fix!"
    );
    assert_eq!(said("你好，世界！２０２４年", &Reading { language: "zh", ..PLAIN }), "你好，世界！2024年");
    assert_eq!(said("می‌خواهم", &Reading { language: "fa", ..PLAIN }), "می‌خواهم");
}

#[test]
fn without_normalisation_only_control_characters_go() {
    let text = "**5** km\t“q”\u{7}  ☃\n# x\u{0} &amp;";
    assert_eq!(said(text, &VERBATIM), "**5** km\t“q”  ☃\n# x &amp;");
    assert_eq!(said("5[pause:1s]6", &VERBATIM), "5[1]6");
}

#[test]
fn ssml_and_pauses_are_normalised_between_their_marks() {
    assert_eq!(said("Wait 5 s. [pause:0.5s] Then **go**.", &PLAIN), "Wait five seconds. [0.5] Then go.");
    assert_eq!(said("<speak>Wait 5 km<break time='2s'/>**x**</speak>", &SSML), "Wait five kilometers[2]x");
    let verbatim = Reading { normalize: false, ..SSML };
    assert_eq!(said("<speak>5 <say-as interpret-as='ordinal'>5</say-as></speak>", &verbatim), "5 fifth");
}

#[test]
fn the_lexicon_comes_before_the_rules_and_leaves_phonemes_alone() {
    let lexicon = Lexicon::parse("[words]\n'GPT-4' = 'gee pee tee four'\n'Dr.' = 'Doktor'\nmilk = 'melk'").unwrap();
    let reading = Reading { lexicon: Some(&lexicon), ..PLAIN };
    assert_eq!(said("Dr. X on GPT-4, 5 l Milk", &reading), "Doktor X on gee pee tee four, five l melk");
    let parts =
        read("<speak><phoneme ph='x'>milk</phoneme></speak>", &Reading { lexicon: Some(&lexicon), ..SSML }).unwrap();
    let milk = Span { text: "milk".to_owned(), phonemes: Some("x".to_owned()), prosody: Prosody::default() };
    assert_eq!(parts, [Part::Say(milk)]);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    use TextError as E;
    let cases = [
        ("", E::Empty),
        (" \n\t\u{a0}", E::Blank),
        ("[pause:1s]", E::Blank),
        ("<div></div>", E::Blank),
        ("\u{1}\u{2} \u{200b}\u{feff}", E::OnlyControl),
        ("?! …", E::OnlyPunctuation),
        ("***", E::OnlyPunctuation),
        ("😀 👩‍👩‍👧 🇩🇪 ❤️", E::OnlyEmoji),
    ];
    for (text, error) in cases {
        assert_eq!(read(text, &PLAIN), Err(error), "{text:?}");
    }
    assert_eq!(read("1️⃣", &PLAIN).map(|parts| parts.len()), Ok(1));
    assert_eq!(read("<speak> </speak>", &SSML), Err(E::Blank));
    assert_eq!(read("<speak>!</speak>", &SSML), Err(E::OnlyPunctuation));
    let short = Reading { limit: 3, ..PLAIN };
    assert_eq!(read("äöü", &short).map(|parts| parts.len()), Ok(1));
    assert_eq!(
        read("äöüß", &short).unwrap_err().to_string(),
        "the text has 4 characters, more than the limit of 3; send it in parts"
    );
    let long = "a[pause:60s]".repeat(11);
    assert_eq!(
        read(&long, &PLAIN).unwrap_err().to_string(),
        "the pauses are 660 s together, more than the limit of 600 s"
    );
}

#[test]
fn a_script_that_the_model_does_not_speak_is_refused() {
    let latin = Reading { scripts: &[Script::Latin], ..PLAIN };
    assert_eq!(
        read("Привет, мир", &latin).unwrap_err().to_string(),
        "the text is mostly in the script Cyrillic (such as 'П'), which this model does not speak; it speaks Latin"
    );
    assert!(read("The Russian word мир means peace. π is 3.", &latin).is_ok());
    assert!(read("12345", &latin).is_ok());
    assert!(read("Привет", &Reading { scripts: &[Script::Latin, Script::Cyrillic], ..PLAIN }).is_ok());
}

/// Texts that make the careless quadratic, each repeated to about `size` bytes.
fn hostile(size: usize) -> Vec<(String, String)> {
    let seeds = [
        "a",
        "1",
        "[",
        "](",
        "`",
        "*a",
        "_*",
        "<",
        "<!--",
        "<a ",
        "&",
        "&#",
        "> ",
        "- ",
        "1. ",
        "|a",
        "\\",
        "~",
        "![",
        "[a]: ",
        "[pause:",
        ". ",
        "a.",
        ".)",
        "U.S.",
        "A. ",
        "1,",
        "1/",
        "1-1",
        "1:",
        "1x1",
        "$1 ",
        "$",
        "@",
        "a@a.",
        "/",
        "--",
        "\u{301}",
        "e\u{301}",
        "\u{200d}",
        "😀",
        "👩\u{200d}",
        "🇩",
        "½",
        "²",
        " ",
        "\n",
        "\n\n",
        "你",
        "ー",
        "।",
        "\"",
        "'",
        "(",
        "Dr. ",
        "1 1/2 ",
        "March 5 ",
        "+1 2 3 ",
        "II ",
        "ก",
        "\u{ad}",
        "١",
        "a\u{0}",
        "[a][b]",
        "<p>",
        "#",
        "# ",
        "http://a ",
        "1e1",
        "**a ",
        "a.\u{300}\u{300}))",
        "| a\n|-\n",
        "\t",
        "é,",
        "— ",
    ];
    seeds.iter().map(|seed| ((*seed).to_owned(), format!("a. {}", seed.repeat(size / seed.len())))).collect()
}

fn whole_way(text: &str, reading: &Reading<'_>) -> usize {
    read(text, reading).map_or(0, |parts| chunks(&parts, ChunkLimits { target: 200, max: 300 }).len())
}

/// Seconds of processor time that this thread took, where the system tells; else of any time.
fn computed() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// Eight times the text may take eight times as long and something more, not sixty-four times.
#[test]
fn hostile_texts_take_linear_time() {
    const SMALL: usize = 8 << 10;
    const FLOOR: f64 = 0.005; // seconds; less is noise
    let time = |text: &str| {
        let start = computed();
        for reading in [PLAIN, VERBATIM] {
            std::hint::black_box(whole_way(text, &reading));
        }
        computed() - start
    };
    for ((seed, small), (_, large)) in hostile(SMALL).into_iter().zip(hostile(8 * SMALL)) {
        // Another process may empty the caches for a while, but not each time.
        let linear = (0..5).any(|_| time(&large) < 30.0 * time(&small).max(FLOOR));
        assert!(linear, "{seed:?} takes more than thirty times as long for eight times as much");
    }
}

#[test]
fn hostile_ssml_takes_linear_time() {
    let attributes: String = (0..100_000).map(|number| format!(" a{number}=''")).collect();
    assert!(matches!(read(&format!("<speak{attributes}>a</speak>"), &SSML), Err(TextError::Ssml { .. })));
    assert!(matches!(read(&"<speak>".repeat(100_000), &SSML), Err(TextError::Ssml { .. })));
    let glued = format!("<speak>{}</speak>", "<phoneme ph='a'>b</phoneme>".repeat(30_000));
    assert_eq!(whole_way(&glued, &SSML), 100);
    let breaks = format!("<speak>a{}</speak>", "<break time='0s'/>&amp;<s/>".repeat(40_000));
    assert!(read(&breaks, &SSML).is_ok());
}

fn any_text() -> impl Strategy<Value = String> {
    let marked =
        "([a-zA-Z]{1,6}|[0-9]{1,4}|[ .,:;/$€%°'\"@#&*_`<>|\\[\\]()!?+=~^x-]{1,2}|pm|km|Dr\\.|\\[pause:1s\\]|\n){0,60}";
    prop_oneof![any::<String>(), "\\PC{0,100}", marked]
}

proptest! {
    #[test]
    fn no_text_panics(text in any_text(), language in "en|en-GB|de|ja", normalize: bool, max in 1_usize..50) {
        let reading = Reading { language: &language, normalize, ..PLAIN };
        if let Ok(parts) = read(&text, &reading) {
            let chunks = chunks(&parts, ChunkLimits { target: max, max });
            prop_assert!(chunks.iter().any(|chunk| !chunk.text().is_empty()));
            prop_assert!(chunks.iter().all(|chunk| chunk.text().chars().count() <= max));
        }
    }

    #[test]
    fn no_ssml_panics(body in "([a-z0-9]{1,3}|<(p|s|break|prosody|sub|phoneme|say-as)( (rate|time|alias|ph|interpret-as)='[a-z0-9%]{0,4}')?/?>|</(p|s|prosody|sub)>|&[a-z#0-9]{1,4};|[<>&'\"]){0,20}") {
        let _ = read(&format!("<speak>{body}</speak>"), &SSML);
        let _ = read(&body, &SSML);
    }

    #[test]
    fn no_lexicon_panics(toml in "\\PC{0,60}|\\[words\\]\n('[^']{1,8}' = '[a-z ]{0,5}'\n){0,5}", text in any_text()) {
        if let Ok(lexicon) = Lexicon::parse(&toml) {
            let _ = read(&text, &Reading { lexicon: Some(&lexicon), ..PLAIN });
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in any_text()) {
        let once = clean::fold(&text);
        prop_assert_eq!(clean::fold(&once), once);
    }

    #[test]
    fn english_has_no_digits_and_signs_left(text in "[a-zA-Z0-9 .,:;/$€%°@#&+=~^x\n-]{0,80}") {
        let english = English::of("en").unwrap().speak(&clean::fold(&text), |_| false);
        let left = english.contains(|c: char| c.is_ascii_digit() || "$€%°@#&+=~^/".contains(c));
        prop_assert!(!left, "{english:?}");
    }

    #[test]
    fn plain_words_are_left_alone(text in "([a-z]{5,9}[,.!?]? ){1,20}") {
        prop_assert_eq!(said(&text, &PLAIN), text);
    }
}
