//! Apache's methods as plain loops over all members: [`Election`].
//!
//! Not here: which members are eligible (`walk.rs`).

use std::cmp::Ordering;

/// How [`Election`] compares members.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ElectionMethod {
    /// The fewest requests in flight; equal ones by standing ([`ByBusyness`]).
    ///
    /// [`ByBusyness`]: crate::ByBusyness
    Busyness,
    /// The highest standing ([`ByRequests`](crate::ByRequests)).
    Requests,
    /// The fewest bytes for each unit of weight ([`ByTraffic`](crate::ByTraffic)).
    Traffic,
    /// The fewest requests in flight for each unit of weight
    /// ([`ByBusyness::weighted`](crate::ByBusyness::weighted)).
    WeightedBusyness,
}

impl ElectionMethod {
    /// Returns whether bytes are compared, and there are no standings.
    #[must_use]
    pub const fn counts_bytes(self) -> bool {
        matches!(self, Self::Traffic)
    }
}

/// What an election reads of a member.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::ModelMember;
///
/// let mut member = ModelMember::new(150); // a weight of 1.5
/// member.in_flight = 3;
/// member.is_full = true;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ModelMember {
    /// The weight, in hundredths.
    pub weight: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Whether it is at its cap.
    pub is_full: bool,
    /// Bytes sent to it.
    pub sent: u64,
    /// Bytes received from it.
    pub received: u64,
}

impl ModelMember {
    /// Creates an idle member with a weight in hundredths.
    #[must_use]
    pub const fn new(weight: u64) -> Self {
        Self {
            weight,
            in_flight: 0,
            is_full: false,
            sent: 0,
            received: 0,
        }
    }

    fn bytes(&self) -> i128 {
        i128::from(self.sent) + i128::from(self.received)
    }
}

/// What an election remembers of one member. It outlives each absence from the group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemberBooks {
    /// The standing (Apache: `lbstatus`), in hundredths of weight.
    pub standing: i64,
    /// Whether its turn came while it was full: until it has room, it neither takes part nor
    /// gains standing.
    pub is_parked: bool,
    /// With bytes: what is added to the member's own.
    pub credit: i128,
    /// Whether it has been in the group since the start or a reset.
    pub counts: bool,
}

/// Apache's methods, each as the plain loop over the group that Apache's sources state, with
/// the deviations of this crate.
///
/// Nothing here is clever: no order is kept and no sum is carried over. Members are given by
/// number, and the caller provides the eligible ones in the order that settles ties: a later
/// member wins only if it is strictly better. The caller counts requests and bytes, and
/// passes a function that returns a member's [`ModelMember`].
///
/// Source: `mod_lbmethod_byrequests.c`, `mod_lbmethod_bybusyness.c` and
/// `mod_lbmethod_bytraffic.c` of Apache httpd 2.4.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::{ModelMember, Election, ElectionMethod};
///
/// let weights = [300, 100];
/// let facts = |member: usize| ModelMember::new(weights[member]);
/// let mut election = Election::new(ElectionMethod::Requests);
/// election.follow(&[0, 1], &[], facts);
/// let order = [(); 4].map(|()| election.elect(&[0, 1], &[], facts).unwrap());
/// assert_eq!(order, [0, 0, 1, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    method: ElectionMethod,
    lifts: bool,
    starts_with_nothing: bool,
    divides_first: bool,
    books: Vec<MemberBooks>,
    group: Vec<usize>,
}

impl Election {
    /// Creates an election as the schedulers of this crate hold it.
    #[must_use]
    pub const fn new(method: ElectionMethod) -> Self {
        Self {
            method,
            lifts: true,
            starts_with_nothing: true,
            divides_first: false,
            books: Vec::new(),
            group: Vec::new(),
        }
    }

