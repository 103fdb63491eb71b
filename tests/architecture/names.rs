//! Finds the file that defines what a path names: [`Names`].
//!
//! It follows modules, imports and re-exports that are in the text. It does not find methods
//! and what macros define. A file that another crate includes by `#[path]` belongs to the
//! crate of its own folder. Which paths a file may name is not decided here.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::text::{is_word, tokens};

/// The modules of some crates. A module's key is the folder of its crate and its path
/// there: `src::config::front`, `benches/pick::lanes`.
pub(crate) struct Names<'a> {
    modules: BTreeMap<String, Module<'a>>,
}

#[derive(Default)]
struct Module<'a> {
    file: &'a str,
    items: BTreeMap<&'a str, Kind>,
    imports: Vec<Import<'a>>,
    /// The modules that it declares.
    declared: BTreeSet<&'a str>,
    /// The paths in it, each with the first line that has it.
    mentions: BTreeMap<Vec<&'a str>, usize>,
}

struct Import<'a> {
    line: usize,
    path: Vec<&'a str>,
    /// `*` for a glob import.
    name: &'a str,
    is_public: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Trait,
    Type,
    /// A path cannot continue after it.
    Value,
}

/// What a path resolves to.
enum Target<'a> {
    Item { file: &'a str, kind: Kind },
    Module(String),
}

/// One file needs what another one defines.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Need<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) line: usize,
    pub(crate) name: &'a str,
}

impl<'a> Names<'a> {
    pub(crate) fn of(sources: &'a [Source]) -> Self {
        let mut names = Self {
            modules: BTreeMap::new(),
        };
        for source in sources {
            names.read(source);
        }
        names
    }

    /// Returns what each file needs of others. The declaration of a module and a re-export are
    /// no need.
    pub(crate) fn needs(&self) -> BTreeSet<Need<'a>> {
        let mut needs = BTreeSet::new();
        for (key, module) in &self.modules {
            let mut add = |line, path: &[&'a str], to| {
                let name = path.last().copied().unwrap_or_default();
                let from = module.file;
                if from != to {
                    needs.insert(Need {
                        from,
                        to,
                        line,
                        name,
                    });
                }
            };
            for (path, line) in &module.mentions {
                if let Some(Target::Item { file, .. }) = self.resolve(key, path, &mut Vec::new()) {
                    add(*line, path, file);
                }
            }
            for import in module.imports.iter().filter(|import| !import.is_public) {
                let target = self.resolve(key, &import.path, &mut Vec::new());
                // A private import of a `mod.rs` may be meant for its submodules.
                let passes_on = has_modules_below(module.file) && import.name != "_";
                match target {
                    Some(Target::Item { file, kind }) if kind == Kind::Trait || !passes_on => {
                        add(import.line, &import.path, file);
                    }
                    _ => {}
                }
            }
        }
        needs
    }

    /// Resolves a path from a module. Returns `None` if it leads to another crate.
    fn resolve(
        &self,
        from: &str,
        path: &[&'a str],
        seen: &mut Vec<(String, &'a str)>,
    ) -> Option<Target<'a>> {
        let (first, rest) = path.split_first()?;
        let mut target = match *first {
            "crate" => Target::Module(from.split("::").next()?.to_owned()),
            "self" => Target::Module(from.to_owned()),
            "super" => Target::Module(from.rsplit_once("::")?.0.to_owned()),
            name => self.look_up(from, name, !rest.is_empty(), seen)?,
        };
        for (at, name) in rest.iter().enumerate() {
            let Target::Module(key) = &target else { break };
            let goes_on = at + 1 < rest.len();
            target = match *name {
                "super" => Target::Module(key.rsplit_once("::")?.0.to_owned()),
                "self" => continue,
                // What is not found there is defined by a macro of that file.
                name => match self.look_up(key, name, goes_on, seen) {
                    Some(found) => found,
                    None => {
                        let module = self.modules.get(key)?;
                        let file = module.file;
                        let kind = Kind::Type;
                        let is_elsewhere = module.declared.contains(name);
                        (!is_elsewhere).then_some(Target::Item { file, kind })?
                    }
                },
            };
        }
        Some(target)
    }

    /// Resolves one name in a module; `goes_on` if the path continues after it.
    fn look_up(
        &self,
        key: &str,
        name: &'a str,
        goes_on: bool,
        seen: &mut Vec<(String, &'a str)>,
    ) -> Option<Target<'a>> {
        let fits = |kind| !goes_on || kind != Kind::Value;
        let below = format!("{key}::{name}");
        let is_module = self.modules.contains_key(&below);
        let below = is_module.then_some(Target::Module(below));
        let Some(module) = self.modules.get(key) else {
            return below;
        };
        if let Some(&kind) = module.items.get(name).filter(|&&kind| fits(kind)) {
            let file = module.file;
            return Some(Target::Item { file, kind });
        }
        let step = (key.to_owned(), name);
        if seen.contains(&step) {
            return below;
        }
        seen.push(step);
        let mut named = module.imports.iter().filter(|import| import.name == name);
        let imported = named.find_map(|import| {
            let found = self.resolve(key, &import.path, seen)?;
            match found {
                Target::Item { kind, .. } if !fits(kind) => None,
                found => Some(found),
            }
        });
        if let Some(found) = imported.or(below) {
            return Some(found);
        }
        let mut all = module.imports.iter().filter(|import| import.name == "*");
        all.find_map(|import| match self.resolve(key, &import.path, seen)? {
            Target::Module(there) if there != key => self.look_up(&there, name, goes_on, seen),
            _ => None,
        })
    }

    fn read(&mut self, source: &'a Source) {
        let tokens = tokens(&source.shipped);
        let token = |at: usize| tokens.get(at).map_or("", |&(_, token)| token);
        // The modules that are open at this place, and `None` for each other open brace.
        let mut open = vec![Some(key_of(&source.path))];
        let mut at = 0;
        while at < tokens.len() {
            let is_top = open.last().is_some_and(Option::is_some);
            let key = open.iter().rev().flatten().next().cloned();
            let key = key.unwrap_or_default();
            let module = self.modules.entry(key.clone()).or_default();
            module.file = &source.path;
            match token(at) {
                "{" => open.push(None),
                "}" if open.len() > 1 => drop(open.pop()),
                "mod" if token(at + 2) == "{" => {
                    open.push(Some(format!("{key}::{}", token(at + 1))));
                    at += 2;
                }
                "mod" if token(at + 2) == ";" => {
                    module.declared.insert(token(at + 1));
                    at += 2;
                }
                "use" if token(at + 1) != "<" => {
                    let is_public = at > 0 && ["pub", ")"].contains(&token(at - 1));
                    at = tree(&tokens, at + 1, is_public, &[], &mut module.imports);
                    continue;
                }
                "const" | "enum" | "fn" | "static" | "struct" | "trait" | "type" if is_top => {
                    let name = token(at + 1);
                    if name.starts_with(is_word) && name != "fn" {
                        module.items.insert(name, kind_of(token(at)));
                    }
                }
                word if word.starts_with(is_word) && begins_a_path(&tokens, at) => {
                    let mut path = vec![word];
                    let line = tokens[at].0;
                    while token(at + 1) == "::" && token(at + 2).starts_with(is_word) {
                        path.push(token(at + 2));
                        at += 2;
                    }
                    module.mentions.entry(path).or_insert(line);
                }
                _ => {}
            }
            at += 1;
        }
    }
}

