//! Prequal's pool of reports as a list that is searched: [`PrequalModel`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::scheduler::ProbeReport;

/// The most reports in the pool.
const POOL: usize = 16;

/// The reports whose quantile is the threshold.
const OBSERVED: usize = 128;

/// The pool of [`Prequal`](crate::scheduler::Prequal), and the rule by which a report is
/// chosen. Members are numbers.
///
/// Failed requests do not count here
/// ([`with_failure_lifetime`](crate::scheduler::Prequal::with_failure_lifetime) of zero), and
/// the caller decides what happens if no report can be used.
///
/// Source: Wydrowski, Kleinberg, Rumble, Archer: *Load is not what you should balance:
/// Introducing Prequal* (NSDI 2024), with the additions that the scheduler documents.
///
/// # Examples
///
/// ```
/// use equipoise::clock::Timestamp;
/// use equipoise::scheduler::ProbeReport;
/// use equipoise::testkit::models::PrequalModel;
/// use std::time::Duration;
///
/// let mut model = PrequalModel::new(0.0, Duration::from_secs(1));
/// let now = Timestamp::ORIGIN;
/// let latency = Duration::from_millis(20);
/// for (member, in_flight) in [(0, 5), (1, 4), (2, 7)] {
///     model.report(member, ProbeReport { in_flight, latency }, 1, now);
/// }
/// // All members have the weight 1, and can be picked.
/// assert_eq!(model.best(&[Some(1); 3], now), [1]);
/// // The second one cannot.
/// assert_eq!(model.best(&[Some(1), None, Some(1)], now), [0]);
/// ```
#[derive(Clone, Debug)]
pub struct PrequalModel {
    quantile: f64,
    max_age: Duration,
    probes: f64,
    removals: f64,
    reports: Vec<ModelReport>,
    /// Requests in flight for each unit of weight, of the last reports.
    observed: VecDeque<f64>,
    number: u64,
    removed: f64,
}

#[derive(Clone, Copy, Debug)]
struct ModelReport {
    member: usize,
    in_flight: u32,
    latency: Duration,
    at: Timestamp,
    number: u64,
    uses: u32,
}

/// A report that can be used, as it is before the pick.
#[derive(Clone, Copy, Debug)]
struct UsableReport {
    report: ModelReport,
    weight: u64,
    is_hot: bool,
}

impl UsableReport {
    /// The rule; the lesser wins. Returns the class, and what is compared within it.
    #[expect(clippy::cast_precision_loss, reason = "small weights")]
    fn key(&self) -> (bool, f64) {
        let load = (f64::from(self.report.in_flight) + 1.0) / self.weight as f64;
        let latency = self.report.latency.as_nanos() as f64;
        (self.is_hot, if self.is_hot { load } else { latency })
    }
}

impl PrequalModel {
    /// Creates an empty pool, with a quantile from 0 to 1 and the time that a report counts.
    /// Three members are asked for each pick, and one report is removed.
    #[must_use]
    pub fn new(quantile: f64, max_age: Duration) -> Self {
        Self {
            quantile,
            max_age,
            probes: 3.0,
            removals: 1.0,
            reports: Vec::new(),
            observed: VecDeque::new(),
            number: 0,
            removed: 0.0,
        }
    }

    /// Sets how many members are asked for each pick, and how many reports are removed.
    #[must_use]
    pub fn with_rates(mut self, probes: f64, removals: f64) -> Self {
        (self.probes, self.removals) = (probes, removals);
        self
    }

    /// Adds the report of a member. It replaces an earlier one of the member, or the oldest
    /// one if the pool is full.
    #[expect(clippy::cast_precision_loss, reason = "small weights")]
    pub fn report(&mut self, member: usize, report: ProbeReport, weight: u64, at: Timestamp) {
        self.observed
            .push_back(f64::from(report.in_flight) / weight as f64);
        if self.observed.len() > OBSERVED {
            self.observed.pop_front();
        }
        let own = self.reports.iter().position(|one| one.member == member);
        if own.is_some_and(|own| self.reports[own].at > at) {
            return;
        }
        let is_full = self.reports.len() == POOL;
        let oldest = self
            .reports
            .iter()
            .enumerate()
            .min_by_key(|(_, one)| (one.at, one.number))
            .map(|(index, _)| index);
        if let Some(index) = own.or(oldest.filter(|_| is_full)) {
            self.reports.remove(index);
        }
        self.number += 1;
        self.reports.push(ModelReport {
            member,
            in_flight: report.in_flight,
            latency: report.latency,
            at,
            number: self.number,
            uses: 0,
        });
    }

