//! The members of one weight, in an order that does not change as time passes.
//!
//! While no member of a class is picked, the standings of all of them grow by the same
//! amount, so their order stays. Plain rotation takes from the front of a linked queue and
//! appends at the back, O(1). A member that belongs somewhere in between (after a pick by a
//! session, a new join, a change of the total weight, the end of a request) is kept in a
//! heap beside the queue, O(log n), until its own pick moves it to the back.

use std::cmp::{Ordering, Reverse};

use crate::member::MemberId;
use crate::scheduler::heap::{Heap, HeapOrder};

/// What is compared before the standings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::scheduler) enum ClassLoad {
    /// Nothing.
    Ignored,
    /// Requests in flight per unit of weight.
    PerWeight,
    /// Requests in flight.
    Plain,
}

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Where a member is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ClassPosition {
    /// Not in the group: its standing is frozen.
    Absent,
    /// In the group, at its cap: its standing is frozen.
    Parked,
    /// In its class's queue.
    Queued,
    /// In the group, skipped for the present pick only.
    Skipped,
    /// In its class's heap.
    Stray,
}

impl ClassPosition {
    /// Returns whether the member is in its class's queue or heap.
    #[inline]
    pub(super) fn is_attached(self) -> bool {
        matches!(self, Self::Queued | Self::Stray)
    }
}

/// The state kept for one member.
#[derive(Clone, Debug)]
pub(super) struct StandingEntry {
    /// The member that has the slot.
    pub(super) member: Option<MemberId>,
    /// The part of the standing that does not depend on time; the standing itself while
    /// frozen.
    pub(super) base: i64,
    pub(super) rank: u64,
    /// Requests in flight, if the scheduler compares them.
    pub(super) load: u32,
    pub(super) class: u32,
    /// The neighbour in the queue, or the index in the heap.
    before: u32,
    /// The neighbour in the queue, or the next one that is skipped.
    pub(super) after: u32,
    pub(super) place: ClassPosition,
    /// For counting elections; zero otherwise.
    pub(super) elected: u32,
}

const _: () = assert!(size_of::<StandingEntry>() == 48);

impl StandingEntry {
    pub(super) const EMPTY: Self = Self {
        member: None,
        base: 0,
        rank: 0,
        load: 0,
        class: NONE,
        before: NONE,
        after: NONE,
        place: ClassPosition::Absent,
        elected: 0,
    };

    #[inline]
    fn goes_before(&self, other: &Self) -> bool {
        (self.load, Reverse(self.base), self.rank) < (other.load, Reverse(other.base), other.rank)
    }
}

/// The state of all members, by slot.
#[derive(Debug, Default)]
pub(super) struct StandingEntries(pub(super) Vec<StandingEntry>);

impl StandingEntries {
    #[inline]
    pub(super) fn get(&self, slot: u32) -> &StandingEntry {
        &self.0[slot as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut StandingEntry {
        &mut self.0[slot as usize]
    }
}

/// The order of the members of one weight.
impl HeapOrder<u32> for StandingEntries {
    #[inline]
    fn goes_before(&self, a: u32, b: u32) -> bool {
        self.get(a).goes_before(self.get(b))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "an index of a heap of slots"
    )]
    fn moved(&mut self, slot: u32, at: usize) {
        self.get_mut(slot).before = at as u32;
    }
}

/// A copy of the first member's key in a class, so that classes are compared without
/// reading the members.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClassFront {
    pub(super) slot: u32,
    /// Its line, with the value at time 0.
    pub(super) line: StandingLine,
}

impl ClassFront {
    /// Ranks after all others in every comparison.
    pub(super) const NONE: Self = Self {
        slot: NONE,
        line: StandingLine {
            load: u32::MAX,
            value: i64::MIN / 4,
            weight: 0,
            rank: u64::MAX,
        },
    };
}

/// The key that orders members of different weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct StandingLine {
    pub(super) load: u32,
    /// An effective weight has 27 bits.
    pub(super) weight: u32,
    /// The standing.
    pub(super) value: i64,
    pub(super) rank: u64,
}

impl StandingLine {
    /// Returns this line, whose value is that of time 0, with its value at `time`.
    #[inline]
    pub(super) fn at(&self, time: i64) -> Self {
        Self {
            value: self.value + i64::from(self.weight) * time,
            ..*self
        }
    }

    /// Orders by load, then by standing, then by rank; the lesser comes first.
    #[inline]
    pub(super) fn compare(&self, other: &Self, by: ClassLoad) -> Ordering {
        self.compare_load(other, by)
            .then_with(|| other.value.cmp(&self.value))
            .then_with(|| self.rank.cmp(&other.rank))
    }

