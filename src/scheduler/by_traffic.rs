//! Picks the member with the fewest bytes per unit of weight.

use std::cmp::Ordering;

use super::heap::{Heap, HeapKey, grow};
use super::ranking::{Ranking, pick_ranked};
use super::{Candidate, Candidates, Claim, GroupChange, Pick, PickContext, Scheduler};
use crate::member::{EffectiveWeight, MemberId, MemberState, Weight};
use crate::sync::Mutex;

/// Picks the member that has transferred the fewest bytes per unit of weight
/// (`lbmethod=bytraffic`). Both directions are added; the earlier member wins a tie.
///
/// The comparison is exact. Apache divides each direction by a hundred times the weight and
/// rounds down, so that fewer than 100 bytes count as nothing there. Bytes count when they
/// are recorded on the [`Lease`](crate::Lease), also while responses stream; until the
/// first bytes are recorded, concurrent requests see the same order.
///
/// A member that joins or becomes eligible again with fewer bytes than all others starts at
/// the group's minimum, so that it does not get all requests until it has caught up.
/// [`catching_up`](Self::catching_up) does as Apache does.
///
/// Source: `lbmethod_bytraffic.c` of Apache httpd. Cost: a pick does not scan the members,
/// and recording bytes costs nothing extra. Bytes only grow, so a heap ordered by earlier
/// readings is exact if its head is read again until it stays the head.
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
    state: Mutex<Traffic>,
}

