//! The rules. Each is a function that returns its complaints about one file.
//!
//! Not here: the level of each module, and the permitted imports of siblings (`levels`).

use std::collections::BTreeSet;

use crate::levels::{CORE, LEVELS, SIBLINGS, level_of};
use crate::source::Source;
use crate::text::{Literals, is_word, lines_with, paths, strip};

struct Ban {
    /// The beginning of a path (`core` is read as `std`), or of other code.
    needle: &'static str,
    /// The modules where it is allowed.
    allowed_in: &'static [&'static str],
    instead: &'static str,
}

const fn ban(
    needle: &'static str,
    allowed_in: &'static [&'static str],
    instead: &'static str,
) -> Ban {
    Ban {
        needle,
        allowed_in,
        instead,
    }
}

const CLOCK: &[&str] = &["clock"];
const SYNC: &[&str] = &["sync"];
/// The caller of `pick_wait` passes its deadline as a future; the models use wakers of their
/// own.
const WAIT: &[&str] = &["balancer/loom_tests", "balancer/wait"];

const FUTURES: &str = "futures and wakers belong in `balancer/wait` or in a driver";
const NO_LOG: &str = "the core prints and logs nothing: send an event to the `Observer`s";
const USE_SYNC: &str = "import it from `crate::sync`, so that loom can replace it";
const TIME: &str = "take a `Timestamp` as an argument, or read the balancer's `Clock`";
const NO_IO: &str = "the core does no I/O and does not block: move this to a driver";

#[rustfmt::skip]
const BANNED_IN_THE_CORE: &[Ban] = &[
    ban("async fn", &[], NO_IO),
    ban("tokio", &[], NO_IO),
    // A table of clients needs addresses, but no sockets.
    ban("std::net", &["session/stick_table"], NO_IO),
    ban("std::thread::spawn", &[], NO_IO),
    ban("std::time::Instant::now", CLOCK, TIME),
    ban("time::Instant::now", CLOCK, TIME),
    ban("Instant::now", CLOCK, TIME),
    ban("eprintln!", &[], NO_LOG),
    ban("log::", &[], NO_LOG),
    ban("println!", &[], NO_LOG),
    ban("std::eprintln", &[], NO_LOG),
    ban("std::println", &[], NO_LOG),
    ban("tracing::", &[], NO_LOG),
    // The literal is empty after `strip`, so this matches every feature.
    ban("feature = \"\"", &[], "gate whole modules in `lib.rs`"),
    ban("http::", &["session"], "only `session` reads requests: take what it found as an argument"),
    ban("std::future", WAIT, FUTURES),
    ban("std::task::Waker", WAIT, FUTURES),
    ban("task::Waker", WAIT, FUTURES),
    ban("Waker", WAIT, FUTURES),
];

#[rustfmt::skip]
const BANNED_OUTSIDE_SYNC: &[Ban] = &[
    ban("arc_swap", SYNC, USE_SYNC),
    ban("loom::sync", SYNC, USE_SYNC),
    ban("parking_lot", SYNC, USE_SYNC),
    ban("std::sync::*", SYNC, USE_SYNC),
    ban("std::sync::Condvar", SYNC, USE_SYNC),
    ban("std::sync::Mutex", SYNC, USE_SYNC),
    ban("std::sync::RwLock", SYNC, USE_SYNC),
    ban("std::sync::atomic", SYNC, USE_SYNC),
];

const NO_HTTP: &str = "`net` uses no HTTP: move this to `proxy`";

#[rustfmt::skip]
const BANNED_IN_NET: &[Ban] = &[
    ban("h2::", &[], NO_HTTP),
    ban("http::", &[], NO_HTTP),
    ban("http_body", &[], NO_HTTP),
    ban("hyper", &[], NO_HTTP),
];

/// The code outside the lease that may contain `count_out`: its definitions, and the test
/// kit's members without a balancer, which have no leases.
const GIVE_BACK_ALLOWED: &[(&str, &str)] = &[
    ("member/counters", "fn count_out("),
    ("member/state", "fn count_out("),
    ("member/state", "self.counters.count_out("),
    ("testkit/group", "state.count_out("),
];

