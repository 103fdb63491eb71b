//! Evaluates an expression: [`Expression::evaluate`].

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use super::error::ExpressionError;
use super::functions;
use super::lookup::ExpressionLookup;
use super::pattern::Groups;
use super::read::Expression;
use super::tree::{At, Binary, Comparison, ExpressionNode, ExpressionPiece, ExpressionWord, Unary};

/// The longest value, in bytes.
const LONGEST: usize = 1 << 20;

impl Expression {
    /// Returns whether the expression is true. `&&` and `||` skip their right side where it
    /// does not matter.
    ///
    /// # Errors
    ///
    /// If the result is undefined: an unknown name, an integer that is not valid, a
    /// function without a value, or a regular expression that takes too long.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{Expression, ExpressionLookup};
    /// use std::borrow::Cow;
    ///
    /// struct Answer {
    ///     status: u16,
    ///     body: &'static [u8],
    /// }
    ///
    /// impl ExpressionLookup for Answer {
    ///     fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>> {
    ///         let status = self.status.to_string().into_bytes();
    ///         (name == "REQUEST_STATUS").then_some(status.into())
    ///     }
    ///
    ///     fn function(&self, name: &str, _: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
    ///         (name == "hc").then_some(Ok(self.body.into()))
    ///     }
    /// }
    ///
    /// let well = Expression::parse("%{REQUEST_STATUS} -lt 400 && hc('body') =~ /ready/i")?;
    /// assert!(well.evaluate(&Answer { status: 200, body: b"Ready." })?);
    /// assert!(!well.evaluate(&Answer { status: 503, body: b"Ready." })?);
    /// assert!(Expression::parse("'ten' -gt 9")?.evaluate(&Answer { status: 200, body: b"" }).is_err());
    /// # Ok::<(), equipoise::config::ExpressionError>(())
    /// ```
    pub fn evaluate(&self, lookup: &dyn ExpressionLookup) -> Result<bool, ExpressionError> {
        let mut evaluation = Evaluation {
            lookup,
            groups: Groups::new(),
        };
        evaluation.holds(&self.condition)
    }
}

struct Evaluation<'l> {
    lookup: &'l dyn ExpressionLookup,
    /// The groups of the last match that had groups.
    groups: Groups,
}

impl<'l> Evaluation<'l> {
    fn holds(&mut self, condition: &ExpressionNode) -> Result<bool, ExpressionError> {
        Ok(match condition {
            ExpressionNode::All(parts) => {
                for part in parts {
                    if !self.holds(part)? {
                        return Ok(false);
                    }
                }
                true
            }
            ExpressionNode::Any(parts) => {
                for part in parts {
                    if self.holds(part)? {
                        return Ok(true);
                    }
                }
                false
            }
            ExpressionNode::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            ExpressionNode::Compare(Comparison::Bytes(order), left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                order.holds(left.cmp(&right))
            }
            ExpressionNode::Compare(Comparison::Integers(order), left, right) => {
                let (left, right) = (self.integer(left)?, self.integer(right)?);
                order.holds(left.cmp(&right))
            }
            ExpressionNode::Constant(value) => *value,
            ExpressionNode::In(word, list) => {
                let word = self.value(word)?.into_owned();
                for other in list {
                    if word == *self.value(other)? {
                        return Ok(true);
                    }
                }
                false
            }
            ExpressionNode::Matches {
                value,
                pattern,
                negated,
                at,
            } => {
                let value = self.value(value)?;
                let found = pattern.search(&value).map_err(|why| wrong(*at, why))?;
                let matches = found.is_some();
                if let Some(groups) = found.filter(|groups| !groups.is_empty()) {
                    self.groups = groups;
                }
                matches != *negated
            }
            ExpressionNode::Not(inner) => !self.holds(inner)?,
            ExpressionNode::Unary(operator, word) => {
                let value = self.value(word)?;
                match operator {
                    Unary::Empty => value.is_empty(),
                    Unary::NotEmpty => !value.is_empty(),
                    Unary::NotFalse => {
                        let value = value.to_ascii_lowercase();
                        !matches!(&value[..], b"" | b"0" | b"off" | b"false" | b"no")
                    }
                }
            }
        })
    }

