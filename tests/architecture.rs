//! Holds the sources to the rules of `ARCHITECTURE.md`: who may import whom, what
//! must not enter the core, and how a file opens and how long it may be.
//!
//! It reads text, not syntax: comments, string literals and `#[cfg(test)]` items
//! are cut away, then words and paths are looked for. What a lint can forbid is
//! not here but in `Cargo.toml` and `clippy.toml`.

#![allow(
    clippy::expect_used,
    reason = "a checkout that cannot be read ends the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

struct Floor {
    name: &'static str,
    /// How many floors, counted from the ground, its modules may import from.
    sees: usize,
    modules: &'static [&'static str],
}

#[rustfmt::skip]
const FLOORS: &[Floor] = &[
    Floor { name: "ground", sees: 0, modules: &["clock", "random", "stable_hash", "sync"] },
    Floor { name: "model", sees: 1, modules: &["member", "observer", "session"] },
    Floor { name: "picture", sees: 2, modules: &["snapshot"] },
    Floor { name: "policy", sees: 3, modules: &["scheduler"] },
    Floor { name: "hall", sees: 4, modules: &["balancer"] },
    Floor { name: "drivers", sees: 5, modules: &["discovery", "forward", "health", "heartbeat", "proxy", "service", "telemetry"] },
    Floor { name: "roof", sees: 6, modules: &["config", "manager"] },
    // Last, so that no floor sees it.
    Floor { name: "annex", sees: 5, modules: &["testkit"] },
];

/// The floors that know no I/O, runtime, clock or feature: ground to hall.
const CORE: usize = 5;

/// Who may import a sibling on its own floor, and why.
const BRIDGES: &[(&str, &str, &str)] = &[
    ("clock", "sync", "the time of a `ManualClock` is an atomic"),
    ("random", "stable_hash", "a draw is a mixed counter"),
    ("random", "sync", "that counter is an atomic"),
];

struct Ban {
    /// The beginning of a path (`core` reads as `std`), or of a piece of code.
    needle: &'static str,
    /// Where it may be: a module's path, for its file and its folder.
    home: Option<&'static str>,
    instead: &'static str,
}

const fn ban(needle: &'static str, home: Option<&'static str>, instead: &'static str) -> Ban {
    Ban {
        needle,
        home,
        instead,
    }
}

const DRIVERS_WAIT: &str = "the core waits for nothing: do this in a driver";
const TIME: &str = "take a `Timestamp`, or read the balancer's `Clock`";
const SILENT: &str = "the core is silent: tell an `Observer`";
const WAIT: Option<&str> = Some("balancer/wait");
const FUTURES: &str = "futures and wakers belong to `balancer/wait.rs` or to a driver";

#[rustfmt::skip]
const BANNED_IN_THE_CORE: &[Ban] = &[
    ban("async fn", None, DRIVERS_WAIT),
    ban("tokio::", None, DRIVERS_WAIT),
    ban("std::thread::spawn", None, DRIVERS_WAIT),
    ban("thread::spawn", None, DRIVERS_WAIT),
    ban("std::net", None, "the core has no sockets and no addresses: make it part of the payload"),
    ban("std::time::Instant::now", Some("clock"), TIME),
    ban("time::Instant::now", Some("clock"), TIME),
    ban("Instant::now", Some("clock"), TIME),
    ban("println!", None, SILENT),
    ban("eprintln!", None, SILENT),
    ban("tracing::", None, SILENT),
    ban("log::", None, SILENT),
    ban("feature = \"", None, "gate whole modules in `lib.rs`"),
    ban("http::", Some("session"), "only `session` reads requests; pass on what it found"),
    ban("std::future", WAIT, FUTURES),
    ban("std::task::Waker", WAIT, FUTURES),
    ban("Waker", WAIT, FUTURES),
];

const SYNC: Option<&str> = Some("sync");
const SWAPPED: &str = "import it from `crate::sync`, which the model checker swaps";

#[rustfmt::skip]
const BANNED_BUT_IN_SYNC: &[Ban] = &[
    ban("std::sync::atomic", SYNC, SWAPPED),
    ban("std::sync::Condvar", SYNC, SWAPPED),
    ban("std::sync::Mutex", SYNC, SWAPPED),
    ban("std::sync::RwLock", SYNC, SWAPPED),
    ban("std::sync::*", SYNC, SWAPPED),
    ban("arc_swap", SYNC, SWAPPED),
    ban("loom::sync", SYNC, SWAPPED),
    ban("parking_lot", SYNC, SWAPPED),
];

#[test]
fn every_module_stands_on_a_floor() {
    hold(
        |source| {
            let known = source.module() == "lib" || floor_of(source.module()).is_some();
            let complaint = format!("`{}` stands on no floor", source.module());
            (!known)
                .then(|| source.at(1, &complaint))
                .into_iter()
                .collect()
        },
        "Add the module to FLOORS in tests/architecture.rs and to ARCHITECTURE.md.",
    );
}

