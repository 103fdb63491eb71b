//! What the names in an expression stand for: [`ExpressionLookup`].

use std::borrow::Cow;

/// What the names in an expression stand for when it is decided by
/// [`Expression::evaluate`](super::Expression::evaluate). Letter case does not count in
/// names: they are given as they were written.
///
/// These functions are there for every expression, and are not asked for here: `tolower`,
/// `toupper`, `escape`, `unescape`, `base64` and `unbase64`.
pub trait ExpressionLookup {
    /// Returns the value of `%{name}`; `None` if there is no such variable. One that is there and
    /// not set is empty.
    fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Returns the value of `name('argument')`; `None` if there is no such function.
    ///
    /// # Errors
    ///
    /// If there is no value to be had; in words, to which place and name are added.
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