impl ByTraffic {
    /// Creates a scheduler in which all members start with zero bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{ByTraffic, Scheduler};
    ///
    /// assert_eq!(ByTraffic::new().name(), "bytraffic");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a scheduler in which a member that joins or is eligible again takes all
    /// requests until it has caught up with the others, as in Apache.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, ByTraffic, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(ByTraffic::catching_up())
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.record_received(1_000);
    /// balancer.insert("b", (), MemberSpec::new());
    /// for _ in 0..10 {
    ///     let mut lease = balancer.pick(&PickRequest::new())?;
    ///     assert_eq!(lease.member().name(), "b");
    ///     lease.record_received(99);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn catching_up() -> Self {
        let state = Traffic {
            lifts: false,
            ..Traffic::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl Scheduler for ByTraffic {
    fn name(&self) -> &'static str {
        "bytraffic"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        pick_ranked(&mut *self.state.lock(), candidates)
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.state.lock().peek(candidates)
    }

    fn on_room(&self, member: &MemberState) {
        self.state.lock().unpark(member.id());
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.state.lock().follow(group);
    }

    fn reset(&self) {
        self.state.lock().reset();
    }

    /// Returns the bytes counted per unit of weight, as of the last reading.
    fn standing(&self, member: MemberId) -> Option<i64> {
        self.state.lock().standing(member)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeapState {
    Absent,
    Heaped,
    Parked,
    Skipped,
}

/// The state kept for one member.
#[derive(Clone, Debug)]
struct TrafficEntry {
    member: Option<MemberId>,
    /// The bytes that count, as last read; never more than the present value.
    stored: u64,
    /// Added to the member's own total, with wrapping: it subtracts the bytes that the
    /// member had transferred before it was counted here, and lifts the member to the
    /// group's minimum. `None` if it is yet to be set so that the member starts with zero
    /// bytes.
    offset: Option<u64>,
    weight: u32,
    /// The sixteenths of the configured weight that count now.
    sixteenths: u32,
    rank: u64,
    at: usize,
    place: HeapState,
}

impl TrafficEntry {
    const EMPTY: Self = Self {
        member: None,
        stored: 0,
        offset: None,
        weight: 1,
        sixteenths: 1,
        rank: 0,
        at: 0,
        place: HeapState::Absent,
    };

    fn load(&self) -> TrafficLoad {
        TrafficLoad {
            ratio: Ratio {
                bytes: self.stored,
                weight: self.weight,
            },
            rank: self.rank,
        }
    }

    /// Returns the bytes that count now.
    fn counted(&self, member: &MemberState) -> u64 {
        self.counted_of(member.bytes())
    }

    /// Returns the bytes that count if the member's own total is `total`.
    fn counted_of(&self, total: u64) -> u64 {
        self.offset.map_or(0, |offset| total.wrapping_add(offset))
    }

    /// Returns the bytes that count once `sixteenths` of the weight do. A step of a ramp
    /// keeps a member's ratio as it is. Otherwise the member would fall behind the others
    /// at each step and take all requests until it has caught up.
    fn counted_at(&self, sixteenths: u32, total: u64) -> u64 {
        let counted = self.counted_of(total);
        if self.sixteenths == sixteenths {
            return counted;
        }
        let bytes = u128::from(counted) * u128::from(sixteenths);
        u64::try_from(bytes.div_ceil(self.sixteenths.into())).unwrap_or(u64::MAX)
    }
}

/// Bytes per unit of weight, compared exactly.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    bytes: u64,
    weight: u32,
}

impl Ratio {
    #[inline]
    fn compare(self, other: Self) -> Ordering {
        if self.weight == other.weight {
            return self.bytes.cmp(&other.bytes);
        }
        let left = u128::from(self.bytes) * u128::from(other.weight);
        let right = u128::from(other.bytes) * u128::from(self.weight);
        left.cmp(&right)
    }

    /// Returns the smallest number of bytes of a member of `weight` that is not below this
    /// ratio.
    fn bytes_for(self, weight: u32) -> u64 {
        let bytes = (u128::from(self.bytes) * u128::from(weight)).div_ceil(self.weight.into());
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// The key of the heap.
#[derive(Clone, Copy, Debug)]
struct TrafficLoad {
    ratio: Ratio,
    rank: u64,
}

impl HeapKey for TrafficLoad {
    #[inline]
    fn goes_before(&self, other: &Self) -> bool {
        let order = self.ratio.compare(other.ratio);
        order.then(self.rank.cmp(&other.rank)).is_lt()
    }
}

#[derive(Debug)]
struct Traffic {
    nodes: Vec<TrafficEntry>,
    heap: Heap<TrafficLoad>,
    skipped: Vec<u32>,
    members: usize,
    parked: usize,
    generation: u64,
    /// Whether a member that joins is lifted to the group's minimum.
    lifts: bool,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            heap: Heap::new(),
            skipped: Vec::new(),
            members: 0,
            parked: 0,
            generation: 0,
            lifts: true,
        }
    }
}

impl Ranking for Traffic {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn slot(&self, member: MemberId) -> Option<u32> {
        let node = self.nodes.get(member.slot())?;
        let here = node.member == Some(member) && node.place != HeapState::Absent;
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        here.then_some(member.slot() as u32)
    }

    /// Reads the bytes of the heap's head again until it stays the head.
    fn first(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)> {
        loop {
            let (_, slot) = self.heap.first()?;
            let node = &mut self.nodes[slot as usize];
            let member = node.member?;
            if let Some(state) = candidates.state(member) {
                let counted = node.counted(state);
                if counted > node.stored {
                    node.stored = counted;
                    let load = node.load();
                    self.heap.change(0, load, moved(&mut self.nodes));
                    if self.heap.first().is_some_and(|(_, first)| first != slot) {
                        continue;
                    }
                }
            }
            return Some((slot, member));
        }
    }

    fn picked(&mut self, _: u32, _: &Claim<'_>) {}

    fn skip(&mut self, slot: u32) {
        if self.take(slot) {
            self.nodes[slot as usize].place = HeapState::Skipped;
            self.skipped.push(slot);
        }
    }

    fn restore_skipped(&mut self) {
        while let Some(slot) = self.skipped.pop() {
            self.push(slot);
        }
    }

    fn park(&mut self, slot: u32) {
        if self.take(slot) {
            self.nodes[slot as usize].place = HeapState::Parked;
            self.parked += 1;
        }
    }

    fn parked(&self) -> usize {
        self.parked
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.nodes[slot as usize].place == HeapState::Parked
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

    /// Puts a slot into the heap, which got room for it when the member joined.
    fn push(&mut self, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        node.place = HeapState::Heaped;
        let load = node.load();
        self.heap.push(load, slot, moved(&mut self.nodes));
    }

    /// Removes a slot from the heap, if it is there.
    fn take(&mut self, slot: u32) -> bool {
        let node = &self.nodes[slot as usize];
        let here = node.place == HeapState::Heaped;
        if here {
            self.heap.remove(node.at, moved(&mut self.nodes));
        }
        here
    }

    fn follow(&mut self, group: &GroupChange<'_>) {
        self.generation = self.generation.max(group.generation());
        for member in group.left() {
            self.leave(member.id());
        }
        for candidate in group.changed() {
            self.leave(candidate.id());
            self.join(candidate, None);
        }
        // Members that join together are compared with the members that were there before.
        let least = if self.lifts && group.joined().next().is_some() {
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
        grow(&mut self.nodes, at, TrafficEntry::EMPTY);
        let node = &mut self.nodes[at];
        if node.member != Some(candidate.id()) {
            *node = TrafficEntry::EMPTY;
            node.member = Some(candidate.id());
        }
        let total = candidate.state().bytes();
        let counted = node.counted_at(candidate.sixteenths(), total);
        node.weight = candidate.weight().units();
        node.sixteenths = candidate.sixteenths();
        node.rank = candidate.rank();
        node.stored = least.map_or(counted, |least| least.bytes_for(node.weight).max(counted));
        node.offset = Some(node.stored.wrapping_sub(total));
        self.members += 1;
        self.heap.reserve(self.members);
        self.skipped
            .reserve(self.members.saturating_sub(self.skipped.len()));
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        self.push(at as u32);
    }

    fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot(member) else {
            return;
        };
        self.take(slot);
        let node = &mut self.nodes[slot as usize];
        if node.place == HeapState::Parked {
            self.parked -= 1;
        }
        node.place = HeapState::Absent;
        self.members -= 1;
    }

    /// Lets all members start with zero bytes at the group's next change.
    fn reset(&mut self) {
        for node in &mut self.nodes {
            node.offset = None;
        }
    }

    /// Returns the smallest ratio among the candidates, by their present bytes.
    fn least<'c>(&self, candidates: impl Iterator<Item = Candidate<'c>>) -> Option<Ratio> {
        candidates
            .map(|candidate| Ratio {
                bytes: self.counted(candidate),
                weight: candidate.weight().units(),
            })
            .min_by(|a, b| a.compare(*b))
    }

    /// Returns the bytes that count for a candidate, also for one without an entry here.
    fn counted(&self, candidate: Candidate<'_>) -> u64 {
        self.nodes
            .get(candidate.id().slot())
            .filter(|node| node.member == Some(candidate.id()))
            .map_or(0, |node| {
                node.counted_at(candidate.sixteenths(), candidate.state().bytes())
            })
    }

    /// Returns the member that would be picked, by the plain rule and a scan of all
    /// members.
    fn peek(&self, candidates: &Candidates<'_>) -> Option<MemberId> {
        let is_here = |candidate: &Candidate<'_>| self.slot(candidate.id()).is_some();
        let least = self.least(candidates.all().filter(is_here));
        let least = least.filter(|_| self.lifts);
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
        let node = self.nodes.get(member.slot())?;
        let weight_one = u64::from(EffectiveWeight::from(Weight::ONE).units());
        // A reset counts at once, also for a member that is absent.
        let bytes = node.offset.map_or(0, |_| node.stored);
        let per_weight = u128::from(bytes) * u128::from(weight_one) / u128::from(node.weight);
        (node.member == Some(member)).then(|| i64::try_from(per_weight).unwrap_or(i64::MAX))
    }
}

/// Records the index of a slot in the heap.
fn moved(nodes: &mut [TrafficEntry]) -> impl FnMut(u32, usize) {
    |slot, at| nodes[slot as usize].at = at
}
