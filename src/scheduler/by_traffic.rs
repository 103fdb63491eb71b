//! Fewest bytes for each unit of weight.

use std::cmp::Ordering;

use super::election::{Books, elect};
use super::heap::{self, Ranked};
use super::{Candidate, Candidates, Claim, Group, Pick, PickContext, Scheduler};
use crate::member::{EffectiveWeight, MemberId, MemberState, Weight};
use crate::sync::Mutex;

/// Elects the member that has moved the fewest bytes, both directions together, for
/// each unit of weight (`lbmethod=bytraffic`); the earlier member on a tie.
///
/// The comparison is exact: Apache divides each direction by a hundred times the
/// weight and cuts, so that there less than 100 bytes count as nothing. Bytes count
/// as they are recorded on the [`Lease`](crate::Lease), also while responses stream;
/// until the first are, concurrent requests see the same order.
///
/// Who joins or returns with less than everybody else starts at the group's minimum,
/// so that it is not flooded until it has caught up.
///
/// Source: `lbmethod_bytraffic.c` of Apache httpd. Cost: no scan, and nothing on the
/// data path: bytes only grow, so a heap of lower bounds, whose head is read again
/// until it stands, is exact.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, ByTraffic, PickRequest};
///
/// let balancer = Balancer::builder()
///     .scheduler(ByTraffic::new())
///     .member("a", (), Default::default())
///     .member("b", (), Default::default())
///     .build()?;
/// let mut lease = balancer.pick(&PickRequest::new()).unwrap();
/// assert_eq!(lease.member().name(), "a");
/// lease.record_received(1_000);
/// let next = balancer.pick(&PickRequest::new()).unwrap();
/// assert_eq!(next.member().name(), "b");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug, Default)]
pub struct ByTraffic {
    books: Mutex<Traffic>,
}

impl ByTraffic {
    /// Makes a scheduler for which everybody starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for ByTraffic {
    fn name(&self) -> &'static str {
        "bytraffic"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        elect(&mut *self.books.lock(), candidates)
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.books.lock().peek(candidates)
    }

    fn on_room(&self, member: &MemberState) {
        self.books.lock().unpark(member.id());
    }

    fn on_group(&self, group: &Group<'_>) {
        self.books.lock().follow(group);
    }

    fn reset(&self) {
        self.books.lock().reset();
    }

    /// The bytes counted for each unit of weight, as of the last look.
    fn standing(&self, member: MemberId) -> Option<i64> {
        self.books.lock().standing(member)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Absent,
    Aside,
    Heaped,
    Parked,
}

/// The books of one member.
#[derive(Clone, Debug)]
struct Node {
    member: Option<MemberId>,
    /// The bytes that count, as last read; never more than the truth.
    stored: u64,
    /// What is added to the member's own total: negative for what it had moved
    /// before it was counted here, positive where it was lifted to the group's
    /// minimum. `None`: to be set so that it starts with nothing.
    offset: Option<i128>,
    weight: u32,
    rank: u64,
    at: usize,
    place: Place,
}

impl Node {
    const EMPTY: Self = Self {
        member: None,
        stored: 0,
        offset: None,
        weight: 1,
        rank: 0,
        at: 0,
        place: Place::Absent,
    };

    fn load(&self) -> Ratio {
        Ratio {
            bytes: self.stored,
            weight: self.weight,
        }
    }

    /// The bytes that count now.
    fn counted(&self, member: &MemberState) -> u64 {
        let offset = self.offset.unwrap_or(-i128::from(member.bytes()));
        u64::try_from(i128::from(member.bytes()) + offset).unwrap_or(0)
    }
}

/// Bytes for each unit of weight, compared exactly.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    bytes: u64,
    weight: u32,
}

impl Ratio {
    fn compare(self, other: Self) -> Ordering {
        let left = u128::from(self.bytes) * u128::from(other.weight);
        let right = u128::from(other.bytes) * u128::from(self.weight);
        left.cmp(&right)
    }

