//! What directives mean: golden files, printing and reading again, other languages.

mod golden;
#[cfg(feature = "serde")]
mod languages;
mod round_trip;
