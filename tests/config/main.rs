//! Apache's configuration from outside: text in, nouns and complaints out.

#![cfg(feature = "config")]

mod directives;
mod scale;
mod secrets;
mod syntax;
