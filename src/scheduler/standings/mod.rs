//! The ranking behind [`ByRequests`](super::ByRequests) and
//! [`ByBusyness`](super::ByBusyness): the same picks as Apache's smooth weighted round
//! robin, without a scan of all members.
//!
//! Apache adds each member's weight to its standing (`lbstatus`), picks the highest, and
//! subtracts the total weight from it. Here one counter of picks, `tick`, replaces all
//! those additions: a standing is `base + weight * tick`. A pick changes one `base`.
//! Members of one weight keep their order among themselves ([`class`]), so only the first
//! members of the classes are compared: one by one up to [`FEW_WEIGHTS`], in a tournament
//! beyond that ([`kinetic`]).
//!
//! Not here: locks, and the meaning of a load.

mod class;
mod few;
mod kinetic;
mod loads;
mod recent;
mod sequence;

#[cfg(all(test, not(equipoise_loom)))]
mod tests;

use std::collections::HashMap;

pub(super) use class::ClassLoad;
use class::{Class, ClassFront, ClassPosition, NONE, StandingEntries, StandingEntry, StandingLine};
use kinetic::{NO_CONTESTANT, Tournament};
use recent::RecentPicks;

use super::heap::{grow, make_room};
use super::ranking::Ranking;
use super::{Candidate, Candidates, Claim, GroupChange};
use crate::member::{MemberId, MemberState};

/// Up to this number of weights, the first members are compared one by one.
const FEW_WEIGHTS: usize = 32;

/// The number of ticks after which the products `weight * tick` are folded into the bases,
/// long before they could overflow: 2^27 units of weight times 2^34.
const FOLD_AFTER: i64 = 1 << 34;

#[derive(Debug)]
pub(super) struct Standings {
    load: ClassLoad,
    generation: u64,
    tick: i64,
    /// The sum of the weights that are added at each pick: the group's without the parked
    /// ones.
    total: i64,
    parked: usize,
    nodes: StandingEntries,
    classes: Classes,
    /// The slot that was skipped last in the present pick; each leads to the one before.
    skipped: u32,
    recent: RecentPicks,
    /// The lowest standing of a member at its turn, since turns were last withdrawn.
    lowest_turn: i64,
    members: usize,
}

/// The classes, and the order among them.
#[derive(Debug)]
struct Classes {
    load: ClassLoad,
    list: Vec<Class>,
    /// The first member of each class.
    fronts: Vec<ClassFront>,
    by_weight: HashMap<u32, u32>,
    vacant: Vec<u32>,
    tournament: Option<Tournament>,
}

impl Standings {
    pub(super) fn new(load: ClassLoad) -> Self {
        Self {
            load,
            generation: 0,
            tick: 0,
            total: 0,
            parked: 0,
            nodes: StandingEntries::default(),
            classes: Classes {
                load,
                list: Vec::new(),
                fronts: Vec::new(),
                by_weight: HashMap::new(),
                vacant: Vec::new(),
                tournament: None,
            },
            skipped: NONE,
            recent: RecentPicks::new(load),
            lowest_turn: i64::MAX,
            members: 0,
        }
    }

    /// Counts a pick by a session as a pick of the ranking.
    pub(super) fn routed(&mut self, member: &MemberState, candidates: &Candidates<'_>) {
        if let Some(slot) = self.slot(member.id()) {
            self.unpark(slot);
            self.count_recent_pick(slot, candidates);
        }
    }

    /// Puts a parked member back if it is below its cap again; notes the load of another
    /// member anew, also if it is as before: its note may have been taken away.
    pub(super) fn room(&mut self, member: &MemberState) {
        if let Some(slot) = self.slot(member.id()) {
            if self.is_parked(slot) {
                if member.has_room() {
                    self.nodes.get_mut(slot).load = self.note_load(member);
                    self.unpark(slot);
                }
            } else if self.load != ClassLoad::Ignored {
                self.renew_load(slot, member);
            }
        }
    }

