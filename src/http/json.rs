//! How much a JSON text holds, looked at before anything is made of it: `{},{},…` of 30 MB would be gigabytes as values.

use memchr::memchr2;

use super::problem::Problem;
use crate::speech::Kind;

/// Memory that a value takes at most beside its text, in bytes: itself, and its place among the fields of an object with
/// a name of its own.
pub(super) const VALUE: usize = 256;

/// Which values count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    All,
    /// All but the numbers in `inputs[].data`, which become one array of numbers: a recording has millions.
    ButTensors,
}

/// Where in the text the counting is.
#[derive(Default)]
struct Place<'a> {
    depth: usize,
    /// The last text, which is a name if a colon follows.
    text: &'a [u8],
    in_inputs: bool,
    in_data: bool,
}

/// Objects, fields, lists and their elements, nested ones included; at most `most`. What is no JSON is counted as far as
/// it looks like some: whoever parses it says what is wrong.
pub(super) fn count(json: &[u8], counted: Counted, most: usize) -> Result<usize, Problem> {
    let (mut count, mut place, mut at) = (1, Place::default(), 0);
    while let Some(&byte) = json.get(at) {
        at += 1;
        if byte == b'"' {
            let end = end_of_text(json, at);
            place.text = &json[at..end];
            at = end + 1;
        }
        count += usize::from(place.adds(byte, counted));
        if count > most {
            return Err(too_many(most));
        }
    }
    Ok(count)
}

/// Where the text ends that begins here.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(next) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next;
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
    json.len()
}

fn too_many(most: usize) -> Problem {
    let message = format!(
        "the body has more than {most} fields and elements, nested ones included; `limits.max_fields` sets the limit"
    );
    Problem::new(Kind::TooLarge, message)
}

// === impl Place ===

impl Place<'_> {
    /// Takes in what is no part of a text. Whether a value begins with it that counts.
    fn adds(&mut self, byte: u8, counted: Counted) -> bool {
        let in_tensor = counted == Counted::ButTensors && self.in_data && self.depth > 3;
        match byte {
            b'[' | b'{' => {
                self.depth += 1;
                true
            }
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                self.in_data &= self.depth >= 3;
                false
            }
            b':' => {
                match self.depth {
                    1 => self.in_inputs = self.text == b"inputs",
                    3 => self.in_data = self.in_inputs && self.text == b"data",
                    _ => {}
                }
                false
            }
            b',' => {
                self.in_data &= self.depth > 3;
                !in_tensor
            }
            b'"' => in_tensor,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(json: &str, counted: Counted) -> usize {
        count(json.as_bytes(), counted, 1000).unwrap()
    }

    #[test]
    fn every_value_counts() {
        for (json, values) in
            [("7", 1), ("[1, 2]", 3), (r#"{"a": [1, {"b": "x,[{\"\\"}], "c": null}"#, 6), ("[{},{}]", 5), ("", 1)]
        {
            assert!(counted(json, Counted::All) >= values, "{json}");
        }
        assert_eq!(counted(r#""a,b[{\",\\""#, Counted::All), 1, "a text is one value");
    }

    #[test]
    fn samples_do_not_count_and_all_else_does() {
        let all = |json: &str| counted(json, Counted::ButTensors);
        let samples = all(r#"{"inputs": [{"name": "samples", "data": [[1, 2, 3], [4, 5, 6]]}]}"#);
        assert_eq!(samples, all(r#"{"inputs": [{"name": "samples", "data": [[1], [4]]}]}"#));
        let texts = all(r#"{"inputs": [{"data": ["a", "b", "c"]}]}"#);
        assert!(texts > all(r#"{"inputs": [{"data": ["a"]}]}"#));
        for elsewhere in [
            r#"{"parameters": {"x": {"data": [1, 2, 3]}}}"#,
            r#"{"inputs": [{"shape": [1, 2, 3], "data": []}]}"#,
            r#"{"inputs": [{"data": [], "shape": [1, 2, 3]}]}"#,
        ] {
            let shorter = elsewhere.replace("1, 2, 3", "1");
            assert!(all(elsewhere) > all(&shorter), "{elsewhere}");
        }
    }

    #[test]
    fn a_refusal_names_the_setting() {
        let many = format!("[{}]", vec!["{}"; 1000].join(","));
        let refusal = count(many.as_bytes(), Counted::All, 1000).unwrap_err();
        assert!(refusal.message.contains("1000") && refusal.message.contains("limits.max_fields"), "{refusal:?}");
    }

    #[test]
    fn texts_that_do_not_end_are_counted_to_the_end() {
        for json in [r#"["a"#, r#"["\"#, r#"["\""#, "\"", "]]]],"] {
            assert!(count(json.as_bytes(), Counted::ButTensors, 1000).is_ok(), "{json}");
        }
    }
}
