//! Which file uses which: a file uses another if its code, tests aside, names a path that leads to an item of the other.
//!
//! A path is followed through `use` to the file that defines what it leads to, so a module that only hands on what its
//! children define stands between nobody. To name a module is no use of it; to name something in it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    paths::Mention,
    source::{Source, is_word},
};

/// What a chain of `use` may have at most: more is a circle of its own.
const HOPS: usize = 16;

/// The files and what they use.
pub struct Files<'a> {
    sources: &'a [Source],
    scopes: BTreeMap<Vec<String>, Scope>,
    /// By the file that uses.
    uses: Vec<Vec<Use>>,
}

/// What stands directly in a module, be it a file or part of one.
#[derive(Default)]
struct Scope {
    file: usize,
    items: BTreeSet<String>,
    /// What each name of a `use` stands for, as it is written there.
    names: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// A file uses an item of another.
struct Use {
    file: usize,
    line: usize,
    path: String,
}

// === impl Files ===

impl<'a> Files<'a> {
    pub fn new(sources: &'a [Source]) -> Self {
        let outside_tests = |source: &Source| -> Vec<Mention> {
            source.mentions().into_iter().filter(|mention| !source.in_test(mention.at)).collect()
        };
        let mentions: Vec<_> = sources.iter().map(outside_tests).collect();
        let mut files = Self { sources, scopes: BTreeMap::new(), uses: Vec::new() };
        for (file, mentions) in mentions.iter().enumerate() {
            files.enter(file, mentions);
        }
        for (file, mentions) in mentions.iter().enumerate() {
            let uses = mentions.iter().flat_map(|mention| files.uses_of(file, mention)).collect();
            files.uses.push(uses);
        }
        files
    }

    /// Of every group of files that lead to each other, a shortest circle, a line for each step.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reachable: Vec<_> = (0..self.sources.len()).map(|file| self.reachable(file)).collect();
        let both =
            |file: usize, other: usize| reachable[file].contains_key(&other) && reachable[other].contains_key(&file);
        let first = |file: &usize| both(*file, *file) && !(0..*file).any(|other| both(*file, other));
        (0..self.sources.len()).filter(first).map(|file| self.way_back(file, &reachable[file])).collect()
    }

    /// Notes what a file defines and what its `use`s bring in.
    fn enter(&mut self, file: usize, mentions: &[Mention]) {
        let source = &self.sources[file];
        self.scope(file, source.module.clone());
        for (at, name) in items(&source.code) {
            self.scope(file, source.module_at(at)).items.insert(name);
        }
        for mention in mentions {
            let Some(name) = &mention.binds else { continue };
            let scope = self.scope(file, source.module_at(mention.at));
            match name.as_str() {
                "*" => scope.globs.push(mention.path.clone()),
                _ => drop(scope.names.insert(name.clone(), mention.path.clone())),
            }
        }
    }

    fn scope(&mut self, file: usize, module: Vec<String>) -> &mut Scope {
        self.scopes.entry(module).or_insert_with(|| Scope { file, ..Scope::default() })
    }

    fn uses_of(&self, file: usize, mention: &Mention) -> Vec<Use> {
        let source = &self.sources[file];
        let module = source.module_at(mention.at);
        let used = |path: Vec<String>| {
            let target = self.resolve(&module, &path, HOPS).filter(|target| *target != file)?;
            Some(Use { file: target, line: mention.line, path: path.join("::") })
        };
        self.spelled_out(source, &module, &mention.path).into_iter().filter_map(used).collect()
    }

    /// Of a glob, the names that the file holds; any other path as it is.
    fn spelled_out(&self, source: &Source, module: &[String], path: &[String]) -> Vec<Vec<String>> {
        let Some((_, prefix)) = path.split_last().filter(|(last, _)| *last == "*") else { return vec![path.to_vec()] };
        let words: BTreeSet<&str> = source.code.split(|c| !is_word(c)).collect();
        let all = self.scopes.values().flat_map(|scope| scope.items.iter().chain(scope.names.keys()));
        let held: BTreeSet<&String> = all.filter(|name| words.contains(name.as_str())).collect();
        let paths = held.into_iter().map(|name| [prefix, std::slice::from_ref(name)].concat());
        paths.filter(|path| self.resolve(module, path, HOPS).is_some()).collect()
    }