    /// Applies a change of the group.
    pub(super) fn follow(&mut self, group: &GroupChange<'_>) {
        self.generation = self.generation.max(group.generation());
        for member in group.left() {
            self.leave(member.id());
        }
        self.make_room(group.joined());
        for candidate in group.joined().chain(group.changed()) {
            self.leave(candidate.id());
            self.join(candidate);
        }
    }

    /// Makes room for members that join, at once.
    fn make_room<'c>(&mut self, joined: impl Iterator<Item = Candidate<'c>>) {
        if let Some(last) = joined.map(|one| one.id().slot()).max() {
            grow(&mut self.nodes.0, last, StandingEntry::EMPTY);
        }
    }

    /// Sets every standing to zero.
    pub(super) fn reset(&mut self) {
        let mut slots: Vec<u32> = Vec::with_capacity(self.members);
        for slot in 0..self.nodes.0.len() {
            #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
            let slot = slot as u32;
            if self.nodes.get(slot).place.is_attached() {
                self.detach(slot);
                slots.push(slot);
            }
            self.nodes.get_mut(slot).base = 0;
        }
        self.tick = 0;
        // In tie order, so that every class is one plain queue.
        slots.sort_by_key(|&slot| self.nodes.get(slot).rank);
        for slot in slots {
            self.attach(slot);
        }
        self.classes.replay_all(self.tick + 1);
    }

    /// Returns the standing in units of effective weight; zero for a member that was never
    /// in the group.
    pub(super) fn standing(&self, member: MemberId) -> i64 {
        let node = match self.nodes.0.get(member.slot()) {
            Some(node) if node.member == Some(member) => node,
            _ => return 0,
        };
        match node.place {
            ClassPosition::Absent | ClassPosition::Parked => node.base,
            ClassPosition::Skipped | ClassPosition::Queued | ClassPosition::Stray => {
                node.base + self.classes.weight(node.class) * self.tick
            }
        }
    }

    /// Returns the member that would be picked, by the plain rule and a scan of all
    /// members.
    pub(super) fn peek(&self, candidates: &Candidates<'_>) -> Option<MemberId> {
        let line = |candidate: &Candidate<'_>| StandingLine {
            load: candidate.state().in_flight(),
            value: self.standing(candidate.id()) + i64::from(candidate.weight().units()),
            weight: candidate.weight().units(),
            rank: candidate.rank(),
        };
        candidates
            .iter()
            .filter(Candidate::has_room)
            .min_by(|a, b| line(a).compare(&line(b), self.load))
            .map(|candidate| candidate.id())
    }

    /// Returns the entry of a member, which is a new one if the member has none.
    fn admit(&mut self, member: MemberId) -> &mut StandingEntry {
        grow(&mut self.nodes.0, member.slot(), StandingEntry::EMPTY);
        let node = &mut self.nodes.0[member.slot()];
        if node.member != Some(member) {
            *node = StandingEntry::EMPTY;
            node.member = Some(member);
        }
        node
    }

    fn join(&mut self, candidate: Candidate<'_>) {
        let at = candidate.id().slot();
        self.admit(candidate.id());
        let node = &mut self.nodes.0[at];
        let units = candidate.weight().units();
        let weight = i64::from(units);
        node.rank = candidate.rank();
        node.class = self.classes.admit(units, self.tick + 1);
        node.place = ClassPosition::Skipped;
        node.base -= weight * self.tick;
        self.total += weight;
        self.members += 1;
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        let slot = at as u32;
        self.nodes.get_mut(slot).load = self.note_load(candidate.state());
        self.attach(slot);
    }

    fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot(member) else {
            return;
        };
        if self.nodes.get(slot).place == ClassPosition::Parked {
            self.parked -= 1;
        } else {
            self.freeze(slot);
        }
        self.members -= 1;
        let node = self.nodes.get_mut(slot);
        node.place = ClassPosition::Absent;
        self.classes.dismiss(node.class);
    }

    fn unpark(&mut self, slot: u32) {
        if self.nodes.get(slot).place != ClassPosition::Parked {
            return;
        }
        self.parked -= 1;
        let weight = self.classes.weight(self.nodes.get(slot).class);
        self.total += weight;
        self.nodes.get_mut(slot).base -= weight * self.tick;
        self.attach(slot);
    }

    /// Removes a slot from its class and its weight from the total.
    fn freeze(&mut self, slot: u32) {
        self.detach(slot);
        let weight = self.classes.weight(self.nodes.get(slot).class);
        self.total -= weight;
        self.nodes.get_mut(slot).base += weight * self.tick;
    }

    /// Counts a pick in the standings. The load stays as it is noted: it is at most the
    /// requests in flight.
    fn count_pick(&mut self, slot: u32) {
        self.tick += 1;
        if self.tick >= FOLD_AFTER {
            self.fold();
        }
        let node = self.nodes.get(slot);
        let (base, load) = (node.base.saturating_sub(self.total), node.load);
        self.move_to(slot, base, load);
    }

    /// Gives an attached slot another key.
    fn move_to(&mut self, slot: u32, base: i64, load: u32) {
        let time = self.tick + 1;
        self.classes
            .move_to(slot, base, load, &mut self.nodes, time);
    }

    fn attach(&mut self, slot: u32) {
        self.classes.attach(slot, &mut self.nodes, self.tick + 1);
    }

    fn detach(&mut self, slot: u32) {
        self.classes.detach(slot, &mut self.nodes, self.tick + 1);
    }

    /// Restarts the ticks at zero; the order does not change.
    fn fold(&mut self) {
        for node in &mut self.nodes.0 {
            if !matches!(node.place, ClassPosition::Absent | ClassPosition::Parked) {
                node.base += self.classes.weight(node.class) * self.tick;
            }
        }
        self.tick = 0;
        self.classes.update_fronts(&self.nodes, self.tick + 1);
    }
}

