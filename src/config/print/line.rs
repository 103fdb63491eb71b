//! Prints lines of directives, with quotes where they are needed.

/// The printed lines, with nested sections.
#[derive(Debug, Default)]
pub(super) struct PrintedLines {
    text: String,
    depth: usize,
}

impl PrintedLines {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Prints `Name word word`.
    pub(super) fn put(&mut self, name: &str, words: &[impl AsRef<str>]) {
        let mut line = name.to_owned();
        for word in words {
            line.push(' ');
            line.push_str(&quoted(word.as_ref()));
        }
        self.raw(&line);
    }

    pub(super) fn maybe(&mut self, name: &str, word: Option<&str>) {
        if let Some(word) = word {
            self.put(name, &[word]);
        }
    }

    /// Prints a line that needs no quotes.
    pub(super) fn raw(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Prints `<Name word word>`.
    pub(super) fn open(&mut self, name: &str, words: &[impl AsRef<str>]) {
        let mut line = format!("<{name}");
        for word in words {
            line.push(' ');
            line.push_str(&quoted(word.as_ref()));
        }
        line.push('>');
        self.raw(&line);
        self.depth += 1;
    }

    pub(super) fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.raw(&format!("</{name}>"));
    }
}

/// Quotes a word if it could not be read back otherwise.
fn quoted(word: &str) -> String {
    let special = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '>');
    let needs =
        word.is_empty() || word.starts_with('{') || word.contains(special) || word.ends_with('\\');
    let mut text = String::new();
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek();
        // A backslash is literal unless another backslash or the quote follows.
        let escaped = match letter {
            '"' => needs,
            '\\' => matches!(next, None | Some('\\' | '"' | '\'')),
            _ => false,
        };
        if escaped {
            text.push('\\');
        }
        text.push(letter);
    }
    if needs { format!("\"{text}\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_is_quoted_if_it_has_to_be() {
        for (word, expected) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("say \"a\"", "\"say \\\"a\\\"\""),
            (r"^/v\d+/(.*)$", r"^/v\d+/(.*)$"),
            (r"a\\b", r"a\\\b"),
            ("end\\", "\"end\\\\\""),
        ] {
            assert_eq!(quoted(word), expected, "{word}");
        }
    }
}
