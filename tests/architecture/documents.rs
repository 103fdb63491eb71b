//! What the Markdown files refer to: [`missing_files`].
//!
//! Not here: links to items of the crate, which `cargo doc` and `tests/readme` check, and links
//! to other sites.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A name in backquotes is that of a file if it has such an ending.
const ENDINGS: [&str; 9] = [
    ".json", ".lock", ".log", ".md", ".py", ".rs", ".sh", ".svg", ".toml",
];

/// What looks like a file of the project and is not: the document, the name, and why.
const OTHERS: [(&str, &str, &str); 2] = [
    ("CONTRIBUTING.md", "fuzz/artifacts", "cargo-fuzz creates it"),
    ("README.md", "access.log", "a log of the reader"),
];

/// A Markdown file, with its path below the root.
pub(crate) struct Document {
    path: String,
    text: String,
}

/// The files and folders below the root that belong to the project.
pub(crate) struct Tree(BTreeSet<String>);

impl Tree {
    pub(crate) fn of_project() -> Self {
        let mut paths = BTreeSet::new();
        // Files that tools create, and that the project does not contain.
        let ignored = fs::read_to_string(root().join(".gitignore")).expect("a readable file");
        let ignored: Vec<&str> = ignored
            .lines()
            .map(|it| it.trim_start_matches('/'))
            .collect();
        add_below("", &ignored, &mut paths);
        Self(paths)
    }

    pub(crate) fn documents(&self) -> Vec<Document> {
        let paths = self.0.iter().filter(|path| path.ends_with(".md"));
        let read = |path: &String| Document {
            path: path.clone(),
            text: fs::read_to_string(root().join(path)).expect("a readable file in UTF-8"),
        };
        paths.map(read).collect()
    }

    fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Returns whether there is a file or folder of this name, which may lack folders at its
    /// beginning.
    fn has_named(&self, name: &str) -> bool {
        let ends = |path: &String| {
            let before = path.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        self.0.iter().any(ends)
    }

    /// Returns whether the first word of a path is a folder of the project or of `src`.
    fn begins(&self, name: &str) -> bool {
        let first = name.split('/').next().unwrap_or_default();
        first != name && (self.has(first) || self.has(&format!("src/{first}")))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn add_below(folder: &str, ignored: &[&str], paths: &mut BTreeSet<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match folder {
            "" => name,
            _ => format!("{folder}/{name}"),
        };
        let is_hidden = path.starts_with(".git") || path.ends_with("/target");
        if is_hidden || ignored.contains(&path.as_str()) {
            continue;
        }
        if entry.path().is_dir() {
            add_below(&path, ignored, paths);
        }
        paths.insert(path);
    }
}

/// Returns a complaint for each relative link and each name of a file that leads nowhere.
pub(crate) fn missing_files(document: &Document, tree: &Tree) -> Vec<String> {
    let Document { path, text } = document;
    let mut complaints = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        if is_code || fence {
            continue;
        }
        let links = links(line).filter(|link| !leads_somewhere(document, link, tree));
        let names = names(line).filter(|name| {
            let is_other = |it: &(&str, &str, &str)| (it.0, it.1) == (path, *name);
            let is_file = ENDINGS.iter().any(|it| name.ends_with(it)) || tree.begins(name);
            is_file && !tree.has_named(name) && !OTHERS.iter().any(is_other)
        });
        let missing = links.chain(names);
        complaints.extend(missing.map(|it| format!("{path}:{}: `{it}` is missing", index + 1)));
    }
    complaints
}

/// The targets of the links in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1);
    let inline = inline.filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line.strip_prefix('[').and_then(|it| it.split_once("]: "));
    inline.chain(defined.map(|(_, target)| target.trim()))
}

/// Returns whether a link is to another site, or to a file and heading that exist.
fn leads_somewhere(document: &Document, link: &str, tree: &Tree) -> bool {
    if link.contains("://") {
        return true;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = match file {
        "" => document.path.clone(),
        _ => beside(&document.path, file),
    };
    if heading.is_empty() {
        return tree.has(&path);
    }
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    let mut headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.any(|text| anchor(text.trim_start_matches('#')) == heading)
}

/// Returns the path of a file that is named relative to another one.
fn beside(path: &str, file: &str) -> String {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    for part in file.split('/') {
        match part {
            "." => {}
            ".." => drop(folders.pop()),
            part => folders.push(part),
        }
    }
    folders.join("/")
}

/// Returns the name by which links refer to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The words in backquotes that may be paths.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let words = quoted.flat_map(str::split_whitespace);
    let words = words.map(|word| word.trim_end_matches('/'));
    let is_plain = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    words.filter(move |word| word.chars().all(is_plain) && !word.starts_with(['.', '/']))
}

#[cfg(test)]
mod tests {
    use super::{Document, Tree, missing_files};

    #[test]
    fn what_leads_nowhere_is_found() {
        let paths = ["docs", "docs/a.md", "src", "src/net", "src/net/tls.rs"];
        let tree = Tree(paths.map(str::to_owned).into());
        let document = |text: &str| Document {
            path: "docs/a.md".to_owned(),
            text: text.to_owned(),
        };
        let fine = "[a](a.md) [b](../src/net) [c](https://d.e/f) `tls.rs` `net/tls.rs` `src/net`\n\
                    `text/plain` `cargo test --test x` `/net/none.rs`\n```\n`none.rs`\n```\n\
                    [label]: ../docs/a.md";
        assert_eq!(missing_files(&document(fine), &tree), [""; 0]);
        for wrong in [
            "[a](none.md)",
            "[a](src/net)",
            "[a](../docs/a.md#none)",
            "[label]: none.md",
            "`none.rs`",
            "`et/tls.rs`",
            "`net/none`",
            "`cargo run src/none.rs`",
        ] {
            assert_eq!(missing_files(&document(wrong), &tree).len(), 1, "{wrong}");
        }
    }
}
