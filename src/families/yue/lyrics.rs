//! Lyrics: sections, each under a label in brackets.

use crate::model::RequestError;

/// What a section can be, as in the lyrics that the model was trained on.
pub const LABELS: [&str; 8] = ["intro", "verse", "chorus", "bridge", "outro", "inst", "solo", "break"];
/// Sections of a song: at half a minute each, ten minutes.
pub const MOST_SECTIONS: usize = 20;
/// Words of a section. It is sung in about half a minute, in which a fast rapper says half of this.
const MOST_WORDS: usize = 200;
/// Bytes of a section, for writing without spaces.
const MOST_BYTES: usize = 3000;
/// Bytes of a label that anybody could mean.
const MOST_LABEL: usize = 32;

/// A song's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lyrics {
    /// Each as the model reads it: the label on a line of its own, the words, and an empty line.
    pub sections: Vec<String>,
}

// === impl Lyrics ===

impl Lyrics {
    /// What is no section, has no label that the model knows or is too long is refused: the model would leave it out without a
    /// word.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let text = text.replace("\r\n", "\n");
        let mut parts = text.split('[');
        let before = parts.next().unwrap_or_default().trim();
        if !before.is_empty() {
            return Err(wrong(format!(
                "the lyrics begin with {:?}, which is in no section; {}",
                beginning(before),
                expected()
            )));
        }
        let sections = parts.enumerate().map(|(at, part)| section(at, part)).collect::<Result<Vec<_>, _>>()?;
        match sections.len() {
            0 => Err(wrong(format!("the lyrics have no sections; {}", expected()))),
            1..=MOST_SECTIONS => Ok(Self { sections }),
            count => Err(wrong(format!("the lyrics have {count} sections; 1 to {MOST_SECTIONS} would be right"))),
        }
    }

    /// All of them, as they stand before the first.
    pub fn whole(&self) -> String {
        self.sections.join("\n")
    }
}

/// `part`: what follows a bracket, up to the next.
fn section(at: usize, part: &str) -> Result<String, RequestError> {
    let number = at + 1;
    let label = part.find(']').filter(|end| *end <= MOST_LABEL).map(|end| part.split_at(end));
    let Some((label, words)) = label else {
        return Err(wrong(format!("the lyrics have \"[{}\", which no bracket ends; {}", beginning(part), expected())));
    };
    let label = label.to_lowercase();
    if !LABELS.contains(&label.as_str()) {
        return Err(wrong(format!("section {number} of the lyrics is [{label}], which is none; {}", expected())));
    }
    let words = words.trim_start_matches(']').trim();
    let (count, bytes) = (words.split_whitespace().count(), words.len());
    if count > MOST_WORDS {
        return Err(wrong(format!(
            "section {number} of the lyrics, [{label}], has {count} words; at most {MOST_WORDS} would be right, which are \
             sung in about half a minute. Cut it into several sections"
        )));
    }
    if bytes > MOST_BYTES {
        return Err(wrong(format!(
            "section {number} of the lyrics, [{label}], has {bytes} bytes; at most {MOST_BYTES} would be right. Cut it into \
             several sections"
        )));
    }
    Ok(format!("[{label}]\n{words}\n\n"))
}

fn expected() -> String {
    let labels = LABELS.map(|label| format!("[{label}]"));
    format!("each section begins with its label on a line of its own, one of {}", labels.join(", "))
}

/// Of something that may be long.
fn beginning(text: &str) -> String {
    text.chars().take(20).collect()
}

fn wrong(message: String) -> RequestError {
    RequestError::Invalid { param: "text", message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_as_the_reference_writes_them() {
        let text =
            "\n[verse]\nStaring at the sunset\nColours\n\n[Chorus] Every road\r\nyou take  \n[inst]\n[outro]\n好";
        let lyrics = Lyrics::parse(text).unwrap();
        assert_eq!(
            lyrics.sections,
            [
                "[verse]\nStaring at the sunset\nColours\n\n",
                "[chorus]\nEvery road\nyou take\n\n",
                "[inst]\n\n\n",
                "[outro]\n好\n\n"
            ]
        );
        assert!(lyrics.whole().starts_with("[verse]\nStaring at the sunset\nColours\n\n\n[chorus]"));
    }

    #[test]
    fn what_the_model_would_leave_out_is_refused() {
        let long = format!("[verse]\n{}", "la ".repeat(3000));
        let wide = format!("[verse]\n{}", "好".repeat(1500));
        let many = "[verse]\nla\n\n".repeat(40);
        for (text, told) in [
            ("Staring at the sunset", "begin with \"Staring at the sunse\", which is in no section"),
            ("", "have no sections; each section begins with its label on a line of its own, one of [intro], [verse]"),
            ("Oh\n[verse]\nla", "begin with \"Oh\""),
            ("[verse]\nla\n[yodel]\nla", "section 2 of the lyrics is [yodel], which is none; each section begins"),
            ("[verse 1]\nla", "section 1 of the lyrics is [verse 1], which is none"),
            ("[start_of_segment]\nla", "is [start_of_segment], which is none"),
            ("[]\nla", "section 1 of the lyrics is [], which is none"),
            ("[verse\nla", "have \"[verse\nla\", which no bracket ends"),
            (&many, "have 40 sections; 1 to 20 would be right"),
            (&long, "section 1 of the lyrics, [verse], has 3000 words; at most 200 would be right"),
            (&wide, "has 4500 bytes; at most 3000 would be right"),
        ] {
            let error = Lyrics::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
