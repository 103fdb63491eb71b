//! [`Maglev`]: consistent hashing by one lookup in a table that is computed in advance.
//!
//! Not here: how the table is filled (`table.rs`).

use super::table::filled;
use super::{Score, hash_of, keeps};
use crate::member::MemberId;
use crate::scheduler::{
    Candidate, Candidates, Needs, Pick, PickContext, Plan, PlanMembers, Scheduler,
};

/// The number of table slots that a pick examines before it considers all eligible members.
const STEPS: usize = 64;

/// The number of members that a pick tries by score, when members become full or unusable
/// during the pick, before it tries all of them.
const RANKS: usize = 4;

/// Picks the member that owns the request's hash key. The same key goes to the same member,
/// as far as possible also when members join, leave or fail.
///
/// Use it where members keep state for a key: caches, shards, upstream connections.
/// [`PickRequest::with_hash`](crate::PickRequest::with_hash) sets the key. A request
/// without a key goes to the owner of a random key, so that weights hold for those requests
/// too.
///
/// A table whose number of slots is a prime gives the owner of each key: slot `key mod
/// size`. A member's slots depend on its name, its weight and the other members, so that
/// all processes with the same members and weights pick alike. If the owner is unusable,
/// full or already tried by the request, the pick goes on to the next slot, for up to 64
/// slots. After that it picks the eligible member with the best score for the key, by
/// weighted rendezvous hashing, which examines all eligible members. (If a share `s` of the
/// weight is eligible, the chance of that is `(1 - s)^64`: close to zero, unless most
/// members are standbys or in other tiers.) A member with less than its full weight, as
/// during a slow start, keeps that share of its keys and passes the others on.
///
/// | event | keys that move |
/// |---|---|
/// | a member is unusable, drained, full, or tried by the request | its own |
/// | it is eligible again | those same keys, back |
/// | its weight grows from a fraction to the full one | to it only, and never away |
/// | a member is removed or inserted | its own, and at most 1 % of the others (measured: 0.2 to 0.6 %) |
/// | a weight is changed | those that it gains or loses, and at most 1 % of the others |
/// | the table grows (see below) | nearly all |
///
/// In a table of `size` slots for `n` members, each member has at least one slot. Where
/// `share` is its part of the slots by weight, it has at most `share + 2` and at least
/// `share * (1 - n/size) - 1`; with equal weights the difference is at most one slot. The
/// table has 65 537 slots for up to 655 members, and beyond that at least 100 for each
/// member, up to 5 000 011 in total: with these sizes each share is exact within 1 %. The
/// table therefore grows when the 656th member is inserted, and about each time the number
/// of members doubles after that. [`with_table_size`](Self::with_table_size) sets a fixed
/// size.
///
/// A pick takes no lock and allocates nothing. The table takes 2 bytes a slot (4 with more
/// than 65 536 members). The caller of a change computes it when members or their weights
/// change; [`Scheduler::plan`] describes the cost. Until the new table is ready, new
/// members get few keys or none; before the first table is ready, all members are picked by
/// score.
///
/// Source: Eisenbud and others: *Maglev: A fast and reliable software network load
/// balancer* (NSDI 2016), with Envoy's rule for weights.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Maglev;
/// use equipoise::stable_hash::hash_bytes;
/// use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
///
/// let balancer = Balancer::builder()
///     .scheduler(Maglev::new())
///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let key = hash_bytes(b"/images/logo.png");
/// let owner = || {
///     let lease = balancer.pick(&PickRequest::new().with_hash(key)).unwrap();
///     lease.member().name().to_owned()
/// };
/// let before = owner();
/// balancer.set_flag(&before, Flag::Disabled)?;
/// assert_ne!(owner(), before);
/// balancer.clear_flag(&before, Flag::Disabled)?;
/// assert_eq!(owner(), before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Maglev {
    /// `None`: chosen by the number of members.
    size: Option<u32>,
}