impl Ranking for Standings {
    fn generation(&self) -> u64 {
        self.generation
    }

    #[inline]
    fn slot(&self, member: MemberId) -> Option<u32> {
        let node = self.nodes.0.get(member.slot())?;
        let here = node.member == Some(member) && node.place != ClassPosition::Absent;
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        here.then_some(member.slot() as u32)
    }

    /// Reads the load of the first member again until it stays the first.
    #[inline]
    fn first(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)> {
        loop {
            let slot = self.classes.first(self.tick + 1);
            let member = self.nodes.0.get(slot as usize)?.member?;
            if self.load != ClassLoad::Ignored {
                let state = candidates.state(member);
                if state.is_some_and(|state| self.read_load(slot, state)) {
                    continue;
                }
            }
            return Some((slot, member));
        }
    }

    #[inline]
    fn picked(&mut self, slot: u32, _: &Claim<'_>, candidates: &Candidates<'_>) {
        self.count_recent_pick(slot, candidates);
    }

    fn skip(&mut self, slot: u32) {
        if self.nodes.get(slot).place.is_attached() {
            self.detach(slot);
            let node = self.nodes.get_mut(slot);
            node.place = ClassPosition::Skipped;
            node.after = std::mem::replace(&mut self.skipped, slot);
        }
    }

    #[inline]
    fn restore_skipped(&mut self) {
        while self.skipped != NONE {
            let slot = self.skipped;
            self.skipped = self.nodes.get(slot).after;
            self.attach(slot);
        }
    }

    fn park(&mut self, slot: u32) {
        self.freeze(slot);
        self.nodes.get_mut(slot).place = ClassPosition::Parked;
        self.parked += 1;
    }

    fn parked(&self) -> usize {
        self.parked
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.nodes.get(slot).place == ClassPosition::Parked
    }
}

impl Classes {
    fn weight(&self, class: u32) -> i64 {
        self.list[class as usize].weight.into()
    }

