//! Detects replayed messages: [`Replays`].
//!
//! Times are milliseconds since 1970, and arguments.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Stamp;

/// The most senders that are kept. Only holders of the key can add one.
const MAX_SENDERS: usize = 65_536;

/// The latest message of each sender.
#[derive(Debug)]
pub(in crate::heartbeat) struct Replays {
    /// The largest difference between the time of a message and the local time.
    tolerance: u64,
    latest: HashMap<u64, Latest>,
}

#[derive(Clone, Copy, Debug)]
struct Latest {
    time: u64,
    from: IpAddr,
}

/// Why a signed message is not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::heartbeat) enum Unacceptable {
    Full,
    Outdated,
    Replayed,
}

impl Replays {
    pub(in crate::heartbeat) fn new(tolerance: u64) -> Self {
        Self {
            tolerance,
            latest: HashMap::new(),
        }
    }

    /// Accepts a message, at most once.
    pub(in crate::heartbeat) fn accept(
        &mut self,
        stamp: Stamp,
        from: IpAddr,
        now: u64,
    ) -> Result<(), Unacceptable> {
        let Stamp { time, instance } = stamp;
        if time.abs_diff(now) > self.tolerance {
            return Err(Unacceptable::Outdated);
        }
        if let Some(latest) = self.latest.get(&instance) {
            // A sender whose messages are all too old by now may have moved.
            let moved = latest.from != from && !self.is_over(latest, now);
            if moved || latest.time >= time {
                return Err(Unacceptable::Replayed);
            }
        } else if self.latest.len() >= MAX_SENDERS {
            let (tolerance, before) = (self.tolerance, self.latest.len());
            self.latest
                .retain(|_, latest| latest.time.saturating_add(tolerance) >= now);
            if self.latest.len() == before {
                return Err(Unacceptable::Full);
            }
        }
        self.latest.insert(instance, Latest { time, from });
        Ok(())
    }

    /// Returns whether all of its messages up to the latest are too old to be accepted.
    fn is_over(&self, latest: &Latest, now: u64) -> bool {
        latest.time.saturating_add(self.tolerance) < now
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SENDERS, Replays, Stamp, Unacceptable};
    use std::net::{IpAddr, Ipv4Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const NOW: u64 = 1_000_000;

    fn stamp(time: u64, instance: u64) -> Stamp {
        Stamp { time, instance }
    }

    #[test]
    fn a_message_is_accepted_once_and_older_ones_never_again() {
        let mut replays = Replays::new(30_000);
        let mut accept = |time, from| replays.accept(stamp(time, 7), from, NOW);
        assert_eq!(accept(NOW, HERE), Ok(()));
        assert_eq!(accept(NOW, HERE), Err(Unacceptable::Replayed));
        assert_eq!(accept(NOW - 1, HERE), Err(Unacceptable::Replayed));
        assert_eq!(accept(NOW + 1, THERE), Err(Unacceptable::Replayed));
        assert_eq!(accept(NOW + 1, HERE), Ok(()));
        assert_eq!(replays.accept(stamp(NOW, 8), HERE, NOW), Ok(()));
    }

    #[test]
    fn a_message_of_another_time_is_refused_in_both_directions() {
        let mut replays = Replays::new(30_000);
        for (time, is_acceptable) in [
            (NOW - 30_001, false),
            (NOW - 30_000, true),
            (NOW + 30_000, true),
            (NOW + 30_001, false),
            (u64::MAX, false),
            (0, false),
        ] {
            let accepted = replays.accept(stamp(time, time), HERE, NOW);
            assert_eq!(accepted.is_ok(), is_acceptable, "{time}");
        }
    }

    #[test]
    fn a_clock_that_jumps_back_lets_nothing_in_twice() {
        let mut replays = Replays::new(30_000);
        assert_eq!(replays.accept(stamp(NOW, 1), HERE, NOW), Ok(()));
        let replayed = replays.accept(stamp(NOW, 1), HERE, NOW - 20_000);
        assert_eq!(replayed, Err(Unacceptable::Replayed));
    }

    #[test]
    fn a_sender_that_has_moved_is_accepted_once_its_former_messages_are_too_old() {
        let mut replays = Replays::new(30_000);
        assert_eq!(replays.accept(stamp(NOW, 1), HERE, NOW), Ok(()));
        let later = NOW + 30_000;
        let early = replays.accept(stamp(later, 1), THERE, later);
        assert_eq!(early, Err(Unacceptable::Replayed));
        let later = NOW + 30_001;
        assert_eq!(replays.accept(stamp(later, 1), THERE, later), Ok(()));
    }

    #[test]
    fn senders_are_forgotten_once_their_messages_are_too_old() {
        let mut replays = Replays::new(30_000);
        for instance in 0..MAX_SENDERS as u64 {
            assert_eq!(replays.accept(stamp(NOW, instance), HERE, NOW), Ok(()));
        }
        let full = replays.accept(stamp(NOW, u64::MAX), HERE, NOW);
        assert_eq!(full, Err(Unacceptable::Full));
        let later = NOW + 30_001;
        assert_eq!(replays.accept(stamp(later, u64::MAX), HERE, later), Ok(()));
        assert_eq!(replays.latest.len(), 1);
    }
}
