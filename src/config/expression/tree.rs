//! The syntax tree of an expression: [`ExpressionNode`].
//!
//! Not here: parsing (`parse`), and the public type (`read`).

use std::fmt;

use super::error::TextPosition;
use super::functions;
use super::lookup::ExpressionName;
use super::pattern::Pattern;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ExpressionNode {
    All(Vec<Self>),
    Any(Vec<Self>),
    Binary(Binary, ExpressionWord, ExpressionWord),
    Compare(Comparison, ExpressionWord, ExpressionWord),
    Constant(bool),
    In(ExpressionWord, Vec<ExpressionWord>),
    Matches {
        value: ExpressionWord,
        pattern: Pattern,
        negated: bool,
        at: At,
    },
    Not(Box<Self>),
    Unary(Unary, ExpressionWord),
}

/// A value: a sequence of pieces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct ExpressionWord {
    pub(super) pieces: Vec<ExpressionPiece>,
    pub(super) at: At,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ExpressionPiece {
    Call(String, ExpressionWord, At),
    /// `$1`
    Group(usize),
    Literal(Vec<u8>),
    Variable(String, At),
}

/// A position in the text. All positions are equal, so that equality of trees ignores them.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) TextPosition);

impl Default for At {
    fn default() -> Self {
        Self(TextPosition { line: 1, column: 1 })
    }
}

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for At {}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparator {
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
    Bytes(Comparator),
    Integers(Comparator),
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unary {
    Empty,
    NotEmpty,
    NotFalse,
}

/// Named operators with two operands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Binary {
    InNetwork,
    Like,
    LikeInAnyCase,
}

impl Comparator {
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

impl ExpressionWord {
    pub(super) fn push(&mut self, piece: ExpressionPiece) {
        if let (Some(ExpressionPiece::Literal(before)), ExpressionPiece::Literal(more)) =
            (self.pieces.last_mut(), &piece)
        {
            before.extend_from_slice(more);
            return;
        }
        if !matches!(&piece, ExpressionPiece::Literal(bytes) if bytes.is_empty()) {
            self.pieces.push(piece);
        }
    }

    fn visit(&self, each: &mut impl FnMut(ExpressionName<'_>, At)) {
        for piece in &self.pieces {
            match piece {
                ExpressionPiece::Call(name, argument, at) => {
                    if functions::find(name).is_none() {
                        each(ExpressionName::Function(name), *at);
                    }
                    argument.visit(each);
                }
                ExpressionPiece::Variable(name, at) => each(ExpressionName::Variable(name), *at),
                ExpressionPiece::Group(_) | ExpressionPiece::Literal(_) => {}
            }
        }
    }
}

impl ExpressionNode {
    /// Calls `each` for all names that are looked up, in order.
    pub(super) fn visit(&self, each: &mut impl FnMut(ExpressionName<'_>, At)) {
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

impl fmt::Display for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "-z",
            Self::NotEmpty => "-n",
            Self::NotFalse => "-T",
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
