//! Tables and properties of expressions.

use std::borrow::Cow;

use proptest::prelude::*;

use super::tree::{
    At, Binary, Comparator, Comparison, ExpressionNode, ExpressionPiece, ExpressionWord, Unary,
};
use super::{Expression, ExpressionLookup, ExpressionName};
use crate::config::expression::pattern::Pattern;

struct Request;

impl ExpressionLookup for Request {
    fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match &*name.to_ascii_uppercase() {
            "QUERY_STRING" => Some(Cow::Borrowed(b"q=1&r=two")),
            "NOT_SET" => Some(Cow::Borrowed(b"")),
            _ => None,
        }
    }

    fn function(&self, name: &str, argument: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
        match name {
            "req" if argument.eq_ignore_ascii_case(b"X-Word") => {
                Some(Ok(Cow::Borrowed(b"Hello World")))
            }
            "req" => Some(Ok(Cow::Borrowed(b""))),
            "broken" => Some(Err("it is broken".to_owned())),
            _ => None,
        }
    }
}

fn decided(text: &str) -> Result<bool, String> {
    let expression = Expression::parse(text).map_err(|error| error.to_string())?;
    let printed = expression.to_string();
    let again = Expression::parse(&printed);
    assert_eq!(
        again.as_ref(),
        Ok(&expression),
        "{text} was printed as {printed}"
    );
    let decided = expression.evaluate(&Request);
    decided.map_err(|error| error.to_string())
}

#[test]
fn expressions_hold_as_they_do_in_httpd() {
    let table = include_str!("expressions.txt");
    let rows = table
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'));
    for row in rows {
        let (verdict, text) = row.split_once(' ').unwrap();
        let decided = decided(text.trim_start());
        match verdict {
            "refused" => assert!(decided.is_err(), "{text}"),
            _ => assert_eq!(decided, Ok(verdict == "true"), "{text}"),
        }
    }
}

#[test]
fn what_httpd_refuses_is_refused_at_its_place() {
    for (text, place) in [
        ("", "1:1: the expression ends here"),
        ("('a') == 'a'", "1:5: unexpected token"),
        ("true == true", "1:6: unexpected token"),
        ("'a'", "1:4: the expression ends here"),
        ("%{QUERY_STRING}", "1:16: the expression ends here"),
        ("TRUE", "1:5: the expression ends here: expected `(`"),
        ("'a' EQ 'a'", "1:5: unexpected token"),
        ("'a' =~ /a/x", "1:8: unsupported flags `x`"),
        ("'a' =~ /a/g", "1:8: unsupported flags `g`"),
        ("'a' =~ /[/", "1:8: the regular expression cannot be used: "),
        ("'a' =~ /a", "1:8: the regular expression is not closed"),
        ("'a' =~ 'a'", "1:8: unexpected token: expected a regular"),
        ("'a' in ('a')", "1:8: unexpected token: expected a list"),
        ("'a' in {}", "1:9: unexpected token: expected a value"),
        ("'a' -foo 'b'", "1:5: unknown operator `-foo`"),
        ("-Q 'a'", "1:1: unknown operator `-Q`"),
        ("-f '/etc/passwd'", "1:1: operator `-f` is not supported"),
        ("'a' == 'b", "1:8: `'` is missing"),
        ("'a\nb' == 'b'", "1:1: `'` is missing"),
        ("true &&\n 'a' == %{b", "2:9: `%{` has no `}`"),
        ("'\\400' == ''", "1:2: the number after"),
        ("'\\9' == ''", "1:2: the number after"),
        ("'ä' == ~", "1:8: `~` has no meaning here"),
        ("(true", "1:6: the expression ends here: expected `)`"),
    ] {
        let error = decided(text).unwrap_err();
        assert!(error.starts_with(place), "{text}: {error}");
    }
}

