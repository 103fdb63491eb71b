//! Checks the rules of `ARCHITECTURE.md`: which module may import which, no cycles of
//! imports, no I/O in the core, how a file starts, and how long it may be. Checks, too, that
//! the files exist that the documentation names.
//!
//! The tests read text, not syntax: they remove comments, string literals and `#[cfg(test)]`
//! items, then search for words and paths. What a lint can forbid is not here, but in
//! `Cargo.toml` and `clippy.toml`.

#![allow(
    clippy::expect_used,
    reason = "a checkout that cannot be read ends the test"
)]

mod cases;
mod cycles;
mod documents;
mod levels;
mod names;
mod rules;
mod source;
mod text;
mod types;

use cycles::cycles;
use documents::{Tree, missing_files};
use levels::{SIBLINGS, level_of};
use rules::{
    apache_words, atomics_outside_sync, count_out_outside_lease, http_in_net, imports_from_above,
    io_in_core, module_without_level, unwraps, wrong_form,
};
use source::{Source, all_sources, crate_sources};
use types::repeated_types;

#[test]
fn every_module_has_a_level() {
    check(
        module_without_level,
        "Add the module to LEVELS in tests/architecture/levels.rs and to ARCHITECTURE.md.",
    );
}

#[test]
fn a_module_imports_only_from_lower_levels() {
    check(
        imports_from_above,
        "Take what is missing as an argument, return what a caller above needs, or move the code \
         to a lower level. An import between modules of one level is listed in SIBLINGS in \
         tests/architecture/levels.rs, with its reason.",
    );
}

#[test]
fn every_listed_import_between_siblings_exists() {
    let sources = crate_sources();
    for &(from, to, why) in SIBLINGS {
        let levels = (level_of(from), level_of(to));
        assert!(
            levels.0.is_some() && levels.0 == levels.1,
            "{from} and {to} are not on the same level"
        );
        assert!(
            !why.is_empty(),
            "give the reason why {from} may import {to}"
        );
        let imports = |source: &Source| {
            source.module() == from && source.imports().iter().any(|(_, target)| target == to)
        };
        assert!(
            sources.iter().any(imports),
            "{from} does not import {to} any more: remove it from SIBLINGS"
        );
    }
}

#[test]
fn the_core_has_no_io_runtime_clock_or_log() {
    check(
        io_in_core,
        "Levels 0 to 4 have no I/O, runtime, clock or log; see ARCHITECTURE.md.",
    );
}

#[test]
fn net_uses_no_http() {
    check(
        http_in_net,
        "`net` also serves protocols other than HTTP: take an argument, or move the code to `proxy`.",
    );
}

#[test]
fn only_sync_names_atomics_and_locks() {
    check(
        atomics_outside_sync,
        "loom checks only the locks and atomics that `--cfg equipoise_loom` replaces.",
    );
}

#[test]
fn only_the_lease_gives_a_count_back() {
    check(
        count_out_outside_lease,
        "End the `Lease` instead: only its end decrements the requests in flight.",
    );
    let lease = crate_sources()
        .iter()
        .find(|source| source.path == "src/balancer/lease.rs");
    assert!(
        lease.is_none_or(|lease| lease.shipped.contains(".count_out(")),
        "src/balancer/lease.rs has no call of `.count_out(`: change the name in this test, too"
    );
}

#[test]
fn only_config_uses_the_words_of_apache() {
    check(
        apache_words,
        "Write `tier` and `weight`. Apache's words are allowed in comments and in `#[doc(alias = ..)]`.",
    );
}

#[test]
fn shipped_code_has_no_unwrap() {
    check(
        unwraps,
        "Return an error, or make the illegal value impossible to construct.",
    );
}

#[test]
fn a_type_name_occurs_once() {
    report(
        &repeated_types(crate_sources()),
        "Give each type a name of its own; an exception is listed in TWICE in tests/architecture/types.rs.",
    );
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let sources = all_sources();
    assert!(!sources.is_empty(), "there are no sources");
    let complaints: Vec<_> = cycles(sources).iter().map(ToString::to_string).collect();
    report(
        &complaints,
        "Remove one of these imports: move what two files need into a file of its own, or take it as an argument.",
    );
}

#[test]
fn every_file_has_a_header_and_at_most_500_lines() {
    let complaints: Vec<_> = all_sources().iter().flat_map(wrong_form).collect();
    report(
        &complaints,
        "A file starts with `//!` and what is in it and what is not, and has at most 500 lines.",
    );
}

#[test]
fn what_the_documentation_refers_to_exists() {
    let tree = Tree::of_project();
    let documents = tree.documents();
    assert!(documents.len() > 5, "there are no documents");
    let complaints: Vec<_> = documents
        .iter()
        .flat_map(|document| missing_files(document, &tree))
        .collect();
    report(
        &complaints,
        "Correct the link or the name. Names of other files are listed in OTHERS in \
         tests/architecture/documents.rs.",
    );
}

fn check(rule: impl Fn(&Source) -> Vec<String>, advice: &str) {
    let sources = crate_sources();
    assert!(!sources.is_empty(), "there is nothing below src");
    let complaints: Vec<_> = sources.iter().flat_map(rule).collect();
    report(&complaints, advice);
}

fn report(complaints: &[String], advice: &str) {
    let complaints = complaints.join("\n");
    assert!(complaints.is_empty(), "\n{complaints}\n\n{advice}\n");
}
