//! The flows of the clients, and the choice of the flow that is given up when there are too
//! many: [`FlowTable`].

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use super::flow_key::FlowKey;

/// At most one flow for each [`FlowKey`]. Times are nanoseconds since a moment that the
/// caller chooses.
///
/// A flow is *confirmed* when its client has sent again after a response. A sender that
/// uses another forged address for each datagram never confirms a flow, so unconfirmed
/// flows are given up first, the oldest before the others. The connection tracking of Linux
/// does the same.
///
/// A sender that uses each forged address twice confirms its flows. Unconfirmed flows are
/// few then, and confirmed flows are given up instead: those that have been idle the
/// longest, out of a small sample ("second chance" algorithm), and never one that was used
/// within [`SHORT`].
#[derive(Debug)]
pub(super) struct FlowTable<T> {
    /// The keys come from the network; the standard library's hasher is randomly keyed.
    entries: HashMap<FlowKey, FlowEntry<T>>,
    /// Flows that were unconfirmed when they were inserted, the oldest first. Some of them
    /// may be confirmed or gone by now.
    unconfirmed: VecDeque<(FlowKey, u64)>,
    /// Confirmed flows, in the order in which they are examined. Some of them may be gone
    /// by now.
    confirmed: VecDeque<Queued>,
    /// The number of confirmed flows.
    firm: usize,
    next: u64,
}

#[derive(Debug)]
pub(super) struct FlowEntry<T> {
    pub(super) flow: T,
    pub(super) number: u64,
    is_confirmed: bool,
    /// When it ends because its member is lost.
    pub(super) ends_at: Option<Instant>,
}

impl<T> FlowEntry<T> {
    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }
}

#[derive(Debug)]
struct Queued {
    key: FlowKey,
    number: u64,
    /// When it was last used, as of the time it was queued.
    used: u64,
}

/// Below this number of removed flows, a cleanup of the queue is not worthwhile.
const FEW: usize = 1024;

/// Unconfirmed flows may use one in this many of all flows before they replace each other.
const SHARE: usize = 8;

/// A confirmed flow that was used within this time is not given up: 2 s.
const SHORT: u64 = 2_000_000_000;

/// How many confirmed flows are examined for each flow that is given up.
const LOOKS: usize = 32;

impl<T> FlowTable<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            unconfirmed: VecDeque::new(),
            confirmed: VecDeque::new(),
            firm: 0,
            next: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get_mut(&mut self, key: FlowKey) -> Option<&mut FlowEntry<T>> {
        self.entries.get_mut(&key)
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (FlowKey, &mut FlowEntry<T>)> {
        self.entries.iter_mut().map(|(&key, entry)| (key, entry))
    }

    /// Inserts a flow, replacing that of the same key; returns its number.
    pub(super) fn insert(&mut self, key: FlowKey, flow: T) -> u64 {
        if self.unconfirmed.len() >= 2 * self.entries.len() + FEW {
            let entries = &self.entries;
            self.unconfirmed
                .retain(|&(key, number)| is_there(entries, key, number, false));
        }
        let number = self.next;
        self.next += 1;
        self.unconfirmed.push_back((key, number));
        let entry = FlowEntry {
            flow,
            number,
            is_confirmed: false,
            ends_at: None,
        };
        let before = self.entries.insert(key, entry);
        self.firm -= usize::from(before.is_some_and(|it| it.is_confirmed));
        number
    }

    /// Records that a flow is confirmed, and when it was used.
    pub(super) fn confirm(&mut self, key: FlowKey, used: u64) {
        if self.confirmed.len() >= 2 * self.entries.len() + FEW {
            let entries = &self.entries;
            self.confirmed
                .retain(|it| is_there(entries, it.key, it.number, true));
        }
        let entry = self.entries.get_mut(&key);
        let Some(entry) = entry.filter(|entry| !entry.is_confirmed) else {
            return;
        };
        entry.is_confirmed = true;
        self.firm += 1;
        let number = entry.number;
        self.confirmed.push_back(Queued { key, number, used });
    }

    /// Removes the flow with that number, unless its key has another one by now.
    pub(super) fn remove(&mut self, key: FlowKey, number: u64) -> Option<T> {
        let entry = self.entries.get(&key)?;
        if entry.number != number {
            return None;
        }
        self.firm -= usize::from(entry.is_confirmed);
        self.entries.remove(&key).map(|entry| entry.flow)
    }

    /// Removes the least valuable flow, if there is one to remove; `used` returns when a
    /// flow was last used.
    pub(super) fn give_up(&mut self, now: u64, used: impl Fn(&T) -> u64) -> Option<T> {
        let unconfirmed = self.entries.len() - self.firm;
        if unconfirmed > self.entries.len() / SHARE {
            return self.give_up_unconfirmed();
        }
        self.give_up_quiet(now, used)
            .or_else(|| self.give_up_unconfirmed())
    }

    /// Removes the oldest unconfirmed flow.
    fn give_up_unconfirmed(&mut self) -> Option<T> {
        while let Some((key, number)) = self.unconfirmed.pop_front() {
            if is_there(&self.entries, key, number, false) {
                return self.remove(key, number);
            }
        }
        None
    }

    /// Removes an idle confirmed flow: of those examined, the one that has been idle the
    /// longest.
    fn give_up_quiet(&mut self, now: u64, used: impl Fn(&T) -> u64) -> Option<T> {
        let mut quietest: Option<Queued> = None;
        let mut looks = 0;
        while looks < LOOKS.min(self.firm) {
            let Some(queued) = self.confirmed.pop_front() else {
                break;
            };
            let (key, number) = (queued.key, queued.number);
            let entry = self.entries.get(&key);
            let Some(entry) = entry.filter(|it| it.is_confirmed && it.number == number) else {
                continue;
            };
            looks += 1;
            let used = used(&entry.flow);
            if used == queued.used && used.saturating_add(SHORT) <= now {
                // Not used since it was queued, and queued before all others.
                return self.remove(key, number);
            }
            self.confirmed.push_back(Queued { key, number, used });
            if quietest.as_ref().is_none_or(|it| used < it.used) {
                quietest = Some(Queued { key, number, used });
            }
        }
        let quietest = quietest.filter(|it| it.used.saturating_add(SHORT) <= now)?;
        self.remove(quietest.key, quietest.number)
    }
}

