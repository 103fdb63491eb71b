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

/// The bits of a debt in its word: up to 65 535 failures. The others are the time, which
/// covers 34 years.
const DEBT_BITS: u32 = 24;
const MOST_DEBT: u64 = (1 << DEBT_BITS) - 1;
const TIME: u64 = u64::MAX >> DEBT_BITS;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// The debts of all members, by slot.
#[derive(Debug)]
pub(super) struct FailureDebts {
    debts: BySlot<FailureDebt>,
    /// One more than the time of the last failure in nanoseconds, so that picks long after it
    /// read no debts; 0 if there was none. Relaxed: as for the debts.
    last: AtomicU64,
}

/// The debts at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct DebtsNow<'d> {
    /// `None` if none are left.
    debts: Option<&'d FailureDebts>,
    now: Timestamp,
    lifetime: Duration,
}

impl DebtsNow<'_> {
    /// Returns a member's debt, in units of [`ONE_FAILURE`].
    #[inline]
    pub(super) fn of(&self, member: MemberId) -> u64 {
        let debt = self.debts.and_then(|debts| debts.of(member));
        match debt.map_or(0, |debt| debt.debt.load(Relaxed)) {
            0 => 0,
            word => faded(word, self.now, self.lifetime),
        }
    }
}

/// One member's failures. All atomics are relaxed: it does not matter if a concurrent pick
/// sees a failure late.
#[derive(Debug, Default)]
struct FailureDebt {
    member: AtomicU64,
    /// Units of weight, by which reports are compared.
    units: AtomicU32,
    /// The time in milliseconds, and the debt at that time.
    debt: AtomicU64,
}

impl FailureDebts {
    pub(super) fn new() -> Self {
        Self {
            debts: BySlot::new(),
            last: AtomicU64::new(0),
        }
    }

    /// Notes a member of the group and its weight; may allocate.
    pub(super) fn join(&self, member: MemberId, units: u32) {
        let debt = self.debts.get_or_grow(member.slot());
        if debt.member.swap(member.to_bits(), Relaxed) != member.to_bits() {
            debt.debt.store(0, Relaxed);
        }
        debt.units.store(units, Relaxed);
    }

    /// Returns the units of weight that a member had at the last change of the group.
    pub(super) fn units(&self, member: MemberId) -> Option<u32> {
        self.of(member).map(|debt| debt.units.load(Relaxed))
    }

    /// Counts a failure at `now`.
    pub(super) fn add(&self, member: MemberId, now: Timestamp, lifetime: Duration) {
        let Some(debt) = self.of(member) else { return };
        let _ = debt.debt.fetch_update(Relaxed, Relaxed, |word| {
            let sum = faded(word, now, lifetime) + ONE_FAILURE;
            Some((millis(now) << DEBT_BITS) | sum.min(MOST_DEBT))
        });
        let last = now.as_nanos().saturating_add(1);
        self.last.fetch_max(last, Relaxed);
    }

    /// Returns the debts at `now`. There are none if `lifetime` is zero.
    pub(super) fn at(&self, now: Timestamp, lifetime: Duration) -> DebtsNow<'_> {
        let last = self.last.load(Relaxed);
        let may_be_left = || {
            // Times of debts are in milliseconds, rounded down.
            let gone_after = half_life(lifetime) * u64::from(DEBT_BITS) + 1;
            now.as_nanos().saturating_sub(last) / NANOS_PER_MILLI <= gone_after
        };
        let debts = (last != 0 && !lifetime.is_zero()).then_some(self);
        DebtsNow {
            debts: debts.filter(|_| may_be_left()),
            now,
            lifetime,
        }
    }

    /// Forgets all failures, also those of members that are not eligible.
    pub(super) fn reset(&self) {
        for debt in self.debts.iter() {
            debt.debt.store(0, Relaxed);
        }
    }

    fn of(&self, member: MemberId) -> Option<&FailureDebt> {
        let debt = self.debts.get(member.slot())?;
        (debt.member.load(Relaxed) == member.to_bits()).then_some(debt)
    }
}

