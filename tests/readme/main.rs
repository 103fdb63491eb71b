//! The samples of the README: each is a file under `samples`, which is compiled and run, and
//! the README has exactly its text.
//!
//! Samples use fixed ports, as a reader would; the tests that run those are ignored unless
//! asked for, because a machine may use the ports for something else.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "samples print")]

mod run;
#[cfg(all(
    feature = "config",
    feature = "forward",
    feature = "heartbeat",
    feature = "proxy"
))]
mod served;
mod text;
