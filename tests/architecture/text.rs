//! Reads Rust as text: removes comments, literals and tests, and finds paths.
//!
//! Line breaks are kept, so that line numbers are those of the file. Not here: the rules.

/// What happens to string and character literals.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Literals {
    Emptied,
    Kept,
}

enum Piece {
    Code,
    Comment,
    Literal,
}

/// Removes the comments and, with [`Literals::Emptied`], the contents of literals.
pub(crate) fn strip(text: &str, literals: Literals) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (piece, length) = if rest.starts_with("//") {
            (Piece::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Piece::Comment, block_comment(rest))
        } else if let Some(length) = raw_string(rest).filter(|_| !code.ends_with(is_word)) {
            (Piece::Literal, length)
        } else if let Some(length) = string(rest).or_else(|| character(rest)) {
            (Piece::Literal, length)
        } else {
            (Piece::Code, next.len_utf8())
        };
        let (taken, left) = rest.split_at(length);
        match piece {
            Piece::Code => code.push_str(taken),
            Piece::Literal if literals == Literals::Kept => code.push_str(taken),
            Piece::Literal => code.push_str(&format!("\"{}\"", line_breaks(taken))),
            Piece::Comment => code.push_str(&line_breaks(taken)),
        }
        rest = left;
    }
    code
}

fn line_breaks(text: &str) -> String {
    text.chars().filter(|&c| c == '\n').collect()
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let pair = text.as_bytes().get(at..at + 2).unwrap_or_default();
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let open = ["r", "br", "cr"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let body = open.trim_start_matches('#');
    let close = format!("\"{}", "#".repeat(open.len() - body.len()));
    let body = body.strip_prefix('"')?;
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(text.len() - body.len() + end)
}

fn string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |at| at + 2))
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    let from = if first == '\\' { 2 } else { first.len_utf8() };
    let close = body.get(from..)?.find('\'')?;
    (close == 0 || first == '\\').then_some(1 + from + close + 1)
}

/// Removes items behind `#[cfg(test)]` and `#[cfg(all(test, ..))]` from stripped code.
/// Returns the rest, and the names of the files that such items declare.
pub(crate) fn without_tests(code: &str) -> (String, Vec<String>) {
    const GATE: &str = "#[cfg(";
    let mut shipped = String::with_capacity(code.len());
    let mut test_files = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(GATE) {
        let (before, gated) = rest.split_at(at);
        shipped.push_str(before);
        if asks_for_test(&gated[GATE.len()..]) {
            let (item, left) = gated.split_at(item(gated));
            test_files.extend(declared_file(item));
            shipped.push_str(&line_breaks(item));
            rest = left;
        } else {
            shipped.push_str(GATE);
            rest = &gated[GATE.len()..];
        }
    }
    shipped.push_str(rest);
    (shipped, test_files)
}

fn asks_for_test(condition: &str) -> bool {
    let condition = condition.split(")]").next().unwrap_or_default();
    let mut all = condition
        .strip_prefix("all(")
        .unwrap_or_default()
        .split(',');
    condition == "test" || all.any(|one| one.trim().trim_end_matches(')') == "test")
}

/// The length of an item with its attributes: up to its `;` or its block's end.
fn item(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if (c == ';' || c == '}') && depth <= 0 {
            return at + 1;
        }
    }
    code.len()
}

fn declared_file(item: &str) -> Option<String> {
    let mut words = item.strip_suffix(';')?.split_whitespace().rev();
    let name = words.next()?;
    (words.next() == Some("mod")).then(|| name.to_owned())
}

/// Returns every path in stripped code with its line, also single words. A `use` tree is
/// expanded; `core` and `alloc` are read as `std`.
pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((_, token)) = tokens.get(at) {
        at = if token.starts_with(is_word) {
            path(&tokens, at, "", &mut found)
        } else {
            at + 1
        };
    }
    found
}

