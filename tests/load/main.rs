//! The proxy under load, as a process of its own where its memory is measured: members that
//! die while it is at full speed, or are killed, bodies of a gigabyte, thousands of idle
//! clients, and heads that HPACK makes large.
//!
//! `EQUIPOISE_SOAK_SECONDS` is for how long members die and are killed, and
//! `EQUIPOISE_BODY_MIB` how large bodies are; the gate sets both.

#![cfg(all(feature = "proxy", target_os = "linux"))]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a set-up that fails ends the test, and figures are for reading"
)]

mod big_bodies;
mod fire;
#[path = "../wire/frame.rs"]
mod frame;
mod heads;
mod idle;
mod kills;
mod process;
mod proxy;
mod site;