    /// Sets whether a member that joins by bytes starts no lower than the others; it does by
    /// default. Without it: [`ByTraffic::catching_up`](crate::ByTraffic::catching_up).
    #[must_use]
    pub const fn lifting(mut self, on: bool) -> Self {
        self.lifts = on;
        self
    }

    /// Sets whether only bytes count that were transferred since the member first joined;
    /// so it is by default, and not in Apache.
    #[must_use]
    pub const fn starting_with_nothing(mut self, on: bool) -> Self {
        self.starts_with_nothing = on;
        self
    }

    /// Sets whether bytes are divided by the weight, rounded down, before they are compared,
    /// as Apache does.
    #[must_use]
    pub const fn dividing_first(mut self, on: bool) -> Self {
        self.divides_first = on;
        self
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> ElectionMethod {
        self.method
    }

    /// Returns the books of a member.
    pub fn books(&mut self, member: usize) -> &mut MemberBooks {
        if member >= self.books.len() {
            self.books.resize_with(member + 1, MemberBooks::default);
        }
        &mut self.books[member]
    }

    /// Returns the standing of a member.
    #[must_use]
    pub fn standing(&self, member: usize) -> i64 {
        self.books.get(member).map_or(0, |books| books.standing)
    }

    /// Returns the bytes of a member that count: those since it first joined or since the
    /// reset, and what it was lifted by.
    #[must_use]
    pub fn counted(&self, member: usize, facts: ModelMember) -> u64 {
        let books = self.books.get(member);
        let (counts, credit) = books.map_or((false, 0), |books| (books.counts, books.credit));
        if self.starts_with_nothing && !counts {
            return 0;
        }
        // Only absurd weights lead to the end of the range.
        u64::try_from((facts.bytes() + credit).max(0)).unwrap_or(u64::MAX)
    }

    /// Elects a member of the group that was not tried, and enters it in the books. `None`
    /// if all are tried or full.
    pub fn elect(
        &mut self,
        group: &[usize],
        tried: &[usize],
        facts: impl Fn(usize) -> ModelMember,
    ) -> Option<usize> {
        let mut group = self.competitors(group, &facts);
        let mut free: Vec<usize> = group.clone();
        free.retain(|member| !tried.contains(member));
        if self.method.counts_bytes() {
            free.retain(|&member| !facts(member).is_full);
            return self.best(&free, &facts);
        }
        loop {
            let best = self.best(&free, &facts)?;
            if !facts(best).is_full {
                self.move_standings(&group, best, &facts);
                return Some(best);
            }
            self.books(best).is_parked = true;
            group.retain(|&member| member != best);
            free.retain(|&member| member != best);
        }
    }

    /// Enters a pick by a session. Only a member of the group that is not parked changes the
    /// standings.
    pub fn enter(&mut self, picked: usize, group: &[usize], facts: impl Fn(usize) -> ModelMember) {
        let group = self.competitors(group, &facts);
        if !self.method.counts_bytes() && group.contains(&picked) {
            self.move_standings(&group, picked, facts);
        }
    }

    /// Returns the group without parked members, after those that have room are parked no
    /// longer.
    fn competitors(&mut self, group: &[usize], facts: impl Fn(usize) -> ModelMember) -> Vec<usize> {
        for (member, books) in self.books.iter_mut().enumerate() {
            if books.is_parked {
                books.is_parked = group.contains(&member) && facts(member).is_full;
            }
        }
        let is_parked = |&member: &usize| self.books.get(member).is_some_and(|it| it.is_parked);
        group.iter().copied().filter(|it| !is_parked(it)).collect()
    }

    /// Adds its weight to each standing of the group; `serves` pays for all.
    #[expect(clippy::cast_possible_wrap, reason = "weights are below 2^23")]
    pub fn move_standings(
        &mut self,
        group: &[usize],
        serves: usize,
        facts: impl Fn(usize) -> ModelMember,
    ) {
        for &member in group {
            let weight = facts(member).weight as i64;
            self.books(member).standing += weight;
            self.books(serves).standing -= weight;
        }
    }

    /// Returns the first member that no other is strictly before.
    fn best(&self, group: &[usize], facts: impl Fn(usize) -> ModelMember) -> Option<usize> {
        let mut best: Option<usize> = None;
        for &member in group {
            if best.is_none_or(|best| {
                self.compare((member, facts(member)), (best, facts(best)))
                    .is_lt()
            }) {
                best = Some(member);
            }
        }
        best
    }

    fn compare(&self, one: (usize, ModelMember), other: (usize, ModelMember)) -> Ordering {
        let ((a, one), (b, other)) = (one, other);
        // Apache adds the weights on the way; this looks one election ahead instead.
        let ahead = |member, facts: ModelMember| {
            i128::from(self.standing(member)) + i128::from(facts.weight)
        };
        let by_standing = || ahead(b, other).cmp(&ahead(a, one));
        let cross = |x: u64, y: u64| {
            let (x, y) = (u128::from(x), u128::from(y));
            (x * u128::from(other.weight)).cmp(&(y * u128::from(one.weight)))
        };
        match self.method {
            ElectionMethod::Busyness => {
                let order = one.in_flight.cmp(&other.in_flight);
                order.then_with(by_standing)
            }
            ElectionMethod::Requests => by_standing(),
            ElectionMethod::Traffic if self.divides_first => {
                let load = |it: ModelMember| it.sent / it.weight + it.received / it.weight;
                load(one).cmp(&load(other))
            }
            ElectionMethod::Traffic => cross(self.counted(a, one), self.counted(b, other)),
            ElectionMethod::WeightedBusyness => {
                cross(one.in_flight, other.in_flight).then_with(by_standing)
            }
        }
    }

    /// Follows a change of the group. `touched` are members with another spec or role.
    ///
    /// Standings stay as they are. A member that joins by bytes starts no lower than those
    /// that were there, unless lifting is off.
    pub fn follow(
        &mut self,
        group: &[usize],
        touched: &[usize],
        facts: impl Fn(usize) -> ModelMember,
    ) {
        let before = std::mem::replace(&mut self.group, group.to_vec());
        for &member in before.iter().chain(touched) {
            let stays = group.contains(&member) && !touched.contains(&member);
            self.books(member).is_parked &= stays;
        }
        if self.starts_with_nothing {
            for &member in group {
                let books = self.books(member);
                if !std::mem::replace(&mut books.counts, true) {
                    books.credit = -facts(member).bytes();
                }
            }
        }
        let mut stayed = group.to_vec();
        stayed.retain(|member| before.contains(member));
        let by_traffic = Self {
            method: ElectionMethod::Traffic,
            ..self.clone()
        };
        let least = by_traffic.best(&stayed, &facts).filter(|_| self.lifts);
        let Some(least) = least else {
            return;
        };
        let (bytes, weight) = (self.counted(least, facts(least)), facts(least).weight);
        let (bytes, weight) = (u128::from(bytes), u128::from(weight));
        for &member in group.iter().filter(|member| !stayed.contains(member)) {
            let floor = (bytes * u128::from(facts(member).weight)).div_ceil(weight);
            let floor = u64::try_from(floor).unwrap_or(u64::MAX);
            let counted = self.counted(member, facts(member)).max(floor);
            self.books(member).credit = i128::from(counted) - facts(member).bytes();
        }
    }

    /// Notes that a request of a member has ended, or that it was given room.
    pub fn ended(&mut self, member: usize, facts: ModelMember) {
        if !facts.is_full {
            self.books(member).is_parked = false;
        }
    }

    /// Makes all members start equal, absent ones included. The group must be
    /// [followed](Self::follow) afterwards, with all members touched.
    pub fn reset(&mut self) {
        for books in &mut self.books {
            books.standing = 0;
            books.counts = false;
            books.credit = 0;
        }
    }
}
