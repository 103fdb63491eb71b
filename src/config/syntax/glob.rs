//! Patterns for files: `*`, `?` and `[a-z]`, in any part of a path.
//!
//! What does not live here: reading what was found (`include`).

use std::io;
use std::path::{Component, Path, PathBuf};

/// The files that a path names: itself, all in it if it is a directory, or those that
/// match if it is a pattern; `None` if nothing does. The base is no pattern. Where a path
/// goes on behind a pattern, as in `*/site.conf`, files may be named that are not there.
///
/// # Errors
///
/// The directory that could not be read.
pub(super) fn files(base: &Path, path: &str) -> Result<Option<Vec<PathBuf>>, (PathBuf, io::Error)> {
    let mut found = vec![base.to_path_buf()];
    let parts = Path::new(path).components();
    for part in parts.filter(|part| *part != Component::CurDir) {
        let text = part.as_os_str().to_string_lossy();
        let is_pattern = matches!(part, Component::Normal(_)) && is_pattern(&text);
        let mut next = Vec::new();
        for path in found {
            if !is_pattern {
                next.push(path.join(part));
                continue;
            }
            if !path.as_os_str().is_empty() && !path.is_dir() {
                continue;
            }
            let names = names(&path)?.into_iter();
            let matching = names.filter(|name| matches(&text, name));
            next.extend(matching.map(|name| path.join(name)));
        }
        found = next;
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for path in found {
        add(path, &mut files, 0)?;
    }
    Ok(Some(files))
}

/// Returns whether there is anything in a path that stands for other characters.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// How deep a directory that is included as a whole may go: a link may lead back.
const DEPTH: usize = 16;

fn add(path: PathBuf, files: &mut Vec<PathBuf>, depth: usize) -> Result<(), (PathBuf, io::Error)> {
    if !path.is_dir() {
        files.push(path);
        return Ok(());
    }
    if depth == DEPTH {
        let error = io::Error::other("too many directories within each other");
        return Err((path, error));
    }
    for name in names(&path)? {
        add(path.join(name), files, depth + 1)?;
    }
    Ok(())
}

/// The names in a directory, sorted.
fn names(directory: &Path) -> Result<Vec<String>, (PathBuf, io::Error)> {
    let here = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let read = || -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(here)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    read().map_err(|error| (here.to_path_buf(), error))
}

/// Whether a pattern matches a name. As in httpd, nothing but a dot matches a dot in front.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Behind the last `*`, and how much of the name it takes: going back to the last one is
    // enough.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, in_name));
        } else if let Some(width) = matches_one(&pattern[at..], name[in_name]) {
            at += width;
            in_name += 1;
        } else if let Some((behind, taken)) = star {
            at = behind;
            in_name = taken + 1;
            star = Some((behind, in_name));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// If the head of a pattern matches a character: how many characters the head has.
fn matches_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let negated = matches!(rest, ['!' | '^', ..]);
            let set = if negated { &rest[1..] } else { rest };
            // A bracket that comes first belongs to the set.
            let Some(length) = set.iter().skip(1).position(|&c| c == ']') else {
                return (c == '[').then_some(1);
            };
            let set = &set[..=length];
            let within = set.contains(&c)
                || set
                    .windows(3)
                    .any(|range| range[1] == '-' && (range[0]..=range[2]).contains(&c));
            (within != negated).then_some(set.len() + 2 + usize::from(negated))
        }
        [first, ..] => (*first == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("*", "a"),
            ("a*b*c", "aXbYbc"),
            ("?.conf", "a.conf"),
            ("[0-9][!x]*", "1abc"),
            ("[]a]", "]"),
            (".*", ".hidden"),
            ("a[", "a["),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf.bak"),
            ("*", ".hidden"),
            ("?", ""),
            ("?", "ab"),
            ("[0-9]", "a"),
            ("[!a]", "a"),
            ("a*b", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
