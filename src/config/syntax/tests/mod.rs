//! Parses whole texts into trees.
//!
//! Not here: diagnostics for wrong texts (`diagnostics`).

mod diagnostics;
mod files;

use super::*;

/// Prints a tree: `name[word|word]`, `name[word]{ ... }`.
fn shown(nodes: &[SyntaxNode]) -> String {
    let joined = |words: &[ConfigWord]| {
        let texts: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
        texts.join("|")
    };
    let one = |node: &SyntaxNode| match node {
        SyntaxNode::Directive(it) => format!("{}[{}]", it.name.text, joined(&it.words)),
        SyntaxNode::Section(it) => {
            let children = shown(&it.children);
            format!("{}[{}]{{ {children} }}", it.name.text, joined(&it.words))
        }
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Returns the tree of a text without diagnostics.
fn tree(text: &str) -> String {
    let (nodes, _, diagnostics) = read(text, &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    assert_eq!(diagnostics, []);
    shown(&nodes)
}

#[test]
fn words_are_separated_by_blanks_and_tabs() {
    assert_eq!(tree("A b\t c \r\n\n  \t# A\n\tB\n"), "A[b|c] B[]");
    assert_eq!(tree(""), "");
    assert_eq!(tree("\\\n\\\n"), "");
    assert_eq!(tree("\u{feff}A b"), "A[b]");
}

#[test]
fn a_word_may_be_quoted_by_either_quote() {
    assert_eq!(tree("A \"b c\" 'd \" e' \"\""), "A[b c|d \" e|]");
    assert_eq!(tree(r#"A "b \" \\ \' \n c""#), r#"A[b " \ \' \n c]"#);
    assert_eq!(tree(r"A 'b \' c'"), "A[b ' c]");
    assert_eq!(tree("A \"b\"c"), "A[b|c]");
    assert_eq!(tree("A b\"c d"), "A[b\"c|d]");
}

// `substring_conf` in httpd's server/util.c does this with or without quotes.
#[test]
fn two_backslashes_are_one_without_quotes_too() {
    assert_eq!(tree(r"A ^/a\.b\\c$"), r"A[^/a\.b\c$]");
}

#[test]
fn a_hash_is_a_comment_at_the_beginning_of_a_line_only() {
    assert_eq!(tree("A #b c#d \"#\"\n #<E>\n"), "A[#b|c#d|#]");
}

#[test]
fn a_comment_goes_on_behind_a_backslash() {
    assert_eq!(tree("# A \\\nB\nC"), "C[]");
}

#[test]
fn an_expression_in_braces_is_one_word_of_proxyhcexpr() {
    assert_eq!(
        tree("proxyhcexpr ok {%{REQUEST_STATUS} =~ /^[23]/} x"),
        "proxyhcexpr[ok|%{REQUEST_STATUS} =~ /^[23]/|x]"
    );
    assert_eq!(tree("ProxyHCExpr \\\n a {b \\\n c}"), "ProxyHCExpr[a|b  c]");
    assert_eq!(tree("Other {a b}"), "Other[{a|b}]");
}

#[test]
fn sections_nest_and_do_not_mind_case() {
    assert_eq!(
        tree("<VirtualHost *:80 \"a b\">\n A\n <Location />\n  B\n </LOCATION>\n</virtualhost>\nC"),
        "VirtualHost[*:80|a b]{ A[] Location[/]{ B[] } } C[]"
    );
    assert_eq!(tree("<A>\n</A >\n<B >\n</B>"), "A[]{  } B[]{  }");
    assert_eq!(tree("<If \"%{X} > 3\">\n</If>"), "If[%{X} > 3]{  }");
}

#[test]
fn variables_are_filled_in_everywhere() {
    let text = "Define Port 80\nA ${Port} x${PORT}y \"${Port} ${port}\"\n<B *:${Port}>\n</B>\n";
    assert_eq!(tree(text), "A[80|x80y|80 80] B[*:80]{  }");
    assert_eq!(
        tree("Define A x\nDefine B ${A}y\nDefine A z\n${B} ${A}"),
        "xy[z]"
    );
}

// Apache/2.4.71 with `-t -D DUMP_RUN_CFG` shows this and the next two.
#[test]
fn a_value_is_put_in_before_words_are_looked_for() {
    assert_eq!(tree("Define A \"b c\"\nX ${A} \"${A}\""), "X[b|c|b c]");
    assert_eq!(tree("Define A \"b \\\" c\"\nX \"${A}\""), "X[b |c\"]");
    assert_eq!(tree("Define A \"X y\"\n${A} z"), "X[y|z]");
    assert_eq!(tree("Define A <X\n${A} y>\n</X>"), "X[y]{  }");
    assert_eq!(tree("Define A #\n${A} y"), "#[y]");
}

#[test]
fn a_value_is_not_looked_through_again() {
    let text = "Define A $\nX ${A}{A} $ $A {A} $${A} ${map:k} ${A";
    assert_eq!(tree(text), "X[${A}|$|$A|{A}|$$|${map:k}|${A]");
}

#[test]
fn an_empty_value_is_none() {
    let (nodes, _, diagnostics) = read("Define A \"\"\nX ${A}", &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    assert_eq!(shown(&nodes), "X[${A}]");
    assert_eq!(diagnostics[0].message, "the variable `${A}` is not defined");
}

#[test]
fn the_environment_is_not_read() {
    let (nodes, _, diagnostics) = read("A ${PATH}", &ReaderInput::default());
    let diagnostics = diagnostics.into_vec();
    assert_eq!(shown(&nodes), "A[${PATH}]");
    assert!(!diagnostics[0].is_error());
}

#[test]
fn what_is_given_from_outside_is_defined() {
    let input = ReaderInput {
        defines: vec![("A".into(), "1".into())],
        ..ReaderInput::default()
    };
    let (nodes, _, diagnostics) = read("<IfDefine A>\nX ${A}\n</IfDefine>", &input);
    let diagnostics = diagnostics.into_vec();
    assert_eq!(diagnostics, []);
    assert_eq!(shown(&nodes), "X[1]");
}

#[test]
fn a_condition_that_holds_leaves_its_content_where_it_stands() {
    let text =
        "Define A\n<S>\n<IfDefine A>\nB\n<IfDefine !A>\nC\n</IfDefine>\nD\n</IfDefine>\n</S>";
    assert_eq!(tree(text), "S[]{ B[] D[] }");
    assert_eq!(
        tree("Define A\nUnDefine A\n<IfDefine A>\nB\n</IfDefine>"),
        ""
    );
    assert_eq!(tree("Define A 1\n<IfDefine a>\nB\n</IfDefine>"), "");
}

#[test]
fn nothing_is_done_in_what_is_off() {
    let text = "<IfDefine A>\nDefine B\nA \"\n<C \">\nInclude x\n${D}\n</C>\n<IfDefine !A>\nE\n\
                </IfDefine>\n</IfDefine>\n<IfDefine B>\nF\n</IfDefine>";
    assert_eq!(tree(text), "");
}

#[test]
fn modules_are_loaded_if_their_directives_are_known() {
    for module in [
        "mod_proxy_balancer.c",
        "proxy_balancer_module",
        "!prefork.c",
        "rewrite_module",
        "mpm_event_module",
        "lbmethod_byrequests_module",
        "ssl_module",
        "!mpm_worker_module",
    ] {
        let text = format!("<IfModule {module}>\nA\n</IfModule>");
        assert_eq!(tree(&text), "A[]", "{module}");
        let (without, not) = match module.strip_prefix('!') {
            Some(module) => (module, ""),
            None => (module, "!"),
        };
        let text = format!("<IfModule {not}{without}>\nA\n</IfModule>");
        assert_eq!(tree(&text), "", "{module}");
    }
}

#[test]
fn versions_are_compared_by_their_numbers() {
    for (condition, holds) in [
        (">= 2.4", true),
        ("> 2.4.71", false),
        (">= 2.4.71", true),
        ("=> 2.4.71", true),
        ("2.4.71", true),
        ("2.4", false),
        ("= 2.4.71", true),
        ("== 2.4.71", true),
        ("!= 2.4.71", false),
        ("!< 2.4.8", true),
        ("< 2.4.100", true),
        ("<= 2", false),
        ("=< 3", true),
    ] {
        let text = format!("<IfVersion {condition}>\nA\n</IfVersion>");
        assert_eq!(tree(&text), if holds { "A[]" } else { "" }, "{condition}");
    }
}

#[test]
fn the_place_of_a_value_is_that_of_its_variable() {
    let text = "Define A \"bcd ef\"\nX ${A}g \\\n h${A} i";
    let (nodes, sources, _) = read(text, &ReaderInput::default());
    let SyntaxNode::Directive(directive) = &nodes[0] else {
        panic!("{nodes:?}");
    };
    let places = directive.words.iter().map(|word| sources.place(word.span));
    let places: Vec<_> = places.map(|it| (it.line, it.column, it.length)).collect();
    assert_eq!(shown(&nodes), "X[bcd|efg|hbcd|ef|i]");
    assert_eq!(
        places,
        [(2, 3, 4), (2, 3, 5), (3, 2, 5), (3, 3, 4), (3, 8, 1)]
    );
}

#[test]
fn places_are_those_of_the_physical_lines() {
    let text = "A\n\t<B \\\r\n  cé ${d}>\r\n</B>";
    let (nodes, sources, _) = read(text, &ReaderInput::default());
    let SyntaxNode::Section(section) = &nodes[1] else {
        panic!("{nodes:?}");
    };
    let name = sources.place(section.name.span);
    assert_eq!((name.line, name.column, name.length), (2, 3, 1));
    assert_eq!(&*name.text, "\t<B \\");
    let word = sources.place(section.words[1].span);
    assert_eq!((word.line, word.column, word.length), (3, 6, 4));
    assert_eq!(&*word.text, "  cé ${d}>");
    assert_eq!(&*word.file, "configuration");
}