    /// Returns the requests in flight of a member's report, with the picks since.
    #[must_use]
    pub fn in_flight(&self, member: usize) -> Option<u32> {
        let report = self.reports.iter().find(|one| one.member == member)?;
        Some(report.in_flight)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    fn threshold(&self) -> f64 {
        let mut sorted: Vec<f64> = self.observed.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len().saturating_sub(1)) as f64 * self.quantile;
        sorted.get(at as usize).copied().unwrap_or(0.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "small weights")]
    fn usable(&self, weights: &[Option<u64>], now: Timestamp) -> Vec<UsableReport> {
        let fresh = self
            .reports
            .iter()
            .filter(|one| now.since(one.at) < self.max_age);
        let threshold = self.threshold();
        let usable = fresh.filter_map(|report| {
            let weight = weights.get(report.member).copied().flatten()?;
            let load = f64::from(report.in_flight) / weight as f64;
            let is_hot = self.quantile <= 0.0 || (self.quantile < 1.0 && load > threshold);
            Some(UsableReport {
                report: *report,
                weight,
                is_hot,
            })
        });
        usable.collect()
    }

    /// Returns the members of which the next pick draws one; none if it uses no reports.
    /// `weights` has the weight of each member that can be picked.
    #[must_use]
    pub fn best(&self, weights: &[Option<u64>], now: Timestamp) -> Vec<usize> {
        let usable = self.usable(weights, now);
        let lesser = |one: (bool, f64), other: (bool, f64)| {
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
        };
        let keys = usable.iter().map(UsableReport::key);
        let Some(best) = keys
            .min_by(|&a, &b| lesser(a, b))
            .filter(|_| usable.len() >= 2)
        else {
            return Vec::new();
        };
        let winners = usable.iter().filter(|one| one.key() == best);
        winners.map(|one| one.report.member).collect()
    }

    /// Counts a pick; `eligible` members are there. If a report was used, it is removed after
    /// some uses, and the oldest or the worst one is removed, too.
    pub fn pick(
        &mut self,
        member: usize,
        weights: &[Option<u64>],
        eligible: usize,
        now: Timestamp,
    ) {
        let is_by_report = !self.best(weights, now).is_empty();
        let mut usable = self.usable(weights, now);
        let most = self.most_uses(eligible);
        let mut is_used_up = false;
        for report in self.reports.iter_mut().filter(|one| one.member == member) {
            report.in_flight += 1;
            if is_by_report {
                report.uses += 1;
                is_used_up = f64::from(report.uses) >= most;
            }
        }
        if is_used_up {
            self.reports.retain(|one| one.member != member);
            usable.retain(|one| one.report.member != member);
        }
        if !is_by_report || eligible <= POOL {
            return;
        }
        let before = self.removed;
        self.removed += self.removals;
        let mut number = before.floor();
        while number < self.removed.floor() && usable.len() > 2 {
            let is_even = number % 2.0 == 0.0;
            let removed = usable.iter().max_by(|a, b| {
                let age = |one: &UsableReport| (one.report.at, one.report.number);
                let older = age(b).cmp(&age(a));
                let (class, value) = a.key();
                let (other_class, other_value) = b.key();
                let worse = class.cmp(&other_class).then(value.total_cmp(&other_value));
                if is_even { older } else { worse.then(older) }
            });
            if let Some(removed) = removed.map(|one| one.report.member) {
                self.reports.retain(|one| one.member != removed);
                usable.retain(|one| one.report.member != removed);
            }
            number += 1.0;
        }
    }

    /// Returns after how many uses a report is removed (`b_reuse` of the paper).
    #[expect(clippy::cast_precision_loss, reason = "few members")]
    fn most_uses(&self, eligible: usize) -> f64 {
        if eligible <= POOL {
            return f64::INFINITY;
        }
        let gain = (1.0 - POOL as f64 / eligible as f64) * self.probes - self.removals;
        if gain <= 0.0 {
            return f64::INFINITY;
        }
        (2.0 / gain).max(1.0)
    }
}
