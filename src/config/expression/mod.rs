//! The expressions of httpd (`ap_expr`): [`Expression`] parses, prints and evaluates one.
//!
//! ```text
//! text ─► token ─► parse ─► tree ─► evaluate ─► true, false, or an error
//!                            │          ▲
//!                            ▼          └ Lookup: variables and functions
//!                          print
//! ```
//!
//! This module does not depend on health checks or requests: an [`ExpressionLookup`]
//! supplies the variables and their values. An undefined result is an error with line and
//! column, and never true.
//!
//! Not here: the directives with expressions (`directive`), and the values of their
//! variables (`assemble`).

mod error;
mod evaluate;
mod functions;
mod lookup;
mod parse;
mod pattern;
mod print;
mod read;
#[cfg(test)]
mod tests;
mod token;
mod tree;

pub use error::ExpressionError;
pub use lookup::{ExpressionLookup, ExpressionName};
pub use read::Expression;
