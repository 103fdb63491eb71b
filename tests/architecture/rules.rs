//! The rules, each a function from one file to its complaints.
//!
//! Which module stands on which floor, and which may cross to a sibling, is in `floors`.

use std::collections::BTreeSet;

use crate::floors::{BRIDGES, CORE, FLOORS, floor_of};
use crate::source::Source;
use crate::text::{Literals, is_word, lines_with, paths, strip};

struct Ban {
    /// The beginning of a path (`core` reads as `std`), or of a piece of code.
    needle: &'static str,
    /// The rooms where it may be.
    homes: &'static [&'static str],
    instead: &'static str,
}

const fn ban(needle: &'static str, homes: &'static [&'static str], instead: &'static str) -> Ban {
    Ban {
        needle,
        homes,
        instead,
    }
}

const CLOCK: &[&str] = &["clock"];
const SYNC: &[&str] = &["sync"];
/// The deadline of a wait is a future that the caller brings; the models have wakers
/// of their own.
const WAIT: &[&str] = &["balancer/loom_tests", "balancer/wait"];

const FUTURES: &str = "futures and wakers belong to `balancer/wait`, or to a driver";
const SILENT: &str = "the core is silent: tell an `Observer`";
const SWAPPED: &str = "import it from `crate::sync`, which the model checker swaps";
const TIME: &str = "take a `Timestamp`, or read the balancer's `Clock`";
const WORLD: &str = "the core neither waits nor talks to anyone: this is a driver's work";

#[rustfmt::skip]
const BANNED_IN_THE_CORE: &[Ban] = &[
    ban("async fn", &[], WORLD),
    ban("tokio", &[], WORLD),
    // What tells clients apart there is an address, which is no socket.
    ban("std::net", &["session/stick_table"], WORLD),
    ban("std::thread::spawn", &[], WORLD),
    ban("std::time::Instant::now", CLOCK, TIME),
    ban("time::Instant::now", CLOCK, TIME),
    ban("Instant::now", CLOCK, TIME),
    ban("eprintln!", &[], SILENT),
    ban("log::", &[], SILENT),
    ban("println!", &[], SILENT),
    ban("std::eprintln", &[], SILENT),
    ban("std::println", &[], SILENT),
    ban("tracing::", &[], SILENT),
    // As it reads once the literal is emptied, in every form of `cfg`.
    ban("feature = \"\"", &[], "gate whole modules in `lib.rs`"),
    ban("http::", &["session"], "only `session` reads requests: pass on what it found"),
    ban("std::future", WAIT, FUTURES),
    ban("std::task::Waker", WAIT, FUTURES),
    ban("task::Waker", WAIT, FUTURES),
    ban("Waker", WAIT, FUTURES),
];

#[rustfmt::skip]
const BANNED_BUT_IN_SYNC: &[Ban] = &[
    ban("arc_swap", SYNC, SWAPPED),
    ban("loom::sync", SYNC, SWAPPED),
    ban("parking_lot", SYNC, SWAPPED),
    ban("std::sync::*", SYNC, SWAPPED),
    ban("std::sync::Condvar", SYNC, SWAPPED),
    ban("std::sync::Mutex", SYNC, SWAPPED),
    ban("std::sync::RwLock", SYNC, SWAPPED),
    ban("std::sync::atomic", SYNC, SWAPPED),
];

const NO_HTTP: &str = "`net` knows no HTTP";

#[rustfmt::skip]
const BANNED_IN_NET: &[Ban] = &[
    ban("h2::", &[], NO_HTTP),
    ban("http::", &[], NO_HTTP),
    ban("http_body", &[], NO_HTTP),
    ban("hyper", &[], NO_HTTP),
];

/// The code that may say `give_back` outside the lease: that which defines it.
const GIVING_BACK: &[(&str, &str)] = &[
    ("member/counters", "fn give_back("),
    ("member/state", "fn give_back("),
    ("member/state", "self.counters.give_back("),
];

pub(crate) fn homeless(source: &Source) -> Vec<String> {
    let known = source.module() == "lib" || floor_of(source.module()).is_some();
    let complaint = format!("`{}` stands on no floor", source.module());
    (!known)
        .then(|| source.at(1, &complaint))
        .into_iter()
        .collect()
}

pub(crate) fn imports_from_above(source: &Source) -> Vec<String> {
    let Some(own) = floor_of(source.module()) else {
        return Vec::new();
    };
    let own_name = FLOORS[own].name;
    let complaint = |(line, target): (usize, String)| {
        let bridged = BRIDGES
            .iter()
            .any(|&(from, to, _)| from == source.module() && to == target);
        let complaint = match floor_of(&target) {
            _ if target == source.module() || bridged => return None,
            Some(floor) if floor < FLOORS[own].sees => return None,
            Some(floor) => format!(
                "{own_name} must not import `crate::{target}` of {}",
                FLOORS[floor].name
            ),
            None => format!("`crate::{target}` is no module: import from where it is defined"),
        };
        Some(source.at(line, &complaint))
    };
    source.imports().into_iter().filter_map(complaint).collect()
}

pub(crate) fn worldly(source: &Source) -> Vec<String> {
    match floor_of(source.module()) {
        Some(floor) if floor < CORE => banned(source, BANNED_IN_THE_CORE),
        _ => Vec::new(),
    }
}

pub(crate) fn speaks_http(source: &Source) -> Vec<String> {
    match source.module() {
        "net" => banned(source, BANNED_IN_NET),
        _ => Vec::new(),
    }
}

pub(crate) fn unswappable(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    banned(source, BANNED_BUT_IN_SYNC)
}

fn banned(source: &Source, bans: &[Ban]) -> Vec<String> {
    let paths = paths(&source.code);
    let mut found = BTreeSet::new();
    for ban in bans {
        if ban.homes.iter().any(|home| source.lives_in(home)) {
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

pub(crate) fn giving_back(source: &Source) -> Vec<String> {
    if source.lives_in("balancer/lease") {
        return Vec::new();
    }
    let mut code = source.shipped.clone();
    for (_, allowed) in GIVING_BACK.iter().filter(|(room, _)| source.lives_in(room)) {
        code = code.replace(allowed, "");
    }
    let lines = lines_with(&code, "give_back").into_iter();
    lines
        .map(|line| source.at(line, "gives an in-flight count back"))
        .collect()
}

pub(crate) fn apache_words(source: &Source) -> Vec<String> {
    if ["config", "manager"].contains(&source.module()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, line) in strip(&source.text, Literals::Kept).lines().enumerate() {
        for word in ["lbfactor", "lbset"] {
            if line.split(|c| !is_word(c)).any(|said| said == word) && !line.contains("doc(alias") {
                found.push(source.at(index + 1, &format!("says `{word}`")));
            }
        }
    }
    found
}

pub(crate) fn unwraps(source: &Source) -> Vec<String> {
    let lines = source.shipped.lines().enumerate();
    let unwraps = lines.filter(|(_, line)| line.contains(".unwrap()"));
    unwraps
        .map(|(index, _)| source.at(index + 1, "unwraps"))
        .collect()
}

pub(crate) fn unlike_a_room(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    // The crate's own front page is the README.
    let opens = match source.path.as_str() {
        "src/lib.rs" => ["//!", "#![doc = include_str!("].as_slice(),
        // What the README shows, word for word.
        path if path.starts_with("tests/readme/samples/") => &["use "],
        _ => &["//!"],
    };
    if !opens.iter().any(|opening| source.text.starts_with(opening)) {
        found.push(source.at(1, "does not open with `//!`"));
    }
    let lines = source.text.lines().count();
    if lines > 500 {
        found.push(source.at(lines, "has more than 500 lines"));
    }
    found
}
