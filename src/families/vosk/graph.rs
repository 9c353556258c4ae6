//! What can be told of a graph by what it begins with (OpenFST's `FstHeader`), before the library reads it: that ends the process
//! where a table of symbols is none.

/// Of a graph, and of a table of symbols in it.
const GRAPH: i32 = 2_125_659_606;
const SYMBOLS: i32 = 2_125_658_996;
/// Letters of what a graph and its arcs are called.
const LONGEST_NAME: usize = 64;
/// That a table of symbols follows: of what is heard, of what is written.
const HAS_SYMBOLS: i32 = 1 | 2;

/// What follows in a file.
struct Rest<'a>(&'a [u8]);

/// Why this is no graph, or not all of one; it ends a sentence that begins with the file's name.
pub fn fault(bytes: &[u8]) -> Option<&'static str> {
    const NONE: &str = "it is no graph of OpenFST";
    const CUT: &str = "its beginning says what it does not have: it is damaged";
    let mut rest = Rest(bytes);
    if rest.integer() != Some(GRAPH) {
        return Some(NONE);
    }
    let mut header = || {
        let (_, _) = (rest.name()?, rest.name()?);
        let (_version, flags, _properties, _start) = (rest.integer()?, rest.integer()?, rest.long()?, rest.long()?);
        Some((flags, rest.long()?, rest.long()?))
    };
    let Some((flags, states, arcs)) = header() else { return Some(CUT) };
    // -1 where it does not say.
    let possible = |count: i64| (-1..=bytes.len() as i64).contains(&count);
    let symbols = flags & HAS_SYMBOLS == 0 || rest.integer() == Some(SYMBOLS);
    (!possible(states) || !possible(arcs) || !symbols).then_some(CUT)
}

// === impl Rest ===

impl Rest<'_> {
    fn integer(&mut self) -> Option<i32> {
        let (four, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_le_bytes(*four))
    }

    fn long(&mut self) -> Option<i64> {
        let (eight, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i64::from_le_bytes(*eight))
    }

    /// A length and so many letters.
    fn name(&mut self) -> Option<()> {
        let length = usize::try_from(self.integer()?).ok().filter(|length| (1..=LONGEST_NAME).contains(length))?;
        let (name, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        name.is_ascii().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(name: &str, flags: i32, states: i64, arcs: i64, symbols: i32) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as i32).to_le_bytes(), text.as_bytes()].concat();
        let mut bytes = [GRAPH.to_le_bytes().to_vec(), text(name), text("standard")].concat();
        bytes.extend([2, flags].iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend([0, 0, states, arcs].iter().flat_map(|number: &i64| number.to_le_bytes()));
        bytes.extend(symbols.to_le_bytes());
        bytes
    }

    #[test]
    fn a_graph_says_what_it_is_and_has_what_it_says() {
        assert_eq!(fault(&graph("ngram", 3, 7, 0, SYMBOLS)), None);
        assert_eq!(fault(&graph("olabel_lookahead", 0, -1, 0, 0)), None);
        assert_eq!(fault(b"a text"), Some("it is no graph of OpenFST"));
        assert_eq!(fault(b""), Some("it is no graph of OpenFST"));
        let whole = graph("const", 0, 5, 5, 0);
        for damaged in [
            graph("ngram", 3, 7, 0, 0),
            graph("const", 0, 1 << 40, 0, 0),
            graph("const", 0, -2, 0, 0),
            graph("const", 0, 5, 1 << 40, 0),
            graph("", 0, 5, 5, 0),
            graph(&"x".repeat(65), 0, 5, 5, 0),
            whole[..30].to_vec(),
        ] {
            assert!(fault(&damaged).is_some_and(|fault| fault.contains("it is damaged")));
        }
    }
}
