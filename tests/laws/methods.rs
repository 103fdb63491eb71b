//! The methods, each as the plain loop over everybody that Apache's sources state,
//! with the fixes that the crate's documentation names.
//!
//! Nothing here is clever: no order is kept, no sum is carried over. Who is eligible
//! is settled before (see `model`), and so is the order of the group, which settles
//! ties: a later member wins only if it is strictly better.

use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic};

use crate::member::{Key, Member};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    Busyness,
    Requests,
    Traffic,
    TrafficCatchingUp,
    WeightedBusyness,
}

impl Method {
    pub(crate) fn install<W>(self, balancer: &Balancer<W>) {
        match self {
            Self::Busyness => balancer.set_scheduler(ByBusyness::new()),
            Self::WeightedBusyness => balancer.set_scheduler(ByBusyness::weighted()),
            Self::Requests => balancer.set_scheduler(ByRequests::new()),
            Self::Traffic => balancer.set_scheduler(ByTraffic::new()),
            Self::TrafficCatchingUp => balancer.set_scheduler(ByTraffic::catching_up()),
        }
    }

    /// Compares bytes, and has no standings.
    pub(crate) fn counts_bytes(self) -> bool {
        matches!(self, Self::Traffic | Self::TrafficCatchingUp)
    }
}

/// What a method remembers of one member. It outlives every absence from the group.
#[derive(Clone, Debug, Default)]
struct Book {
    /// In the group as the method knows it.
    here: bool,
    /// Apache's `lbstatus`, in hundredths of weight.
    standing: i64,
    /// Its turn came while it was at its cap: until it has room it neither takes part
    /// nor accrues. A full member whose turn has not come yet accrues like any other.
    parked: bool,
    /// By traffic: what is added to the member's own bytes. `None` where that was
    /// never fixed, or was reset: it starts with nothing.
    head_start: Option<i128>,
}

/// How the group changed, in tie order.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) left: Vec<Key>,
    pub(crate) joined: Vec<Key>,
    /// Stayed, with another spec or another role.
    pub(crate) changed: Vec<Key>,
}

#[derive(Debug)]
pub(crate) struct Books {
    method: Method,
    by_key: Vec<Book>,
}

impl Books {
    pub(crate) fn new(method: Method) -> Self {
        Self {
            method,
            by_key: Vec::new(),
        }
    }

    pub(crate) fn method(&self) -> Method {
        self.method
    }

    fn book(&mut self, key: Key) -> &mut Book {
        if key >= self.by_key.len() {
            self.by_key.resize_with(key + 1, Book::default);
        }
        &mut self.by_key[key]
    }

    fn get(&self, key: Key) -> Option<&Book> {
        self.by_key.get(key)
    }

    pub(crate) fn standing(&self, key: Key) -> i64 {
        self.get(key).map_or(0, |book| book.standing)
    }

    /// The bytes that count if the method counts any: those moved since the member
    /// first joined, or since the reset, and what it was lifted by.
    pub(crate) fn counted(&self, key: Key, members: &[Member]) -> u64 {
        let head_start = self.get(key).and_then(|book| book.head_start);
        let bytes = i128::from(members[key].bytes);
        head_start.map_or(0, |head_start| {
            // Only absurd weights get it to the end of the range.
            u64::try_from(bytes + head_start).unwrap_or(u64::MAX)
        })
    }

    /// One election among the group: the winner, already entered in the books; `None`
    /// if everybody is tried or full.
    pub(crate) fn elect(
        &mut self,
        group: &[Key],
        tried: &[Key],
        members: &[Member],
    ) -> Option<Key> {
        loop {
            let mut best: Option<Key> = None;
            for &key in group {
                if tried.contains(&key) || self.book(key).parked {
                    continue;
                }
                if best.is_none_or(|best| self.is_better(key, best, members)) {
                    best = Some(key);
                }
            }
            let best = best?;
            if members[best].has_room() {
                self.enter(best, group, members);
                return Some(best);
            }
            self.book(best).parked = true;
        }
    }

