//! Which events an observer receives: [`Interest`].

use std::fmt;

use bitflags::bitflags;

bitflags! {
    /// The events that an observer wants, and what is measured for them.
    ///
    /// Events that no observer wants cost nothing: they are neither measured nor created.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::balancer::events::Interest;
    ///
    /// let wants = Interest::CHANGED | Interest::ENDED;
    /// assert!(wants.contains(Interest::CHANGED));
    /// assert!(!wants.contains(Interest::ELAPSED), "the clock is not read for it");
    /// assert!(Interest::ALL.contains(wants));
    /// ```
    #[derive(Clone, Copy, Default, Eq, PartialEq)]
    pub struct Interest: u32 {
        /// [`EventKind::Responded`](super::EventKind::Responded). No clock is read for it:
        /// its time to the head is present if [`TIME_TO_HEAD`](Self::TIME_TO_HEAD) is
        /// wanted, too.
        const RESPONDED = 1;
        /// [`EventKind::Changed`](super::EventKind::Changed), which includes errors of
        /// members.
        const CHANGED = 1 << 1;
        /// [`EventKind::Ejected`](super::EventKind::Ejected). Errors are not ejections:
        /// they are [`CHANGED`](Self::CHANGED).
        const EJECTED = 1 << 2;
        /// [`EventKind::Ended`](super::EventKind::Ended). It contains what is measured for
        /// another observer or for the scheduler, too.
        const ENDED = 1 << 5;
        /// As [`ENDED`](Self::ENDED), with [`Ended::elapsed`](crate::Ended::elapsed): the
        /// clock is read at the beginning and at the end of each request.
        const ELAPSED = 1 << 3 | Self::ENDED.bits();
        /// [`EventKind::Picked`](super::EventKind::Picked).
        const PICKED = 1 << 4;
        /// [`EventKind::FailedOver`](super::EventKind::FailedOver).
        const FAILED_OVER = 1 << 6;
        /// [`EventKind::HeartbeatFault`](super::EventKind::HeartbeatFault).
        const HEARTBEAT_FAULT = 1 << 16;
        /// [`EventKind::Joined`](super::EventKind::Joined).
        const JOINED = 1 << 7;
        /// [`EventKind::Left`](super::EventKind::Left).
        const LEFT = 1 << 8;
        /// [`EventKind::PassedCheck`](super::EventKind::PassedCheck).
        const PASSED_CHECK = 1 << 14;
        /// [`EventKind::Recovered`](super::EventKind::Recovered): the end of an ejection.
        /// The end of an error is [`CHANGED`](Self::CHANGED).
        const RECOVERED = 1 << 9;
        /// [`EventKind::Refused`](super::EventKind::Refused).
        const REFUSED = 1 << 10;
        /// [`EventKind::Session`](super::EventKind::Session).
        const SESSION = 1 << 11;
        /// [`EventKind::SessionNotKept`](super::EventKind::SessionNotKept).
        const SESSION_NOT_KEPT = 1 << 12;
        /// As [`RESPONDED`](Self::RESPONDED), with the time to the head, also in
        /// [`Ended::time_to_head`](crate::Ended::time_to_head): the clock is read at the
        /// beginning of each request and at the head of each response.
        const TIME_TO_HEAD = 1 << 15 | Self::RESPONDED.bits();
        /// [`EventKind::Waiting`](super::EventKind::Waiting).
        const WAITING = 1 << 13;
        // Kinds of later versions.
        const _ = !0;
    }
}

impl Interest {
    /// All kinds of events, also those of later versions, with all measurements.
    pub const ALL: Self = Self::all();
    /// No events.
    pub const NONE: Self = Self::empty();

    /// The events of a pick that found a member.
    pub(in crate::balancer) const PICK_EVENTS: Self =
        Self::PICKED.union(Self::SESSION).union(Self::FAILED_OVER);
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interest(")?;
        if self.is_all() {
            f.write_str("ALL")?;
        } else {
            bitflags::parser::to_writer(self, &mut *f)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::Interest;

    #[test]
    fn a_set_reads_as_its_names() {
        let wants = Interest::ELAPSED | Interest::WAITING;
        assert_eq!(format!("{wants:?}"), "Interest(ENDED | ELAPSED | WAITING)");
        assert_eq!(format!("{:?}", Interest::ALL), "Interest(ALL)");
        assert_eq!(format!("{:?}", Interest::NONE), "Interest()");
    }

    /// As the sets compared when each was an integer of our own.
    #[test]
    fn a_set_has_the_kinds_that_its_bits_have() {
        let kinds: Vec<(&str, Interest)> = Interest::ALL.iter_names().collect();
        assert_eq!(kinds.len(), 17);
        for bits in (0..1 << 17).chain([u32::MAX, 1 << 31]) {
            let wants = Interest::from_bits_retain(bits);
            for (name, kind) in &kinds {
                let (is_within, meets) =
                    (bits & kind.bits() == kind.bits(), bits & kind.bits() != 0);
                assert_eq!(wants.contains(*kind), is_within, "{wants:?} {name}");
                assert_eq!(wants.intersects(*kind), meets, "{wants:?} {name}");
            }
        }
        assert_eq!(Interest::ALL.bits(), u32::MAX);
        assert_eq!(Interest::PICK_EVENTS.bits(), 1 << 4 | 1 << 6 | 1 << 11);
    }
}
