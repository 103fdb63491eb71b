//! The values of names in an expression: [`ExpressionLookup`].

use std::borrow::Cow;

/// Supplies the values of names when [`Expression::evaluate`](super::Expression::evaluate)
/// runs. Letter case is not significant in names, which are passed as they are written.
///
/// Built-in functions are not passed to it: `tolower`, `toupper`, `escape`, `unescape`,
/// `base64` and `unbase64`.
pub trait ExpressionLookup {
    /// Returns the value of `%{name}`; `None` if there is no such variable. A variable that
    /// exists and is not set is empty.
    fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Returns the value of `name('argument')`; `None` if there is no such function.
    ///
    /// # Errors
    ///
    /// If the function has no value for this argument. The message is a text, to which
    /// position and name are added.
    fn function(&self, name: &str, argument: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>>;
}

const _: Option<&dyn ExpressionLookup> = None;

/// A name in an expression, for [`Expression::check`](super::Expression::check).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ExpressionName<'e> {
    /// `name('argument')`, or `%{name:argument}`.
    Function(&'e str),
    /// `%{name}`.
    Variable(&'e str),
}
