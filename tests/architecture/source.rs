//! One source file: its path, its text and its imports.
//!
//! Not here: how text is read (`text`), and what is allowed (`levels`, `rules`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::levels::level_of;
use crate::text::{Literals, paths, strip, without_tests};

/// A file, with its text as it is, without comments, and without tests.
pub(crate) struct Source {
    /// Relative to the crate, with `/` on every system.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments and the contents of literals.
    pub(crate) code: String,
    /// The code without tests; empty if the whole file is test code.
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

    /// The module's path below `src`: `clock`, `member`, `balancer/wait`.
    pub(crate) fn path_in_crate(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        path.strip_suffix("/mod").unwrap_or(path)
    }

    /// The top-level module that the file belongs to.
    pub(crate) fn module(&self) -> &str {
        self.path_in_crate().split('/').next().unwrap_or_default()
    }

    /// Returns whether the file is that module's, or in its folder.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        let below = self.path_in_crate().strip_prefix(module);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    /// Returns whether the whole file is compiled for tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.shipped.is_empty()
    }

    /// The top-level names that the shipped code imports from the crate's root, by `crate::`
    /// or by enough `super::`, with their lines.
    pub(crate) fn imports(&self) -> BTreeSet<(usize, String)> {
        let depth = self.path_in_crate().split('/').count();
        let reached = |(line, path): (usize, String)| {
            let mut segments = path.split("::").peekable();
            if segments.next_if_eq(&"crate").is_some() {
                return Some((line, segments.next()?.to_owned()));
            }
            let mut climbed = 0;
            while segments.next_if_eq(&"super").is_some() {
                climbed += 1;
            }
            // In an inline module, the same number of `super::` ends below the root.
            let module = segments.next().filter(|name| level_of(name).is_some())?;
            (climbed >= depth).then(|| (line, module.to_owned()))
        };
        paths(&self.shipped)
            .into_iter()
            .filter_map(reached)
            .collect()
    }

    /// Formats a complaint as `file:line: text`, which editors recognise.
    pub(crate) fn at(&self, line: usize, complaint: &str) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }
}

/// Every Rust file of the crate, folder by folder. All tests share it: without optimization,
/// reading takes a second or two.
static ALL: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let folders = ["src", "tests", "examples", "benches"];
    folders.into_iter().flat_map(read_sources).collect()
});

/// Returns every Rust file of the crate.
pub(crate) fn all_sources() -> &'static [Source] {
    &ALL
}

/// Returns the files below `src`.
pub(crate) fn crate_sources() -> &'static [Source] {
    let end = ALL
        .iter()
        .position(|source| !source.path.starts_with("src/"));
    &ALL[..end.unwrap_or(ALL.len())]
}

/// Reads every Rust file below a folder. A missing folder has none.
fn read_sources(folder: &str) -> Vec<Source> {
    let mut found = read(folder);
    let gated: Vec<_> = found.iter().flat_map(test_modules).collect();
    for source in &mut found {
        if gated.iter().any(|module| source.is_in(module)) {
            source.shipped.clear();
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The modules that this file declares behind `#[cfg(test)]`.
fn test_modules(source: &Source) -> Vec<String> {
    let module = |file: &String| match source.path_in_crate() {
        "lib" => file.clone(),
        parent => format!("{parent}/{file}"),
    };
    source.test_files.iter().map(module).collect()
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
