//! Prequal's pool against a list of reports.

use std::collections::HashMap;
use std::time::Duration;

use equipoise::clock::Timestamp;
use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
use equipoise::testkit::models::PrequalModel;
use equipoise::{MemberId, PickRequest, Scheduler};

use super::churn::{Churn, Seen};

/// Weights whose quotients are exact.
const WEIGHTS: [u32; 3] = [100, 200, 400];

struct PrequalPair {
    churn: Churn<Prequal>,
    reports: PrequalReports,
    model: PrequalModel,
    now: Timestamp,
    /// The number of each member in the model.
    numbers: HashMap<MemberId, usize>,
}

impl PrequalPair {
    /// `members` are there; `removals` is the rate of both, and four members are asked for
    /// each pick.
    fn new(members: usize, quantile: f64, seed: u64) -> Self {
        let reports = PrequalReports::new();
        let max_age = Duration::from_secs(2);
        let prequal = Prequal::new(&reports)
            .with_quantile(quantile)
            .with_probes_per_pick(4.0)
            .with_max_age(max_age)
            .with_exploration(0.0)
            .with_failure_lifetime(Duration::ZERO);
        let churn = Churn::new(prequal, members, seed).with_weights(&WEIGHTS);
        Self {
            churn: churn.full(),
            reports,
            model: PrequalModel::new(quantile, max_age).with_rates(4.0, 1.0),
            now: Timestamp::ORIGIN,
            numbers: HashMap::new(),
        }
    }

    fn number(&mut self, id: MemberId) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(id).or_insert(next)
    }

    fn report(&mut self) {
        let seen = self.churn.seen(&[]);
        if seen.is_empty() {
            return;
        }
        let one = &seen[self.churn.below(seen.len())];
        let report = ProbeReport {
            in_flight: u32::try_from(self.churn.below(12)).unwrap(),
            latency: Duration::from_millis(self.churn.dice.below(6)),
        };
        assert!(self.reports.report(one.id, report, self.now));
        let number = self.number(one.id);
        self.model.report(number, report, one.weight, self.now);
    }

    /// The weights of the open members, by their numbers.
    fn weights(&mut self, seen: &[Seen]) -> Vec<Option<u64>> {
        let mut weights = Vec::new();
        for one in seen {
            let number = self.number(one.id);
            if weights.len() <= number {
                weights.resize(number + 1, None);
            }
            weights[number] = one.is_open.then_some(one.weight);
        }
        weights
    }

    /// Picks; returns whether reports were used.
    fn pick(&mut self) -> bool {
        let tried = self.churn.tried();
        let seen = self.churn.seen(&tried);
        let weights = self.weights(&seen);
        let best = self.model.best(&weights, self.now);
        let request = PickRequest::new().with_tried(&tried);
        let eligible = self
            .churn
            .group
            .with_candidates(&request, |_, all, _| all.len());
        let Some(picked) = self.churn.pick(&request, &seen) else {
            return false;
        };
        let number = self.numbers[&seen[picked].id];
        assert!(
            best.is_empty() || best.contains(&number),
            "{number} {best:?}"
        );
        self.model.pick(number, &weights, eligible, self.now);
        for one in &seen {
            let standing = self.churn.group.scheduler().standing(one.id);
            let expected = self.model.in_flight(self.numbers[&one.id]);
            assert_eq!(standing, expected.map(i64::from), "{}", one.name);
        }
        !best.is_empty()
    }

    fn live(&mut self, steps: usize, members_change: bool) {
        let mut by_reports = 0;
        for _ in 0..steps {
            match self.churn.below(12) {
                0 if members_change => self.churn.change(),
                1 => drop(self.churn.end()),
                2 => {
                    let by = Duration::from_millis(self.churn.dice.below(300));
                    self.churn.group.advance(by);
                    self.now = self.now + by;
                }
                3..=7 => self.report(),
                _ => by_reports += usize::from(self.pick()),
            }
        }
        assert!(by_reports > steps / 10, "{by_reports}");
    }
}

#[test]
fn up_to_16_members_the_reports_stay_through_all_changes() {
    for (seed, quantile) in (0..24).zip([0.0, 0.5, 0.75, 1.0].into_iter().cycle()) {
        PrequalPair::new(12, quantile, seed).live(500, true);
    }
}

/// With 32 members, four asked for each pick and one removal, a report is used twice.
#[test]
fn with_more_members_reports_are_used_up_and_the_oldest_and_worst_are_removed() {
    for (seed, quantile) in (0..24).zip([0.0, 0.5, 0.75, 1.0].into_iter().cycle()) {
        PrequalPair::new(32, quantile, seed).live(500, false);
    }
}
