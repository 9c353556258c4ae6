//! Japanese as the reference has it read, as far as that takes no dictionary: a text in kana.
//!
//! The reference looks up how each word is read, and hands those readings, in katakana, to espeak-ng, which knows no other
//! script of Japanese. A text that is written in kana says by itself how it is read.

use icu_normalizer::ComposingNormalizerBorrowed;

/// From a sign of hiragana to the same of katakana.
const TO_KATAKANA: u32 = 'ァ' as u32 - 'ぁ' as u32;

/// In katakana, words with blanks between them where the text has some. What is neither kana nor a mark is an error.
pub fn katakana(text: &str) -> Result<String, char> {
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    text.chars().map(sign).collect()
}

fn sign(c: char) -> Result<char, char> {
    match c {
        'ぁ'..='ゖ' | 'ゝ' | 'ゞ' => Ok(char::from_u32(c as u32 + TO_KATAKANA).unwrap_or(c)),
        'ァ'..='ヺ' | 'ー' | 'ヽ' | 'ヾ' => Ok(c),
        // Between words, where espeak-ng would name it.
        '・' => Ok(' '),
        c if c.is_alphanumeric() => Err(c),
        c => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kana_of_every_width_is_katakana() {
        for (text, expected) in [
            ("きょう は いい てんき です。", "キョウ ハ イイ テンキ デス。"),
            ("ラーメン、ください！", "ラーメン、クダサイ!"),
            ("ｺﾝﾆﾁﾊ ｶﾞｷﾞ", "コンニチハ ガギ"),
            ("か\u{3099}", "ガ"),
            ("ジョン・スミス", "ジョン スミス"),
            ("ゔぁいおりん", "ヴァイオリン"),
        ] {
            assert_eq!(katakana(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_kana_is_told() {
        for (text, wrong) in
            [("今日は", '今'), ("きょう は 3", '3'), ("ＴＶ を みる", 'T'), ("人々", '人'), ("々", '々')]
        {
            assert_eq!(katakana(text), Err(wrong), "{text}");
        }
    }
}
