//! Draws of members in proportion to their weights, in constant time: [`Lots`].
//!
//! Not here: what is done with a drawn member.

use super::{Candidate, Candidates, Pick, PlanMembers};
use crate::member::{EffectiveWeight, MemberId, MemberState};
use crate::random::{Random, SplitRandom};

/// How often a draw is repeated when the drawn member cannot be picked, before all eligible
/// members are added up.
const DRAWS: usize = 16;

/// Alias tables of all members by their configured weights, one for each tier.
///
/// A scheduler makes them in its [`plan`](super::Scheduler::plan). A draw repeats while the
/// drawn member is not eligible, tried, or full, and accepts a member whose weight is
/// reduced with that share as its chance. So what holds is: each eligible, untried member
/// with room is drawn in proportion to its effective weight.
///
/// Source: Walker, *New fast method for generating discrete random numbers* (1974), with
/// the construction of Vose (1991).
#[derive(Debug)]
pub(super) struct Lots {
    /// By tier, in ascending order.
    tiers: Box<[TierLots]>,
}

/// The tables of one tier.
#[derive(Debug)]
struct TierLots {
    tier: u16,
    all: Box<[Lot]>,
    /// A member with more than half of the weight, and the table of the others: once it is
    /// drawn, most further draws would repeat it.
    without: Option<(MemberId, Box<[Lot]>)>,
}

impl TierLots {
    fn new(tier: u16, members: &[(MemberId, u32)]) -> Self {
        let total: u64 = members.iter().map(|&(_, weight)| u64::from(weight)).sum();
        let heaviest = members.iter().max_by_key(|&&(_, weight)| weight);
        let heaviest = heaviest.filter(|&&(_, weight)| 2 * u64::from(weight) > total);
        let without = heaviest.map(|&(heaviest, _)| {
            let others = members.iter().filter(|&&(member, _)| member != heaviest);
            (heaviest, alias_table(&others.copied().collect::<Vec<_>>()))
        });
        Self {
            tier,
            all: alias_table(members),
            without,
        }
    }

    /// Returns the table to draw a further member from.
    #[inline]
    fn after(&self, drawn: &[Option<MemberId>]) -> &[Lot] {
        match &self.without {
            Some((heaviest, others)) if drawn.contains(&Some(*heaviest)) => others,
            _ => &self.all,
        }
    }
}

/// One entry of an alias table: all have the same chance.
#[derive(Clone, Copy, Debug)]
struct Lot {
    member: MemberId,
    /// The member that is drawn where the fraction is not below `share`.
    other: MemberId,
    /// The share of this entry that `member` has, in units of 2^-64.
    share: u64,
}

impl Lots {
    pub(super) fn new(members: &PlanMembers<'_>) -> Self {
        let mut tiers: Vec<(u16, Vec<(MemberId, u32)>)> = Vec::new();
        for member in members.iter() {
            let entry = (member.id(), member.weight().hundredths());
            match tiers.last_mut() {
                Some((tier, entries)) if *tier == member.tier() => entries.push(entry),
                _ => tiers.push((member.tier(), vec![entry])),
            }
        }
        let tiers = tiers.into_iter();
        Self {
            tiers: tiers.map(|(tier, it)| TierLots::new(tier, &it)).collect(),
        }
    }

