//! Values that decay exponentially over time, each in one atomic word: [`Decaying`].
//!
//! All of it is integer arithmetic, so that the same readings give the same values on every
//! machine.
//!
//! # Orderings
//!
//! Relaxed everywhere: a value is a hint for picking, and nothing is published through it.
//! A word holds a value with its time, and is changed by a compare-and-exchange, so that no
//! update is lost and a reader never sees the value of one update with the time of another.
//!
//! Not here: what the values mean.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::sync::{AtomicU64, Relaxed};

/// One, as a share: shares are in units of 2^-32.
pub(super) const WHOLE: u64 = 1 << 32;

/// The speed of a decay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    /// The time after which nothing is left, in nanoseconds.
    end: u64,
    /// Half-lives in a nanosecond, in units of 2^-96.
    speed: u128,
}

/// So many half-lives leave less than one unit of a share.
const HALVES: u64 = 33;

impl Decay {
    pub(super) fn with_half_life(half_life: Duration) -> Self {
        Self::new(nanos(half_life))
    }

    /// A decay by which 1/e is left after `time`.
    pub(super) fn with_time_constant(time: Duration) -> Self {
        let half_life = (u128::from(nanos(time)) * u128::from(LN_2)) >> 32;
        Self::new(u64::try_from(half_life).unwrap_or(u64::MAX))
    }

    fn new(half_life: u64) -> Self {
        let half_life = half_life.max(1);
        Self {
            end: half_life.saturating_mul(HALVES),
            speed: (1 << 96) / u128::from(half_life),
        }
    }

    /// Returns the time at which nothing is left of a value of `now`.
    pub(super) fn end(self, now: Timestamp) -> Timestamp {
        // Times of values are in ticks.
        now + Duration::from_nanos(self.end.saturating_add(1 << TICK_BITS))
    }

    /// Returns the share that is left after so many nanoseconds: 2^(-elapsed/half-life), in
    /// units of 2^-32, within two units.
    ///
    /// It is [`WHOLE`] at 0, and never greater after a longer time.
    pub(super) fn left(self, elapsed: u64) -> u64 {
        if elapsed >= self.end {
            return 0;
        }
        let halves = (u128::from(elapsed) * self.speed) >> 64;
        let halves = u64::try_from(halves).unwrap_or(u64::MAX);
        power(halves % WHOLE) >> (halves / WHOLE)
    }
}

/// Returns 2^-x, where `x` is less than 1; both in units of 2^-32.
fn power(x: u64) -> u64 {
    const SHIFT: u32 = 32 - TABLE_BITS;
    let index = (x >> SHIFT) as usize % TABLE.len();
    // e^-y for the rest, by the first terms of the series; y is below 0.011. With six bits
    // more than the result, so that it never increases with x: a step of x lowers it by a
    // third of a unit at least.
    const REST_BITS: u32 = 38;
    let y = ((x % (1 << SHIFT)) * LN_2) >> (64 - REST_BITS);
    let square = (y * y) >> REST_BITS;
    let cube = (square * y) >> REST_BITS;
    let fourth = (square * square) >> REST_BITS;
    let rest = (1 << REST_BITS) - y + square / 2 - cube / 6 + fourth / 24;
    let product = u128::from(TABLE[index]) * u128::from(rest);
    // Less than the whole, or equal to it.
    u64::try_from(product >> (TABLE_ONE_BITS + REST_BITS - 32)).unwrap_or(WHOLE)
}

/// ln 2, in units of 2^-32.
const LN_2: u64 = 2_977_044_472;
const TABLE_BITS: u32 = 6;
const TABLE_ONE_BITS: u32 = 60;

/// 2^(-i/64), in units of 2^-60.
static TABLE: [u64; 1 << TABLE_BITS] = {
    let mut table = [0; 1 << TABLE_BITS];
    let mut index = 0;
    while index < table.len() {
        table[index] = series(index as u64);
        index += 1;
    }
    table
};

/// Returns 2^(-index/64) in units of 2^-60, by the series of e^-y.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 2^59 to 2^60"
)]
const fn series(index: u64) -> u64 {
    // ln 2 has 60 bits here.
    const ONE: i128 = 1 << TABLE_ONE_BITS;
    const LN_2: i128 = 799_144_290_325_165_979;
    let y = LN_2 * index as i128 / (1 << TABLE_BITS);
    let (mut sum, mut term, mut at) = (ONE, ONE, 1);
    while term != 0 {
        term = -term * y / ONE / at;
        sum += term;
        at += 1;
    }
    sum as u64
}