#[test]
fn a_module_imports_only_from_below() {
    hold(
        imports_from_above,
        "Facts go down as arguments, decisions come back as return values: take what is missing \
         as an argument, or move it to a lower floor. A new bridge between siblings goes into \
         BRIDGES in tests/architecture.rs, with its reason.",
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

fn imports_from_above(source: &Source) -> Vec<String> {
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

fn worldly(source: &Source) -> Vec<String> {
    match floor_of(source.module()) {
        Some(floor) if floor < CORE => banned(source, BANNED_IN_THE_CORE),
        _ => Vec::new(),
    }
}

fn unswappable(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    banned(source, BANNED_BUT_IN_SYNC)
}

fn banned(source: &Source, bans: &[Ban]) -> Vec<String> {
    let paths = paths(&source.code);
    let mut found = BTreeSet::new();
    for ban in bans
        .iter()
        .filter(|ban| !ban.home.is_some_and(|home| source.lives_in(home)))
    {
        let named = paths
            .iter()
            .filter(|(_, path)| path.starts_with(ban.needle))
            .map(|&(line, _)| line);
        for line in named.chain(lines_with(&source.code, ban.needle)) {
            found.insert((line, ban.instead));
        }
    }
    found
        .into_iter()
        .map(|(line, instead)| source.at(line, instead))
        .collect()
}

fn giving_back(source: &Source) -> Vec<String> {
    let defines = source.lives_in("member/counters");
    if source.lives_in("balancer/lease") {
        return Vec::new();
    }
    let lines = source.shipped.lines().map(|line| {
        if defines {
            line.replace("fn give_back(", "")
        } else {
            line.to_owned()
        }
    });
    let code = lines.collect::<Vec<_>>().join("\n");
    lines_with(&code, "give_back")
        .into_iter()
        .map(|line| source.at(line, "gives a count back"))
        .collect()
}

fn apache_words(source: &Source) -> Vec<String> {
    if ["config", "manager"].contains(&source.module()) {
        return Vec::new();
    }
    let code = strip(&source.text, Strings::Kept);
    let mut found = Vec::new();
    for (index, line) in code
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.contains("doc(alias"))
    {
        for word in line
            .split(|c| !is_word(c))
            .filter(|word| ["lbset", "lbfactor"].contains(word))
        {
            found.push(source.at(index + 1, &format!("says `{word}`")));
        }
    }
    found
}

fn unwraps(source: &Source) -> Vec<String> {
    let lines = source
        .shipped
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(".unwrap()"));
    lines
        .map(|(index, _)| source.at(index + 1, "unwraps"))
        .collect()
}

fn unlike_a_room(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !source.text.starts_with("//!") {
        found.push(source.at(1, "does not open with `//!`"));
    }
    let lines = source.text.lines().count();
    if lines > 500 {
        found.push(source.at(lines, "has more than 500 lines: split it along its tasks"));
    }
    found
}

/// One file, with its text in three degrees of undress.
struct Source {
    /// Relative to the crate, with `/` on every system.
    path: String,
    text: String,
    /// Without comments and the contents of string literals.
    code: String,
    /// Without tests too.
    shipped: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = strip(text, Strings::Emptied);
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            shipped: without_tests(&code),
            code,
        };
        if source.is_test() {
            source.shipped.clear();
        }
        source
    }

    /// The path below `src`, without the ending: `balancer/wait`, `clock`, `member/mod`.
    fn room(&self) -> &str {
        self.path.trim_start_matches("src/").trim_end_matches(".rs")
    }

    fn module(&self) -> &str {
        self.room().split('/').next().unwrap_or_default()
    }

    /// How many `super::` lead from here to the crate's root.
    fn depth(&self) -> usize {
        self.room().trim_end_matches("/mod").split('/').count()
    }

    fn lives_in(&self, module: &str) -> bool {
        let below = self.room().strip_prefix(module);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    fn is_test(&self) -> bool {
        let is_test =
            |name: &str| name == "tests" || name.ends_with("_tests") || name.starts_with("loom");
        self.room().split('/').any(is_test)
    }

    /// The top-level names that its shipped code imports or calls by their path.
    fn imports(&self) -> Vec<(usize, String)> {
        let target = |(line, path): (usize, String)| {
            let mut segments = path.split("::").peekable();
            if segments.next_if_eq(&"crate").is_some() {
                return segments.next().map(|target| (line, target.to_owned()));
            }
            let mut climbed = 0;
            while segments.next_if_eq(&"super").is_some() {
                climbed += 1;
            }
            let target = segments
                .next()
                .filter(|target| floor_of(target).is_some())?;
            (climbed >= self.depth()).then(|| (line, target.to_owned()))
        };
        paths(&self.shipped)
            .into_iter()
            .filter_map(target)
            .collect()
    }

    fn at(&self, line: usize, complaint: &str) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS
        .iter()
        .position(|floor| floor.modules.contains(&module))
}

fn hold(rule: impl Fn(&Source) -> Vec<String>, advice: &str) {
    let sources = sources("src");
    assert!(!sources.is_empty(), "there is nothing below src");
    let complaints: Vec<_> = sources.iter().flat_map(rule).collect();
    report(&complaints, advice);
}

fn report(complaints: &[String], advice: &str) {
    assert!(
        complaints.is_empty(),
        "\n{}\n\n{advice}\n",
        complaints.join("\n")
    );
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else {
        return found;
    };
    for entry in entries {
        let entry = entry.expect("a readable folder");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(sources(&path));
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("a readable file in UTF-8");
            found.push(Source::new(&path, &text));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The lines where `needle` begins a word, and not one in the middle of a path.
fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let begins = |line: &str| {
        line.match_indices(needle).any(|(at, _)| {
            !line[..at].ends_with(|c| is_word(c) || (c == ':' && needle.contains(':')))
        })
    };
    let lines = code.lines().enumerate().filter(|(_, line)| begins(line));
    lines.map(|(index, _)| index + 1).collect()
}
