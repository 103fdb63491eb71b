//! The expressions of httpd (`ap_expr`): [`Expression`] reads one, prints it and decides it.
//!
//! ```text
//! text ─► token ─► parse ─► tree ─► evaluate ─► true, false, or an error
//!                            │          ▲
//!                            ▼          └ Lookup: variables and functions
//!                          print
//! ```
//!
//! It knows nothing of health checks or requests: what a variable stands for, and which there are,
//! is a [`ExpressionLookup`]'s matter. What cannot be decided is an error with its line and column, and
//! never true.
//!
//! What does not live here: the directives that have expressions (`directive`), and what their
//! variables are (`assemble`).

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
