//! Prints an expression; the text parses as the same expression.

use std::fmt;

use super::pattern::Pattern;
use super::read::Expression;
use super::token::DELIMITERS;
use super::tree::{Comparator, Comparison, ExpressionNode, ExpressionPiece, ExpressionWord};

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl fmt::Display for ExpressionNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, " && ", |part| matches!(part, Self::Any(_))),
            Self::Any(parts) => joined(f, parts, " || ", |_| false),
            Self::Binary(operator, left, right) => write!(f, "{left} {operator} {right}"),
            Self::Compare(comparison, left, right) => write!(f, "{left} {comparison} {right}"),
            Self::Constant(value) => value.fmt(f),
            Self::In(word, list) => {
                write!(f, "{word} in {{ ")?;
                for (at, word) in list.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{word}")?;
                }
                f.write_str(" }")
            }
            Self::Matches {
                value,
                pattern,
                negated,
                ..
            } => {
                let operator = if *negated { "!~" } else { "=~" };
                write!(f, "{value} {operator} {pattern}")
            }
            Self::Not(inner) => match &**inner {
                Self::Constant(_) | Self::Not(_) => write!(f, "!{inner}"),
                _ => write!(f, "!({inner})"),
            },
            Self::Unary(operator, word) => write!(f, "{operator} {word}"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[ExpressionNode],
    by: &str,
    in_parentheses: impl Fn(&ExpressionNode) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(by)?;
        }
        if in_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes(Comparator::Equal) => "==",
            Self::Bytes(Comparator::Greater) => ">",
            Self::Bytes(Comparator::GreaterOrEqual) => ">=",
            Self::Bytes(Comparator::Less) => "<",
            Self::Bytes(Comparator::LessOrEqual) => "<=",
            Self::Bytes(Comparator::NotEqual) => "!=",
            Self::Integers(Comparator::Equal) => "-eq",
            Self::Integers(Comparator::Greater) => "-gt",
            Self::Integers(Comparator::GreaterOrEqual) => "-ge",
            Self::Integers(Comparator::Less) => "-lt",
            Self::Integers(Comparator::LessOrEqual) => "-le",
            Self::Integers(Comparator::NotEqual) => "-ne",
        })
    }
}

impl fmt::Display for ExpressionWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pieces.is_empty() {
            return f.write_str("''");
        }
        for (at, piece) in self.pieces.iter().enumerate() {
            if at > 0 {
                f.write_str(" . ")?;
            }
            match piece {
                ExpressionPiece::Call(name, argument, _) => write!(f, "{name}({argument})")?,
                ExpressionPiece::Group(number) => write!(f, "${number}")?,
                ExpressionPiece::Literal(bytes) => literal(f, bytes)?,
                ExpressionPiece::Variable(name, _) => write!(f, "%{{{name}}}")?,
            }
        }
        Ok(())
    }
}

fn literal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("'")?;
    // A digit after a number would become part of it.
    let mut behind_number = false;
    for &byte in bytes {
        let is_number = !matches!(byte, b'\n' | b'\r' | b'\t' | b' '..=b'~')
            || behind_number && byte.is_ascii_digit();
        behind_number = is_number;
        match byte {
            _ if is_number => write!(f, "\\{byte:03o}")?,
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            // Characters that would otherwise begin something else.
            b'\'' | b'\\' | b'$' | b'%' => write!(f, "\\{}", char::from(byte))?,
            _ => write!(f, "{}", char::from(byte))?,
        }
    }
    f.write_str("'")
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = if self.ignores_case() { "i" } else { "" };
        let mut delimiters = DELIMITERS.chars();
        // The delimiter that was written is one of them.
        let free = delimiters.find(|&it| !self.text().contains(it));
        match free.unwrap_or('/') {
            '/' => write!(f, "/{}/{flag}", self.text()),
            other => write!(f, "m{other}{}{other}{flag}", self.text()),
        }
    }
}
