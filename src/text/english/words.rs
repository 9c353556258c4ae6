//! A paragraph in tokens, and what is read of them.

/// A paragraph as tokens.
pub(super) struct Words<'a> {
    pub tokens: Vec<Token<'a>>,
    pub british: bool,
}

/// What stands between two spaces: `("$5.20",`.
pub(super) struct Token<'a> {
    /// What opens: `("`.
    pub lead: &'a str,
    /// `$5.20`.
    pub core: &'a str,
    /// What closes: `",`.
    pub tail: &'a str,
}

/// What a rule makes of a token, and of some after it.
pub(super) struct Reading {
    pub text: String,
    /// How many tokens it reads, at least one.
    pub tokens: usize,
    /// How many bytes of the punctuation after them belong to it: the full stop of an abbreviation.
    pub swallowed: usize,
}

impl<'a> Token<'a> {
    pub fn of(text: &'a str) -> Self {
        const OPENING: &[char] = &['"', '\'', '(', '[', '{', '«', '»', '¿', '¡', '*', '_', '`'];
        const CLOSING: &[char] =
            &['.', ',', ';', ':', '!', '?', ')', ']', '}', '"', '\'', '«', '»', '…', '*', '_', '`', '—'];
        let inner = text.trim_start_matches(OPENING);
        let core = inner.trim_end_matches(CLOSING);
        Self { lead: &text[..text.len() - inner.len()], core, tail: &inner[core.len()..] }
    }
}

impl<'a> Words<'a> {
    pub fn has(&self, at: usize) -> bool {
        at < self.tokens.len()
    }

    pub fn core(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.core)
    }

    pub fn lead(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.lead)
    }

    pub fn tail(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.tail)
    }

    /// Whether the next token follows without punctuation between.
    pub fn follows(&self, at: usize) -> bool {
        self.tail(at).is_empty() && self.has(at + 1) && self.lead(at + 1).is_empty() && !self.core(at + 1).is_empty()
    }

    /// Whether the full stop after the token belongs to an abbreviation, and does not end a sentence as well: a small
    /// letter or a number follows.
    pub fn dot_is_mute(&self, at: usize) -> bool {
        let tail = self.tail(at);
        let next = self.core(at + 1);
        tail.starts_with('.') && (tail.len() > 1 || (!next.is_empty() && !next.starts_with(char::is_uppercase)))
    }

    /// As [`dot_is_mute`](Self::dot_is_mute), for abbreviations that stand before names as well: what follows does not look
    /// like the first word of a sentence.
    pub fn dot_is_mute_before_name(&self, at: usize) -> bool {
        const FIRST: &[&str] = &[
            "A", "After", "All", "Although", "An", "And", "As", "At", "Before", "But", "By", "For", "From", "He",
            "Her", "Here", "His", "How", "However", "I", "If", "In", "It", "Its", "Many", "Most", "My", "No", "Not",
            "Now", "On", "One", "Our", "She", "Since", "So", "Some", "That", "The", "Their", "Then", "There", "These",
            "They", "This", "Those", "To", "Today", "We", "What", "When", "Where", "While", "Who", "Why", "With",
            "Yes", "You", "Your",
        ];
        let next = self.core(at + 1);
        self.dot_is_mute(at) || (self.tail(at) == "." && !next.is_empty() && !FIRST.contains(&next))
    }
}

impl Reading {
    pub fn of(text: String, tokens: usize) -> Self {
        Self { text, tokens, swallowed: 0 }
    }
}
