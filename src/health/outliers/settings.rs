//! The settings of a detector: [`OutlierSettings`].
//!
//! Not here: the builder (`detector.rs`).

use std::sync::Arc;
use std::time::Duration;

use super::ledger::EjectionLimits;
use super::signals::{FailurePercentage, Runs, SlowMembers, SuccessRate};

/// Returns whether a status is a failure.
pub(super) type IsFailure = dyn Fn(u16) -> bool + Send + Sync;

/// The settings of a detector.
#[derive(Clone)]
pub(super) struct OutlierSettings {
    pub(super) interval: Duration,
    pub(super) jitter: Duration,
    pub(super) terms: EjectionLimits,
    pub(super) runs: Runs,
    pub(super) success_rate: Option<SuccessRate>,
    pub(super) failure_percentage: Option<FailurePercentage>,
    pub(super) slow_members: Option<SlowMembers>,
    /// Whether passing checks end ejections.
    pub(super) checks_end_ejections: bool,
    /// `None` for 500 and above.
    pub(super) is_failure: Option<Arc<IsFailure>>,
}

impl OutlierSettings {
    /// Returns Envoy's defaults.
    pub(super) const fn new() -> Self {
        Self {
            interval: Duration::from_secs(10),
            jitter: Duration::ZERO,
            terms: EjectionLimits {
                base: Duration::from_secs(30),
                max: Duration::from_secs(300),
                max_percent: 10,
                panic_percent: 50,
                trial: true,
            },
            runs: Runs {
                failures: Some(5),
                gateway_errors: None,
                local: None,
            },
            success_rate: Some(SuccessRate::new()),
            failure_percentage: None,
            slow_members: None,
            checks_end_ejections: true,
            is_failure: None,
        }
    }

    #[inline]
    pub(super) fn is_failure(&self, status: u16) -> bool {
        match &self.is_failure {
            Some(is_failure) => is_failure(status),
            None => status >= 500,
        }
    }
}