fn is_there<T>(
    entries: &HashMap<FlowKey, FlowEntry<T>>,
    key: FlowKey,
    number: u64,
    is_confirmed: bool,
) -> bool {
    let entry = entries.get(&key);
    entry.is_some_and(|entry| entry.number == number && entry.is_confirmed == is_confirmed)
}

#[cfg(test)]
mod tests {
    use super::{FEW, FlowKey, FlowTable, LOOKS, SHORT};
    use std::net::Ipv4Addr;

    fn key(port: u16) -> FlowKey {
        FlowKey {
            client: (Ipv4Addr::LOCALHOST, port).into(),
            local: None,
        }
    }

    /// A flow here is the time at which it was last used.
    fn give_up(table: &mut FlowTable<u64>, now: u64) -> Option<u64> {
        table.give_up(now, |&used| used)
    }

    #[test]
    fn the_oldest_flow_that_is_not_confirmed_is_given_up() {
        let mut table = FlowTable::new();
        let numbers = [1, 2, 3, 4].map(|port| table.insert(key(port), port.into()));
        table.confirm(key(1), 1);
        assert_eq!(table.remove(key(2), numbers[1]), Some(2));
        assert_eq!(give_up(&mut table, 5), Some(3));
        assert_eq!(give_up(&mut table, 5), Some(4));
        assert_eq!(give_up(&mut table, 5), None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn what_ends_late_leaves_the_flow_that_took_its_place() {
        let mut table = FlowTable::new();
        let old = table.insert(key(1), 1);
        table.confirm(key(1), 1);
        let new = table.insert(key(1), 2);
        assert_eq!(table.remove(key(1), old), None);
        assert_eq!((table.len(), table.firm), (1, 0));
        assert_eq!(give_up(&mut table, 3), Some(2));
        assert_eq!(table.remove(key(1), new), None);
    }

    #[test]
    fn flows_that_are_gone_are_forgotten() {
        let mut table = FlowTable::new();
        for _ in 0..10 {
            for port in 1..FEW {
                let key = key(u16::try_from(port).unwrap());
                let number = table.insert(key, port);
                table.confirm(key, 0);
                assert_eq!(table.remove(key, number), Some(port));
            }
        }
        assert!(table.unconfirmed.len() <= FEW);
        assert!(table.confirmed.len() <= FEW);
        assert_eq!(table.firm, 0);
    }

    /// Returns confirmed flows. Each was last used at the time that equals its number.
    fn confirmed(ports: std::ops::Range<u16>) -> FlowTable<u64> {
        let mut table = FlowTable::new();
        for port in ports {
            table.insert(key(port), port.into());
            table.confirm(key(port), port.into());
        }
        table
    }

    #[test]
    fn where_all_are_confirmed_the_one_that_has_been_quiet_longest_is_given_up() {
        let mut table = confirmed(1..100);
        let now = SHORT + 200;
        // The first ones have been used again.
        for port in 1..10 {
            table.get_mut(key(port)).unwrap().flow = 150 + u64::from(port);
        }
        for port in 10..100 {
            assert_eq!(give_up(&mut table, now), Some(port));
        }
        assert_eq!(give_up(&mut table, now), Some(151));
    }

    #[test]
    fn what_was_used_a_short_while_ago_is_not_given_up() {
        let mut table = confirmed(1..4);
        let unconfirmed = SHORT;
        assert_eq!(give_up(&mut table, SHORT), None);
        assert_eq!(give_up(&mut table, SHORT + 1), Some(1));
        // An unconfirmed flow is given up if there is no other.
        table.insert(key(9), unconfirmed);
        assert_eq!(give_up(&mut table, SHORT + 1), Some(unconfirmed));
        assert_eq!(give_up(&mut table, SHORT + 1), None);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_flood_of_unconfirmed_flows_takes_no_more_than_their_share() {
        let most = 80;
        let mut table = confirmed(0..80);
        let now = SHORT + 1_000;
        for port in 1_000..2_000 {
            assert_eq!(table.len(), most);
            give_up(&mut table, now).unwrap();
            table.insert(key(port), now);
        }
        assert_eq!(table.firm, most - most / 8 - 1);
    }

    #[test]
    fn the_work_for_one_flow_is_bounded_and_goes_on_where_it_ended() {
        let mut table = confirmed(0..1_000);
        for port in 0..1_000 {
            // All but the last have been used again.
            let used = if port == 999 { 999 } else { SHORT * 2 };
            table.get_mut(key(port)).unwrap().flow = used;
        }
        let looks = std::cell::Cell::new(0);
        let mut tries = 0;
        loop {
            tries += 1;
            let given_up = table.give_up(SHORT * 2, |&used| {
                looks.set(looks.get() + 1);
                used
            });
            if given_up == Some(999) {
                break;
            }
            assert_eq!(given_up, None);
        }
        assert_eq!(tries, 1_000_usize.div_ceil(LOOKS));
        assert_eq!(looks.get(), 1_000);
    }
}
