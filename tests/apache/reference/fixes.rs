//! The switches: each deliberate difference from Apache that changes who is elected, what a client
//! is told, or what the books say, with its rows of the ledger (`docs/deviations.md`).

use std::collections::BTreeSet;

/// One deliberate difference from Apache. With none of them the model is Apache.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fix {
    /// A failed attempt's member is not busy while the request goes on elsewhere.
    BusyReleasedAtAttemptEnd,
    /// A connection that turns out closed makes a 502, also for a client's later requests, and
    /// nobody's error; if it had been used before, an idempotent request goes out once more, on a
    /// new one.
    ClosedIsBadGateway,
    /// `status=E` counts as in error since the start.
    ConfiguredError,
    /// As many attempts as there are members now; the manager's number counts always.
    DynamicAttempts,
    /// Bytes for each unit of weight are compared exactly.
    ExactTraffic,
    /// 1.15 is 115 hundredths, not 114.
    ExactWeights,
    /// `failonstatus` looks at members' answers only.
    FailOnMembersStatuses,
    /// Forced recovery forgives whomever only the error keeps out, when nobody can be elected.
    ForgiveOnlyError,
    /// `max` is a number of requests in flight, and a member that has them is passed over, also
    /// for its sessions: nothing waits for it, and it is not put in error.
    FullIsPassedOver,
    /// Heartbeats: a fallback elects while nobody reports idle capacity.
    HeartbeatFallback,
    /// Heartbeats: the common walk decides who is eligible, and the draw is fair.
    Heartbeats,
    /// A request goes on from a member that ignores errors.
    IgnoreErrorsSkips,
    /// Bytraffic: who joins or returns starts at its group's minimum.
    JoinAtMinimum,
    /// Bytraffic: what a member has moved before it was first eligible, for sessions, does not
    /// count.
    JoinWithNothing,
    /// What is no HTTP is a 502.
    JunkIsBadGateway,
    /// Spares that have nobody to stand in for serve when nobody else can.
    LoneSparesServe,
    /// Another method starts with equal standings and leaves counters alone.
    MethodChangeKeepsCounters,
    /// One request never tries a member twice.
    NeverTwice,
    /// A load factor that is set resets nothing.
    NoReset,
    /// `ping` is not used.
    NoPing,
    /// All whose time has come recover at the next pick, when the delay has passed.
    RecoveryOfAll,
    /// A session's hit moves the active group's standings only, and only under methods that elect
    /// by them.
    SessionBooks,
    /// Names of sessions need boundaries; blanks, quotes and empty values do not count.
    SessionText,
    /// A request that has tried all who are eligible reaches for spares, standbys, later sets.
    StandbyReserve,
    /// A timeout is blamed on the member that let it pass.
    TimeoutBlame,
}

impl Fix {
    /// All of them, by name.
    pub const ALL: [Self; 25] = [
        Self::BusyReleasedAtAttemptEnd,
        Self::ClosedIsBadGateway,
        Self::ConfiguredError,
        Self::DynamicAttempts,
        Self::ExactTraffic,
        Self::ExactWeights,
        Self::FailOnMembersStatuses,
        Self::ForgiveOnlyError,
        Self::FullIsPassedOver,
        Self::HeartbeatFallback,
        Self::Heartbeats,
        Self::IgnoreErrorsSkips,
        Self::JoinAtMinimum,
        Self::JoinWithNothing,
        Self::JunkIsBadGateway,
        Self::LoneSparesServe,
        Self::MethodChangeKeepsCounters,
        Self::NeverTwice,
        Self::NoReset,
        Self::NoPing,
        Self::RecoveryOfAll,
        Self::SessionBooks,
        Self::SessionText,
        Self::StandbyReserve,
        Self::TimeoutBlame,
    ];

    /// Those under which a configuration runs: all but the two that the library's own defaults
    /// have and `config` leaves out.
    pub fn of_config() -> BTreeSet<Self> {
        let left_out = [Self::HeartbeatFallback, Self::JoinAtMinimum];
        let all = Self::ALL.into_iter();
        all.filter(|fix| !left_out.contains(fix)).collect()
    }

    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// Its rows of the ledger.
    pub fn row(self) -> &'static [u32] {
        self.entry().1
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fix| fix.name() == name)
    }

    fn entry(self) -> (&'static str, &'static [u32]) {
        match self {
            Self::BusyReleasedAtAttemptEnd => ("busy_released_at_attempt_end", &[22]),
            Self::ClosedIsBadGateway => ("closed_is_bad_gateway", &[70, 113]),
            Self::ConfiguredError => ("configured_error", &[33]),
            Self::DynamicAttempts => ("dynamic_attempts", &[21]),
            Self::ExactTraffic => ("exact_traffic", &[32]),
            Self::ExactWeights => ("exact_weights", &[1]),
            Self::FailOnMembersStatuses => ("fail_on_members_statuses", &[50]),
            Self::ForgiveOnlyError => ("forgive_only_error", &[5]),
            Self::FullIsPassedOver => ("full_is_passed_over", &[16, 39, 95]),
            Self::HeartbeatFallback => ("heartbeat_fallback", &[10]),
            Self::Heartbeats => ("heartbeats", &[10]),
            Self::IgnoreErrorsSkips => ("ignore_errors_skips", &[20]),
            Self::JoinAtMinimum => ("join_at_minimum", &[34]),
            // The ledger has this only as far as its row on joining goes.
            Self::JoinWithNothing => ("join_with_nothing", &[34]),
            Self::JunkIsBadGateway => ("junk_is_bad_gateway", &[19, 68]),
            Self::LoneSparesServe => ("lone_spares_serve", &[7]),
            Self::MethodChangeKeepsCounters => ("method_change_keeps_counters", &[43]),
            Self::NeverTwice => ("never_twice", &[20, 35]),
            Self::NoReset => ("no_reset", &[11, 36]),
            Self::NoPing => ("no_ping", &[66]),
            Self::RecoveryOfAll => ("recovery_of_all", &[37, 38]),
            Self::SessionBooks => ("session_books", &[8, 44]),
            Self::SessionText => ("session_text", &[13, 41, 42]),
            Self::StandbyReserve => ("standby_reserve", &[47]),
            Self::TimeoutBlame => ("timeout_blame", &[18]),
        }
    }
}
