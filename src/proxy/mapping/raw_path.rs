//! Compares and normalizes paths as they are in the request line, with their escapes.
//!
//! Two pairs of spellings are equivalent here: a run of slashes and one slash, and the
//! escape of a letter, digit or `-._~` and that character (RFC 3986, 6.2.2.2). So
//! `/%61dmin` does not bypass a rule for `/admin`. Any other escape stays distinct: `%2F`
//! is not a slash.

use std::borrow::Cow;

use crate::percent::escaped;

/// Returns the raw rest after the prefix, if the path is below it: a prefix that does not
/// end in `/` must be followed by one, or by the end.
pub(in crate::proxy) fn strip<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    let (mut wanted_at, mut at) = (0, 0);
    while let Some((wanted, next)) = mark(prefix.as_bytes(), wanted_at) {
        let (found, after) = mark(path.as_bytes(), at)?;
        if found != wanted {
            return None;
        }
        (wanted_at, at) = (next, after);
    }
    let rest = path.get(at..)?;
    let ends = prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/');
    ends.then_some(rest)
}

/// Returns the path with each run of slashes and each escape in its shorter form.
pub(super) fn shortened(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    if !has_byte(bytes, |byte, before| byte == b'%' || is_run(byte, before)) {
        return Cow::Borrowed(path);
    }
    let mut short = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some((mark, next)) = mark(bytes, at) {
        match mark {
            PathChar::Escape(_) => short.extend_from_slice(&bytes[at..next]),
            PathChar::Plain(byte) => short.push(byte),
        }
        at = next;
    }
    Cow::Owned(String::from_utf8_lossy(&short).into_owned())
}

/// Returns whether some server could treat a segment of the path as `.` or `..`: also if it
/// is escaped, follows an escaped slash or a backslash, or has parameters (`/..;/`).
pub(in crate::proxy) fn has_dot_segment(path: &[u8]) -> bool {
    // The number of dots in the segment, or `None` if it has other characters.
    let mut dots = Some(0_usize);
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let escaped = escape(path, at);
        at += if escaped.is_some() { 3 } else { 1 };
        match escaped.unwrap_or(byte) {
            b'/' | b'\\' | b';' if is_dot_segment(dots) => return true,
            b'/' | b'\\' => dots = Some(0),
            b'.' => dots = dots.map(|dots| dots + 1),
            _ => dots = None,
        }
    }
    is_dot_segment(dots)
}

/// Returns whether a `%` is not followed by two hexadecimal digits.
pub(super) fn has_broken_escape(path: &[u8]) -> bool {
    let mut bytes = path.iter().enumerate();
    bytes.any(|(at, &byte)| byte == b'%' && escape(path, at).is_none())
}

/// Returns whether a path is unambiguous: no dot segments, no broken escapes, and no
/// escapes of control characters, at which some servers cut it off.
pub(in crate::proxy) fn is_sound(path: &[u8]) -> bool {
    // This runs for each request, and one look at most paths is enough.
    let starts = |before| matches!(before, 0 | b'/' | b'\\');
    if !has_byte(path, |byte, before| {
        byte == b'%' || byte == b'.' && starts(before)
    }) {
        return true;
    }
    !has_dot_segment(path) && !has_broken_escape(path) && !has_control_escape(path)
}

/// Returns whether this holds for a byte of the path and the one before it, which is 0 for
/// the first byte.
fn has_byte(path: &[u8], holds: impl Fn(u8, u8) -> bool) -> bool {
    let mut before = 0;
    path.iter().any(|&byte| {
        let found = holds(byte, before);
        before = byte;
        found
    })
}

fn is_run(byte: u8, before: u8) -> bool {
    byte == b'/' && before == b'/'
}

pub(super) fn has_control_escape(path: &[u8]) -> bool {
    let escapes = (0..path.len()).filter_map(|at| escape(path, at));
    escapes
        .into_iter()
        .any(|escaped| escaped.is_ascii_control())
}

