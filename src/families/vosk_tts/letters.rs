//! How a Russian word sounds that the dictionary does not have: by its letters.
//!
//! A consonant before a vowel of the soft row or a soft sign is soft (`j` after it). Those vowels have a `j` before them at the
//! beginning of a word, after another vowel, and after a sign. A vowel with a `+` before it is stressed (`1`), all others are
//! not (`0`). Sounds are spelled as in the dictionaries of Alpha Cephei.

/// What a letter is.
enum Letter {
    /// As it sounds; soft before some letters.
    Paired(&'static str),
    /// As it always sounds.
    Consonant(&'static str),
    Vowel {
        sound: &'static str,
        iotated: bool,
    },
    /// Not heard by itself.
    Sign,
    /// Of no word: it stands for itself.
    Other,
}

/// Marks the vowel that follows it.
const STRESS: char = '+';

/// The sounds of a word in small letters.
pub fn sounds(word: &str) -> Vec<String> {
    let mut letters: Vec<(char, bool)> = Vec::new();
    let mut stressed = false;
    for c in word.chars() {
        if c != STRESS {
            letters.push((c, stressed));
        }
        stressed = c == STRESS;
    }
    let (mut sounds, mut before) = (Vec::new(), None);
    for (at, (c, stressed)) in letters.iter().enumerate() {
        let next = letters.get(at + 1).map(|(next, _)| *next);
        match letter(*c) {
            Letter::Paired(sound) => {
                let soft = next.is_some_and(softens);
                sounds.push(format!("{sound}{}", if soft { "j" } else { "" }));
            }
            Letter::Consonant(sound) => sounds.push(sound.to_owned()),
            Letter::Vowel { sound, iotated } => {
                sounds.extend((iotated && begins_syllable(before)).then(|| "j".to_owned()));
                sounds.push(format!("{sound}{}", u8::from(*stressed)));
            }
            Letter::Sign => {}
            Letter::Other => sounds.push(c.to_string()),
        }
        before = Some(*c);
    }
    sounds
}

fn letter(c: char) -> Letter {
    let vowel = |sound, iotated| Letter::Vowel { sound, iotated };
    match c {
        'б' => Letter::Paired("b"),
        'в' => Letter::Paired("v"),
        'г' => Letter::Paired("g"),
        'д' => Letter::Paired("d"),
        'з' => Letter::Paired("z"),
        'к' => Letter::Paired("k"),
        'л' => Letter::Paired("l"),
        'м' => Letter::Paired("m"),
        'н' => Letter::Paired("n"),
        'п' => Letter::Paired("p"),
        'р' => Letter::Paired("r"),
        'с' => Letter::Paired("s"),
        'т' => Letter::Paired("t"),
        'ф' => Letter::Paired("f"),
        'х' => Letter::Paired("h"),
        'ж' => Letter::Consonant("zh"),
        'ц' => Letter::Consonant("c"),
        'ч' => Letter::Consonant("ch"),
        'ш' => Letter::Consonant("sh"),
        'щ' => Letter::Consonant("sch"),
        'й' => Letter::Consonant("j"),
        'а' => vowel("a", false),
        'у' => vowel("u", false),
        'о' => vowel("o", false),
        'э' => vowel("e", false),
        'и' => vowel("i", false),
        'ы' => vowel("y", false),
        'я' => vowel("a", true),
        'ю' => vowel("u", true),
        'ё' => vowel("o", true),
        'е' => vowel("e", true),
        'ъ' | 'ь' | '-' | '#' => Letter::Sign,
        _ => Letter::Other,
    }
}

fn softens(c: char) -> bool {
    "яёюиье".contains(c)
}

/// Whether a vowel after this begins a syllable; `None`: it begins the word.
fn begins_syllable(before: Option<char>) -> bool {
    before.is_none_or(|before| "#ъьаяоёуюэеиы-".contains(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_sound_by_what_is_beside_them() {
        for (word, expected) in [
            ("мама", "m a0 m a0"),
            ("п+ять", "pj a1 tj"),
            ("+ёлка", "j o1 l k a0"),
            ("объём", "o0 b j o0 m"),
            ("кое-что", "k o0 j e0 ch t o0"),
            ("семья", "sj e0 mj j a0"),
            ("щ+ука", "sch u1 k a0"),
            ("в", "v"),
            ("", ""),
            ("к5", "k 5"),
        ] {
            assert_eq!(sounds(word).join(" "), expected, "{word}");
        }
    }
}