    /// Apache's `better`; its additions to `lbstatus` on the way are made up for by
    /// looking one election ahead.
    fn is_better(&self, key: Key, best: Key, members: &[Member]) -> bool {
        let (a, b) = (&members[key], &members[best]);
        let (heavy, light) = (u64::from(a.weight()), u64::from(b.weight()));
        let ahead = self.standing(key) + i64::from(a.weight())
            > self.standing(best) + i64::from(b.weight());
        match self.method {
            Method::Requests => ahead,
            Method::Busyness => a.in_flight < b.in_flight || (a.in_flight == b.in_flight && ahead),
            Method::WeightedBusyness => {
                let (a, b) = (
                    u64::from(a.in_flight) * light,
                    u64::from(b.in_flight) * heavy,
                );
                a < b || (a == b && ahead)
            }
            Method::Traffic | Method::TrafficCatchingUp => {
                let a = u128::from(self.counted(key, members)) * u128::from(light);
                let b = u128::from(self.counted(best, members)) * u128::from(heavy);
                a < b
            }
        }
    }

    /// Enters an election, by the method or by a session (ledger row 8: only those who
    /// are eligible accrue): everybody gains its weight, the elected one pays for all.
    pub(crate) fn enter(&mut self, elected: Key, group: &[Key], members: &[Member]) {
        if self.method.counts_bytes() {
            return;
        }
        let mut total = 0;
        for &key in group {
            if !self.book(key).parked {
                let weight = i64::from(members[key].weight());
                self.book(key).standing += weight;
                total += weight;
            }
        }
        self.book(elected).standing -= total;
    }

    /// A request of the member ended.
    pub(crate) fn ended(&mut self, key: Key, members: &[Member]) {
        if members[key].has_room() {
            self.book(key).parked = false;
        }
    }

    /// The group changed. Standings stay as they are (ledger rows 11 and 36); whoever
    /// joins under `ByTraffic` starts no lower than those that were there (row 34), unless it
    /// shall catch up.
    pub(crate) fn follow(&mut self, change: &Change, members: &[Member]) {
        for &key in &change.left {
            let book = self.book(key);
            (book.here, book.parked) = (false, false);
        }
        for &key in &change.changed {
            self.fix(key, 0, members);
        }
        let lifts = self.method == Method::Traffic;
        let least = self.least(members).filter(|_| lifts);
        for &key in &change.joined {
            let weight = u128::from(members[key].weight());
            let floor = least.map_or(0, |(bytes, of)| (u128::from(bytes) * weight).div_ceil(of));
            self.fix(key, u64::try_from(floor).unwrap_or(u64::MAX), members);
        }
        for &key in &change.joined {
            self.book(key).here = true;
        }
    }

    /// Takes a member up as it is now, with `floor` bytes at least.
    fn fix(&mut self, key: Key, floor: u64, members: &[Member]) {
        let counted = self.counted(key, members).max(floor);
        let book = self.book(key);
        book.head_start = Some(i128::from(counted) - i128::from(members[key].bytes));
        book.parked = false;
    }

    /// The least load in the group: bytes, and for what weight.
    fn least(&self, members: &[Member]) -> Option<(u64, u128)> {
        let here = (0..self.by_key.len()).filter(|&key| self.by_key[key].here);
        here.map(|key| {
            let weight = u128::from(members[key].weight());
            (self.counted(key, members), weight)
        })
        .min_by(|a, b| (u128::from(a.0) * b.1).cmp(&(u128::from(b.0) * a.1)))
    }

    /// Everybody starts equal, absent members included; a change of everybody must
    /// follow.
    pub(crate) fn reset(&mut self) {
        for book in &mut self.by_key {
            book.standing = 0;
            book.head_start = None;
        }
    }
}
