//! What an expression is when it has been read: [`Expression`].

use std::fmt;
use std::str::FromStr;

use super::error::{ExpressionError, Position};
use super::lookup::ExpressionName;
use super::pattern::Pattern;
use super::{functions, parse};

/// An expression of httpd (`ap_expr`), such as
/// `%{REQUEST_STATUS} =~ /^[23]/ && !(hc('body') =~ /Under maintenance/)`.
///
/// | written | true if |
/// |---|---|
/// | `true`, `false`, `( .. )` | |
/// | `! a`, `not a`; `a && b`, `a and b`; `a \|\| b`, `a or b` | `!` binds most, `\|\|` least |
/// | `x == y`, `=`, `!=`, `<`, `<=`, `>`, `>=` | so by bytes |
/// | `x -eq y`, `-ne`, `-lt`, `-le`, `-gt`, `-ge`, also without the `-` | so as integers |
/// | `x =~ /regex/`, `x =~ m#regex#i`, `x !~ ..` | it matches, or does not; `$0` to `$9` are its groups |
/// | `x in { y, z }`, `-in` | it is one of them |
/// | `-n x`, `-z x`, `-T x` | not empty; empty; neither of empty, `0`, `off`, `false` and `no` |
/// | `x -ipmatch y`, `-strmatch`, `-strcmatch` | an address in a network; wildcards `*` and `?`; these without regard to case |
///
/// Values are `'text'` and `"text"`, with `%{VARIABLE}`, `%{function:argument}`, `$1` and
/// backslashes in them, numbers, `%{VARIABLE}`, `function(value)`, and `value . value` for both one
/// after the other.
///
/// One has 16 KiB and 50 levels of parentheses at most, and values have 1 MiB. Regular
/// expressions are those of the crate `fancy_regex`, and a search that goes back too often ends in
/// an error.
///
/// # Examples
///
/// ```
/// use equipoise::config::Expression;
///
/// let expression: Expression = "'b' -in { 'a', 'b' }  and not false".parse()?;
/// assert_eq!(expression.to_string(), "'b' in { 'a', 'b' } && !false");
/// # Ok::<(), equipoise::config::ExpressionError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expression {
    pub(super) condition: Condition,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Binary(Binary, Word, Word),
    Compare(Comparison, Word, Word),
    Constant(bool),
    In(Word, Vec<Word>),
    Matches {
        value: Word,
        pattern: Pattern,
        negated: bool,
        at: At,
    },
    Not(Box<Self>),
    Unary(Unary, Word),
}

/// A value: its pieces one after the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) pieces: Vec<Piece>,
    pub(super) at: At,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Call(String, Word, At),
    /// `$1`
    Group(usize),
    Literal(Vec<u8>),
    Variable(String, At),
}

/// Where something was written; two that are written elsewhere are the same all the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) Position);

impl Default for At {
    fn default() -> Self {
        Self(Position { line: 1, column: 1 })
    }
}

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for At {}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    Bytes(Order),
    Integers(Order),
}

/// Operators with one value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unary {
    IsEmpty,
    IsNotEmpty,
    IsTrue,
}

/// Operators by name with two values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Binary {
    InNetwork,
    Like,
    LikeInAnyCase,
}

impl Order {
    pub(super) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}

impl Word {
    pub(super) fn push(&mut self, piece: Piece) {
        if let (Some(Piece::Literal(before)), Piece::Literal(more)) =
            (self.pieces.last_mut(), &piece)
        {
            before.extend_from_slice(more);
            return;
        }
        if !matches!(&piece, Piece::Literal(bytes) if bytes.is_empty()) {
            self.pieces.push(piece);
        }
    }

    fn visit(&self, each: &mut impl FnMut(ExpressionName<'_>, At)) {
        for piece in &self.pieces {
            match piece {
                Piece::Call(name, argument, at) => {
                    if functions::find(name).is_none() {
                        each(ExpressionName::Function(name), *at);
                    }
                    argument.visit(each);
                }
                Piece::Variable(name, at) => each(ExpressionName::Variable(name), *at),
                Piece::Group(_) | Piece::Literal(_) => {}
            }
        }
    }
}

impl Condition {
    fn visit(&self, each: &mut impl FnMut(ExpressionName<'_>, At)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|it| it.visit(each)),
            Self::Binary(_, left, right) | Self::Compare(_, left, right) => {
                left.visit(each);
                right.visit(each);
            }
            Self::Constant(_) => {}
            Self::In(word, list) => {
                word.visit(each);
                list.iter().for_each(|it| it.visit(each));
            }
            Self::Matches { value, .. } | Self::Unary(_, value) => value.visit(each),
            Self::Not(inner) => inner.visit(each),
        }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// If it is none. Names are not looked at: [`check`](Self::check) does that.
    ///
    /// # Examples
    ///
    /// See [`Expression`].
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::expression(text)
    }

    /// Looks whether all names in it are known.
    ///
    /// # Errors
    ///
    /// The first name that is not, with its place.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{Expression, ExpressionName};
    ///
    /// let expression = Expression::parse("resp('X-Load') -lt 80 && %{NOSUCH} == ''")?;
    /// let knows = |name: ExpressionName<'_>| name == ExpressionName::Function("resp");
    /// let error = expression.check(knows).unwrap_err();
    /// assert_eq!(error.to_string(), "1:27: there is no variable `NOSUCH`");
    /// # Ok::<(), equipoise::config::ExpressionError>(())
    /// ```
    pub fn check(&self, knows: impl Fn(ExpressionName<'_>) -> bool) -> Result<(), ExpressionError> {
        let mut first = None;
        self.condition.visit(&mut |name, at| {
            if first.is_none() && !knows(name) {
                let message = match name {
                    ExpressionName::Function(name) => format!("there is no function `{name}`"),
                    ExpressionName::Variable(name) => format!("there is no variable `{name}`"),
                };
                first = Some(ExpressionError::new(at.0, message));
            }
        });
        first.map_or(Ok(()), Err)
    }

    /// Tells whether a function of this name is called in it.
    pub(in crate::config) fn calls(&self, function: &str) -> bool {
        let mut calls = false;
        self.condition.visit(&mut |name, _| {
            calls |= matches!(name, ExpressionName::Function(it) if it.eq_ignore_ascii_case(function));
        });
        calls
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        Self::parse(text)
    }
}

impl fmt::Display for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IsEmpty => "-z",
            Self::IsNotEmpty => "-n",
            Self::IsTrue => "-T",
        })
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InNetwork => "-ipmatch",
            Self::Like => "-strmatch",
            Self::LikeInAnyCase => "-strcmatch",
        })
    }
}
