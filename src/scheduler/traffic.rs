//! The ranking behind [`ByTraffic`](super::ByTraffic): bytes per unit of weight, in a heap of
//! lower bounds, or compared at each pick while the members are few.
//!
//! Bytes only grow, so the bytes that are stored are lower bounds of the present ones. The
//! head of the heap is read again until it stays the head: then no other member has fewer.
//!
//! Not here: the lock (`looks`).

use std::cmp::Ordering;

use super::heap::{Heap, HeapOrder, grow, make_room};
use super::looks::{BookMode, Look, LookBooks, LookLine};
use super::ranking::Ranking;
use super::turns::Turns;
use super::{Candidate, Candidates, Claim, GroupChange};
use crate::member::{CountersSeen, EffectiveWeight, MemberId, MemberState, Weight};
use crate::snapshot::FEW_MEMBERS;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeapState {
    Absent,
    /// In the group: in the heap, unless the members are few.
    Heaped,
    Parked,
    /// Skipped for the present pick, but still in the heap.
    Skipped,
    /// Skipped for the present pick, and taken out of the heap.
    SkippedOut,
}

/// The state kept for one member.
#[derive(Clone, Debug)]
struct TrafficEntry {
    member: Option<MemberId>,
    /// The bytes that count, as last read; never more than the present value.
    stored: u64,
    /// Added to the member's own total, with wrapping: it subtracts the bytes that the
    /// member had transferred before it was counted here, and lifts the member to the
    /// group's minimum.
    offset: u64,
    /// Whether `offset` is set; until then the member has zero bytes.
    has_offset: bool,
    weight: u32,
    /// The sixteenths of the configured weight that count now.
    sixteenths: u32,
    rank: u64,
    place: HeapState,
}

impl TrafficEntry {
    const EMPTY: Self = Self {
        member: None,
        stored: 0,
        offset: 0,
        has_offset: false,
        weight: 1,
        sixteenths: 1,
        rank: 0,
        place: HeapState::Absent,
    };

    fn load(&self, slot: u32) -> TrafficLoad {
        TrafficLoad {
            bytes: self.stored,
            rank: self.rank,
            weight: self.weight,
            slot,
        }
    }

    fn offset(&self) -> Option<u64> {
        self.has_offset.then_some(self.offset)
    }

    /// Returns the bytes that count now.
    fn counted(&self, member: &MemberState) -> u64 {
        self.counted_of(member.bytes())
    }

    /// Returns the bytes that count if the member's own total is `total`.
    fn counted_of(&self, total: u64) -> u64 {
        self.offset().map_or(0, |offset| total.wrapping_add(offset))
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
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// A slot in the heap, with what it is ordered by.
#[derive(Clone, Copy, Debug, PartialEq)]
struct TrafficLoad {
    bytes: u64,
    rank: u64,
    weight: u32,
    slot: u32,
}

impl TrafficLoad {
    fn ratio(self) -> Ratio {
        Ratio {
            bytes: self.bytes,
            weight: self.weight,
        }
    }
}

/// Orders loads by ratio, and then by rank.
struct ByRatio;

impl HeapOrder<TrafficLoad> for ByRatio {
    #[inline]
    fn goes_before(&self, a: TrafficLoad, b: TrafficLoad) -> bool {
        if a.weight == b.weight {
            // As one number, so that no branch depends on the data.
            let line = |it: TrafficLoad| u128::from(it.bytes) << 64 | u128::from(it.rank);
            return line(a) < line(b);
        }
        let order = a.ratio().compare(b.ratio());
        order.then(a.rank.cmp(&b.rank)).is_lt()
    }
}

#[derive(Debug)]
pub(super) struct Traffic {
    nodes: Vec<TrafficEntry>,
    /// Slots by the loads that are stored, or were: an entry counts only if it has the load
    /// that is stored. So none is searched for, and no index of it is kept.
    heap: Heap<TrafficLoad>,
    skipped: Vec<u32>,
    members: usize,
    parked: usize,
    generation: u64,
    /// Whether a member that joins is lifted to the group's minimum.
    lifts: bool,
    /// Whether there is a heap: not while the members are few.
    has_heap: bool,
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
            let load = self.heap.first()?;
            let slot = load.slot;
            let node = &mut self.nodes[slot as usize];
            let member = node.member?;
            let is_current = load == node.load(slot);
            if node.place != HeapState::Heaped || !is_current {
                if node.place == HeapState::Skipped && is_current {
                    node.place = HeapState::SkippedOut;
                }
                self.heap.remove(0, &mut ByRatio);
                continue;
            }
            if let Some(state) = candidates.state(member) {
                let counted = node.counted(state);
                if counted > node.stored {
                    node.stored = counted;
                    self.heap.change(0, node.load(slot), &mut ByRatio);
                    continue;
                }
            }
            return Some((slot, member));
        }
    }

    fn picked(&mut self, _: u32, _: &Claim<'_>, _: &Candidates<'_>) {}

    fn skip(&mut self, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        if node.place == HeapState::Heaped {
            node.place = HeapState::Skipped;
            self.skipped.push(slot);
        }
    }

    fn restore_skipped(&mut self) {
        while let Some(slot) = self.skipped.pop() {
            let node = &mut self.nodes[slot as usize];
            let is_out = node.place == HeapState::SkippedOut;
            node.place = HeapState::Heaped;
            if is_out {
                self.push(slot);
            }
        }
    }

    fn park(&mut self, slot: u32) {
        self.nodes[slot as usize].place = HeapState::Parked;
        self.parked += 1;
    }

    fn parked(&self) -> usize {
        self.parked
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.nodes[slot as usize].place == HeapState::Parked
    }
}