/// A value that decays, with the time for which it holds.
///
/// The value is rounded down to 22 significant bits. The time is in steps of about a
/// quarter of a millisecond, and wraps after 208 days. In the last five hours of these, a
/// value that was left alone is taken for one of the future, which does not decay.
#[derive(Debug, Default)]
pub(super) struct Decaying(AtomicU64);

const TICK_BITS: u32 = 18;
const TIME_BITS: u32 = 36;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// A value of up to so many ticks later is of the future: its writer was faster, or the clock
/// was set back. About five hours.
const FUTURE: u64 = 1 << 26;
const VALUE_BITS: u32 = u64::BITS - TIME_BITS;
const MANTISSA_BITS: u32 = 22;
const _: () = assert!(VALUE_BITS - MANTISSA_BITS == 6);

impl Decaying {
    /// Returns what is left of the value at `now`.
    #[inline]
    pub(super) fn at(&self, now: Timestamp, decay: Decay) -> u64 {
        let (value, time) = unpack(self.0.load(Relaxed));
        let elapsed = elapsed(time, tick(now));
        if value == 0 || elapsed == 0 {
            return value;
        }
        scaled(value, decay.left(elapsed))
    }

    /// Returns the value as it was last stored.
    #[inline]
    pub(super) fn stored(&self) -> u64 {
        unpack(self.0.load(Relaxed)).0
    }

    /// Replaces the value by the result of `change`, which gets the old value and the share
    /// of it that is left; `None` leaves everything as it is.
    pub(super) fn update(
        &self,
        now: Timestamp,
        decay: Decay,
        change: impl Fn(u64, u64) -> Option<u64>,
    ) {
        let now = tick(now);
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let (value, time) = unpack(word);
            let elapsed = elapsed(time, now);
            let value = change(value, decay.left(elapsed))?;
            // The later one of the two times.
            Some(pack(value, if elapsed == 0 { time } else { now }))
        });
    }

    /// Sets the value.
    pub(super) fn set(&self, value: u64, now: Timestamp) {
        self.0.store(pack(value, tick(now)), Relaxed);
    }
}

/// Returns a share of a value.
#[inline]
pub(super) fn scaled(value: u64, share: u64) -> u64 {
    let product = u128::from(value) * u128::from(share.min(WHOLE));
    u64::try_from(product >> 32).unwrap_or(u64::MAX)
}

/// Rounds a value down to a mantissa and an exponent, and puts it beside a time.
fn pack(value: u64, time: u64) -> u64 {
    let bits = u64::BITS - value.leading_zeros();
    let exponent = bits.saturating_sub(MANTISSA_BITS);
    time << VALUE_BITS | u64::from(exponent) << MANTISSA_BITS | value >> exponent
}

#[inline]
fn unpack(word: u64) -> (u64, u64) {
    let mantissa = word % (1 << MANTISSA_BITS);
    let exponent = word >> MANTISSA_BITS & 0x3f;
    (mantissa << exponent, word >> VALUE_BITS)
}

fn tick(now: Timestamp) -> u64 {
    now.as_nanos() >> TICK_BITS & TIME
}

