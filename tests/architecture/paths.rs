//! The paths that code names: `a::b`, and each of those in `a::{b, c::d as e}`.

use crate::source::{Source, is_word};

/// A path in code.
pub struct Mention {
    /// Where it begins; for each path of one tree, where the tree does.
    pub at: usize,
    pub line: usize,
    /// As it is written, two segments at least: `[super, hub, HubRepo]`. A glob ends in `*`.
    pub path: Vec<String>,
    /// What a `use` calls it from here on.
    pub binds: Option<String>,
}

/// A path, and the name that a `use` would give it.
type Named = (Vec<String>, Option<String>);

// === impl Source ===

impl Source {
    /// Every path, in the order of the code. The middle of `<T as Trait>::name` and what follows it says nothing.
    pub fn mentions(&self) -> Vec<Mention> {
        let mut mentions = Vec::new();
        let (mut from, mut line, mut counted) = (0, 1, 0);
        while let Some(found) = self.code[from..].find("::").map(|offset| from + offset) {
            let at = found - last_word(&self.code[..found]).len();
            let (paths, rest) =
                if at == found { (Vec::new(), &self.code[found + 2..]) } else { tree(&self.code[at..]) };
            line += self.code[counted..at].matches('\n').count();
            counted = at;
            let used = last_word(self.code[..at].trim_end()) == "use";
            for (path, name) in paths.into_iter().filter(|(path, _)| path.len() > 1) {
                mentions.push(Mention { at, line, path, binds: name.filter(|_| used) });
            }
            from = (self.code.len() - rest.len()).max(found + 2);
        }
        mentions
    }

    /// A path from the crate's root. `None` for one that begins elsewhere.
    pub fn absolute(&self, mention: &Mention) -> Option<Vec<String>> {
        let (first, rest) = mention.path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Vec::new(),
            "super" | "self" => self.module_at(mention.at),
            _ => return None,
        };
        if first == "super" {
            target.pop()?;
        }
        for segment in rest {
            match segment.as_str() {
                "super" => drop(target.pop()?),
                _ => target.push(segment.clone()),
            }
        }
        Some(target)
    }
}

/// The paths of a use tree or an expression, and what follows them.
fn tree(code: &str) -> (Vec<Named>, &str) {
    let code = code.trim_start();
    if let Some(list) = code.strip_prefix('{') {
        return trees(list);
    }
    let end = code.find(|c: char| !is_word(c) && c != '*').unwrap_or(code.len());
    let (head, rest) = code.split_at(end);
    match rest.strip_prefix("::").filter(|rest| rest.starts_with(|c| is_word(c) || c == '{' || c == '*')) {
        Some(rest) => {
            let (tails, rest) = tree(rest);
            (tails.into_iter().map(|tail| under(head, tail)).collect(), rest)
        }
        None => {
            let alias = rest.strip_prefix(" as ").map(first_word);
            (vec![(vec![head.to_owned()], Some(alias.unwrap_or(head).to_owned()))], rest)
        }
    }
}

/// `a, b::c}`, and what follows it.
fn trees(mut list: &str) -> (Vec<Named>, &str) {
    let mut all = Vec::new();
    loop {
        let (paths, after) = tree(list);
        all.extend(paths.into_iter().filter(|(path, _)| *path != [""]));
        let end = after.find([',', '}']).unwrap_or(after.len());
        match after[end..].strip_prefix(',') {
            Some(next) => list = next,
            None => return (all, after[end..].strip_prefix('}').unwrap_or("")),
        }
    }
}

/// A path below another; `self` there is that other.
fn under(head: &str, (tail, name): Named) -> Named {
    let head = head.to_owned();
    match tail == ["self"] {
        true => (vec![head.clone()], name.map(|name| if name == "self" { head } else { name })),
        false => ([vec![head], tail].concat(), name),
    }
}

fn first_word(code: &str) -> &str {
    &code[..code.find(|c| !is_word(c)).unwrap_or(code.len())]
}

fn last_word(code: &str) -> &str {
    &code[code.rfind(|c| !is_word(c)).map_or(0, |before| before + 1)..]
}
