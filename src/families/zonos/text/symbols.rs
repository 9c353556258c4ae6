//! The alphabet of the phonemes: one id for each character.

/// Beside the characters: nothing, what is none of them, the beginning, the end.
pub const UNKNOWN: u32 = 1;
pub const BEGIN: u32 = 2;
pub const END: u32 = 3;
const SPECIAL: u32 = 4;

/// What stands between words. espeak-ng is given what lies between these, so each word by itself.
pub const PUNCTUATION: &str = ";:,.!?¡¿—…\"«»“”() *~-/\\&";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// One of them is there twice.
const IPA: &str = "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃˈˌːˑʼʴʰʱʲʷˠˤ˞\
                   ↓↑→↗↘'\u{329}'ᵻ";

/// A sequence as the model reads it: its beginning, an id for each character, its end.
pub fn encode(phonemes: &str) -> Vec<u32> {
    let ids = phonemes.chars().map(|c| id(c).unwrap_or(UNKNOWN));
    std::iter::once(BEGIN).chain(ids).chain([END]).collect()
}

/// Whether anything of it is spoken.
pub fn is_spoken(phonemes: &str) -> bool {
    phonemes.chars().any(|c| id(c).is_some() && !PUNCTUATION.contains(c))
}

/// Of a character that is there twice the later one.
fn id(c: char) -> Option<u32> {
    let known = PUNCTUATION.chars().chain(LETTERS.chars()).chain(IPA.chars()).zip(SPECIAL..);
    known.filter(|(known, _)| *known == c).map(|(_, id)| id).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_has_the_id_of_the_reference() {
        assert_eq!([PUNCTUATION, LETTERS, IPA].map(|of| of.chars().count()), [24, 52, 109]);
        assert_eq!(encode(";& Az"), [BEGIN, 4, 27, 21, 28, 79, END]);
        assert_eq!(encode("ɑˈᵻ"), [BEGIN, 80, 167, 188, END]);
        assert_eq!(encode("'"), [BEGIN, 187, END], "the later of the two");
        assert_eq!(encode("(en)9ʦ"), [BEGIN, 19, 58, 67, 20, UNKNOWN, UNKNOWN, END]);
    }

    #[test]
    fn punctuation_is_not_spoken() {
        assert!(is_spoken("ə!") && !is_spoken("… !") && !is_spoken("") && !is_spoken("9"));
    }
}