    /// The file of the item that a path leads to. `None` if it leads to a module, or out of the crate.
    fn resolve(&self, module: &[String], path: &[String], hops: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.resolve(&[], rest, hops),
            "self" => self.resolve(module, rest, hops),
            "super" => self.resolve(module.split_last()?.1, rest, hops),
            name => self.resolve_name(module, name, rest, hops.checked_sub(1)?),
        }
    }

    fn resolve_name(&self, module: &[String], name: &str, rest: &[String], hops: usize) -> Option<usize> {
        let child = [module, &[name.to_owned()]].concat();
        if !rest.is_empty() && self.scopes.contains_key(&child) {
            return self.resolve(&child, rest, hops);
        }
        let scope = self.scopes.get(module)?;
        if scope.items.contains(name) {
            return Some(scope.file);
        }
        if let Some(path) = scope.names.get(name) {
            return self.resolve(module, &[path, rest].concat(), hops);
        }
        let by_glob = |glob: &Vec<String>| {
            let path = [&glob[..glob.len() - 1], &[name.to_owned()], rest].concat();
            self.resolve(module, &path, hops)
        };
        scope.globs.iter().filter(|glob| self.begins_here(module, &glob[0])).find_map(by_glob)
    }

    /// Whether a glob leads into this crate at all.
    fn begins_here(&self, module: &[String], first: &str) -> bool {
        ["crate", "self", "super"].contains(&first) || self.scopes.contains_key(&[module, &[first.to_owned()]].concat())
    }

    /// Every file that one leads to, each with the file and the use through which it is reached soonest.
    fn reachable(&self, from: usize) -> BTreeMap<usize, (usize, &Use)> {
        let mut reached = BTreeMap::new();
        let mut front = VecDeque::from([from]);
        while let Some(file) = front.pop_front() {
            for used in &self.uses[file] {
                reached.entry(used.file).or_insert_with(|| {
                    front.push_back(used.file);
                    (file, used)
                });
            }
        }
        reached
    }

    fn way_back(&self, file: usize, reached: &BTreeMap<usize, (usize, &Use)>) -> Vec<String> {
        let mut way = vec![reached[&file]];
        while let Some((before, _)) = way.last().filter(|(before, _)| *before != file) {
            way.push(reached[before]);
        }
        let step = |(file, used): (usize, &Use)| {
            let (from, to) = (self.sources[file].place(used.line), self.sources[used.file].path.display());
            format!("{from} names {}, which is in {to}", used.path)
        };
        way.into_iter().rev().map(step).collect()
    }
}

/// What a file defines outside of braces other than those of modules, and where: the words after certain others.
fn items(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut depth, mut modules, mut last, mut before_last) = (0_usize, 0_usize, "", "");
    for (at, word) in tokens(code) {
        match word {
            "{" => {
                modules += usize::from(depth == modules && before_last == "mod");
                depth += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                modules = modules.min(depth);
            }
            _ if depth == modules && defines(last) && word.starts_with(is_word) && !defines(word) => {
                found.push((at, word.to_owned()));
            }
            _ => {}
        }
        // `macro_rules! name`
        if word != "!" {
            (before_last, last) = (last, word);
        }
    }
    found
}

fn defines(keyword: &str) -> bool {
    ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"].contains(&keyword)
}

/// Words, and each other character by itself.
fn tokens(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += code[at..].len() - code[at..].trim_start().len();
        let length = code[at..].find(|c| !is_word(c)).unwrap_or(code.len() - at).max(1);
        let token = (at, code.get(at..at + length)?);
        at += length;
        Some(token)
    })
}
