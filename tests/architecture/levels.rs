//! The level of each module, and the permitted imports between modules of one level.

pub(crate) struct Level {
    pub(crate) name: &'static str,
    /// Its modules may import from this many levels, counted from the lowest.
    pub(crate) sees: usize,
    pub(crate) modules: &'static [&'static str],
}

#[rustfmt::skip]
pub(crate) const LEVELS: &[Level] = &[
    Level { name: "base", sees: 0, modules: &["clock", "percent", "random", "stable_hash", "sync"] },
    Level { name: "model", sees: 1, modules: &["member", "session"] },
    Level { name: "snapshot", sees: 2, modules: &["snapshot"] },
    Level { name: "schedulers", sees: 3, modules: &["scheduler"] },
    Level { name: "balancer", sees: 4, modules: &["balancer"] },
    Level { name: "sockets", sees: 5, modules: &["net", "timer"] },
    Level { name: "drivers", sees: 6, modules: &["discovery", "forward", "health", "heartbeat", "proxy", "serialize", "service", "telemetry"] },
    Level { name: "configuration", sees: 7, modules: &["config", "manager"] },
    Level { name: "documentation", sees: 0, modules: &["glossary", "guide"] },
    // The last one, so that no other level sees it.
    Level { name: "test support", sees: 5, modules: &["testkit"] },
];

/// The number of levels in the core: those without I/O, runtime, clock and features.
pub(crate) const CORE: usize = 5;

/// Which module may import which other module of its own level, and why.
pub(crate) const SIBLINGS: &[(&str, &str, &str)] = &[
    ("clock", "sync", "the time of a `ManualClock` is an atomic"),
    ("health", "forward", "checks connect to an `Address`"),
    ("health", "proxy", "checks connect to an `Endpoint`"),
    (
        "heartbeat",
        "service",
        "`ServedBy` names the member of a response",
    ),
    (
        "net",
        "timer",
        "its deadlines also fire in a task whose budget is used up",
    ),
    (
        "proxy",
        "service",
        "it is made of the services, and its error responses are theirs",
    ),
    ("random", "sync", "the state of a `Random` is an atomic"),
];

/// Returns the position of a module's level in [`LEVELS`].
pub(crate) fn level_of(module: &str) -> Option<usize> {
    LEVELS
        .iter()
        .position(|level| level.modules.contains(&module))
}
