//! Runs the checks of the reference model, in a target of their own: `tests/apache`, where
//! the model lives, has no harness to run them.

#[path = "apache/reference/mod.rs"]
mod reference;