#[test]
fn what_cannot_be_decided_is_an_error_and_never_true() {
    for (text, place) in [
        ("'abc' -eq 0", "1:1: `abc` is not an integer"),
        ("req('X-None') -lt 80", "1:1: `` is not an integer"),
        ("5 -gt %{NOT_SET}", "1:7: `` is not an integer"),
        ("%{NOSUCH} == ''", "1:1: unknown variable `NOSUCH`"),
        ("! -n nosuch('a')", "1:6: unknown function `nosuch`"),
        (
            "broken('a') == ''",
            "1:1: `broken` has no value: it is broken",
        ),
        ("unbase64('?') == ''", "1:1: `unbase64` has no value: "),
        ("unescape('%2') == ''", "1:1: `unescape` has no value: "),
        (
            "'here' -ipmatch '10.0.0.0/8'",
            "1:1: the left side is not an IP",
        ),
        (
            "'10.0.0.1' -ipmatch '10/8'",
            "1:21: the right side is not a",
        ),
        (
            "'10.0.0.1' !~ /x/ && '%{NOSUCH}' != 'x'",
            "1:23: unknown variable",
        ),
    ] {
        let error = decided(text).unwrap_err();
        assert!(error.starts_with(place), "{text}: {error}");
    }
    assert_eq!(decided("true || broken('a') == ''"), Ok(true));
    assert_eq!(decided("false && broken('a') == ''"), Ok(false));
}

#[test]
fn a_search_that_goes_back_without_end_is_given_up() {
    // Without references to groups, a search does not backtrack.
    let text = format!("'{}' =~ /^(a|a|aa)+\\1b$/", "a".repeat(3_000));
    let error = decided(&text).unwrap_err();
    assert!(error.contains("takes too many steps"), "{error}");
}

#[test]
fn the_longer_a_text_the_fewer_steps_back_a_search_may_take() {
    struct Text(usize);
    impl ExpressionLookup for Text {
        fn variable(&self, _: &str) -> Option<Cow<'_, [u8]>> {
            Some(vec![b'z'; self.0].into())
        }
        fn function(&self, _: &str, _: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
            None
        }
    }
    // Each step may look at all that follows, so that their number alone bounds no time.
    let with_look_around = Expression::parse("%{A} =~ /(?=.*END)a/").unwrap();
    let without = Expression::parse("%{A} =~ /END.*a/").unwrap();
    for (length, is_decided) in [
        (0, true),
        (1_000, true),
        (8_000, true),
        (30_000, false),
        (1 << 20, false),
    ] {
        let text = Text(length);
        assert_eq!(without.evaluate(&text), Ok(false), "{length}");
        if length <= 1_000 || !is_decided {
            let decided = with_look_around.evaluate(&text);
            let expected = is_decided.then_some(false);
            assert_eq!(decided.ok(), expected, "{length}");
        }
    }
    let cheap = Expression::parse("%{A} =~ /(?<!a)foo/").unwrap();
    assert_eq!(cheap.evaluate(&Text(8_000)), Ok(false));
    let error = cheap.evaluate(&Text(30_000)).unwrap_err();
    assert!(error.message().contains("takes too many steps"), "{error}");
}

#[test]
fn names_are_looked_up_before_anything_is_decided() {
    let expression = Expression::parse("true || %{a:%{B}} == tolower(c('x'))").unwrap();
    let mut names = Vec::new();
    for known in 0.. {
        let seen = std::cell::Cell::new(0);
        let error = expression.check(|_| {
            seen.set(seen.get() + 1);
            seen.get() <= known
        });
        match error {
            Ok(()) => break,
            Err(error) => names.push(error.to_string()),
        }
    }
    let expected = [
        "1:9: unknown function `a`",
        "1:13: unknown variable `B`",
        "1:30: unknown function `c`",
    ];
    assert_eq!(names, expected);
    assert!(expression.calls("A") && !expression.calls("b"));
    let variables = |name: ExpressionName<'_>| matches!(name, ExpressionName::Variable(_));
    assert!(expression.check(variables).is_err());
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |count: usize| format!("{}true{}", "(".repeat(count), ")".repeat(count));
    assert_eq!(decided(&deep(40)), Ok(true));
    assert!(decided(&deep(60)).unwrap_err().contains("too deeply"));
    assert!(decided(&format!("{}true", "!".repeat(5_000))).is_err());
    assert!(
        decided(&"%{a:".repeat(4_000))
            .unwrap_err()
            .contains("too deeply")
    );
    assert!(decided(&format!("'' == {}", "base64(".repeat(2_000))).is_err());
    let long = format!("true{}", " && true".repeat(2_000));
    assert_eq!(decided(&long), Ok(true));
    assert!(
        decided(&" ".repeat(20_000))
            .unwrap_err()
            .contains("16384 bytes")
    );
}

#[test]
fn values_do_not_grow_without_end() {
    struct Large;
    impl ExpressionLookup for Large {
        fn variable(&self, _: &str) -> Option<Cow<'_, [u8]>> {
            Some(vec![b'x'; 600_000].into())
        }
        fn function(&self, _: &str, _: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
            None
        }
    }
    let expression = Expression::parse("-n '%{A}%{A}'").unwrap();
    let error = expression.evaluate(&Large).unwrap_err();
    assert_eq!(error.message(), "the value is longer than 1048576 bytes");
}

