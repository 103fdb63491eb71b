//! Holds the sources to the rules of `ARCHITECTURE.md`: which module may import which,
//! that no files import each other in a circle, what must not enter the core, and how a
//! file opens and how long it may be.
//!
//! It reads text, not syntax: comments, string literals and `#[cfg(test)]` items
//! are cut away, then words and paths are looked for. What a lint can forbid is
//! not here but in `Cargo.toml` and `clippy.toml`.

#![allow(
    clippy::expect_used,
    reason = "a checkout that cannot be read ends the test"
)]

mod cases;
mod circles;
mod floors;
mod names;
mod rules;
mod source;
mod text;
mod types;

use circles::circles;
use floors::{BRIDGES, floor_of};
use rules::{
    apache_words, giving_back, homeless, imports_from_above, speaks_http, unlike_a_room,
    unswappable, unwraps, worldly,
};
use source::{Source, sources};
use types::repeated_types;

#[test]
fn every_module_stands_on_a_floor() {
    hold(
        homeless,
        "Add the module to FLOORS in tests/architecture/floors.rs and to ARCHITECTURE.md.",
    );
}

#[test]
fn a_module_imports_only_from_below() {
    hold(
        imports_from_above,
        "Facts go down as arguments, decisions come back as return values: take what is missing \
         as an argument, or move it to a lower floor. A new bridge between siblings goes into \
         BRIDGES in tests/architecture/floors.rs, with its reason.",
    );
}

#[test]
fn every_bridge_joins_two_siblings_and_is_crossed() {
    let sources = sources("src");
    for &(from, to, why) in BRIDGES {
        let floors = (floor_of(from), floor_of(to));
        assert!(
            floors.0.is_some() && floors.0 == floors.1,
            "{from} and {to} are no siblings"
        );
        assert!(!why.is_empty(), "say why {from} may import {to}");
        let crosses = |source: &Source| {
            source.module() == from && source.imports().iter().any(|(_, target)| target == to)
        };
        assert!(
            sources.iter().any(crosses),
            "nobody crosses the bridge from {from} to {to} any more: remove it from BRIDGES"
        );
    }
}

#[test]
fn nothing_of_the_world_enters_the_core() {
    hold(
        worldly,
        "Floors 0 to 4 are functions of their inputs; see ARCHITECTURE.md.",
    );
}

#[test]
fn nothing_of_http_enters_net() {
    hold(
        speaks_http,
        "`net` is also for what does not speak HTTP: take an argument, or put it into `proxy`.",
    );
}

#[test]
fn only_sync_names_atomics_and_locks() {
    hold(
        unswappable,
        "A lock that `--cfg equipoise_loom` cannot swap is a lock that no model checks.",
    );
}

#[test]
fn only_the_lease_gives_a_count_back() {
    hold(
        giving_back,
        "Let the `Lease` end instead: it is the only one that gives an in-flight count back.",
    );
    let lease = sources("src")
        .into_iter()
        .find(|source| source.path == "src/balancer/lease.rs");
    assert!(
        lease.is_none_or(|lease| lease.shipped.contains(".give_back(")),
        "src/balancer/lease.rs calls `.give_back(` no more: teach this test the new name"
    );
}

#[test]
fn the_words_of_apache_stay_under_the_roof() {
    hold(
        apache_words,
        "Say `tier` and `weight`. Apache's words may stand in comments and in `#[doc(alias = ..)]`.",
    );
}

#[test]
fn nothing_that_ships_unwraps() {
    hold(
        unwraps,
        "Return an error, or make the illegal value impossible.",
    );
}

#[test]
fn a_type_name_occurs_once() {
    report(
        &repeated_types(&sources("src")),
        "Name each type by what it is; an exception goes into TWICE in tests/architecture/types.rs.",
    );
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources: Vec<_> = ["src", "tests", "examples", "benches"]
        .into_iter()
        .flat_map(sources)
        .collect();
    assert!(!sources.is_empty(), "there are no sources");
    let complaints: Vec<_> = circles(&sources).iter().map(ToString::to_string).collect();
    report(
        &complaints,
        "Cut one of these: move what two files need into a file of its own, or take it as an argument.",
    );
}

#[test]
fn every_file_is_a_room() {
    let complaints: Vec<_> = ["src", "tests", "examples", "benches"]
        .into_iter()
        .flat_map(sources)
        .flat_map(|source| unlike_a_room(&source))
        .collect();
    report(
        &complaints,
        "A file opens with `//!`, what lives there and what does not, and has at most 500 lines.",
    );
}

fn hold(rule: impl Fn(&Source) -> Vec<String>, advice: &str) {
    let sources = sources("src");
    assert!(!sources.is_empty(), "there is nothing below src");
    let complaints: Vec<_> = sources.iter().flat_map(rule).collect();
    report(&complaints, advice);
}

fn report(complaints: &[String], advice: &str) {
    let complaints = complaints.join("\n");
    assert!(complaints.is_empty(), "\n{complaints}\n\n{advice}\n");
}
