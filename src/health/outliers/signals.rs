//! The signals that make a member an outlier, with their thresholds: plain values.
//!
//! Not here: the arithmetic (`statistics.rs`), and ejections (`ledger.rs`).

use std::fmt;
use std::time::Duration;

/// Thresholds of failures in a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Runs {
    pub(super) failures: Option<u32>,
    pub(super) gateway_errors: Option<u32>,
    /// If set, failures without a response count here and nowhere else.
    pub(super) local: Option<u32>,
}

/// Compares the success rates of members. A member is an outlier if its rate is less than
/// *mean − factor × standard deviation* of all members that had enough requests in the
/// interval.
///
/// The defaults are those of Envoy (`success_rate_stdev_factor`,
/// `success_rate_request_volume`, `success_rate_minimum_hosts`) and of gRPC's proposal [A50].
///
/// [A50]: https://github.com/grpc/proposal/blob/master/A50-xds-outlier-detection.md
///
/// # Examples
///
/// ```
/// use equipoise::health::{OutlierDetector, SuccessRate};
///
/// let rate = SuccessRate::new().with_min_requests(20).with_min_members(3);
/// let builder = OutlierDetector::builder().success_rate(rate);
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct SuccessRate {
    pub(super) min_members: u32,
    pub(super) min_requests: u32,
    /// In thousandths.
    pub(super) factor: u32,
}

impl SuccessRate {
    /// Returns the defaults: a factor of 1.9, at least 5 members with at least 100 requests
    /// each.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::SuccessRate;
    ///
    /// assert_eq!(SuccessRate::new(), SuccessRate::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            min_members: 5,
            min_requests: 100,
            factor: 1_900,
        }
    }

    /// Sets how many members must have had enough requests; otherwise nothing is compared.
    pub const fn with_min_members(mut self, members: u32) -> Self {
        self.min_members = members;
        self
    }

    /// Sets the least number of requests in an interval; 0 counts as 1.
    pub const fn with_min_requests(mut self, requests: u32) -> Self {
        self.min_requests = if requests == 0 { 1 } else { requests };
        self
    }

    /// Sets the factor, in thousandths: 1900 for 1.9.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::SuccessRate;
    ///
    /// let strict = SuccessRate::new().with_factor(1_200);
    /// assert_ne!(strict, SuccessRate::new());
    /// ```
    pub const fn with_factor(mut self, thousandths: u32) -> Self {
        self.factor = thousandths;
        self
    }
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets a threshold for failures. A member is an outlier if at least this percentage of its
/// requests failed in the interval.
///
/// The defaults are those of Envoy (`failure_percentage_threshold`,
/// `failure_percentage_request_volume`, `failure_percentage_minimum_hosts`).
///
/// # Examples
///
/// ```
/// use equipoise::health::{FailurePercentage, OutlierDetector};
///
/// let half = FailurePercentage::new().with_percent(50);
/// let builder = OutlierDetector::builder().failure_percentage(half);
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct FailurePercentage {
    pub(super) percent: u8,
    pub(super) min_members: u32,
    pub(super) min_requests: u32,
}

impl FailurePercentage {
    /// Returns the defaults: 85 percent, at least 5 members with at least 50 requests each.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::FailurePercentage;
    ///
    /// assert_eq!(FailurePercentage::new(), FailurePercentage::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            percent: 85,
            min_members: 5,
            min_requests: 50,
        }
    }

    /// Sets the percentage, from 1 to 100.
    pub const fn with_percent(mut self, percent: u8) -> Self {
        self.percent = match percent {
            0 => 1,
            1..=100 => percent,
            _ => 100,
        };
        self
    }

    /// Sets how many members must have had enough requests; otherwise nothing is compared.
    pub const fn with_min_members(mut self, members: u32) -> Self {
        self.min_members = members;
        self
    }

    /// Sets the least number of requests in an interval; 0 counts as 1.
    pub const fn with_min_requests(mut self, requests: u32) -> Self {
        self.min_requests = if requests == 0 { 1 } else { requests };
        self
    }
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares the latency of members. A member is an outlier if the median of its times to
/// the response head is at least this multiple of the group's median. The group's median is
/// the median of the medians of all members that had enough requests in the interval (of
/// two in the middle, the smaller).
///
/// The defaults are this crate's: Envoy and gRPC have no such signal.
///
/// It takes half a kilobyte for each member. The resolution of times is a quarter.
///
/// # Examples
///
/// ```
/// use equipoise::health::{OutlierDetector, SlowMembers};
/// use std::time::Duration;
///
/// let slow = SlowMembers::new().with_multiple(5).with_min_median(Duration::from_millis(50));
/// let builder = OutlierDetector::builder().slow_members(slow);
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct SlowMembers {
    pub(super) multiple: u32,
    pub(super) min_micros: u64,
    pub(super) min_members: u32,
    pub(super) min_requests: u32,
}