    /// Finds or creates the class of a weight for one more member.
    fn admit(&mut self, weight: u32, time: i64) -> u32 {
        let class = match self.by_weight.get(&weight) {
            Some(&class) => class,
            None => self.open(weight, time),
        };
        self.list[class as usize].admit();
        class
    }

    fn open(&mut self, weight: u32, time: i64) -> u32 {
        let class = if let Some(class) = self.vacant.pop() {
            self.list[class as usize] = Class::new(weight);
            class
        } else {
            let at = self.list.len();
            make_room(&mut self.list, at);
            make_room(&mut self.fronts, at);
            self.list.push(Class::new(weight));
            self.fronts.push(ClassFront::NONE);
            #[expect(clippy::cast_possible_truncation, reason = "no more than slots")]
            let class = at as u32;
            let room = self
                .tournament
                .as_ref()
                .map_or(FEW_WEIGHTS, Tournament::room);
            if self.list.len() > room {
                self.replay_all(time);
            }
            class
        };
        self.by_weight.insert(weight, class);
        class
    }

    /// Removes one member from a class, and the class itself after the last one.
    fn dismiss(&mut self, class: u32) {
        let entry = &mut self.list[class as usize];
        entry.members -= 1;
        if entry.members == 0 {
            self.by_weight.remove(&entry.weight);
            self.vacant.push(class);
        }
    }

    fn attach(&mut self, slot: u32, nodes: &mut StandingEntries, time: i64) {
        let class = nodes.get(slot).class;
        self.list[class as usize].attach(slot, nodes);
        self.update_front(class, nodes, time);
    }

    fn detach(&mut self, slot: u32, nodes: &mut StandingEntries, time: i64) {
        let class = nodes.get(slot).class;
        self.list[class as usize].unlink(slot, nodes);
        self.update_front(class, nodes, time);
    }

    #[inline]
    fn move_to(&mut self, slot: u32, base: i64, load: u32, nodes: &mut StandingEntries, time: i64) {
        let class = nodes.get(slot).class;
        self.list[class as usize].move_to(slot, base, load, nodes);
        self.update_front(class, nodes, time);
    }

    /// Updates the front of a class that has changed.
    #[inline]
    fn update_front(&mut self, class: u32, nodes: &StandingEntries, time: i64) {
        let at = class as usize;
        self.fronts[at] = self.list[at].first(nodes);
        if let Some(tournament) = &mut self.tournament {
            tournament.replay(class, &self.fronts, time);
        }
    }

    fn update_fronts(&mut self, nodes: &StandingEntries, time: i64) {
        for (class, front) in self.list.iter().zip(&mut self.fronts) {
            *front = class.first(nodes);
        }
        self.replay_all(time);
    }

    /// Returns the slot that is first at `time`.
    #[inline]
    fn first(&mut self, time: i64) -> u32 {
        match &mut self.tournament {
            None => self.first_of_few(time),
            Some(tournament) => match tournament.first(&self.fronts, time) {
                NO_CONTESTANT => NONE,
                class => self.fronts[class as usize].slot,
            },
        }
    }

    fn first_of_few(&self, time: i64) -> u32 {
        let mut best = ClassFront::NONE;
        if self.load == ClassLoad::Ignored {
            // The same comparison, without the load, which does not count here.
            for front in &self.fronts {
                let value = front.line.value + i64::from(front.line.weight) * time;
                let tie = value == best.line.value && front.line.rank < best.line.rank;
                if value > best.line.value || tie {
                    best = *front;
                    best.line.value = value;
                }
            }
            return best.slot;
        }
        for front in &self.fronts {
            let line = front.line.at(time);
            if line.compare(&best.line, self.load).is_lt() {
                best = ClassFront { line, ..*front };
            }
        }
        best.slot
    }

    /// Plays the whole tournament again, if there are enough classes for one.
    fn replay_all(&mut self, time: i64) {
        self.tournament =
            (self.list.len() > FEW_WEIGHTS).then(|| Tournament::new(self.load, time, &self.fronts));
    }
}