    #[inline]
    pub(super) fn compare_load(&self, other: &Self, by: ClassLoad) -> Ordering {
        match by {
            ClassLoad::Ignored => Ordering::Equal,
            // The load has 24 bits.
            ClassLoad::PerWeight => {
                let (mine, theirs) = (u64::from(self.load), u64::from(other.load));
                (mine * u64::from(other.weight)).cmp(&(theirs * u64::from(self.weight)))
            }
            ClassLoad::Plain => self.load.cmp(&other.load),
        }
    }
}

#[derive(Debug)]
pub(super) struct Class {
    pub(super) weight: u32,
    /// Members of the group that have this weight, wherever they are kept.
    pub(super) members: u32,
    front: u32,
    back: u32,
    strays: Heap<u32>,
}

impl Class {
    pub(super) fn new(weight: u32) -> Self {
        Self {
            weight,
            members: 0,
            front: NONE,
            back: NONE,
            strays: Heap::new(),
        }
    }

    /// Makes room for one more member, so that later moves of it need no allocation.
    pub(super) fn admit(&mut self) {
        // Beside strays there is always one in the queue.
        self.strays.reserve(self.members as usize);
        self.members += 1;
    }

    /// Inserts a slot in order.
    pub(super) fn attach(&mut self, slot: u32, nodes: &mut StandingEntries) {
        if self.back == NONE || nodes.goes_before(self.back, slot) {
            let back = std::mem::replace(&mut self.back, slot);
            self.link(back, slot, nodes);
            self.link(slot, NONE, nodes);
            nodes.get_mut(slot).place = ClassPosition::Queued;
        } else if nodes.goes_before(slot, self.front) {
            let front = std::mem::replace(&mut self.front, slot);
            self.link(slot, front, nodes);
            nodes.get_mut(slot).before = NONE;
            nodes.get_mut(slot).place = ClassPosition::Queued;
        } else {
            nodes.get_mut(slot).place = ClassPosition::Stray;
            self.strays.push(slot, nodes);
        }
    }

    /// Removes a slot.
    pub(super) fn unlink(&mut self, slot: u32, nodes: &mut StandingEntries) {
        let node = nodes.get(slot);
        let (before, after) = (node.before, node.after);
        match node.place {
            ClassPosition::Queued => {
                self.link(before, after, nodes);
                if after == NONE {
                    self.back = before;
                }
            }
            ClassPosition::Stray => self.strays.remove(before as usize, nodes),
            ClassPosition::Absent | ClassPosition::Skipped | ClassPosition::Parked => {}
        }
    }

    /// Gives a slot another key and moves it to the matching place.
    #[inline]
    pub(super) fn move_to(&mut self, slot: u32, base: i64, load: u32, nodes: &mut StandingEntries) {
        let node = nodes.get_mut(slot);
        let next = node.after;
        let is_front = node.place == ClassPosition::Queued && self.front == slot;
        if is_front && next != NONE && self.strays.is_empty() {
            node.base = base;
            node.load = load;
            if nodes.goes_before(self.back, slot) {
                // Plain rotation: from the front to the back.
                let back = std::mem::replace(&mut self.back, slot);
                nodes.get_mut(back).after = slot;
                nodes.get_mut(next).before = NONE;
                let node = nodes.get_mut(slot);
                (node.before, node.after) = (back, NONE);
                self.front = next;
                return;
            }
        }
        self.unlink(slot, nodes);
        let node = nodes.get_mut(slot);
        node.base = base;
        node.load = load;
        self.attach(slot, nodes);
    }

    /// Makes `b` follow `a`; either may be [`NONE`].
    fn link(&mut self, a: u32, b: u32, nodes: &mut StandingEntries) {
        if a == NONE {
            self.front = b;
        } else {
            nodes.get_mut(a).after = b;
        }
        if b != NONE {
            nodes.get_mut(b).before = a;
        }
    }

    /// Returns the front of the class.
    #[inline]
    pub(super) fn first(&self, nodes: &StandingEntries) -> ClassFront {
        let slot = match self.strays.first() {
            Some(stray) if self.front == NONE || nodes.goes_before(stray, self.front) => stray,
            _ => self.front,
        };
        if slot == NONE {
            return ClassFront::NONE;
        }
        let node = nodes.get(slot);
        ClassFront {
            slot,
            line: StandingLine {
                load: node.load,
                value: node.base,
                weight: self.weight,
                rank: node.rank,
            },
        }
    }
}