    /// The fewest bytes of a member of `weight` that are not below this ratio.
    fn bytes_for(self, weight: u32) -> u64 {
        let bytes = (u128::from(self.bytes) * u128::from(weight)).div_ceil(self.weight.into());
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

#[derive(Debug, Default)]
struct Nodes(Vec<Node>);

impl Ranked for Nodes {
    fn goes_before(&self, a: u32, b: u32) -> bool {
        let (a, b) = (&self.0[a as usize], &self.0[b as usize]);
        let order = a.load().compare(b.load()).then(a.rank.cmp(&b.rank));
        order.is_lt()
    }

    fn moved(&mut self, slot: u32, at: usize) {
        self.0[slot as usize].at = at;
    }
}

#[derive(Debug, Default)]
struct Traffic {
    nodes: Nodes,
    heap: Vec<u32>,
    aside: Vec<u32>,
    members: usize,
    parked: usize,
    generation: u64,
}

impl Books for Traffic {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn slot(&self, member: MemberId) -> Option<u32> {
        let node = self.nodes.0.get(member.slot())?;
        let here = node.member == Some(member) && node.place != Place::Absent;
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        here.then_some(member.slot() as u32)
    }

    /// Reads the head's bytes again until it stays the head.
    fn champion(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)> {
        loop {
            let &slot = self.heap.first()?;
            let node = &mut self.nodes.0[slot as usize];
            let member = node.member?;
            if let Some(state) = candidates.state(member) {
                let counted = node.counted(state);
                if counted > node.stored {
                    node.stored = counted;
                    heap::settle(&mut self.heap, 0, &mut self.nodes);
                    if self.heap.first() != Some(&slot) {
                        continue;
                    }
                }
            }
            return Some((slot, member));
        }
    }

    fn elected(&mut self, _: u32, _: &Claim<'_>) {}

    fn step_over(&mut self, slot: u32) {
        if self.take(slot) {
            self.nodes.0[slot as usize].place = Place::Aside;
            self.aside.push(slot);
        }
    }

    fn put_back(&mut self) {
        while let Some(slot) = self.aside.pop() {
            self.push(slot);
        }
    }

    fn park(&mut self, slot: u32) {
        if self.take(slot) {
            self.nodes.0[slot as usize].place = Place::Parked;
            self.parked += 1;
        }
    }

    fn parked(&self) -> usize {
        self.parked
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.nodes.0[slot as usize].place == Place::Parked
    }
}

impl Traffic {
    fn unpark(&mut self, member: MemberId) {
        if let Some(slot) = self.slot(member) {
            if self.is_parked(slot) {
                self.parked -= 1;
                self.push(slot);
            }
        }
    }

    /// Puts a slot into the heap, whose room was made when it joined.
    fn push(&mut self, slot: u32) {
        self.nodes.0[slot as usize].place = Place::Heaped;
        heap::push(&mut self.heap, slot, &mut self.nodes);
    }

    /// Takes a slot out of the heap, if it is there.
    fn take(&mut self, slot: u32) -> bool {
        let node = &self.nodes.0[slot as usize];
        let here = node.place == Place::Heaped;
        if here {
            heap::remove(&mut self.heap, node.at, &mut self.nodes);
        }
        here
    }

    fn follow(&mut self, group: &Group<'_>) {
        self.generation = self.generation.max(group.generation());
        for member in group.left() {
            self.leave(member.id());
        }
        for candidate in group.changed() {
            self.leave(candidate.id());
            self.join(candidate, None);
        }
        // Those that join together are measured by those that were there before.
        let least = if group.joined().next().is_some() {
            self.least(group.iter().filter(|here| self.slot(here.id()).is_some()))
        } else {
            None
        };
        for candidate in group.joined() {
            self.leave(candidate.id());
            self.join(candidate, least);
        }
    }

    fn join(&mut self, candidate: Candidate<'_>, least: Option<Ratio>) {
        let at = candidate.id().slot();
        if at >= self.nodes.0.len() {
            self.nodes.0.resize(at + 1, Node::EMPTY);
        }
        let node = &mut self.nodes.0[at];
        if node.member != Some(candidate.id()) {
            *node = Node::EMPTY;
            node.member = Some(candidate.id());
        }
        node.weight = candidate.weight().units();
        node.rank = candidate.rank();
        let total = i128::from(candidate.state().bytes());
        let counted = node.counted(candidate.state());
        node.stored = least.map_or(counted, |least| least.bytes_for(node.weight).max(counted));
        node.offset = Some(i128::from(node.stored) - total);
        self.members += 1;
        self.heap
            .reserve(self.members.saturating_sub(self.heap.len()));
        self.aside
            .reserve(self.members.saturating_sub(self.aside.len()));
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        self.push(at as u32);
    }

    fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot(member) else {
            return;
        };
        self.take(slot);
        let node = &mut self.nodes.0[slot as usize];
        if node.place == Place::Parked {
            self.parked -= 1;
        }
        node.place = Place::Absent;
        self.members -= 1;
    }

    /// Everybody starts with nothing at the group's next change.
    fn reset(&mut self) {
        for node in &mut self.nodes.0 {
            node.offset = None;
        }
    }

    /// The least ratio among candidates, by their bytes of this moment.
    fn least<'c>(&self, candidates: impl Iterator<Item = Candidate<'c>>) -> Option<Ratio> {
        candidates
            .map(|candidate| Ratio {
                bytes: self.counted(candidate),
                weight: candidate.weight().units(),
            })
            .min_by(|a, b| a.compare(*b))
    }

    /// The bytes that count for a candidate, also for one that is not here.
    fn counted(&self, candidate: Candidate<'_>) -> u64 {
        self.nodes
            .0
            .get(candidate.id().slot())
            .filter(|node| node.member == Some(candidate.id()))
            .map_or(0, |node| node.counted(candidate.state()))
    }

    /// Who would be elected, by the plain rule and a look at everybody.
    fn peek(&self, candidates: &Candidates<'_>) -> Option<MemberId> {
        let is_here = |candidate: &Candidate<'_>| self.slot(candidate.id()).is_some();
        let least = self.least(candidates.all().filter(is_here));
        let load = |candidate: &Candidate<'_>| {
            let (counted, weight) = (self.counted(*candidate), candidate.weight().units());
            let floor = least.map_or(0, |least| least.bytes_for(weight));
            Ratio {
                bytes: if is_here(candidate) {
                    counted
                } else {
                    counted.max(floor)
                },
                weight,
            }
        };
        candidates
            .iter()
            .filter(Candidate::has_room)
            .min_by(|a, b| {
                load(a)
                    .compare(load(b))
                    .then_with(|| a.rank().cmp(&b.rank()))
            })
            .map(|candidate| candidate.id())
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        let node = self.nodes.0.get(member.slot())?;
        let weight_one = u64::from(EffectiveWeight::from(Weight::ONE).units());
        let per_weight = u128::from(node.stored) * u128::from(weight_one) / u128::from(node.weight);
        (node.member == Some(member)).then(|| i64::try_from(per_weight).unwrap_or(i64::MAX))
    }
}
