//! What `espeak-ng --voices` and `espeak-ng --version` say.
//!
//! ```text
//! Pty Language       Age/Gender VoiceName          File                 Other Languages
//!  2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
//! ```

use crate::model::ProgramVoice;

/// The voice of a request that names neither a voice nor a language.
const USUAL: &str = "en-us";
/// Where the files of variants lie.
const VARIANTS: &str = "!v/";

/// The voices in a listing, the usual one first. Each is called by its language; where several have the same, the others
/// are called by their file.
pub fn voices(listing: &str) -> Vec<ProgramVoice> {
    let mut voices: Vec<ProgramVoice> = Vec::new();
    for (rank, language, label, file, rest) in listing.lines().filter_map(row) {
        let language = language.to_ascii_lowercase();
        let taken = voices.iter().any(|known| known.name == language);
        let name = if taken { file.to_owned() } else { language.clone() };
        let languages = std::iter::once((language, rank)).chain(others(rest));
        let (tags, ranks) = languages.map(|(tag, rank)| (tag.into(), rank)).unzip();
        voices.push(ProgramVoice { name, identifier: file.to_owned(), label: label.to_owned(), tags, ranks });
    }
    voices.sort_by_key(|voice| voice.name != USUAL);
    voices
}

/// The names of variants in the listing of them. A name with a blank cannot be told from what follows, and is left out.
pub fn variants(listing: &str) -> Vec<String> {
    let rows = listing.lines().filter_map(row);
    let plain = rows.filter(|(.., rest)| rest.is_empty() || rest.starts_with('('));
    plain.filter_map(|(_, _, _, file, _)| file.strip_prefix(VARIANTS).map(str::to_owned)).collect()
}

/// `eSpeak NG text-to-speech: 1.51  Data at: …`.
pub fn version(line: &str) -> Option<String> {
    let version = line.split_once(':')?.1.split_whitespace().next()?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
}

/// Rank, language, name, file, and what else stands in a line, unless it is the heading.
fn row(line: &str) -> Option<(u32, &str, &str, &str, &str)> {
    let mut rest = line;
    let mut column = || {
        let (word, after) = rest.trim_start().split_once(' ')?;
        rest = after;
        Some(word)
    };
    let (rank, language, _, label) = (column()?.parse().ok()?, column()?, column()?, column()?);
    let rest = rest.trim();
    let (file, others) = rest.split_once(' ').unwrap_or((rest, ""));
    (!file.is_empty()).then_some((rank, language, label, file, others.trim()))
}

/// `(zh-cmn 5)(zh 5)`.
fn others(text: &str) -> impl Iterator<Item = (String, u32)> {
    text.split(['(', ')']).filter_map(|pair| {
        let (language, rank) = pair.trim().rsplit_once(' ')?;
        Some((language.to_ascii_lowercase(), rank.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  chr-US-Qaaa-x-west --/M      Cherokee_          iro/chr              \n 5  cmn             --/M      \
                           Chinese_(Mandarin,_latin_as_English) sit/cmn              (zh-cmn 5)(zh 5)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping (zh-yue 5)(zh 8)
";

    #[test]
    fn each_line_is_a_voice_with_a_name_of_its_own() {
        let voices = voices(LISTING);
        let names: Vec<&str> = voices.iter().map(|voice| voice.name.as_str()).collect();
        assert_eq!(names, ["en-us", "chr-us-qaaa-x-west", "cmn", "yue", "sit/yue-Latn-jyutping"]);
        let chinese = &voices[2];
        assert_eq!((chinese.identifier.as_str(), chinese.label.as_str()), ("sit/cmn", LABEL));
        assert_eq!(
            (&chinese.tags[..], &chinese.ranks[..]),
            (&["cmn", "zh-cmn", "zh"].map(Into::into)[..], &[5, 5, 5][..])
        );
        assert_eq!(super::voices("nothing\n\n like a listing"), []);
    }

    const LABEL: &str = "Chinese_(Mandarin,_latin_as_English)";

    #[test]
    fn variants_are_those_without_blanks() {
        let listing = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  variant         --/M      Mr_Serious         !v/Mr serious        \n 5  variant         --/M      Storm              \
                       !v/Storm             (en-us 5)
 5  variant         --/F      female3            !v/f3                \n";
        assert_eq!(variants(listing), ["Storm", "f3"]);
    }

    #[test]
    fn the_version_is_a_number() {
        let line = "eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/x86_64-linux-gnu/espeak-ng-data\n";
        assert_eq!(version(line).as_deref(), Some("1.51"));
        for wrong in ["", "usage: cat", "a: b"] {
            assert_eq!(version(wrong), None);
        }
    }
}
