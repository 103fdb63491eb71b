//! The public type of an expression: [`Expression`].
//!
//! Not here: parsing (`parse`), printing (`print`) and evaluating (`evaluate`).

use std::str::FromStr;

use super::error::ExpressionError;
use super::lookup::ExpressionName;
use super::parse;
use super::tree::ExpressionNode;

/// An expression of httpd (`ap_expr`), such as
/// `%{REQUEST_STATUS} =~ /^[23]/ && !(hc('body') =~ /Under maintenance/)`.
///
/// | written | true if |
/// |---|---|
/// | `true`, `false`, `( .. )` | |
/// | `! a`, `not a`; `a && b`, `a and b`; `a \|\| b`, `a or b` | `!` binds tightest, `\|\|` loosest |
/// | `x == y`, `=`, `!=`, `<`, `<=`, `>`, `>=` | compared by bytes |
/// | `x -eq y`, `-ne`, `-lt`, `-le`, `-gt`, `-ge`, also without the `-` | compared as integers |
/// | `x =~ /regex/`, `x =~ m#regex#i`, `x !~ ..` | it matches, or does not match; `$0` to `$9` are the groups |
/// | `x in { y, z }`, `-in` | `x` is one of the values |
/// | `-n x`, `-z x`, `-T x` | not empty; empty; neither of empty, `0`, `off`, `false` and `no` |
/// | `x -ipmatch y`, `-strmatch`, `-strcmatch` | an address in a network; wildcards `*` and `?`; these without regard to case |
///
/// Values are `'text'` and `"text"`, which may contain `%{VARIABLE}`,
/// `%{function:argument}`, `$1` and backslash escapes; also numbers, `%{VARIABLE}`,
/// `function(value)`, and `value . value` to join two values.
///
/// An expression has at most 16 KiB and 50 levels of parentheses, and a value at most 1
/// MiB. Regular expressions are those of the crate `fancy_regex`. A search that backtracks
/// too often is an error; expressions without look-around and references to groups never
/// do. The longer a text is, the lower the limit: 50 000 steps up to 2684 bytes, 16 384 up
/// to 8 KiB, 2048 up to 64 KiB, and 128 beyond.
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
    pub(super) condition: ExpressionNode,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// If the text is not a valid expression. Names are not checked; [`check`](Self::check)
    /// does that.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let condition = parse::condition(text)?;
        Ok(Self { condition })
    }

    /// Checks that all names are known.
    ///
    /// # Errors
    ///
    /// For the first unknown name, with its position.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{Expression, ExpressionName};
    ///
    /// let expression = Expression::parse("resp('X-Load') -lt 80 && %{NOSUCH} == ''")?;
    /// let knows = |name: ExpressionName<'_>| name == ExpressionName::Function("resp");
    /// let error = expression.check(knows).unwrap_err();
    /// assert_eq!(error.to_string(), "1:26: unknown variable `NOSUCH`");
    /// # Ok::<(), equipoise::config::ExpressionError>(())
    /// ```
    pub fn check(&self, knows: impl Fn(ExpressionName<'_>) -> bool) -> Result<(), ExpressionError> {
        let mut first = None;
        self.condition.visit(&mut |name, at| {
            if first.is_none() && !knows(name) {
                let message = match name {
                    ExpressionName::Function(name) => format!("unknown function `{name}`"),
                    ExpressionName::Variable(name) => format!("unknown variable `{name}`"),
                };
                first = Some(ExpressionError::new(at.0, message));
            }
        });
        first.map_or(Ok(()), Err)
    }

    /// Returns whether the expression calls this function.
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