impl Traffic {
    pub(super) fn new(lifts: bool) -> Self {
        Self {
            nodes: Vec::new(),
            heap: Heap::new(),
            skipped: Vec::new(),
            members: 0,
            parked: 0,
            generation: 0,
            lifts,
            has_heap: false,
        }
    }

    /// Puts a slot into the heap, which got room for it when the group changed.
    fn push(&mut self, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        node.place = HeapState::Heaped;
        if self.has_heap {
            self.heap.push(node.load(slot), &mut ByRatio);
        }
    }

    /// Puts all slots into the heap, and nothing else.
    fn rebuild(&mut self) {
        self.heap.clear();
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        for slot in 0..self.nodes.len() as u32 {
            if self.nodes[slot as usize].place == HeapState::Heaped {
                self.push(slot);
            }
        }
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
        // At once, so that there is no more room than needed.
        if let Some(last) = group.joined().map(|one| one.id().slot()).max() {
            grow(&mut self.nodes, last, TrafficEntry::EMPTY);
        }
        let room = self.members + group.joined().count();
        self.heap.reserve(room);
        make_room(&mut self.skipped, room);
        for candidate in group.joined() {
            self.leave(candidate.id());
            self.join(candidate, least);
        }
        // Entries that no longer count are dropped before they take much room.
        if self.heap.len() > self.members + self.members / 16 {
            self.rebuild();
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
        node.offset = node.stored.wrapping_sub(total);
        node.has_offset = true;
        self.members += 1;
        self.heap.reserve(self.members);
        make_room(&mut self.skipped, self.members);
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        self.push(at as u32);
    }

    fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot(member) else {
            return;
        };
        let node = &mut self.nodes[slot as usize];
        if node.place == HeapState::Parked {
            self.parked -= 1;
        }
        node.place = HeapState::Absent;
        self.members -= 1;
    }

    /// Lets all members start with zero bytes at the group's next change.
    pub(super) fn reset(&mut self) {
        for node in &mut self.nodes {
            node.has_offset = false;
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
    pub(super) fn peek(&self, candidates: &Candidates<'_>) -> Option<MemberId> {
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

    /// Returns the bytes that a pick compares, for a weight of 1.
    pub(super) fn bytes_per_weight(&self, candidate: &Candidate<'_>) -> f64 {
        let weight_one = f64::from(EffectiveWeight::from(Weight::ONE).units());
        self.counted(*candidate) as f64 * weight_one / f64::from(candidate.weight().units())
    }

    pub(super) fn standing(&self, member: MemberId) -> Option<i64> {
        let node = self.nodes.get(member.slot())?;
        let weight_one = u64::from(EffectiveWeight::from(Weight::ONE).units());
        // A reset counts at once, also for a member that is absent.
        let bytes = node.offset().map_or(0, |_| node.stored);
        let per_weight = u128::from(bytes) * u128::from(weight_one) / u128::from(node.weight);
        (node.member == Some(member)).then(|| i64::try_from(per_weight).unwrap_or(i64::MAX))
    }
}

/// While members are few, there is no heap; a look adds a member's offset to its bytes.
impl LookBooks for Traffic {
    type Order = ();
    type Ranking = Self;

    fn ranking(&mut self) -> &mut Self {
        self
    }

    #[inline]
    fn look((): (), look: &Look<'_>) -> Option<(usize, Option<CountersSeen>)> {
        let (mut first, mut least) = (FEW_MEMBERS, u64::MAX);
        let (mut lightest, mut heaviest) = (u64::MAX, 0);
        for (index, (state, line)) in look.members().enumerate() {
            let counted = state.bytes().wrapping_add(line.value());
            let is_first = look.is_open(index) & ((counted < least) | (first == FEW_MEMBERS));
            first = if is_first { index } else { first };
            least = if is_first { counted } else { least };
            let weight = line.weight();
            lightest = lightest.min(weight);
            heaviest = heaviest.max(weight);
        }
        if lightest < heaviest {
            first = least_per_weight(look)?;
        }
        (first < FEW_MEMBERS).then_some((first, None))
    }

    fn follow_as(&mut self, group: &GroupChange<'_>, from: BookMode, to: BookMode) {
        self.has_heap = to == BookMode::Many;
        if to == BookMode::Few {
            let parked = |node: &&mut TrafficEntry| node.place == HeapState::Parked;
            for node in self.nodes.iter_mut().filter(parked) {
                node.place = HeapState::Heaped;
            }
            self.parked = 0;
        }
        self.follow(group);
        if from != to {
            self.rebuild();
        }
    }

    fn value(&self, member: &MemberState) -> u64 {
        let node = self.nodes.get(member.id().slot());
        let offset = node.and_then(TrafficEntry::offset);
        offset.unwrap_or_else(|| member.bytes().wrapping_neg())
    }

    fn set_value(&mut self, member: &MemberState, _: i64) {
        if let Some(node) = self.nodes.get_mut(member.id().slot()) {
            node.stored = node.counted(member);
        }
    }

    fn room(&mut self, _: &Turns, member: &MemberState) {
        if let Some(slot) = self.slot(member.id()) {
            if self.is_parked(slot) {
                self.parked -= 1;
                self.push(slot);
            }
        }
    }
}

#[inline(never)]
fn least_per_weight(look: &Look<'_>) -> Option<usize> {
    let ratio = |(state, line): (&MemberState, &LookLine)| Ratio {
        bytes: state.bytes().wrapping_add(line.value()),
        weight: u32::try_from(line.weight()).unwrap_or(u32::MAX),
    };
    let ratios = look.members().map(ratio).enumerate();
    let open = ratios.filter(|(index, _)| look.is_open(*index));
    let first = open.min_by(|(_, a), (_, b)| a.compare(*b));
    first.map(|(index, _)| index)
}
