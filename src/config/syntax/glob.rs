//! Patterns for files: `*`, `?`, `[a-z]` and `\`, in any part of a path.
//!
//! They match as in httpd. The crate `glob` does not: to it `**` is any number of
//! directories, `^` negates no set, `\` is a character like any other, and a set that nothing
//! closes is an error.
//!
//! Not here: reading what was found (`include`).

use std::ffi::OsString;
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
    let (base, parts) = joined(base, Path::new(path));
    let mut found = vec![base];
    for part in parts {
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
            let matching = names.filter(|name| matches(text.as_bytes(), name.as_encoded_bytes()));
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

/// Where a path begins, and its parts. As in httpd, `..` takes back the part before it, whatever
/// that is a pattern or a link for.
fn joined<'p>(base: &Path, path: &'p Path) -> (PathBuf, Vec<Component<'p>>) {
    let mut base = base.to_path_buf();
    let mut parts = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => _ = parts.pop(),
            (Component::ParentDir, None) if base.file_name().is_some() => _ = base.pop(),
            _ => parts.push(part),
        }
    }
    (base, parts)
}

/// Returns whether there is anything in a path that stands for other characters, as
/// `apr_fnmatch_test` does.
pub(super) fn is_pattern(path: &str) -> bool {
    let (mut bytes, mut is_open) = (path.bytes(), false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' => return true,
            b']' if is_open => return true,
            b'[' => is_open = true,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
    false
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

/// The names in a directory, sorted by their bytes.
fn names(directory: &Path) -> Result<Vec<OsString>, (PathBuf, io::Error)> {
    let here = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let read = || -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(here)?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    read().map_err(|error| (here.to_path_buf(), error))
}

/// Whether a pattern matches a name, as `apr_fnmatch` with `APR_FNM_PERIOD` does: byte by
/// byte, and nothing but a dot matches a dot in front.
///
/// A range goes by the value of its bytes. There it goes by C's `char`, which below zero is
/// what lies beyond ASCII, on some machines (deviation 170).
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") && !pattern.starts_with(b"\\.") {
        return false;
    }
    let (mut at, mut in_name) = (0, 0);
    // Behind the last `*`, and how much of the name it takes: going back to the last one is
    // enough.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        if pattern.get(at) == Some(&b'*') {
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
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// If the head of a pattern matches a byte: how many bytes the head has.
fn matches_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => match set(pattern, byte) {
            Some((is_within, width)) => is_within.then_some(width),
            None => (byte == b'[').then_some(1),
        },
        [b'\\', escaped, ..] => (escaped == byte).then_some(2),
        [first, ..] => (first == byte).then_some(1),
        [] => None,
    }
}

/// Whether the set at the head of a pattern has a byte, and how many bytes the set takes;
/// `None` if nothing closes it.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let is_negated = matches!(pattern.get(1)?, b'!' | b'^');
    let start = 1 + usize::from(is_negated);
    let (mut at, mut is_within) = (start, false);
    loop {
        match *pattern.get(at)? {
            // A bracket that comes first belongs to the set.
            b']' if at > start => return Some((is_within != is_negated, at + 1)),
            b'\\' => at += 1,
            _ => {}
        }
        let first = *pattern.get(at)?;
        at += 1;
        let mut last = first;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1) != Some(&b']') {
            at += if pattern.get(at + 1) == Some(&b'\\') {
                2
            } else {
                1
            };
            last = *pattern.get(at)?;
            at += 1;
        }
        is_within |= (first..=last).contains(&byte);
    }
}

#[cfg(test)]
mod tests {
    use super::{is_pattern, matches};

    /// Each row was asked of `apr_fnmatch` with `APR_FNM_PERIOD` (APR 1.7).
    #[test]
    fn patterns_match_as_in_httpd() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("*", "a"),
            ("a*b*c", "aXbYbc"),
            ("?.conf", "a.conf"),
            ("[0-9][!x]*", "1abc"),
            ("[^a]", "b"),
            ("[]a]", "]"),
            ("[]-a]", "^"),
            ("[a-]", "-"),
            ("[!^a]", "!"),
            (".*", ".hidden"),
            ("\\.h*", ".hidden"),
            ("a[", "a["),
            ("a[x*", "a[xy"),
            ("[!a", "[!a"),
            ("\\**", "*a"),
            ("*\\", "a\\"),
            ("[\\]]", "]"),
            ("[a\\-c]", "-"),
            ("[a-\\z]", "b"),
            ("a?", "a\\"),
            // Bytes, not characters.
            ("??", "ä"),
            ("[ä]?", "é"),
            // Deviation 170.
            ("[a-ÿ]?", "é"),
        ] {
            let matches = matches(pattern.as_bytes(), name.as_bytes());
            assert!(matches, "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf.bak"),
            ("*", ".hidden"),
            ("?hidden", ".hidden"),
            ("[.]hidden", ".hidden"),
            ("?", ""),
            ("?", "ab"),
            ("?", "ä"),
            ("[0-9]", "a"),
            ("[!a]", "a"),
            ("[!a]", ""),
            ("a*b", "a"),
            ("[a-z]", "-"),
            ("[a\\-c]", "b"),
            ("[z-a]", "z"),
            ("[]-a]", "-"),
            ("\\*", "a"),
        ] {
            let matches = matches(pattern.as_bytes(), name.as_bytes());
            assert!(!matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_has_something_that_is_not_escaped() {
        for path in ["*", "a?", "[a]", "a[b]", "\\\\*"] {
            assert!(is_pattern(path), "{path}");
        }
        for path in ["a", "a[", "a]", "][", "\\*", "\\[a]", "a\\"] {
            assert!(!is_pattern(path), "{path}");
        }
    }
}