/// Reads the path, or the group of paths, that starts at a token. Returns where it ends.
fn path(
    tokens: &[(usize, &str)],
    start: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", |&(_, token)| token);
    let continues =
        |at: usize| token(at) == "{" || token(at) == "*" || token(at).starts_with(is_word);
    if token(start) == "{" {
        let mut at = start + 1;
        while !["", "}"].contains(&token(at)) {
            at = match token(at) {
                "as" => at + 2,
                _ if continues(at) => path(tokens, at, prefix, found),
                _ => at + 1,
            };
        }
        return at + 1;
    }
    let path_so_far = match (prefix, token(start)) {
        ("", "alloc" | "core") if token(start + 1) == "::" => "std".to_owned(),
        (_, segment) => format!("{prefix}{segment}"),
    };
    if token(start + 1) == "::" && continues(start + 2) {
        return path(tokens, start + 2, &format!("{path_so_far}::"), found);
    }
    found.push((tokens[start].0, path_so_far));
    start + 1
}

/// Returns the words and signs of code, each with its line.
pub(crate) fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(next) = rest.chars().next() {
            let length = match rest.find(|c| !is_word(c)) {
                Some(0) if rest.starts_with("::") => 2,
                Some(0) => next.len_utf8(),
                end => end.unwrap_or(rest.len()),
            };
            let (token, left) = rest.split_at(length);
            found.push((index + 1, token));
            rest = left.trim_start();
        }
    }
    found
}

/// Returns the lines where `needle` begins a word and does not continue a path.
pub(crate) fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let begins = |line: &str| {
        let mut places = line.match_indices(needle);
        places.any(|(at, _)| !line[..at].ends_with(|c| is_word(c) || c == ':'))
    };
    let lines = code.lines().enumerate().filter(|(_, line)| begins(line));
    lines.map(|(index, _)| index + 1).collect()
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{Literals, lines_with, paths, strip, without_tests};

    #[test]
    fn comments_and_literals_leave_only_their_line_breaks() {
        let text = "a /* b\n /* c */ */ d // e\nf(\"g \\\" // h\\\\\", '\\'', '\"', 'é') <'i> \
                    r#\"j\"k\n\"# br\"\\\" r#type; // \"";
        let code = "a \n d \nf(\"\", \"\", \"\", \"\") <'i> \"\n\" \"\" r#type; ";
        assert_eq!(strip(text, Literals::Emptied), code);
    }

    #[test]
    fn literals_stay_where_they_are_asked_for() {
        let text = "a(\"// b\"); // c";
        assert_eq!(strip(text, Literals::Kept), "a(\"// b\"); ");
    }

    #[test]
    fn test_items_are_removed_and_test_files_named() {
        let code = "a;\n#[cfg(test)]\n#[allow(b)]\nmod tests {\n fn c() -> [u8; 2] { d }\n}\n\
                    #[cfg(all(test, not(e)))]\nmod loom;\n#[cfg(not(test))] f;\n#[cfg(any(test, g))] h;";
        let (shipped, test_files) = without_tests(code);
        let kept = "a;\n\n\n\n\n\n\n\n#[cfg(not(test))] f;\n#[cfg(any(test, g))] h;";
        assert_eq!(shipped, kept);
        assert_eq!(test_files, ["loom"]);
    }

    #[test]
    fn a_tree_of_imports_is_expanded() {
        let code = "use core::sync::{\n  atomic::{AtomicU8 as A, Ordering},\n  Arc,\n};\nVec::<u8>::new(a.b);";
        let expected = [
            (2, "std::sync::atomic::AtomicU8"),
            (2, "std::sync::atomic::Ordering"),
            (3, "std::sync::Arc"),
            (5, "Vec"),
            (5, "u8"),
            (5, "new"),
            (5, "a"),
            (5, "b"),
        ];
        let found = paths(code);
        let found: Vec<_> = found
            .iter()
            .map(|(line, path)| (*line, path.as_str()))
            .collect();
        assert_eq!(found[1..], expected, "after the word `use` itself");
    }

    #[test]
    fn a_needle_begins_a_word() {
        assert_eq!(
            lines_with("log::a\nblog::a\ncrate::log::a\n(log::a)", "log::"),
            [1, 4]
        );
    }
}
