//! The exact diagnostics for texts that cannot be parsed.

use super::*;

/// Returns all diagnostics for a text.
fn diagnostics_of(text: &str) -> String {
    let (_, _, diagnostics) = read(text, &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn of_an_open_quote() {
    assert_eq!(
        diagnostics_of("A b \"c d\nB\n"),
        "\
error: the quote `\"` is not closed
 --> configuration:1:5
  |
1 | A b \"c d
  |     ^^^^
  = help: write `\"` at the end of the word
"
    );
}

#[test]
fn of_an_open_brace() {
    assert_eq!(
        diagnostics_of("ProxyHCExpr a {b {c}"),
        "\
error: the brace `{` is not closed
 --> configuration:1:15
  |
1 | ProxyHCExpr a {b {c}
  |               ^^^^^^
  = help: write `}` at the end of the word
"
    );
}

#[test]
fn of_a_directive_without_a_name() {
    assert_eq!(
        diagnostics_of("\"\" b\n"),
        "\
error: the directive has an empty name
 --> configuration:1:1
  |
1 | \"\" b
  | ^^
"
    );
}

#[test]
fn of_a_section_without_its_bracket() {
    assert_eq!(
        diagnostics_of("<Location /a\n</Location\n"),
        "\
error: `<Location` has no `>`
 --> configuration:1:1
  |
1 | <Location /a
  | ^^^^^^^^^^^^
  = help: write `<Location /a>`
error: `</Location` has no `>`
 --> configuration:2:1
  |
2 | </Location
  | ^^^^^^^^^^
  = help: write `</Location>`
"
    );
}

#[test]
fn of_a_section_without_a_name() {
    assert_eq!(
        diagnostics_of("< Location /a>\n</>\n"),
        "\
error: the section has no name
 --> configuration:1:1
  |
1 | < Location /a>
  | ^^^^^^^^^^^^^^
  = help: write its name directly after the `<`
"
    );
}

#[test]
fn of_words_behind_a_section() {
    assert_eq!(
        diagnostics_of("<Location /a> # all\n</Location>"),
        "\
note: text after `>` is not read
 --> configuration:1:15
  |
1 | <Location /a> # all
  |               ^^^^^
  = help: put the comment on its own line
"
    );
}

#[test]
fn of_a_section_that_is_never_closed() {
    assert_eq!(
        diagnostics_of("<VirtualHost *:80>\nA\n"),
        "\
error: `<VirtualHost>` is never closed
 --> configuration:1:2
  |
1 | <VirtualHost *:80>
  |  ^^^^^^^^^^^
  = help: write `</VirtualHost>` where it ends
"
    );
}

#[test]
fn of_an_end_that_closes_nothing() {
    assert_eq!(
        diagnostics_of("A\n</VirtualHost>\n"),
        "\
error: `</VirtualHost>` does not close a section
 --> configuration:2:1
  |
2 | </VirtualHost>
  | ^^^^^^^^^^^^^^
  = help: no open `<VirtualHost>` precedes it
"
    );
}

#[test]
fn of_an_end_of_another_section() {
    assert_eq!(
        diagnostics_of("A\n<Proxy x>\n</Location>\n</Proxy>"),
        "\
error: `</Location>` does not close a section
 --> configuration:3:1
  |
3 | </Location>
  | ^^^^^^^^^^^
  = help: close `<Proxy>` of line 2 first, with `</Proxy>`
"
    );
}

#[test]
fn of_ends_in_the_wrong_order() {
    assert_eq!(
        diagnostics_of("<VirtualHost *:80>\n<Proxy x>\n</VirtualHost>"),
        "\
error: `</VirtualHost>` comes before `</Proxy>`
 --> configuration:3:1
  |
3 | </VirtualHost>
  | ^^^^^^^^^^^^^^
  = help: `<Proxy>` was opened in line 2 and is still open
"
    );
}

#[test]
fn of_sections_that_are_wrong_where_nothing_is_read() {
    assert_eq!(
        diagnostics_of("<IfDefine A>\n<B>\n</C>\n</IfDefine>"),
        "\
error: `</C>` does not close a section
 --> configuration:3:1
  |
3 | </C>
  | ^^^^
  = help: close `<B>` of line 2 first, with `</B>`
error: `</IfDefine>` comes before `</B>`
 --> configuration:4:1
  |
4 | </IfDefine>
  | ^^^^^^^^^^^
  = help: `<B>` was opened in line 2 and is still open
"
    );
}

#[test]
fn of_undefined_variables() {
    assert_eq!(
        diagnostics_of("Define PORT 80\nListen *:${PROT}\nA ${HOME}\n"),
        "\
warning: the variable `${PROT}` is not defined
 --> configuration:2:10
  |
2 | Listen *:${PROT}
  |          ^^^^^^^
  = help: did you mean `${PORT}`?
warning: the variable `${HOME}` is not defined
 --> configuration:3:3
  |
3 | A ${HOME}
  |   ^^^^^^^
  = help: write `Define HOME value` before this line, or pass it with `Reader::define`
"
    );
}

#[test]
fn of_what_define_does_not_take() {
    assert_eq!(
        diagnostics_of("Define\nDefine A b c\nDefine A:b\nUnDefine\n"),
        "\
error: `Define` takes a name and at most one value: quote a value that contains blanks
 --> configuration:1:1
  |
1 | Define
  | ^^^^^^
error: `Define` takes a name and at most one value: quote a value that contains blanks
 --> configuration:2:12
  |
2 | Define A b c
  |            ^
error: the name of a variable must not contain `:`
 --> configuration:3:8
  |
3 | Define A:b
  |        ^^^
error: `UnDefine` takes one name
 --> configuration:4:1
  |
4 | UnDefine
  | ^^^^^^^^
"
    );
}

#[test]
fn of_conditions_that_cannot_be_told() {
    assert_eq!(
        diagnostics_of(
            "<IfModule>\n</IfModule>\n<IfDefine a b>\n</IfDefine>\n<IfVersion>\n</IfVersion>"
        ),
        "\
error: `IfModule` takes one name, or `!` and a name
 --> configuration:1:2
  |
1 | <IfModule>
  |  ^^^^^^^^
error: `IfDefine` takes one name, or `!` and a name
 --> configuration:3:13
  |
3 | <IfDefine a b>
  |             ^
error: `IfVersion` takes an operator and a version
 --> configuration:5:2
  |
5 | <IfVersion>
  |  ^^^^^^^^^
"
    );
    assert_eq!(
        diagnostics_of("<IfVersion ~ 2.4>\n</IfVersion>\n<IfVersion = /2.4/>\n</IfVersion>"),
        "\
error: `~` is not a comparison of versions
 --> configuration:1:12
  |
1 | <IfVersion ~ 2.4>
  |            ^
  = help: write `=`, `==`, `>`, `>=`, `<` or `<=`, or one of them after `!` to negate it
error: `/2.4/` is not a version
 --> configuration:3:14
  |
3 | <IfVersion = /2.4/>
  |              ^^^^^
  = help: write numbers, as in `2.4.71`; regular expressions are not supported
"
    );
}

#[test]
fn of_a_comment_behind_a_directive() {
    assert_eq!(
        diagnostics_of("Listen 80 # all\nA b \\ \nC\n"),
        "\
note: a `#` after a directive does not begin a comment
 --> configuration:1:11
  |
1 | Listen 80 # all
  |           ^
  = help: put a comment on its own line, and a word with `#` in quotes
note: blanks follow this backslash, so the next line is a separate one
 --> configuration:2:5
  |
2 | A b \\\n  |     ^
  = help: remove the blanks to join the lines
"
    );
}

#[test]
fn of_a_nul_character() {
    assert_eq!(
        diagnostics_of("A\nB\0C\n"),
        "\
error: this line contains a NUL character
 --> configuration:2:2
  |
2 | B C
  |  ^
  = help: check that the file is a text file
"
    );
}

#[test]
fn of_an_include_without_a_base() {
    assert_eq!(
        diagnostics_of("Include a.conf\n"),
        "\
error: `Include` needs a base directory
 --> configuration:1:9
  |
1 | Include a.conf
  |         ^^^^^^
  = help: set one with `Reader::base`, or read the file with `Reader::parse_file`
"
    );
    assert_eq!(
        diagnostics_of("Include\n"),
        "\
error: `Include` takes one path: quote a path that contains blanks
 --> configuration:1:1
  |
1 | Include
  | ^^^^^^^
"
    );
}

#[test]
fn of_too_many_sections() {
    let reported = diagnostics_of(&"<A>\n".repeat(100_000));
    assert_eq!(
        reported,
        "\
error: sections are nested more than 64 deep
  --> configuration:65:2
   |
65 | <A>
   |  ^
   = help: the rest is not read
"
    );
}

#[test]
fn of_values_that_grow_without_end() {
    let mut text = String::from("Define A0 0123456789\n");
    for n in 1..40 {
        text += &format!("Define A{n} ${{A{}}}${{A{}}}\n", n - 1, n - 1);
    }
    assert_eq!(
        diagnostics_of(&text),
        "\
error: included files and values of variables exceed 16 MiB in total
  --> configuration:21:18
   |
21 | Define A20 ${A19}${A19}
   |                  ^^^^^^
   = help: the rest is not read
"
    );
}

#[test]
fn no_more_than_two_hundred_errors_and_warnings_are_told() {
    let (_, _, diagnostics) = read(&"</A>\n".repeat(300), &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    assert_eq!(diagnostics.len(), 201);
    assert_eq!(
        diagnostics[200].to_string(),
        "\
note: reading stopped after 200 errors
"
    );
    let text = format!("A {}\n</B>\n", "${C} ".repeat(300));
    let (_, _, diagnostics) = read(&text, &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    assert_eq!(diagnostics.len(), 202);
    assert_eq!(
        diagnostics[200].to_string(),
        "\
note: only the first 200 warnings are shown
"
    );
    assert!(diagnostics[201].is_error());
}

#[test]
fn of_what_is_not_utf_8() {
    let (nodes, _, diagnostics) = read_bytes(b"A\nB \xff c\n", &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    assert_eq!(shown(&nodes), "A[] B[\u{fffd}|c]");
    assert_eq!(
        diagnostics[0].to_string(),
        "\
error: the file is not UTF-8
 --> configuration:2:3
  |
2 | B � c
  |   ^
  = help: save the file as UTF-8, or use only ASCII characters
"
    );
}