    /// Draws one of the candidates that are untried and have room, in proportion to their
    /// weights; `None` if there is none. Without a plan it adds up all candidates' weights.
    pub(super) fn draw<'c>(
        lots: Option<&Self>,
        candidates: &Candidates<'c>,
        random: &Random,
    ) -> Option<Candidate<'c>> {
        Self::draw_if(lots, candidates, random, |_| true)
    }

    /// The same, among the candidates for which `allowed` holds.
    pub(super) fn draw_if<'c>(
        lots: Option<&Self>,
        candidates: &Candidates<'c>,
        random: &Random,
        allowed: impl Fn(&Candidate<'c>) -> bool,
    ) -> Option<Candidate<'c>> {
        let open = |one: &Candidate<'c>| is_open(candidates, one) && allowed(one);
        let table = lots.and_then(|lots| lots.table(candidates));
        let random = &mut random.split();
        for _ in 0..table.map_or(0, |_| DRAWS) {
            let drawn = draw_lot(&table?.all, random);
            let drawn = drawn.and_then(|member| candidates.get(member));
            if let Some(one) = drawn.filter(&open) {
                if takes(candidates, &one, random) {
                    return Some(one);
                }
            }
        }
        draw_by_sum(candidates, random, open)
    }

    /// Draws up to `count` different members among the candidates that are untried, have
    /// room, and for which `allowed` holds, and calls `each` with one after the other.
    ///
    /// The first one is drawn in proportion to the weights, and each further one likewise
    /// among the rest. There are fewer than `count` only if there are no more.
    #[inline]
    pub(super) fn draw_several<'c>(
        lots: Option<&Self>,
        candidates: &Candidates<'c>,
        random: &Random,
        count: usize,
        allowed: impl Fn(&Candidate<'c>) -> bool,
        mut each: impl FnMut(Candidate<'c>),
    ) {
        let mut drawn = [None; MOST_CHOICES];
        let random = &mut random.split();
        let table = lots.and_then(|lots| lots.table(candidates));
        for len in 0..count.min(MOST_CHOICES) {
            let before = &drawn[..len];
            let table = table.map_or(&[][..], |table| table.after(before));
            let draws = if table.is_empty() { 0 } else { DRAWS };
            let found = (0..draws).find_map(|_| {
                let member = draw_lot(table, random).filter(|it| !before.contains(&Some(*it)))?;
                let one = candidates.get(member)?;
                let is_free = is_open(candidates, &one) && allowed(&one);
                (is_free && takes(candidates, &one, random)).then_some(one)
            });
            let open = |one: &Candidate<'c>| {
                !before.contains(&Some(one.id())) && is_open(candidates, one) && allowed(one)
            };
            let Some(one) = found.or_else(|| draw_by_sum(candidates, random, open)) else {
                break;
            };
            drawn[len] = Some(one.id());
            each(one);
        }
    }

    /// Claims members as they are drawn, until a claim succeeds: of those that
    /// [`draw`](Self::draw) would examine, the first that can be claimed.
    ///
    /// A pick that claims none of them draws from `random` again, for a generator of its own:
    /// after a refused pick, a seeded sequence goes on one number later than after another.
    /// Recorded picks depend on that.
    #[inline]
    pub(super) fn claim<'c>(
        lots: Option<&Self>,
        candidates: &Candidates<'c>,
        random: &Random,
    ) -> Pick<'c> {
        let table = lots.and_then(|lots| lots.table(candidates));
        if let Some(table) = table.filter(|_| candidates.are_at_full_weight()) {
            let random = &mut random.split();
            for _ in 0..DRAWS {
                // The claim itself finds out whether the member is open.
                let drawn = draw_lot(&table.all, random);
                if let Some(Ok(claim)) = drawn.map(|member| candidates.claim(member)) {
                    return Pick::Claimed(claim);
                }
            }
            let open = |one: &Candidate<'c>| is_open(candidates, one);
            let drawn = draw_by_sum(candidates, random, open);
            if let Some(Ok(claim)) = drawn.map(|one| candidates.claim_state(one.state())) {
                return Pick::Claimed(claim);
            }
        }
        Self::claim_repeatedly(lots, candidates, random)
    }

    /// The same, in general.
    #[inline(never)]
    fn claim_repeatedly<'c>(
        lots: Option<&Self>,
        candidates: &Candidates<'c>,
        random: &Random,
    ) -> Pick<'c> {
        claim_chosen(candidates, |refused| {
            let allowed = |one: &Candidate<'c>| !refused.contains(&Some(one.id()));
            let drawn = Self::draw_if(lots, candidates, random, allowed);
            drawn.map(|one| one.state())
        })
    }

    /// Returns the tables of the tier that serves now; `None` if members of another tier
    /// serve, too.
    #[inline]
    fn table(&self, candidates: &Candidates<'_>) -> Option<&TierLots> {
        let tier = candidates.picture.tier?;
        let at = self.tiers.binary_search_by_key(&tier, |it| it.tier);
        Some(&self.tiers[at.ok()?])
    }
}

/// How often a pick chooses again when it cannot claim the member it has chosen.
const ATTEMPTS: usize = 4;

/// Claims the candidate that `choose` returns, which is untried; if it became full or unusable
/// just now, `choose` gets it as refused and chooses again.
#[inline]
pub(super) fn claim_chosen<'c>(
    candidates: &Candidates<'c>,
    choose: impl Fn(&[Option<MemberId>]) -> Option<&'c MemberState>,
) -> Pick<'c> {
    let mut refused = [None; ATTEMPTS];
    for attempt in 0..ATTEMPTS {
        let Some(state) = choose(&refused[..attempt]) else {
            break;
        };
        match candidates.claim_state(state) {
            Ok(claim) => return Pick::Claimed(claim),
            Err(_) => refused[attempt] = Some(state.id()),
        }
    }
    candidates.claim_first(candidates.iter())
}

/// The most members that [`Lots::draw_several`] draws.
pub(super) const MOST_CHOICES: usize = 10;

