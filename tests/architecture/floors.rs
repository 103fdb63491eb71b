//! Which module stands on which floor, and which may import from a sibling.

pub(crate) struct Floor {
    pub(crate) name: &'static str,
    /// How many floors, counted from the ground, its modules may import from.
    pub(crate) sees: usize,
    pub(crate) modules: &'static [&'static str],
}

#[rustfmt::skip]
pub(crate) const FLOORS: &[Floor] = &[
    Floor { name: "ground", sees: 0, modules: &["clock", "percent", "random", "stable_hash", "sync"] },
    Floor { name: "model", sees: 1, modules: &["member", "session"] },
    Floor { name: "picture", sees: 2, modules: &["snapshot"] },
    Floor { name: "policy", sees: 3, modules: &["scheduler"] },
    Floor { name: "hall", sees: 4, modules: &["balancer"] },
    Floor { name: "sockets", sees: 5, modules: &["net", "timer"] },
    Floor { name: "drivers", sees: 6, modules: &["discovery", "forward", "health", "heartbeat", "proxy", "service", "telemetry"] },
    Floor { name: "roof", sees: 7, modules: &["config", "manager"] },
    Floor { name: "documentation", sees: 0, modules: &["glossary", "guide"] },
    // Last, so that no floor sees it.
    Floor { name: "annex", sees: 5, modules: &["testkit"] },
];

/// The floors that know no I/O, runtime, clock or feature: ground to hall.
pub(crate) const CORE: usize = 5;

/// Who may import a sibling on its own floor, and why.
pub(crate) const BRIDGES: &[(&str, &str, &str)] = &[
    ("clock", "sync", "the time of a `ManualClock` is an atomic"),
    ("health", "forward", "an `Address` is checked where it is"),
    ("health", "proxy", "an `Endpoint` is checked where it is"),
    (
        "heartbeat",
        "service",
        "an answer tells by which member it was made",
    ),
    (
        "net",
        "timer",
        "its limits hold in a task whose budget is used up",
    ),
    (
        "proxy",
        "service",
        "an answer of the proxy's own is one of the service's",
    ),
    ("random", "sync", "that counter is an atomic"),
];

pub(crate) fn floor_of(module: &str) -> Option<usize> {
    FLOORS
        .iter()
        .position(|floor| floor.modules.contains(&module))
}
