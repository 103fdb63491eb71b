//! Apache's configuration from outside: text in, nouns and complaints out.

#![cfg(feature = "config")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod directives;
#[cfg(unix)]
mod expressions;
#[cfg(unix)]
mod includes;
mod scale;
mod secrets;
mod syntax;
