//! [`Maglev`]: consistent hashing by one lookup in a table that is computed in advance.
//!
//! Not here: how the table is filled (`table.rs`).

use std::ops::ControlFlow;

use super::by_score::{MemberHashes, by_score, claim_by_score};
use super::hashed_member::HashedMember;
use super::table::filled;
use super::{HashScheduler, hash_of, key_of, lower, noting_no_key};
use crate::member::MemberId;
use crate::scheduler::{
    Candidates, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers, Scheduler,
};

/// The number of table slots that a pick examines before it considers all eligible members.
const STEPS: usize = 64;

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
/// during a slow start, keeps that share of its keys and passes the others on; members that ramp
/// up together keep all keys.
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
        let key = key_of(context);
        let table = candidates.plan::<MaglevTable>();
        if let Some(table) = table {
            for member in table.walk(key) {
                if let Some(claim) = member.claim(candidates, key) {
                    return Pick::Claimed(claim);
                }
            }
        }
        claim_by_score(candidates, key, table.map(|table| &table.members))
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let mut found = None;
        self.visit_members(candidates, key_of(context), &mut |member| {
            let untried = !candidates.tried().contains(&member);
            let open = candidates.get(member).is_some_and(|one| one.has_room());
            if untried && open {
                found = Some(member);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let key = key_of(context);
        let details = match candidates.plan::<MaglevTable>() {
            Some(table) if table.len() > 0 => {
                let size = table.len() as u64;
                PickDetails::default().position(key % size, size)
            }
            _ => {
                PickDetails::default().note("there is no table yet: the member is picked by score")
            }
        };
        noting_no_key(details, context)
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

impl HashScheduler for Maglev {
    fn visit_members(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
    ) {
        let table = candidates.plan::<MaglevTable>();
        for member in table.into_iter().flat_map(|table| table.walk(key)) {
            if member.keeps(candidates, key) && visit(member.id).is_break() {
                return;
            }
        }
        for one in by_score(candidates, key, table.map(|table| &table.members)) {
            if visit(one.id()).is_break() {
                return;
            }
        }
    }
}

/// The owner of each key.
#[derive(Debug)]
struct MaglevTable {
    /// The index of each slot's owner among the balancer's members.
    owners: Owners,
    /// The members by their index in the balancer.
    members: MemberHashes,
    first: FirstSlot,
}

/// Computes `key mod size` without a division, which takes longer than the rest of a lookup.
#[derive(Clone, Copy, Debug)]
struct FirstSlot {
    size: u64,
    /// 2^64 / size, rounded down and less than 2^64.
    inverse: u64,
}

impl FirstSlot {
    fn new(size: usize) -> Self {
        // A table without members has no slots; the divisor is then 1.
        let size = (size as u64).max(1);
        let inverse = u64::MAX / size;
        Self { size, inverse }
    }

    /// Returns the slot of a key. The quotient is exact or one too small.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a half, and less than the size"
    )]
    fn of(self, key: u64) -> usize {
        let quotient = ((u128::from(key) * u128::from(self.inverse)) >> 64) as u64;
        let rest = key - quotient * self.size;
        let rest = if rest >= self.size {
            rest - self.size
        } else {
            rest
        };
        rest as usize
    }
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
        let hashed = sorted.iter().zip(&weighted);
        let members = MemberHashes::of(hashed.map(|(member, &(hash, _))| HashedMember {
            id: member.id(),
            hash: lower(hash),
        }));
        let owners = filled(size, &weighted);
        let first = FirstSlot::new(owners.len());
        let places = owners.iter().map(|&at| sorted[at as usize].id().slot());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked, or slots of 26 bits"
        )]
        let owners = if members.slots() <= 1 << 16 {
            Owners::Few(places.map(|place| place as u16).collect())
        } else {
            Owners::Many(places.map(|place| place as u32).collect())
        };
        Self {
            first,
            owners,
            members,
        }
    }

    fn len(&self) -> usize {
        match &self.owners {
            Owners::Few(places) => places.len(),
            Owners::Many(places) => places.len(),
        }
    }

    /// Iterates over the owner of a key and the owners that it passes the key on to.
    #[inline]
    fn walk(&self, key: u64) -> impl Iterator<Item = HashedMember> {
        let size = self.len();
        let first = self.first.of(key);
        (0..STEPS.min(size)).filter_map(move |step| {
            let slot = first + step;
            let slot = if slot < size { slot } else { slot - size };
            let place = match &self.owners {
                Owners::Few(places) => usize::from(places[slot]),
                Owners::Many(places) => places[slot] as usize,
            };
            self.members.at(place)
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
    use super::{FirstSlot, GREATEST, LEAST, Maglev, SIZES, TableSizeError, is_prime};
    use crate::stable_hash::hash_bytes;

    #[test]
    fn a_slot_is_the_key_modulo_the_size() {
        for size in SIZES.into_iter().chain([1, 2, 3, 251, 65_521]) {
            let slot = FirstSlot::new(size as usize);
            let size = u64::from(size);
            let multiples = [1, 2, 3, u64::MAX / size / 2, u64::MAX / size].map(|it| it * size);
            let near = multiples
                .into_iter()
                .flat_map(|it| [it - 1, it, it.saturating_add(1)]);
            let hashed = (0_u64..1_000).map(|number| hash_bytes(&number.to_le_bytes()));
            for key in near.chain(hashed).chain([0, u64::MAX, u64::MAX - 1]) {
                assert_eq!(slot.of(key) as u64, key % size, "{key} mod {size}");
            }
        }
        assert_eq!(FirstSlot::new(0).of(u64::MAX), 0);
    }

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