impl SlowMembers {
    /// Returns the defaults: 3 times the group's median and at least 10 ms, at least 3
    /// members with at least 20 requests each.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::SlowMembers;
    ///
    /// assert_eq!(SlowMembers::new(), SlowMembers::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            multiple: 3,
            min_micros: 10_000,
            min_members: 3,
            min_requests: 20,
        }
    }

    /// Sets the multiple of the group's median that is too slow; less than 2 is 2.
    pub const fn with_multiple(mut self, multiple: u32) -> Self {
        self.multiple = if multiple < 2 { 2 } else { multiple };
        self
    }

    /// Sets the smallest median of an outlier: a member with a smaller median is never too
    /// slow.
    pub fn with_min_median(mut self, median: Duration) -> Self {
        self.min_micros = u64::try_from(median.as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// Sets how many members must have had enough requests; otherwise nothing is compared.
    pub const fn with_min_members(mut self, members: u32) -> Self {
        self.min_members = members;
        self
    }

    /// Sets the least number of responses in an interval; 0 counts as 1.
    pub const fn with_min_requests(mut self, requests: u32) -> Self {
        self.min_requests = if requests == 0 { 1 } else { requests };
        self
    }
}

impl Default for SlowMembers {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a member is an outlier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Signal {
    /// This number of failures in a row.
    Failures(u32),
    /// Too large a percentage of failed requests.
    Percentage { failed: u32, total: u32 },
    /// This number of gateway errors in a row.
    GatewayErrors(u32),
    /// This number of failures without a response in a row.
    Local(u32),
    /// A success rate far below that of the others.
    Rate { failed: u32, total: u32 },
    /// The member's median and the group's, in microseconds.
    Slow { median: u64, group: u64 },
    /// The trial request after an ejection failed.
    Trial,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Failures(run) => write!(f, "{run} failures in a row"),
            Self::Percentage { failed, total } => write!(f, "{failed} of {total} requests failed"),
            Self::GatewayErrors(run) => write!(f, "{run} gateway errors in a row"),
            Self::Local(run) => write!(f, "{run} requests in a row without a response"),
            Self::Rate { failed, total } => {
                write!(
                    f,
                    "{failed} of {total} requests failed, far more than elsewhere"
                )
            }
            Self::Slow { median, group } => {
                let [median, group] = [median, group].map(Duration::from_micros);
                write!(f, "median time to the head {median:?}, {group:?} elsewhere")
            }
            Self::Trial => f.write_str("the request after its ejection failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn each_signal_reads_as_a_cause() {
        let (failed, total) = (9, 10);
        let (median, group) = (52_000, 4_500);
        let lines = [
            (Signal::Failures(5), "5 failures in a row"),
            (Signal::GatewayErrors(3), "3 gateway errors in a row"),
            (Signal::Local(5), "5 requests in a row without a response"),
            (
                Signal::Percentage { failed, total },
                "9 of 10 requests failed",
            ),
            (
                Signal::Rate { failed, total },
                "9 of 10 requests failed, far more than elsewhere",
            ),
            (
                Signal::Slow { median, group },
                "median time to the head 52ms, 4.5ms elsewhere",
            ),
            (Signal::Trial, "the request after its ejection failed"),
        ];
        for (signal, line) in lines {
            assert_eq!(signal.to_string(), line);
        }
    }
}