/// All ways in which a server could interpret a path, for rules that exclude something:
/// what is `/public;x/secret` to one server is `/public/secret` to another.
#[derive(Debug)]
pub(crate) struct Readings<'p> {
    /// httpd's interpretation: escapes resolved, except that of a slash; runs of slashes
    /// merged.
    pub(crate) httpd: Cow<'p, str>,
    /// Other interpretations, if there are any: one for each [`EscapeHandling`] that
    /// applies to the path.
    others: Vec<String>,
}

impl<'p> Readings<'p> {
    pub(crate) fn of(path: &'p str) -> Self {
        let is_odd = |byte| matches!(byte, b'%' | b';' | b'\\');
        let bytes = path.as_bytes();
        if !has_byte(bytes, |byte, before| is_odd(byte) || is_run(byte, before)) {
            return Self {
                httpd: Cow::Borrowed(path),
                others: Vec::new(),
            };
        }
        let mut interpretations = interpretations(bytes).map(|way| way.read(path));
        let httpd = interpretations.next().unwrap_or_default();
        let mut others = Vec::new();
        for other in interpretations {
            if other != httpd && !others.contains(&other) {
                others.push(other);
            }
        }
        Self {
            httpd: Cow::Owned(httpd),
            others,
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        std::iter::once(&*self.httpd).chain(others)
    }
}

/// All ways in which a server could interpret a path, for rules that choose a destination:
/// its [`Readings`], and those with their dot segments resolved.
#[derive(Debug)]
pub(in crate::proxy) struct ResolvedReadings<'p> {
    first: Cow<'p, str>,
    others: Vec<String>,
    /// Whether some interpretation has a segment `..`: then servers may disagree about the
    /// directory.
    pub(in crate::proxy) climbs: bool,
}

impl<'p> ResolvedReadings<'p> {
    pub(in crate::proxy) fn of(path: &'p str) -> Self {
        let readings = Readings::of(path);
        let is_dot = |byte, before| byte == b'.' && before == b'/';
        let is_clean = readings.others.is_empty() && !has_byte(path.as_bytes(), is_dot);
        if is_clean && matches!(readings.httpd, Cow::Borrowed(_)) {
            return Self {
                first: readings.httpd,
                others: Vec::new(),
                climbs: false,
            };
        }
        let mut all: Vec<String> = Vec::new();
        let mut climbs = false;
        for reading in readings.all() {
            // The one remaining escape, in one case.
            let reading = reading.replace("%2f", "%2F");
            let (here, climbed) = (resolved(&reading, false), resolved(&reading, true));
            climbs |= here != climbed;
            for path in [here, climbed] {
                if !all.contains(&path) {
                    all.push(path);
                }
            }
        }
        let first = Cow::Owned(all.remove(0));
        Self {
            first,
            others: all,
            climbs,
        }
    }

    pub(in crate::proxy) fn all(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        std::iter::once(&*self.first).chain(others)
    }

    /// Returns the path, if there is only one interpretation.
    pub(in crate::proxy) fn only(&self) -> Option<&str> {
        self.others.is_empty().then_some(&*self.first)
    }

    /// Returns the path as most servers interpret it, except for `..`.
    pub(in crate::proxy) fn into_first(self) -> String {
        self.first.into_owned()
    }
}

/// Returns the path without its segments `.` and, if `climbs`, without `..` and the
/// segments that those remove (RFC 3986, 5.2.4).
fn resolved(path: &str, climbs: bool) -> String {
    let mut left: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_dots = segment == "." || climbs && segment == "..";
        if !is_dots {
            left.push(segment);
            continue;
        }
        if segment == ".." && left.len() > 1 {
            left.pop();
        }
        if segments.peek().is_none() {
            left.push("");
        }
    }
    left.join("/")
}

/// How a server that resolves escapes interprets a path.
#[derive(Clone, Copy, Debug)]
struct EscapeHandling {
    /// A backslash is a slash.
    backslash: bool,
    /// An escaped slash is a slash.
    escaped_slash: bool,
    parameters: Parameters,
}