impl Maglev {
    /// Creates a scheduler whose table grows with the number of members.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: None }
    }

    /// Creates a scheduler whose table has a fixed number of slots, so that keys never move
    /// because the table grows.
    ///
    /// With a hundred slots for each member, shares are exact within 1 %. If there are more
    /// members than slots, the last ones by name have none.
    ///
    /// # Errors
    ///
    /// [`TableSizeError`] if `slots` is not a prime from 251 to 5 000 011.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Maglev, TableSizeError};
    ///
    /// assert!(Maglev::with_table_size(655_373).is_ok());
    /// let error = Maglev::with_table_size(65_536).unwrap_err();
    /// assert_eq!(error, TableSizeError::NotPrime { next: 65_537 });
    /// ```
    pub fn with_table_size(slots: u32) -> Result<Self, TableSizeError> {
        if !(LEAST..=GREATEST).contains(&slots) {
            return Err(TableSizeError::OutOfRange);
        }
        if !is_prime(slots) {
            let next = (slots..=GREATEST).find(|&slots| is_prime(slots));
            return Err(TableSizeError::NotPrime {
                next: next.unwrap_or(GREATEST),
            });
        }
        Ok(Self { size: Some(slots) })
    }

    fn size_for(&self, members: usize) -> u32 {
        let enough = |&&size: &&u32| size as usize / 100 >= members;
        let grown = || SIZES.iter().find(enough).copied().unwrap_or(GREATEST);
        self.size.unwrap_or_else(grown)
    }
}

const LEAST: u32 = 251;
const GREATEST: u32 = 5_000_011;

/// The sizes of tables that grow: the default, then about double each time.
const SIZES: [u32; 8] = [
    65_537, 131_101, 262_147, 524_309, 1_048_583, 2_097_169, 4_194_319, GREATEST,
];

fn is_prime(number: u32) -> bool {
    let mut divisors = (2..).take_while(|divisor| divisor * divisor <= number);
    number >= 2 && divisors.all(|divisor| number % divisor != 0)
}

impl Scheduler for Maglev {
    fn name(&self) -> &'static str {
        "maglev"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(MaglevTable::new(
            self.size_for(members.len()),
            members,
        )))
    }

    #[inline]
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let key = context
            .hash()
            .unwrap_or_else(|| context.random().next_u64());
        let table = candidates.plan::<MaglevTable>();
        if let Some(table) = table {
            for member in table.walk(key) {
                let Some(candidate) = candidates.get(member.id) else {
                    continue;
                };
                if keeps(&candidate, key, member.hash) {
                    if let Ok(claim) = candidates.claim(member.id) {
                        return Pick::Claimed(claim);
                    }
                }
            }
        }
        claim_by_score(candidates, key, table)
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let key = context.hash()?;
        let table = candidates.plan::<MaglevTable>();
        let mut walk = table.into_iter().flat_map(|table| table.walk(key));
        let found = walk.find(|member| {
            !candidates.tried().contains(&member.id)
                && candidates
                    .get(member.id)
                    .is_some_and(|one| one.has_room() && keeps(&one, key, member.hash))
        });
        let found = found.map(|member| member.id);
        found.or_else(|| {
            let (_, best) = next_by_score(candidates, key, table, None)?;
            Some(best.id())
        })
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

/// Claims the member with the best score that can be claimed.
#[cold]
fn claim_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    table: Option<&MaglevTable>,
) -> Pick<'c> {
    let mut ahead = None;
    for _ in 0..RANKS {
        let Some((score, best)) = next_by_score(candidates, key, table, ahead) else {
            break;
        };
        if let Ok(claim) = candidates.claim(best.id()) {
            return Pick::Claimed(claim);
        }
        ahead = Some(score);
    }
    candidates.claim_first(candidates.iter())
}

/// Returns the member with the best score among those that have room, whether or not the
/// table contains it; with `ahead`, the one after those.
fn next_by_score<'c>(
    candidates: &Candidates<'c>,
    key: u64,
    table: Option<&MaglevTable>,
    ahead: Option<Score>,
) -> Option<(Score, Candidate<'c>)> {
    let open = candidates.iter().filter(Candidate::has_room);
    let scored = open.map(|one| {
        let known = table.and_then(|table| table.member(one.id().slot()));
        let hash = match known {
            Some(member) if member.id == one.id() => member.hash,
            _ => lower(hash_of(one.state().name())),
        };
        (Score::new(key, hash, one.weight()), one)
    });
    let behind = scored.filter(|(score, _)| ahead.is_none_or(|ahead| score.cmp(ahead).is_gt()));
    behind.min_by(|(a, one), (b, other)| {
        let tie = || one.rank().cmp(&other.rank());
        a.cmp(*b).then_with(tie)
    })
}

/// The owner of each key.
#[derive(Debug)]
struct MaglevTable {
    /// The index of each slot's owner among the balancer's members.
    owners: Owners,
    /// The members by their index in the balancer.
    members: Box<[Option<TableMember>]>,
}

/// Returns the half of a name's hash that scores and thinning use.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn lower(hash: u128) -> u64 {
    hash as u64
}

/// A member of a table.
#[derive(Clone, Copy, Debug)]
struct TableMember {
    id: MemberId,
    /// The hash of its name.
    hash: u64,
}

