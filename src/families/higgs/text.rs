//! A text as the model was trained on it.

/// Punctuation of Chinese and Japanese, and what stands for it.
const PUNCTUATION: [(char, &str); 25] = [
    ('，', ", "),
    ('。', "."),
    ('：', ":"),
    ('；', ";"),
    ('？', "?"),
    ('！', "!"),
    ('（', " "),
    ('）', " "),
    ('(', " "),
    (')', " "),
    ('【', "["),
    ('】', "]"),
    ('《', "\""),
    ('》', "\""),
    ('“', "\""),
    ('”', "\""),
    ('‘', "'"),
    ('’', "'"),
    ('、', ","),
    ('—', "-"),
    ('…', "..."),
    ('「', "\""),
    ('」', "\""),
    ('『', "\""),
    ('』', "\""),
];
/// Sounds that are no speech: what a text says, and what the model knows.
const SOUNDS: [(&str, &str); 6] = [
    ("[laugh]", "<SE>[Laughter]</SE>"),
    ("[cough]", "<SE>[Cough]</SE>"),
    ("[applause]", "<SE>[Applause]</SE>"),
    ("[cheering]", "<SE>[Cheering]</SE>"),
    ("[music]", "<SE>[Music]</SE>"),
    ("[humming]", "<SE>[Humming]</SE>"),
];
/// What a text may end with.
const ENDS: [&str; 8] = [".", "!", "?", ",", ";", "\"", "'", "</SE>"];

/// With plain punctuation, sounds as the model knows them, single spaces, and an end.
pub fn normalized(text: &str) -> String {
    let mut plain = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match PUNCTUATION.iter().find(|(from, _)| *from == letter) {
            Some((_, to)) => plain.push_str(to),
            None => plain.push(letter),
        }
    }
    let plain = SOUNDS.iter().fold(plain, |text, (from, to)| text.replace(from, to));
    let lines = plain.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut made = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    if !ENDS.iter().any(|end| made.ends_with(end)) {
        made.push('.');
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_the_model_knows_texts() {
        for (text, expected) in [
            ("Hello there", "Hello there."),
            ("Hello  (all)!\n\n  Yes? ", "Hello all !\nYes?"),
            ("你好，世界。", "你好, 世界."),
            ("Well [laugh] no [cough]", "Well <SE>[Laughter]</SE> no <SE>[Cough]</SE>"),
            ("[SPEAKER0] “Hi”", "[SPEAKER0] \"Hi\""),
        ] {
            assert_eq!(normalized(text), expected);
        }
    }
}
