//! Text from a file, as it may be shown: [`printable`].

/// Writes control characters, and others that a terminal does not show as they are, as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => out.push(letter),
            // These change the order of the text around them.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(letter.escape_unicode());
            }
            _ => out.extend(letter.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn only_what_can_be_read_is_shown_as_it_is() {
        for (text, expected) in [
            (r#"::1 - "GET /é" \x16"#, r#"::1 - "GET /é" \x16"#),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("a\tb\u{7f}\u{9b}0m", r"a\tb\u{7f}\u{9b}0m"),
            ("\u{202e}evil", r"\u{202e}evil"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
