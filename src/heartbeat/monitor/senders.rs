//! The latest report of each server: [`Senders`]. Its size is bounded for any number of
//! senders.
//!
//! Members always have an entry, or need none: their reports are passed on to the balancer
//! either way. A flood from many addresses thus displaces other servers only.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::heartbeat::{HeartbeatMessage, HeartbeatRecord, SenderId};

/// During a flood, outdated entries are removed at most once in this time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Senders {
    most: usize,
    forget_after: Duration,
    /// The keys come from the network; the hasher of the standard library is keyed.
    known: HashMap<SenderId, KnownSender>,
    strangers: usize,
    swept_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct KnownSender {
    message: HeartbeatMessage,
    at: Timestamp,
    is_member: bool,
}

/// The result of handling a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReportResult {
    /// There is no entry left for a server that is not a member.
    Full,
    Newest,
    /// A later report is known.
    Outrun,
}

impl Senders {
    pub(super) fn new(most: usize, forget_after: Duration) -> Self {
        Self {
            most,
            forget_after,
            known: HashMap::new(),
            strangers: 0,
            swept_at: Timestamp::ORIGIN,
        }
    }

    /// Sets the most entries. Existing entries stay until they are too old.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Handles a report that arrived at `at`.
    pub(super) fn take(
        &mut self,
        sender: SenderId,
        (message, at): (HeartbeatMessage, Timestamp),
        is_member: bool,
        now: Timestamp,
    ) -> ReportResult {
        let former = self.known.get(&sender).copied();
        if former.is_some_and(|former| former.at > at && former.at <= now) {
            return ReportResult::Outrun;
        }
        if former.is_none_or(|former| former.is_member != is_member) {
            self.remove(sender);
            if !self.has_room(is_member, now) {
                return if is_member {
                    ReportResult::Newest
                } else {
                    ReportResult::Full
                };
            }
            self.strangers += usize::from(!is_member);
        }
        let known = KnownSender {
            message,
            at,
            is_member,
        };
        self.known.insert(sender, known);
        ReportResult::Newest
    }

    fn remove(&mut self, sender: SenderId) {
        let removed = self.known.remove(&sender);
        self.strangers -= usize::from(removed.is_some_and(|it| !it.is_member));
    }

    /// Returns whether there is room for another member, or for another server.
    fn has_room(&mut self, is_member: bool, now: Timestamp) -> bool {
        if self.occupied(is_member) < self.most {
            return true;
        }
        // Within that time, no entry becomes outdated that was not there at the last sweep,
        // unless the clock was set back.
        if now.since(self.swept_at) >= SWEEP_INTERVAL || is_ahead(self.swept_at, now) {
            self.sweep(now);
        }
        self.occupied(is_member) < self.most
    }

    fn occupied(&self, by_members: bool) -> usize {
        if by_members {
            self.known.len() - self.strangers
        } else {
            self.strangers
        }
    }

    /// Removes outdated entries.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.swept_at = now;
        let forget_after = self.forget_after;
        // An entry ahead of a clock that was set back would otherwise stay for that long.
        self.known
            .retain(|_, known| now.since(known.at) < forget_after && !is_ahead(known.at, now));
        self.strangers = self.known.values().filter(|it| !it.is_member).count();
    }

    /// Returns the reading of a server and its age.
    pub(super) fn latest(
        &self,
        sender: SenderId,
        now: Timestamp,
    ) -> Option<(HeartbeatMessage, Duration)> {
        let known = self.known.get(&sender)?;
        let age = now.since(known.at);
        (age < self.forget_after).then_some((known.message, age))
    }

    /// Returns all entries that are not outdated, by address.
    pub(super) fn records(&self, now: Timestamp) -> Vec<HeartbeatRecord> {
        let mut records: Vec<HeartbeatRecord> = self
            .known
            .iter()
            .map(|(&sender, known)| {
                let record = HeartbeatRecord::new(sender, known.message.reading());
                record.with_last_seen(now.since(known.at))
            })
            .filter(|record| record.last_seen() < Some(self.forget_after))
            .collect();
        records.sort_unstable_by_key(HeartbeatRecord::sender);
        records
    }
}

/// Returns whether the clock was set back since; reports that arrive at the same time may
/// overtake each other by a little.
fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.since(now) > SWEEP_INTERVAL
}

#[cfg(test)]
mod tests {
    use super::{ReportResult, Senders};
    use crate::clock::Timestamp;
    use crate::heartbeat::{HeartbeatMessage, SenderId};
    use crate::scheduler::HeartbeatReading;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const FORGOTTEN: Duration = Duration::from_secs(30);