    fn binary(
        &self,
        operator: Binary,
        left: &ExpressionWord,
        right: &ExpressionWord,
    ) -> Result<bool, ExpressionError> {
        let (value, against) = (self.value(left)?, self.value(right)?);
        Ok(match operator {
            Binary::InNetwork => {
                let text = String::from_utf8_lossy(&value);
                let ip = text.parse::<IpAddr>();
                let ip = ip.map_err(|_| wrong(left.at, "the left side is not an IP address"))?;
                let text = String::from_utf8_lossy(&against);
                let network = text.parse::<IpNet>().ok();
                let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
                let network =
                    network.ok_or_else(|| wrong(right.at, "the right side is not a network"))?;
                network.contains(&ip.to_canonical())
            }
            Binary::Like => is_like(&value, &against),
            Binary::LikeInAnyCase => {
                is_like(&value.to_ascii_lowercase(), &against.to_ascii_lowercase())
            }
        })
    }

    fn integer(&self, word: &ExpressionWord) -> Result<i128, ExpressionError> {
        let value = self.value(word)?;
        let text = std::str::from_utf8(&value).ok();
        // httpd reads an invalid number as 0, so that a missing header is below any limit.
        let number = text.and_then(|text| text.trim_ascii().parse::<i128>().ok());
        number.ok_or_else(|| {
            let shown: String = String::from_utf8_lossy(&value).chars().take(40).collect();
            wrong(
                word.at,
                format!("`{}` is not an integer", shown.escape_debug()),
            )
        })
    }

    fn value<'w>(&self, word: &'w ExpressionWord) -> Result<Cow<'w, [u8]>, ExpressionError>
    where
        'l: 'w,
    {
        let mut value = Cow::Borrowed(&[][..]);
        for piece in &word.pieces {
            let more = self.piece(piece)?;
            if value.len().saturating_add(more.len()) > LONGEST {
                return Err(wrong(
                    word.at,
                    format!("the value is longer than {LONGEST} bytes"),
                ));
            }
            if value.is_empty() {
                value = more;
            } else {
                value.to_mut().extend_from_slice(&more);
            }
        }
        Ok(value)
    }

    fn piece<'w>(&self, piece: &'w ExpressionPiece) -> Result<Cow<'w, [u8]>, ExpressionError>
    where
        'l: 'w,
    {
        Ok(match piece {
            ExpressionPiece::Call(name, argument, at) => {
                let argument = self.value(argument)?;
                let found = match functions::find(name) {
                    Some(function) => Some(function(&argument).map(Cow::Owned)),
                    None => self.lookup.function(name, &argument),
                };
                let found =
                    found.ok_or_else(|| wrong(*at, format!("unknown function `{name}`")))?;
                found.map_err(|why| wrong(*at, format!("`{name}` has no value: {why}")))?
            }
            ExpressionPiece::Group(number) => {
                let group = self.groups.get(*number).cloned().flatten();
                Cow::Owned(group.unwrap_or_default())
            }
            ExpressionPiece::Literal(bytes) => Cow::Borrowed(bytes),
            ExpressionPiece::Variable(name, at) => {
                let found = self.lookup.variable(name);
                found.ok_or_else(|| wrong(*at, format!("unknown variable `{name}`")))?
            }
        })
    }
}

fn wrong(at: At, message: impl Into<String>) -> ExpressionError {
    ExpressionError::new(at.0, message)
}

/// Returns whether a text matches a pattern with `*` and `?`. The time grows with the
/// product of their lengths at most.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut expected) = (0, 0);
    // The position of the last star, and the position where the text after it was last
    // tried.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(expected) {
            Some(b'*') => {
                star = Some((expected, at));
                expected += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[at] => {
                at += 1;
                expected += 1;
            }
            _ => {
                let Some((before, tried)) = star else {
                    return false;
                };
                star = Some((before, tried + 1));
                at = tried + 1;
                expected = before + 1;
            }
        }
    }
    pattern[expected..].iter().all(|&it| it == b'*')
}
