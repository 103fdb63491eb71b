//! The ranking of few members: their standings are frozen, and a look adds what follows from
//! their picks since.

use super::{ClassLoad, Standings};
use crate::member::{CountersSeen, MAX_IN_FLIGHT, MemberId, MemberState};
use crate::scheduler::ahead::AheadBooks;
use crate::scheduler::looks::{BookMode, Look, LookBooks, LookLine, SETTLE_AFTER};
use crate::scheduler::turns::{Turn, Turns};
use crate::scheduler::{Candidates, Claim, GroupChange, Pick};
use crate::snapshot::FEW_MEMBERS;

impl LookBooks for AheadBooks<Standings> {
    type Order = ClassLoad;
    type Ranking = Standings;

    fn ranking(&mut self) -> &mut Standings {
        &mut self.sequence
    }

    #[inline]
    fn take_turn<'c>(
        turns: &Turns,
        candidates: &Candidates<'c>,
    ) -> Result<(Turn, Claim<'c>), Option<Turn>> {
        let turn = turns.take().ok_or(None)?;
        match candidates.claim_idle(turn.slot) {
            Ok(claim) => Ok((turn, claim)),
            Err(_) => Err(Some(turn)),
        }
    }

    fn pick_of_many<'c>(
        &mut self,
        turns: &Turns,
        candidates: &Candidates<'c>,
        refused: Option<Turn>,
    ) -> Pick<'c> {
        self.pick(turns, candidates, refused)
    }

    fn make_more(&mut self, turns: &Turns, candidates: &Candidates<'_>) {
        self.make(turns, candidates);
    }

    fn withdraw(&mut self, turns: &Turns) {
        self.withdraw(turns);
    }

    fn begin_change(&mut self, turns: &Turns) {
        self.begin_change(turns);
    }

    #[inline]
    fn look(order: ClassLoad, look: &Look<'_>) -> Option<(usize, Option<CountersSeen>)> {
        match order {
            ClassLoad::PerWeight => least_busy::<true>(look),
            ClassLoad::Ignored | ClassLoad::Plain => least_busy::<false>(look),
        }
    }

    fn follow_as(&mut self, group: &GroupChange<'_>, from: BookMode, to: BookMode) {
        match (from, to) {
            (_, BookMode::Few) => self.sequence.freeze_all(group),
            (BookMode::Few, BookMode::Many) => self.sequence.join_all(group),
            (BookMode::Many, BookMode::Many) => self.sequence.follow(group),
        }
    }

    #[expect(clippy::cast_sign_loss, reason = "two's complement is what is stored")]
    fn value(&self, member: &MemberState) -> u64 {
        self.sequence.standing(member.id()) as u64
    }

    fn set_value(&mut self, member: &MemberState, standing: i64) {
        self.sequence.set_frozen(member.id(), standing);
    }

    fn room(&mut self, turns: &Turns, member: &MemberState) {
        if !self.sequence.is_behind_turns(member.id()) {
            self.withdraw(turns);
        }
        self.sequence.room(member);
    }
}

/// Returns the member with the fewest requests in flight, and among those the one with the
/// highest standing. The order of the members settles ties.
#[inline]
fn least_busy<const PER_WEIGHT: bool>(look: &Look<'_>) -> Option<(usize, Option<CountersSeen>)> {
    let load = |seen: CountersSeen, line: &LookLine| {
        let unit = if PER_WEIGHT { line.weight() } else { 1 };
        (u64::from(seen.in_flight()), unit)
    };
    let mut seen = [CountersSeen::default(); FEW_MEMBERS];
    // The weights of this pick count already.
    let mut picks = 1;
    // More than any member can have.
    let mut least = (u64::from(MAX_IN_FLIGHT) + 1, 1);
    for (index, (state, line)) in look.members().enumerate() {
        let now = state.look();
        seen[index] = now;
        picks += look.own_picks(index, line, now);
        let load = load(now, line);
        let is_less = load.0 * least.1 < least.0 * load.1;
        least = if look.is_open(index) & is_less {
            load
        } else {
            least
        };
    }
    let (mut first, mut highest) = (FEW_MEMBERS, i64::MIN);
    for (index, (_, line)) in look.members().enumerate() {
        let now = seen[index];
        let load = load(now, line);
        let is_least = look.is_open(index) & (load.0 * least.1 == least.0 * load.1);
        let standing = look.standing(line, picks, look.own_picks(index, line, now));
        let is_first = is_least & (standing > highest);
        first = if is_first { index } else { first };
        highest = if is_first { standing } else { highest };
    }
    let seen = *seen.get(first).filter(|_| picks < SETTLE_AFTER)?;
    Some((first, Some(seen)))
}

impl Standings {
    /// Follows the group, without an order: the standings of all members are frozen.
    fn freeze_all(&mut self, group: &GroupChange<'_>) {
        self.generation = self.generation.max(group.generation());
        for at in 0..self.nodes.0.len() {
            if let Some(member) = self.nodes.0[at].member {
                self.leave(member);
            }
        }
        for candidate in group.iter() {
            self.admit(candidate.id());
        }
    }

    /// Follows the group, of whose members all are frozen.
    fn join_all(&mut self, group: &GroupChange<'_>) {
        self.generation = self.generation.max(group.generation());
        self.make_room(group.iter());
        for candidate in group.iter() {
            self.join(candidate);
        }
    }

    /// Sets the standing of a member that is frozen.
    fn set_frozen(&mut self, member: MemberId, standing: i64) {
        if let Some(node) = self.nodes.0.get_mut(member.slot()) {
            node.base = standing;
        }
    }
}