    fn sender(number: u32) -> SenderId {
        SenderId::new(Ipv4Addr::from(number).into(), None)
    }

    fn message(ready: u32) -> HeartbeatMessage {
        HeartbeatMessage::new(HeartbeatReading { ready, busy: 1 })
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ORIGIN + Duration::from_secs(seconds)
    }

    fn take(senders: &mut Senders, number: u32, is_member: bool, seconds: u64) -> ReportResult {
        let now = at(seconds);
        senders.take(sender(number), (message(number), now), is_member, now)
    }

    #[test]
    fn a_flood_from_a_million_addresses_is_bounded_and_keeps_no_member_out() {
        let mut senders = Senders::new(1_000, FORGOTTEN);
        let mut full = 0;
        for number in 0..1_000_000 {
            full += u32::from(take(&mut senders, number, false, 1) == ReportResult::Full);
        }
        assert_eq!(full, 999_000);
        assert_eq!(senders.known.len(), 1_000);
        assert_eq!(take(&mut senders, u32::MAX, true, 1), ReportResult::Newest);
        let latest = senders.latest(sender(u32::MAX), at(1));
        assert_eq!(latest, Some((message(u32::MAX), Duration::ZERO)));
        assert_eq!(senders.known.len(), 1_001);
    }

    #[test]
    fn outdated_entries_make_room() {
        let mut senders = Senders::new(2, FORGOTTEN);
        assert_eq!(take(&mut senders, 1, false, 0), ReportResult::Newest);
        assert_eq!(take(&mut senders, 2, false, 10), ReportResult::Newest);
        assert_eq!(take(&mut senders, 3, false, 29), ReportResult::Full);
        assert_eq!(take(&mut senders, 3, false, 30), ReportResult::Newest);
        assert_eq!(senders.latest(sender(1), at(30)), None);
    }

    #[test]
    fn a_report_is_forgotten_after_its_time_also_if_nothing_sweeps() {
        let mut senders = Senders::new(2, FORGOTTEN);
        take(&mut senders, 1, false, 0);
        assert!(senders.latest(sender(1), at(29)).is_some());
        assert!(senders.latest(sender(1), at(30)).is_none());
        assert_eq!(senders.records(at(29)).len(), 1);
        assert_eq!(senders.records(at(30)).len(), 0);
    }

    #[test]
    fn an_earlier_report_does_not_replace_a_later_one() {
        let mut senders = Senders::new(2, FORGOTTEN);
        take(&mut senders, 1, true, 10);
        let earlier = senders.take(sender(1), (message(9), at(5)), true, at(10));
        assert_eq!(earlier, ReportResult::Outrun);
        assert_eq!(senders.latest(sender(1), at(10)).unwrap().0, message(1));
        // A clock that was set back must not lock the sender out.
        let jumped = senders.take(sender(1), (message(8), at(2)), true, at(2));
        assert_eq!(jumped, ReportResult::Newest);
    }

    #[test]
    fn a_clock_that_jumps_back_leaves_no_table_full() {
        let mut senders = Senders::new(1, FORGOTTEN);
        assert_eq!(take(&mut senders, 1, false, 3_600), ReportResult::Newest);
        assert_eq!(take(&mut senders, 2, false, 3_600), ReportResult::Full);
        assert_eq!(take(&mut senders, 2, false, 5), ReportResult::Newest);
        assert_eq!(senders.records(at(5)).len(), 1);
        // A report that has overtaken another is not from the future.
        senders.sweep(at(4));
        assert_eq!(senders.records(at(4)).len(), 1);
        senders.sweep(at(2));
        assert_eq!(senders.records(at(2)).len(), 0);
    }

    #[test]
    fn entries_are_counted_as_servers_become_members_and_cease_to_be() {
        let mut senders = Senders::new(1, FORGOTTEN);
        assert_eq!(take(&mut senders, 1, false, 0), ReportResult::Newest);
        assert_eq!(take(&mut senders, 1, true, 0), ReportResult::Newest);
        assert_eq!(take(&mut senders, 2, false, 0), ReportResult::Newest);
        // The former member has no entry among the other servers.
        assert_eq!(take(&mut senders, 1, false, 0), ReportResult::Full);
        assert_eq!(senders.known.len(), 1);
        // More members than entries: they are not kept, but they count.
        assert_eq!(take(&mut senders, 3, true, 0), ReportResult::Newest);
        assert_eq!(take(&mut senders, 4, true, 0), ReportResult::Newest);
        assert_eq!(senders.known.len(), 2);
        assert_eq!(senders.strangers, 1);
    }
}
