//! Failed requests that count as in flight for a time: [`FailureDebts`].
//!
//! A member that fails at once has few requests in flight, and would attract all others.
//! So each failure counts as a request in flight that fades away. By Little's law the member
//! then gets no more than its share, as long as a failure counts for longer than the other
//! members take for a request.
//!
//! Not here: how the debt is compared (`choice`).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::member::MemberId;
use crate::scheduler::by_slot::BySlot;
use crate::sync::{AtomicU32, AtomicU64, Relaxed};

/// The debt of one failed request.
pub(super) const ONE_FAILURE: u64 = 1 << 8;

/// The debts of all members, by slot.
#[derive(Debug)]
pub(super) struct FailureDebts {
    debts: BySlot<FailureDebt>,
}

/// One member's failures. All atomics are relaxed: it does not matter if a concurrent pick
/// sees a failure late.
#[derive(Debug, Default)]
struct FailureDebt {
    member: AtomicU64,
    /// Units of weight, by which reports are compared.
    units: AtomicU32,
    /// Failures that no pick has added to the debt yet: an end has no time.
    fresh: AtomicU32,
    /// The time in milliseconds, modulo 2^32, and the debt at that time.
    debt: AtomicU64,
}

impl FailureDebts {
    pub(super) fn new() -> Self {
        Self {
            debts: BySlot::new(),
        }
    }

    /// Notes a member of the group and its weight; may allocate.
    pub(super) fn join(&self, member: MemberId, units: u32) {
        let debt = self.debts.get_or_grow(member.slot());
        if debt.member.swap(member.to_bits(), Relaxed) != member.to_bits() {
            debt.fresh.store(0, Relaxed);
            debt.debt.store(0, Relaxed);
        }
        debt.units.store(units, Relaxed);
    }

    /// Returns the units of weight that a member had at the last change of the group.
    pub(super) fn units(&self, member: MemberId) -> Option<u32> {
        self.of(member).map(|debt| debt.units.load(Relaxed))
    }

    /// Counts a failure.
    pub(super) fn add(&self, member: MemberId) {
        if let Some(debt) = self.of(member) {
            debt.fresh.fetch_add(1, Relaxed);
        }
    }

    /// Returns a member's debt at `now`, in units of [`ONE_FAILURE`], without side effect.
    pub(super) fn get(&self, member: MemberId, now: Timestamp, lifetime: Duration) -> u64 {
        let debt = self.of(member);
        debt.map_or(0, |debt| {
            let faded = faded(debt.debt.load(Relaxed), now, lifetime);
            faded.saturating_add(fresh(debt.fresh.load(Relaxed)))
        })
    }

    /// Adds the fresh failures of a member to its debt as of `now`.
    pub(super) fn settle(&self, member: MemberId, now: Timestamp, lifetime: Duration) {
        let Some(debt) = self.of(member) else { return };
        if debt.fresh.load(Relaxed) == 0 {
            return;
        }
        let added = fresh(debt.fresh.swap(0, Relaxed));
        let _ = debt.debt.fetch_update(Relaxed, Relaxed, |word| {
            let sum = faded(word, now, lifetime).saturating_add(added);
            Some(u64::from(millis(now)) << 32 | sum.min(u64::from(u32::MAX)))
        });
    }

    /// Forgets all failures of a member.
    pub(super) fn reset(&self, member: MemberId) {
        if let Some(debt) = self.of(member) {
            debt.fresh.store(0, Relaxed);
            debt.debt.store(0, Relaxed);
        }
    }

    fn of(&self, member: MemberId) -> Option<&FailureDebt> {
        let debt = self.debts.get(member.slot())?;
        (debt.member.load(Relaxed) == member.to_bits()).then_some(debt)
    }
}

fn fresh(failures: u32) -> u64 {
    u64::from(failures) * ONE_FAILURE
}

/// Returns what is left of a debt at `now`. It halves in two thirds of `lifetime`, along a
/// straight line, and so on: the mean time that a failure counts is `lifetime`.
fn faded(word: u64, now: Timestamp, lifetime: Duration) -> u64 {
    let debt = word & u64::from(u32::MAX);
    if debt == 0 {
        return 0;
    }
    let since = millis(now).wrapping_sub(millis_of(word));
    // A time before that of the debt: the clock was set back, or a pick was overtaken.
    let since = if since > u32::MAX / 2 { 0 } else { since };
    let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
    let half = (lifetime.min(1 << 40) * 2 / 3).max(1);
    let since = u64::from(since);
    let halvings = since / half;
    if halvings >= 32 {
        return 0;
    }
    let debt = debt >> halvings;
    debt - debt * (since % half) / (2 * half)
}

#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32")]
fn millis(time: Timestamp) -> u32 {
    (time.as_nanos() / 1_000_000) as u32
}

fn millis_of(word: u64) -> u32 {
    (word >> 32) as u32
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{FailureDebts, ONE_FAILURE};
    use crate::clock::Timestamp;
    use crate::member::MemberId;
    use std::time::Duration;

    const LIFETIME: Duration = Duration::from_secs(3);

    fn seconds(seconds: u64) -> Timestamp {
        Timestamp::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn a_failure_counts_as_a_request_that_halves_in_two_thirds_of_its_lifetime() {
        let debts = FailureDebts::new();
        let member = MemberId::new(3);
        debts.add(member);
        assert_eq!(
            debts.get(member, seconds(0), LIFETIME),
            0,
            "it has not joined"
        );
        debts.join(member, 1600);
        debts.add(member);
        assert_eq!(
            debts.get(member, seconds(100), LIFETIME),
            ONE_FAILURE,
            "fresh"
        );
        debts.settle(member, seconds(100), LIFETIME);
        let at = |time| debts.get(member, seconds(time), LIFETIME);
        assert_eq!([at(100), at(101), at(102), at(104)], [256, 192, 128, 64]);
        assert_eq!((at(99), at(200)), (256, 0));
    }

    #[test]
    fn a_lifetime_is_the_mean_time_that_a_failure_counts() {
        let debts = FailureDebts::new();
        let member = MemberId::new(0);
        debts.join(member, 1600);
        debts.add(member);
        debts.settle(member, seconds(0), LIFETIME);
        let step = Duration::from_millis(10);
        let area: u64 = (0..6_000)
            .map(|at| debts.get(member, Timestamp::ORIGIN + step * at, LIFETIME))
            .sum();
        let mean = area as f64 / ONE_FAILURE as f64 * 0.01;
        assert!((mean - 3.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn a_new_member_in_the_slot_has_no_debt() {
        let debts = FailureDebts::new();
        let (former, present) = (MemberId::new(1), MemberId::new(1));
        debts.join(former, 1600);
        debts.add(former);
        debts.join(former, 800);
        assert_eq!(
            debts.get(former, seconds(0), LIFETIME),
            ONE_FAILURE,
            "it is back"
        );
        debts.join(present, 1600);
        assert_eq!(debts.get(present, seconds(0), LIFETIME), 0);
        assert_eq!(
            (debts.units(former), debts.units(present)),
            (None, Some(1600))
        );
    }
}
