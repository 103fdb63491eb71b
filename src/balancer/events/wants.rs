//! Which events an observer is told: [`Interest`].

use std::fmt;

/// What an observer wants to be told, and what is measured for it.
///
/// What no observer wants costs nothing: it is neither measured nor put together.
///
/// # Examples
///
/// ```
/// use equipoise::balancer::events::Interest;
///
/// let wants = Interest::CHANGED.and(Interest::ENDED);
/// assert!(wants.contains(Interest::CHANGED));
/// assert!(!wants.contains(Interest::ELAPSED), "the clock is not read for it");
/// assert!(Interest::ALL.contains(wants));
/// ```
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Interest(u32);

impl Interest {
    /// All kinds of events, also those of later versions, with all that is measured.
    pub const ALL: Self = Self(u32::MAX);
    /// [`EventKind::Answered`](super::EventKind::Answered), and the time to the head.
    pub const ANSWERED: Self = Self(1);
    /// [`EventKind::Changed`](super::EventKind::Changed).
    pub const CHANGED: Self = Self(1 << 1);
    /// [`EventKind::Ejected`](super::EventKind::Ejected).
    pub const EJECTED: Self = Self(1 << 2);
    /// As [`ENDED`](Self::ENDED), with [`Ended::elapsed`](crate::Ended::elapsed): the clock
    /// is read at the beginning and at the end of each request.
    pub const ELAPSED: Self = Self(1 << 3 | Self::ENDED.0);
    /// [`EventKind::Picked`](super::EventKind::Picked).
    pub const PICKED: Self = Self(1 << 4);
    /// [`EventKind::Ended`](super::EventKind::Ended). What another observer or the scheduler
    /// wants to have measured is there, too.
    pub const ENDED: Self = Self(1 << 5);
    /// [`EventKind::FailedOver`](super::EventKind::FailedOver).
    pub const FAILED_OVER: Self = Self(1 << 6);
    /// [`EventKind::Joined`](super::EventKind::Joined).
    pub const JOINED: Self = Self(1 << 7);
    /// [`EventKind::Left`](super::EventKind::Left).
    pub const LEFT: Self = Self(1 << 8);
    /// No events.
    pub const NOTHING: Self = Self(0);
    /// [`EventKind::Recovered`](super::EventKind::Recovered).
    pub const RECOVERED: Self = Self(1 << 9);
    /// [`EventKind::Refused`](super::EventKind::Refused).
    pub const REFUSED: Self = Self(1 << 10);
    /// [`EventKind::Session`](super::EventKind::Session).
    pub const SESSION: Self = Self(1 << 11);
    /// [`EventKind::SessionNotKept`](super::EventKind::SessionNotKept).
    pub const SESSION_NOT_KEPT: Self = Self(1 << 12);
    /// [`EventKind::Waiting`](super::EventKind::Waiting).
    pub const WAITING: Self = Self(1 << 13);

    /// What is told when a member has been picked.
    pub(in crate::balancer) const ELECTION: Self =
        Self(Self::PICKED.0 | Self::SESSION.0 | Self::FAILED_OVER.0);

    /// Returns both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether all of `other` is wanted.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether any of `other` is wanted.
    pub(in crate::balancer) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(in crate::balancer) const fn bits(self) -> u32 {
        self.0
    }

    pub(in crate::balancer) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// The names in the order of the bits.
const NAMES: [&str; 14] = [
    "ANSWERED",
    "CHANGED",
    "EJECTED",
    "ELAPSED",
    "PICKED",
    "ENDED",
    "FAILED_OVER",
    "JOINED",
    "LEFT",
    "RECOVERED",
    "REFUSED",
    "SESSION",
    "SESSION_NOT_KEPT",
    "WAITING",
];

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("Wants(ALL)");
        }
        let wanted = NAMES.iter().enumerate();
        let wanted = wanted.filter(|(bit, _)| self.0 >> bit & 1 == 1);
        let names: Vec<&str> = wanted.map(|(_, &name)| name).collect();
        write!(f, "Wants({})", names.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::Interest;

    #[test]
    fn a_set_reads_as_its_names() {
        let wants = Interest::ELAPSED.and(Interest::WAITING);
        assert_eq!(format!("{wants:?}"), "Wants(ELAPSED | ENDED | WAITING)");
        assert_eq!(format!("{:?}", Interest::ALL), "Wants(ALL)");
        assert_eq!(format!("{:?}", Interest::NOTHING), "Wants()");
    }
}