fn kind_of(keyword: &str) -> Kind {
    match keyword {
        "trait" => Kind::Trait,
        "const" | "fn" | "static" => Kind::Value,
        _ => Kind::Type,
    }
}

/// Returns whether a word begins a path: it is no method, field, lifetime or later segment.
fn begins_a_path(tokens: &[(usize, &str)], at: usize) -> bool {
    let before = |steps: usize| {
        let at = at.checked_sub(steps);
        at.and_then(|at| tokens.get(at)).map_or("", |token| token.1)
    };
    match before(1) {
        "." => before(2) == ".",
        "'" | "::" => false,
        _ => true,
    }
}

/// Reads the tree of a `use`, or a part of it, and returns where it ends.
fn tree<'a>(
    tokens: &[(usize, &'a str)],
    start: usize,
    is_public: bool,
    prefix: &[&'a str],
    found: &mut Vec<Import<'a>>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", |&(_, token)| token);
    let mut path = prefix.to_vec();
    let mut at = start;
    loop {
        match token(at) {
            "{" => {
                at += 1;
                while !["", "}"].contains(&token(at)) {
                    at = match token(at) {
                        "," => at + 1,
                        _ => tree(tokens, at, is_public, &path, found),
                    };
                }
                return at + 1;
            }
            // A path that begins with `::` leads to another crate.
            "::" if path.is_empty() => path.push("::"),
            "::" => {}
            "self" if !path.is_empty() => {}
            segment if segment == "*" || segment.starts_with(is_word) => path.push(segment),
            _ => break,
        }
        at += 1;
        if token(at) == "as" {
            break;
        }
    }
    if at == start {
        return at + 1;
    }
    let line = tokens.get(start).map_or(0, |token| token.0);
    let mut name = path.last().copied().unwrap_or_default();
    if name == "*" {
        path.pop();
    }
    if token(at) == "as" {
        name = token(at + 1);
        at += 2;
    }
    found.push(Import {
        line,
        path,
        name,
        is_public,
    });
    at
}

/// Returns the key of a file's module.
fn key_of(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts = path.split('/').peekable();
    let mut key = parts.next().unwrap_or_default().to_owned();
    // Outside `src`, each file and each folder is a crate of its own.
    if key != "src" {
        key = format!("{key}/{}", parts.next().unwrap_or_default());
    }
    for part in parts {
        if !["lib", "main", "mod"].contains(&part) {
            key = format!("{key}::{part}");
        }
    }
    key
}

fn has_modules_below(file: &str) -> bool {
    ["/lib.rs", "/main.rs", "/mod.rs"]
        .iter()
        .any(|name| file.ends_with(name))
}
