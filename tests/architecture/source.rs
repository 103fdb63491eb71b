//! One file of the crate, as the rules see it: where it stands and what it says.
//!
//! How text is read is in `text`; what is allowed is in `floors` and `rules`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::floors::floor_of;
use crate::text::{Literals, paths, strip, without_tests};

/// A file, with its text in three degrees of undress.
pub(crate) struct Source {
    /// Relative to the crate, with `/` on every system.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Without comments and the contents of literals.
    pub(crate) code: String,
    /// Without tests too; empty if the whole file is one.
    pub(crate) shipped: String,
    test_files: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = strip(text, Literals::Emptied);
        let (shipped, test_files) = without_tests(&code);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            shipped,
            test_files,
        }
    }

    /// The module's path, the root aside: `clock`, `member`, `balancer/wait`.
    pub(crate) fn room(&self) -> &str {
        let room = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let room = room.strip_suffix(".rs").unwrap_or(room);
        room.strip_suffix("/mod").unwrap_or(room)
    }

    /// The top-level module that it belongs to.
    pub(crate) fn module(&self) -> &str {
        self.room().split('/').next().unwrap_or_default()
    }

    /// Whether it is the file of that module, or in its folder.
    pub(crate) fn lives_in(&self, room: &str) -> bool {
        let below = self.room().strip_prefix(room);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    /// Whether the whole file is compiled for tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.shipped.is_empty()
    }

    /// The top-level names that its shipped code reaches from the crate's root,
    /// by `crate::` or by climbing there with `super::`.
    pub(crate) fn imports(&self) -> BTreeSet<(usize, String)> {
        let depth = self.room().split('/').count();
        let reached = |(line, path): (usize, String)| {
            let mut segments = path.split("::").peekable();
            if segments.next_if_eq(&"crate").is_some() {
                return Some((line, segments.next()?.to_owned()));
            }
            let mut climbed = 0;
            while segments.next_if_eq(&"super").is_some() {
                climbed += 1;
            }
            // In an inline module the same climb ends lower, at no such name.
            let module = segments.next().filter(|name| floor_of(name).is_some())?;
            (climbed >= depth).then(|| (line, module.to_owned()))
        };
        paths(&self.shipped)
            .into_iter()
            .filter_map(reached)
            .collect()
    }

    /// A complaint that an editor can jump to.
    pub(crate) fn at(&self, line: usize, complaint: &str) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }
}

/// Every Rust file below a folder of the crate; none if there is no such folder.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut found = read(folder);
    let gated: Vec<_> = found.iter().flat_map(rooms_of_tests).collect();
    for source in &mut found {
        if gated.iter().any(|room| source.lives_in(room)) {
            source.shipped.clear();
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The rooms that this file declares behind `#[cfg(test)]`.
fn rooms_of_tests(source: &Source) -> Vec<String> {
    let room = |file: &String| match source.room() {
        "lib" => file.clone(),
        room => format!("{room}/{file}"),
    };
    source.test_files.iter().map(room).collect()
}

fn read(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else {
        return found;
    };
    for entry in entries {
        let entry = entry.expect("a readable folder");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(read(&path));
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("a readable file in UTF-8");
            found.push(Source::new(&path, &text));
        }
    }
    found
}