/// When a server removes the parameters of segments (`;v=1`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Parameters {
    AfterEscapes,
    BeforeEscapes,
    Never,
}

/// Returns the interpretations that may differ for this path, httpd's first.
fn interpretations(path: &[u8]) -> impl Iterator<Item = EscapeHandling> + use<> {
    let (mut slash, mut backslash, mut parameters) = (false, false, false);
    for at in 0..path.len() {
        let escaped = escape(path, at);
        slash |= escaped == Some(b'/');
        backslash |= path[at] == b'\\' || escaped == Some(b'\\');
        parameters |= path[at] == b';' || escaped == Some(b';');
    }
    let all = [
        Parameters::Never,
        Parameters::AfterEscapes,
        Parameters::BeforeEscapes,
    ];
    let first = |some: bool, all: usize| if some { all } else { 1 };
    let all = all.into_iter().take(first(parameters, all.len()));
    all.flat_map(move |parameters| {
        let both = [false, true].into_iter().take(first(backslash, 2));
        both.flat_map(move |backslash| {
            let both = [false, true].into_iter().take(first(slash, 2));
            both.map(move |escaped_slash| EscapeHandling {
                backslash,
                escaped_slash,
                parameters,
            })
        })
    })
}

impl EscapeHandling {
    /// Runs of slashes are one slash.
    fn read(self, path: &str) -> String {
        let bytes = path.as_bytes();
        let (mut read, mut at, mut is_cut) = (Vec::with_capacity(path.len()), 0, false);
        while let Some(&byte) = bytes.get(at) {
            let escaped = escape(bytes, at);
            let next = at + if escaped.is_some() { 3 } else { 1 };
            let (byte, is_plain) = (escaped.unwrap_or(byte), escaped.is_none());
            let is_slash = match byte {
                b'/' => is_plain || self.escaped_slash,
                b'\\' => self.backslash,
                _ => false,
            };
            // Whether this character counts when parameters are searched for.
            let is_seen = match self.parameters {
                Parameters::AfterEscapes => true,
                Parameters::BeforeEscapes => is_plain,
                Parameters::Never => false,
            };
            if is_seen && is_slash {
                is_cut = false;
            } else if is_seen && byte == b';' {
                is_cut = true;
            }
            match byte {
                _ if is_cut => {}
                _ if is_slash && read.last() == Some(&b'/') => {}
                _ if is_slash => read.push(b'/'),
                b'/' => read.extend_from_slice(&bytes[at..next]),
                byte => read.push(byte),
            }
            at = next;
        }
        String::from_utf8_lossy(&read).into_owned()
    }
}

fn is_dot_segment(dots: Option<usize>) -> bool {
    matches!(dots, Some(1 | 2))
}

/// One character of a path, in the form in which it is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PathChar {
    Escape(u8),
    Plain(u8),
}

/// Returns the mark at an index, and the index of the next one.
fn mark(path: &[u8], at: usize) -> Option<(PathChar, usize)> {
    let byte = *path.get(at)?;
    if byte == b'/' {
        let run = path[at..].iter().take_while(|&&byte| byte == b'/').count();
        return Some((PathChar::Plain(byte), at + run));
    }
    Some(match escape(path, at) {
        Some(escaped) if is_unreserved(escaped) => (PathChar::Plain(escaped), at + 3),
        Some(escaped) => (PathChar::Escape(escaped), at + 3),
        None => (PathChar::Plain(byte), at + 1),
    })
}