pub(crate) fn module_without_level(source: &Source) -> Vec<String> {
    let known = source.module() == "lib" || level_of(source.module()).is_some();
    let complaint = format!("the module `{}` has no level", source.module());
    (!known)
        .then(|| source.at(1, &complaint))
        .into_iter()
        .collect()
}

pub(crate) fn imports_from_above(source: &Source) -> Vec<String> {
    let Some(own) = level_of(source.module()) else {
        return Vec::new();
    };
    let own_name = LEVELS[own].name;
    let complaint = |(line, target): (usize, String)| {
        let listed = SIBLINGS
            .iter()
            .any(|&(from, to, _)| from == source.module() && to == target);
        let complaint = match level_of(&target) {
            _ if target == source.module() || listed => return None,
            Some(level) if level < LEVELS[own].sees => return None,
            Some(level) => format!(
                "{own_name} must not import `crate::{target}` of {}",
                LEVELS[level].name
            ),
            None => format!(
                "`crate::{target}` is a re-export: import it from the module that defines it"
            ),
        };
        Some(source.at(line, &complaint))
    };
    source.imports().into_iter().filter_map(complaint).collect()
}

pub(crate) fn io_in_core(source: &Source) -> Vec<String> {
    match level_of(source.module()) {
        Some(level) if level < CORE => banned(source, BANNED_IN_THE_CORE),
        _ => Vec::new(),
    }
}

pub(crate) fn http_in_net(source: &Source) -> Vec<String> {
    match source.module() {
        "net" => banned(source, BANNED_IN_NET),
        _ => Vec::new(),
    }
}

pub(crate) fn atomics_outside_sync(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    banned(source, BANNED_OUTSIDE_SYNC)
}

fn banned(source: &Source, bans: &[Ban]) -> Vec<String> {
    let paths = paths(&source.code);
    let mut found = BTreeSet::new();
    for ban in bans {
        if ban.allowed_in.iter().any(|home| source.is_in(home)) {
            continue;
        }
        let named = paths
            .iter()
            .filter(|(_, path)| path.starts_with(ban.needle));
        let lines = named.map(|&(line, _)| line);
        for line in lines.chain(lines_with(&source.code, ban.needle)) {
            found.insert((line, ban.instead));
        }
    }
    let found = found.into_iter();
    found
        .map(|(line, instead)| source.at(line, instead))
        .collect()
}

pub(crate) fn count_out_outside_lease(source: &Source) -> Vec<String> {
    if source.is_in("balancer/lease") {
        return Vec::new();
    }
    let mut code = source.shipped.clone();
    for (_, allowed) in GIVE_BACK_ALLOWED
        .iter()
        .filter(|(module, _)| source.is_in(module))
    {
        code = code.replace(allowed, "");
    }
    let lines = lines_with(&code, "count_out").into_iter();
    lines
        .map(|line| source.at(line, "decrements the requests in flight"))
        .collect()
}

pub(crate) fn apache_words(source: &Source) -> Vec<String> {
    if ["config", "manager"].contains(&source.module()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, line) in strip(&source.text, Literals::Kept).lines().enumerate() {
        for word in ["lbfactor", "lbset"] {
            if line.split(|c| !is_word(c)).any(|it| it == word) && !line.contains("doc(alias") {
                found.push(source.at(index + 1, &format!("uses Apache's word `{word}`")));
            }
        }
    }
    found
}

pub(crate) fn unwraps(source: &Source) -> Vec<String> {
    let lines = source.shipped.lines().enumerate();
    let unwraps = lines.filter(|(_, line)| line.contains(".unwrap()"));
    unwraps
        .map(|(index, _)| source.at(index + 1, "has an `unwrap`"))
        .collect()
}

pub(crate) fn wrong_form(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    // The front page of the crate is the README.
    let opens = match source.path.as_str() {
        "src/lib.rs" => ["//!", "#![doc = include_str!("].as_slice(),
        // These are the README's samples, word for word.
        path if path.starts_with("tests/readme/samples/") => &["use "],
        _ => &["//!"],
    };
    if !opens.iter().any(|opening| source.text.starts_with(opening)) {
        found.push(source.at(1, "does not start with `//!`"));
    }
    let lines = source.text.lines().count();
    if lines > 500 {
        found.push(source.at(lines, "has more than 500 lines"));
    }
    found
}