/// Returns whether a candidate is untried and has room.
#[inline]
pub(super) fn is_open(candidates: &Candidates<'_>, one: &Candidate<'_>) -> bool {
    !candidates.tried().contains(&one.id()) && one.has_room()
}

/// Draws an entry and then one of its two members, with one random number.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the index is below the length"
)]
fn draw_lot(table: &[Lot], random: &mut SplitRandom) -> Option<MemberId> {
    let product = u128::from(random.next_u64()) * table.len() as u128;
    let lot = table.get((product >> 64) as usize)?;
    let fraction = product as u64;
    Some(if fraction < lot.share {
        lot.member
    } else {
        lot.other
    })
}

/// Returns whether a drawn member is accepted: always at full weight, otherwise with the
/// share that its weight is of the full one.
#[inline]
fn takes(candidates: &Candidates<'_>, one: &Candidate<'_>, random: &mut SplitRandom) -> bool {
    if candidates.are_at_full_weight() {
        return true;
    }
    let full = EffectiveWeight::from(one.spec().weight()).units();
    let weight = one.weight().units();
    weight >= full || random.below(u64::from(full)) < u64::from(weight)
}

/// Draws one of the candidates for which `open` holds, by adding up their weights.
#[cold]
fn draw_by_sum<'c>(
    candidates: &Candidates<'c>,
    random: &mut SplitRandom,
    open: impl Fn(&Candidate<'c>) -> bool,
) -> Option<Candidate<'c>> {
    let weight = |one: &Candidate<'c>| u64::from(one.weight().units());
    let total: u64 = candidates.iter().filter(&open).map(|it| weight(&it)).sum();
    let mut rest = (total > 0).then(|| random.below(total))?;
    let mut last = None;
    for one in candidates.iter().filter(&open) {
        if rest < weight(&one) {
            return Some(one);
        }
        rest -= weight(&one);
        last = Some(one);
    }
    // Some member became full between the two passes.
    last
}

fn alias_table(members: &[(MemberId, u32)]) -> Box<[Lot]> {
    let count = members.len() as u64;
    let total: u64 = members.iter().map(|&(_, weight)| u64::from(weight)).sum();
    // What each member has to give, in units in which an entry holds `total`.
    let mut rests: Vec<u128> = members
        .iter()
        .map(|&(_, weight)| u128::from(weight) * u128::from(count))
        .collect();
    let total = u128::from(total.max(1));
    let mut lots: Vec<Lot> = members
        .iter()
        .map(|&(member, _)| Lot {
            member,
            other: member,
            share: u64::MAX,
        })
        .collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..members.len()).partition(|&at| rests[at] < total);
    while let (Some(&donor), Some(poor)) = (large.last(), small.pop()) {
        lots[poor].other = members[donor].0;
        lots[poor].share = share_of(rests[poor], total);
        rests[donor] -= total - rests[poor];
        if rests[donor] < total {
            large.pop();
            small.push(donor);
        }
    }
    lots.into()
}

/// Returns `part / total` in units of 2^-64; `part` is less than `total`, which is less
/// than 2^49.
#[expect(clippy::cast_possible_truncation, reason = "less than 2^64")]
fn share_of(part: u128, total: u128) -> u64 {
    ((part << 64) / total) as u64
}

#[cfg(test)]
mod tests {
    use super::{alias_table, draw_lot};
    use crate::member::MemberId;
    use crate::random::Random;

    #[test]
    fn members_are_drawn_in_proportion_to_their_weights() {
        for weights in [
            vec![1],
            vec![100; 7],
            vec![1, 2, 5],
            vec![1, 99, 300, 1, 6_553_500],
        ] {
            let members: Vec<_> = (0..)
                .map(MemberId::new)
                .zip(weights.iter().copied())
                .collect();
            let table = alias_table(&members);
            // What each member has of all entries is exactly its share, but for rounding.
            let whole = 2_f64.powi(64);
            let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            for &(member, weight) in &members {
                let mut sum = 0.0;
                for lot in &table {
                    let share = lot.share as f64 / whole;
                    sum += if lot.member == member { share } else { 0.0 };
                    sum += if lot.other == member {
                        1.0 - share
                    } else {
                        0.0
                    };
                }
                let expected = f64::from(weight) / total * members.len() as f64;
                assert!(
                    (sum - expected).abs() < 1e-9,
                    "{weights:?}: {sum} {expected}"
                );
            }
            let random = &mut Random::seeded(1).split();
            let drawn: Vec<_> = (0..1_000)
                .filter_map(|_| draw_lot(&table, random))
                .collect();
            assert_eq!(drawn.len(), 1_000);
        }
        assert_eq!(draw_lot(&[], &mut Random::seeded(1).split()), None);
    }
}