fn piece() -> impl Strategy<Value = ExpressionPiece> {
    let name = "[a-zA-Z][a-zA-Z0-9_]{0,5}";
    let leaf = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..6).prop_map(ExpressionPiece::Literal),
        (0_usize..10).prop_map(ExpressionPiece::Group),
        name.prop_map(|name| ExpressionPiece::Variable(name, At::default())),
    ];
    leaf.prop_recursive(3, 8, 3, move |inner| {
        // A word without quotes that is an operator is not a name.
        let name = "fn_[a-z]{0,4}";
        (name, prop::collection::vec(inner, 0..3))
            .prop_map(|(name, pieces)| ExpressionPiece::Call(name, word_of(pieces), At::default()))
    })
}

fn word_of(pieces: Vec<ExpressionPiece>) -> ExpressionWord {
    let mut word = ExpressionWord::default();
    pieces.into_iter().for_each(|piece| word.push(piece));
    word
}

fn word() -> impl Strategy<Value = ExpressionWord> {
    prop::collection::vec(piece(), 0..4).prop_map(word_of)
}

fn condition() -> impl Strategy<Value = ExpressionNode> {
    let order = prop_oneof![
        Just(Comparator::Equal),
        Just(Comparator::Greater),
        Just(Comparator::GreaterOrEqual),
        Just(Comparator::Less),
        Just(Comparator::LessOrEqual),
        Just(Comparator::NotEqual),
    ];
    let comparison = (order, any::<bool>()).prop_map(|(order, bytes)| match bytes {
        true => Comparison::Bytes(order),
        false => Comparison::Integers(order),
    });
    let unary = prop_oneof![
        Just(Unary::Empty),
        Just(Unary::NotEmpty),
        Just(Unary::NotFalse)
    ];
    let binary = prop_oneof![
        Just(Binary::InNetwork),
        Just(Binary::Like),
        Just(Binary::LikeInAnyCase),
    ];
    let matches = ("[a-z#/,.]{0,4}", any::<bool>(), word(), any::<bool>());
    let matches =
        matches.prop_map(
            |(text, ignores_case, value, negated)| ExpressionNode::Matches {
                value,
                pattern: Pattern::new(&text, ignores_case).unwrap(),
                negated,
                at: At::default(),
            },
        );
    let leaf = prop_oneof![
        any::<bool>().prop_map(ExpressionNode::Constant),
        (comparison, word(), word()).prop_map(|(it, l, r)| ExpressionNode::Compare(it, l, r)),
        (unary, word()).prop_map(|(it, word)| ExpressionNode::Unary(it, word)),
        (binary, word(), word()).prop_map(|(it, l, r)| ExpressionNode::Binary(it, l, r)),
        (word(), prop::collection::vec(word(), 1..4)).prop_map(|(it, l)| ExpressionNode::In(it, l)),
        matches,
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|it| ExpressionNode::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| {
                let parts = parts.into_iter().flat_map(|part| match part {
                    ExpressionNode::All(parts) => parts,
                    part => vec![part],
                });
                ExpressionNode::All(parts.collect())
            }),
            prop::collection::vec(inner, 2..4).prop_map(|parts| {
                let parts = parts.into_iter().flat_map(|part| match part {
                    ExpressionNode::Any(parts) => parts,
                    part => vec![part],
                });
                ExpressionNode::Any(parts.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(condition in condition()) {
        let expression = Expression { condition };
        let printed = expression.to_string();
        let again = Expression::parse(&printed);
        prop_assert_eq!(again.as_ref(), Ok(&expression), "{}", printed);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.evaluate(&Request);
        }
    }

    #[test]
    fn no_row_of_tokens_makes_the_reader_panic(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "%{", "}", "A", ":", "'", "\"", "$1", "\\", "\\1", "m#", "#", "/", "=~", "!~", "==",
                "-eq", "in", "{", ",", "(", ")", "!", "&&", "||", ".", "-n", "-ipmatch", "7", "-",
                "true", "fn(", "(a", ")*", "é", "\n",
            ]),
            0..24,
        ),
    ) {
        let text = tokens.concat();
        if let Ok(expression) = Expression::parse(&text) {
            let printed = expression.to_string();
            let again = Expression::parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&expression));
            let _ = expression.evaluate(&Request);
        }
    }
}