/// Returns what is left of a debt at `now`. It halves in two thirds of `lifetime`, along a
/// straight line, and so on: the mean time that a failure counts is `lifetime`.
fn faded(word: u64, now: Timestamp, lifetime: Duration) -> u64 {
    let debt = word & MOST_DEBT;
    if debt == 0 {
        return 0;
    }
    let since = millis(now).wrapping_sub(word >> DEBT_BITS) & TIME;
    // A time before that of the debt: the clock was set back, or a failure was overtaken.
    let since = if since > TIME / 2 { 0 } else { since };
    let half = half_life(lifetime);
    let halvings = since / half;
    if halvings >= u64::from(DEBT_BITS) {
        return 0;
    }
    let debt = debt >> halvings;
    debt - debt * (since % half) / (2 * half)
}

/// Returns the time in which a debt halves, in milliseconds.
fn half_life(lifetime: Duration) -> u64 {
    let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
    (lifetime.min(1 << 38) * 2 / 3).max(1)
}

/// Returns a time in milliseconds, modulo 2^40.
fn millis(time: Timestamp) -> u64 {
    (time.as_nanos() / NANOS_PER_MILLI) & TIME
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
        debts.add(member, seconds(0), LIFETIME);
        assert_eq!(
            debts.at(seconds(0), LIFETIME).of(member),
            0,
            "it has not joined"
        );
        debts.join(member, 1600);
        debts.add(member, seconds(100), LIFETIME);
        let at = |time| debts.at(seconds(time), LIFETIME).of(member);
        assert_eq!([at(100), at(101), at(102), at(104)], [256, 192, 128, 64]);
        assert_eq!((at(99), at(200)), (256, 0));
    }

    #[test]
    fn a_lifetime_is_the_mean_time_that_a_failure_counts() {
        let debts = FailureDebts::new();
        let member = MemberId::new(0);
        debts.join(member, 1600);
        debts.add(member, seconds(0), LIFETIME);
        let step = Duration::from_millis(10);
        let area: u64 = (0..6_000)
            .map(|at| debts.at(Timestamp::ORIGIN + step * at, LIFETIME).of(member))
            .sum();
        let mean = area as f64 / ONE_FAILURE as f64 * 0.01;
        assert!((mean - 3.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn a_debt_is_gone_at_any_later_time() {
        let debts = FailureDebts::new();
        let member = MemberId::new(0);
        debts.join(member, 1600);
        debts.add(member, seconds(1), LIFETIME);
        for days in 1..=6_000 {
            let now = seconds(days * 86_400);
            assert_eq!(debts.at(now, LIFETIME).of(member), 0, "day {days}");
        }
        debts.add(member, seconds(6_000 * 86_400), LIFETIME);
        let now = seconds(6_000 * 86_400 + 2);
        assert_eq!(debts.at(now, LIFETIME).of(member), ONE_FAILURE / 2);
    }

    #[test]
    fn a_reset_forgets_members_that_are_not_eligible_too() {
        let debts = FailureDebts::new();
        let members = [0, 40].map(MemberId::new);
        for member in members {
            debts.join(member, 1600);
            debts.add(member, seconds(0), LIFETIME);
        }
        debts.reset();
        for member in members {
            assert_eq!(debts.at(seconds(0), LIFETIME).of(member), 0);
            assert_eq!(debts.units(member), Some(1600));
        }
    }

    #[test]
    fn a_new_member_in_the_slot_has_no_debt() {
        let debts = FailureDebts::new();
        let (former, present) = (MemberId::new(1), MemberId::new(1));
        debts.join(former, 1600);
        debts.add(former, seconds(0), LIFETIME);
        debts.join(former, 800);
        assert_eq!(
            debts.at(seconds(0), LIFETIME).of(former),
            ONE_FAILURE,
            "it is back"
        );
        debts.join(present, 1600);
        assert_eq!(debts.at(seconds(0), LIFETIME).of(present), 0);
        assert_eq!(
            (debts.units(former), debts.units(present)),
            (None, Some(1600))
        );
    }
}
