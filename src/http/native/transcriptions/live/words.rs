//! One text of the items of a session.

use crate::service::live::ItemId;

/// The text so far.
#[derive(Default)]
pub struct Words {
    /// Of whole items.
    whole: Vec<String>,
    /// The item that the last words were of.
    last: Option<ItemId>,
}

// === impl Words ===

impl Words {
    /// Words of an item as they follow what was said before.
    pub fn delta(&mut self, item: ItemId, text: &str) -> String {
        let begins = self.last.replace(item).is_some_and(|last| last != item);
        if begins { format!(" {}", text.trim_start()) } else { text.to_owned() }
    }

    /// The text of an item; those of items come in their order.
    pub fn complete(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.whole.push(text.to_owned());
        }
    }

    pub fn whole(&self) -> String {
        self.whole.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_make_the_text() {
        let mut words = Words::default();
        let said: Vec<_> = [(0, "Turn on"), (0, " the lights."), (2, "Good"), (2, " morning.")]
            .map(|(item, text)| words.delta(ItemId(item), text))
            .to_vec();
        words.complete("Turn on the lights.");
        words.complete(" ");
        words.complete("Good morning.");
        assert_eq!(said.concat(), words.whole());
        assert_eq!(words.whole(), "Turn on the lights. Good morning.");
    }
}