fn escape(path: &[u8], at: usize) -> Option<u8> {
    escaped(path.get(at..)?)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::{Readings, ResolvedReadings, has_broken_escape, has_dot_segment, shortened, strip};

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let rows = [
            ("/app", "/app", Some("")),
            ("/app", "/app/", Some("/")),
            ("/app", "/app/x", Some("/x")),
            ("/app", "/application", None),
            ("/app", "/app;v=1", None),
            ("/app", "/APP", None),
            ("/app/", "/app", None),
            ("/app/", "/app/x", Some("x")),
            ("/", "/x", Some("x")),
            ("//a//b", "/a/b/c", Some("/c")),
            ("/a/b", "///a//b//c", Some("//c")),
        ];
        for (prefix, path, rest) in rows {
            assert_eq!(strip(prefix, path), rest, "{prefix} {path}");
        }
    }

    #[test]
    fn the_escape_of_a_letter_is_the_letter_and_that_of_a_slash_is_none() {
        let rows = [
            ("/admin", "/%61dmin/%7Ex", Some("/%7Ex")),
            ("/%61dmin", "/admin", Some("")),
            ("/a/b", "/a%2Fb", None),
            ("/a%2fb", "/a%2Fb/c", Some("/c")),
            ("/a b", "/a%20b", None),
            ("/%2B", "/%2b/x", Some("/x")),
            ("/é", "/é/ü", Some("/ü")),
            ("/é", "/%C3%A9", None),
        ];
        for (prefix, path, rest) in rows {
            assert_eq!(strip(prefix, path), rest, "{prefix} {path}");
        }
        assert_eq!(shortened("//a/%61%2f%20///é%"), "/a/a%2f%20/é%");
        assert_eq!(shortened("/a/b"), "/a/b");
    }

    #[test]
    fn a_path_is_read_as_httpd_does_and_as_others_do() {
        let rows: [(&str, &[&str]); 9] = [
            ("/a/b", &["/a/b"]),
            ("/a%20b//c", &["/a b/c"]),
            ("/public;x/secret", &["/public;x/secret", "/public/secret"]),
            ("/public%2fsecret", &["/public%2fsecret", "/public/secret"]),
            ("/%5cpublic/x", &["/\\public/x", "/public/x"]),
            ("/a;b%20c", &["/a;b c", "/a"]),
            ("/a%3Bb/c", &["/a;b/c", "/a/c"]),
            ("/a;%2fb/c", &["/a;%2fb/c", "/a;/b/c", "/a/c", "/a/b/c"]),
            ("/%zz%", &["/%zz%"]),
        ];
        for (path, expected) in rows {
            let readings = Readings::of(path);
            assert_eq!(readings.all().collect::<Vec<_>>(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_lies_wherever_a_server_could_find_it() {
        let rows: [(&str, &[&str], bool); 10] = [
            ("/a/b", &["/a/b"], false),
            ("*", &["*"], false),
            ("/.well-known/a", &["/.well-known/a"], false),
            ("/./a/.", &["/a/"], false),
            ("//a/%2e/%62", &["/a/b"], false),
            ("/x/../a", &["/x/../a", "/a"], true),
            ("/../..", &["/../..", "/"], true),
            ("/x%2f../a", &["/x%2F../a", "/x/../a", "/a"], true),
            ("/x/..;y/a", &["/x/..;y/a", "/x/../a", "/a"], true),
            ("/a;x\\b", &["/a;x\\b", "/a;x/b", "/a", "/a/b"], false),
        ];
        for (path, expected, climbs) in rows {
            let places = ResolvedReadings::of(path);
            assert_eq!(places.all().collect::<Vec<_>>(), expected, "{path}");
            assert_eq!(places.climbs, climbs, "{path}");
        }
    }

    #[test]
    fn an_escape_has_two_digits() {
        for path in ["/%", "/%4", "/%4g", "/%%341", "/a%/b"] {
            assert!(has_broken_escape(path.as_bytes()), "{path}");
        }
        assert!(!has_broken_escape(b"/%41/%fF/"));
    }

    #[test]
    fn dot_segments_are_found_in_every_spelling() {
        let bad = [
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/%2e%2E/b",
            "/a/.%2e",
            "/a/..;x=1/b",
            "/a/..%2fb",
            "/a%2f..",
            "/a/..\\b",
            "/a\\..",
            "/a/..%5Cb",
            "/a/..%3bx",
        ];
        for path in bad {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        let good = [
            "/",
            "//",
            "/...",
            "/.well-known/x",
            "/a..b",
            "/a./b",
            "/..a",
            "/;x=..a",
            "/%252e%252e/",
        ];
        for path in good {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }
}