#[derive(Debug)]
enum Owners {
    Few(Box<[u16]>),
    Many(Box<[u32]>),
}

impl MaglevTable {
    fn new(size: u32, all: &PlanMembers<'_>) -> Self {
        let mut sorted: Vec<_> = all.iter().collect();
        sorted.sort_unstable_by_key(|member| member.name());
        let weighted: Vec<(u128, u32)> = sorted
            .iter()
            .map(|member| (hash_of(member.name()), member.weight().hundredths()))
            .collect();
        let places = sorted.iter().map(|member| member.id().slot());
        let mut members = vec![None; places.max().map_or(0, |last| last + 1)];
        for (member, &(hash, _)) in sorted.iter().zip(&weighted) {
            let id = member.id();
            let hash = lower(hash);
            members[id.slot()] = Some(TableMember { id, hash });
        }
        let owners = filled(size, &weighted);
        let places = owners.iter().map(|&at| sorted[at as usize].id().slot());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked, or slots of 26 bits"
        )]
        let owners = if members.len() <= 1 << 16 {
            Owners::Few(places.map(|place| place as u16).collect())
        } else {
            Owners::Many(places.map(|place| place as u32).collect())
        };
        Self {
            owners,
            members: members.into(),
        }
    }

    fn len(&self) -> usize {
        match &self.owners {
            Owners::Few(places) => places.len(),
            Owners::Many(places) => places.len(),
        }
    }

    #[inline]
    fn member(&self, place: usize) -> Option<TableMember> {
        *self.members.get(place)?
    }

    /// Iterates over the owner of a key and the owners that it passes the key on to.
    #[inline]
    fn walk(&self, key: u64) -> impl Iterator<Item = TableMember> {
        let size = self.len();
        // A table without members has no slots; the divisor is then 1.
        #[expect(clippy::cast_possible_truncation, reason = "less than the size")]
        let first = (key % (size as u64).max(1)) as usize;
        (0..STEPS.min(size)).filter_map(move |step| {
            let slot = first + step;
            let slot = if slot < size { slot } else { slot - size };
            let place = match &self.owners {
                Owners::Few(places) => usize::from(places[slot]),
                Owners::Many(places) => places[slot] as usize,
            };
            self.member(place)
        })
    }
}

/// The reason why a number cannot be the size of a table.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Maglev, TableSizeError};
///
/// assert_eq!(Maglev::with_table_size(100).unwrap_err(), TableSizeError::OutOfRange);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableSizeError {
    /// The number is not a prime.
    #[error("a table's size must be a prime; the next one is {next}")]
    NotPrime {
        /// The next prime.
        next: u32,
    },
    /// The number is below 251 or above 5 000 011.
    #[error("a table has from 251 to 5000011 slots")]
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use super::{GREATEST, LEAST, Maglev, SIZES, TableSizeError, is_prime};

    #[test]
    fn every_size_is_a_prime_within_the_range() {
        for size in SIZES.into_iter().chain([LEAST]) {
            assert!(is_prime(size), "{size}");
            assert!(Maglev::with_table_size(size).is_ok(), "{size}");
        }
        assert!(!is_prime(1) && is_prime(2) && !is_prime(65_536) && !is_prime(251 * 257));
        assert!(SIZES.is_sorted());
    }

    #[test]
    fn a_table_has_a_hundred_slots_for_each_member_while_there_may_be_more() {
        let size = |members| Maglev::new().size_for(members);
        assert_eq!(size(0), 65_537);
        assert_eq!(size(655), 65_537);
        assert_eq!(size(656), 131_101);
        assert_eq!(size(10_000), 1_048_583);
        assert_eq!(size(50_000), GREATEST);
        assert_eq!(size(10_000_000), GREATEST);
        let fixed = Maglev::with_table_size(251).unwrap();
        assert_eq!(fixed.size_for(10_000), 251);
    }

    #[test]
    fn a_size_that_is_none_is_refused_and_told_the_next() {
        let error = |slots| Maglev::with_table_size(slots).unwrap_err();
        assert_eq!(error(250), TableSizeError::OutOfRange);
        assert_eq!(error(GREATEST + 1), TableSizeError::OutOfRange);
        assert_eq!(error(252), TableSizeError::NotPrime { next: 257 });
        assert_eq!(
            error(GREATEST - 1),
            TableSizeError::NotPrime { next: GREATEST }
        );
        assert_eq!(
            error(252).to_string(),
            "a table's size must be a prime; the next one is 257"
        );
        assert_eq!(
            error(0).to_string(),
            "a table has from 251 to 5000011 slots"
        );
    }
}
