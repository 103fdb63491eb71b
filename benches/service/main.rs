//! What does the layer cost? Around a service that does nothing, in nanoseconds, and
//! around a real client, in requests per second and processor time; see
//! `benches/README.md`.
//!
//! `cargo bench --bench service [-- FILTER]`; FILTER is a part of a row's name.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod cpu;
mod extent;
#[path = "../pick/lanes.rs"]
#[expect(dead_code, reason = "some of it only picks need")]
mod lanes;
mod loopback;
mod noop;
mod overhead;
mod proxies;
mod stacks;
mod traffic;

use extent::Extent;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let extent = if arguments.iter().any(|argument| argument == "--bench") {
        Extent::Measure
    } else {
        Extent::Trial
    };
    let mut filters = arguments.iter().filter(|text| !text.starts_with('-'));
    let filter = filters.next().map_or("", String::as_str);
    overhead::run(extent, filter);
    traffic::run(extent, filter);
}
