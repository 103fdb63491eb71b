//! The settings of one Prequal scheduler, which its reports also read:
//! [`PrequalSettings`].

use std::time::Duration;

use super::threshold::WHOLE;
use crate::sync::{AtomicU64, Relaxed};

/// The highest rate for each pick.
const MOST_PER_PICK: f64 = 64.0;

/// Settings in units that a pick reads. All atomics are relaxed: they are set before the
/// first pick.
#[derive(Debug)]
pub(super) struct PrequalSettings {
    /// In 2^-16.
    quantile: AtomicU64,
    /// In 2^-16.
    probes: AtomicU64,
    /// In 2^-16.
    removals: AtomicU64,
    /// In 2^-16.
    exploration: AtomicU64,
    /// In nanoseconds.
    max_age: AtomicU64,
    /// In nanoseconds.
    failure_lifetime: AtomicU64,
}

impl PrequalSettings {
    pub(super) fn new() -> Self {
        let settings = Self {
            quantile: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            removals: AtomicU64::new(0),
            exploration: AtomicU64::new(0),
            max_age: AtomicU64::new(0),
            failure_lifetime: AtomicU64::new(0),
        };
        settings.set_defaults();
        settings
    }

    pub(super) fn set_defaults(&self) {
        self.set_quantile(0.0);
        self.set_probes(3.0);
        self.set_removals(1.0);
        self.set_exploration(0.01);
        self.set_max_age(Duration::from_secs(1));
        self.set_failure_lifetime(Duration::from_secs(10));
    }

    pub(super) fn set_quantile(&self, quantile: f64) {
        self.quantile.store(fixed(quantile, 1.0), Relaxed);
    }

    pub(super) fn set_probes(&self, per_pick: f64) {
        self.probes.store(fixed(per_pick, MOST_PER_PICK), Relaxed);
    }

    pub(super) fn set_removals(&self, per_pick: f64) {
        self.removals.store(fixed(per_pick, MOST_PER_PICK), Relaxed);
    }

    pub(super) fn set_exploration(&self, share: f64) {
        self.exploration.store(fixed(share, 1.0), Relaxed);
    }

    pub(super) fn set_max_age(&self, max_age: Duration) {
        self.max_age.store(nanos(max_age), Relaxed);
    }

    pub(super) fn set_failure_lifetime(&self, lifetime: Duration) {
        self.failure_lifetime.store(nanos(lifetime), Relaxed);
    }

    /// Returns the quantile in units of 2^-16.
    pub(super) fn quantile(&self) -> u64 {
        self.quantile.load(Relaxed)
    }

    /// Returns how many members are asked for each pick, in units of 2^-16.
    pub(super) fn probes(&self) -> u64 {
        self.probes.load(Relaxed)
    }

    /// Returns how many reports are removed at each pick, in units of 2^-16.
    pub(super) fn removals(&self) -> u64 {
        self.removals.load(Relaxed)
    }

    /// Returns the share of picks that do not use reports, in units of 2^-16.
    pub(super) fn exploration(&self) -> u64 {
        self.exploration.load(Relaxed)
    }

    pub(super) fn max_age_nanos(&self) -> u64 {
        self.max_age.load(Relaxed)
    }

    pub(super) fn failure_lifetime(&self) -> Duration {
        Duration::from_nanos(self.failure_lifetime.load(Relaxed))
    }
}

/// Returns a number from 0 to `most` in units of 2^-16; `NaN` is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 2^22"
)]
fn fixed(number: f64, most: f64) -> u64 {
    let number = if number > 0.0 { number.min(most) } else { 0.0 };
    (number * WHOLE as f64) as u64
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::PrequalSettings;

    #[test]
    fn numbers_out_of_range_are_the_nearest_that_are_in_range() {
        let settings = PrequalSettings::new();
        for (quantile, units) in [
            (-1.0, 0),
            (f64::NAN, 0),
            (0.5, 1 << 15),
            (7.0, 1 << 16),
            (f64::INFINITY, 1 << 16),
        ] {
            settings.set_quantile(quantile);
            assert_eq!(settings.quantile(), units, "{quantile}");
        }
        settings.set_probes(1e9);
        settings.set_removals(0.25);
        assert_eq!(
            (settings.probes(), settings.removals()),
            (64 << 16, 1 << 14)
        );
    }
}
