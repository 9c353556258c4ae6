//! What Unicode says about a character, from the tables of ICU.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{EmojiModifier, ExtendedPictographic, GeneralCategory, GeneralCategoryGroup, RegionalIndicator, Script},
};

pub(super) fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

pub(super) fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

pub(super) fn is_letter(c: char) -> bool {
    GeneralCategoryGroup::Letter.contains(category(c))
}

pub(super) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// A pictogram, or what turns a character into one.
pub(super) fn is_emoji(c: char) -> bool {
    const KEYCAP: char = '\u{20E3}';
    !c.is_ascii()
        && (CodePointSetData::new::<ExtendedPictographic>().contains(c)
            || CodePointSetData::new::<EmojiModifier>().contains(c)
            || CodePointSetData::new::<RegionalIndicator>().contains(c)
            || matches!(c, '\u{FE00}'..='\u{FE0F}' | KEYCAP))
}

/// What is neither seen nor heard: controls, directions of writing, the private, the unassigned, and U+FFFD.
pub(super) fn is_invisible(c: char) -> bool {
    let other = GeneralCategoryGroup::Other.contains(category(c));
    (other && !c.is_whitespace()) || c == char::REPLACEMENT_CHARACTER
}

/// Written without spaces between words, and breakable between any two of its characters.
pub(super) fn is_unspaced(c: char) -> bool {
    c >= '\u{2E80}' && matches!(script(c), Script::Han | Script::Hiragana | Script::Katakana | Script::Bopomofo)
}