/// Returns the nanoseconds between two times in ticks; 0 if the second is not later.
#[inline]
fn elapsed(before: u64, now: u64) -> u64 {
    let ticks = now.wrapping_sub(before) & TIME;
    if ticks > TIME - FUTURE {
        0
    } else {
        ticks << TICK_BITS
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The latest time that a scheduler got, with a pick or an end: for calls without a time.
#[derive(Debug, Default)]
pub(super) struct LatestTime(AtomicU64);

impl LatestTime {
    /// Returns `now` and notes it; without a time, returns the latest one.
    #[inline]
    pub(super) fn or(&self, now: Option<Timestamp>) -> Timestamp {
        let Some(now) = now else {
            return self.get();
        };
        self.note(now);
        now
    }

    /// Notes a time. Of two at once, either may win.
    #[inline]
    fn note(&self, now: Timestamp) {
        // Most calls find the present tick noted, and write nothing.
        if self.0.load(Relaxed) >> TICK_BITS < now.as_nanos() >> TICK_BITS {
            self.0.store(now.as_nanos(), Relaxed);
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Relaxed))
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use std::time::Duration;

    use super::{Decay, Decaying, LatestTime, TABLE, WHOLE, elapsed, pack, scaled, tick, unpack};
    use crate::clock::Timestamp;
    use crate::random::Random;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * SECOND)
    }

    #[test]
    fn what_is_left_is_a_power_of_one_half_within_two_units() {
        let decay = Decay::with_half_life(Duration::from_secs(1));
        let random = Random::seeded(1);
        for _ in 0..10_000 {
            let nanos = random.below(20 * SECOND);
            let exact = (-(nanos as f64) / 1e9).exp2() * WHOLE as f64;
            let left = decay.left(nanos) as f64;
            assert!((left - exact).abs() < 2.0, "{nanos}: {left} {exact}");
        }
        for halves in 0..33 {
            assert!(decay.left(halves * SECOND).abs_diff(WHOLE >> halves) <= 2);
        }
        assert_eq!(decay.left(0), WHOLE);
        assert_eq!(decay.left(33 * SECOND), 0);
        assert_eq!(decay.left(u64::MAX), 0);
    }

    #[test]
    fn less_is_left_later() {
        for half_life in [1, 1_000, 3 * SECOND] {
            let decay = Decay::with_half_life(Duration::from_nanos(half_life));
            let step = (half_life / 1_000).max(1);
            let shares: Vec<u64> = (0..40_000).map(|at| decay.left(at * step)).collect();
            assert!(shares.is_sorted_by(|a, b| a >= b), "{half_life}");
        }
        // Where the entry of the table changes.
        let half_life = 64_u64 << 32;
        let decay = Decay::with_half_life(Duration::from_nanos(half_life));
        for border in 1..=3 * 64 {
            let at = border * half_life / 64;
            let shares: Vec<u64> = (at - 200..at + 200).map(|at| decay.left(at)).collect();
            assert!(shares.is_sorted_by(|a, b| a >= b), "{border}");
        }
    }

    /// The very numbers, so that another machine or compiler that differs is found.
    #[test]
    fn the_table_and_the_shares_are_these_numbers() {
        assert_eq!(TABLE[0], 1 << 60);
        assert_eq!(TABLE[32] >> 28, 3_037_000_499, "2^31.5");
        let decay = Decay::with_time_constant(Duration::from_secs(10));
        let shares = [1, 5, 10, 100].map(|seconds| decay.left(seconds * SECOND));
        let exact = shares.map(|share| share as f64 / WHOLE as f64);
        for (share, exponent) in exact.into_iter().zip([0.1, 0.5, 1.0, 10.0_f64]) {
            assert!(
                (share - (-exponent).exp()).abs() < 2e-9,
                "{share} {exponent}"
            );
        }
    }

    #[test]
    fn a_value_decays_as_it_is_read_and_stays_as_it_is_stored() {
        let decay = Decay::with_half_life(Duration::from_secs(10));
        let value = Decaying::default();
        value.set(1_000_000, at(100));
        assert_eq!(value.at(at(100), decay), 1_000_000);
        assert!(value.at(at(110), decay).abs_diff(500_000) < 20);
        assert_eq!(
            value.at(at(100), decay),
            1_000_000,
            "a reading stores nothing"
        );
        assert_eq!(value.at(at(90), decay), 1_000_000, "time does not go back");
        value.update(at(110), decay, |old, left| {
            Some(scaled(old, left) + 500_000)
        });
        assert!(value.at(at(110), decay).abs_diff(1_000_000) < 20);
        value.update(at(50), decay, |old, left| {
            assert_eq!(left, WHOLE);
            Some(old)
        });
        assert!(
            value.at(at(120), decay).abs_diff(500_000) < 20,
            "the later time stays"
        );
        value.update(at(120), decay, |_, _| None);
        assert_eq!(value.at(at(10_000), decay), 0);
    }

    #[test]
    fn values_keep_22_bits_and_times_wrap() {
        for value in [0, 1, 4_194_303, 4_194_304, 1 << 40, u64::MAX] {
            let (kept, time) = unpack(pack(value, 7));
            assert_eq!(time, 7);
            assert!(
                kept <= value && value - kept <= value >> 21,
                "{value} {kept}"
            );
        }
        let step = 1 << 18;
        assert_eq!(elapsed(tick(Timestamp::from_nanos(u64::MAX)), 0), step);
        assert_eq!(elapsed(5, 4), 0);
        assert_eq!(elapsed(5, 8), 3 * step);
        // A value is of the past for most of the circle.
        let day = 86_400 * SECOND;
        assert!(elapsed(0, tick(Timestamp::from_nanos(208 * day))) > 207 * day);
        assert_eq!(elapsed(tick(at(4 * 3_600)), 0), 0, "four hours ahead");
    }

    #[test]
    fn the_latest_time_only_goes_forward() {
        let latest = LatestTime::default();
        assert_eq!(latest.or(Some(at(2))), at(2));
        assert_eq!(latest.or(Some(at(1))), at(1));
        assert_eq!(latest.or(None), at(2));
    }
}
