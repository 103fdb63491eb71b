//! [`Prequal`]: picks by what the members report about their load, from a small pool of
//! recent reports.
//!
//! ```text
//! members ── asked by a driver, or in the header of a response ──► PrequalReports
//!                                                                    │ pool of 16
//! pick ──► hot–cold rule over the reports of eligible members ◄──────┘
//!      └─► fewer than two: the less busy of two drawn members
//! ```
//!
//! Not here: asking members and reading headers (`heartbeat`).

mod choice;
mod failures;
mod pool;
mod reports;
mod settings;
mod threshold;
mod uses;

#[cfg(all(test, not(equipoise_loom)))]
mod tests;

use std::time::Duration;

pub use reports::{PrequalReports, PrequalTarget, ProbeReport};

use choice::{Contender, Contenders, load};
use failures::{DebtsNow, ONE_FAILURE};
use pool::PLACES;
use reports::PrequalState;
use threshold::WHOLE;
use uses::most_uses;

use super::lots::{Lots, is_open};
use super::sampling::{LoadPerWeight, Sampling};
use super::{
    Candidate, Candidates, GroupChange, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers,
    Scheduler,
};
use crate::clock::Timestamp;
use crate::member::{Ended, MemberId, MemberState};

/// With fewer reports, the pick does not use them.
const FEWEST_REPORTS: usize = 2;

/// A pick without reports: the less busy of two members, which are drawn in proportion to
/// their weights.
///
/// Source: Mitzenmacher, *The power of two choices in randomized load balancing* (2001).
const WITHOUT_REPORTS: Sampling = Sampling::new(0);

/// Picks the least loaded member of those that have reported lately.
///
/// Use it where a balancer sees only a part of its members' load: with many balancers in
/// front of the same members, its own requests in flight are a small part of the load. With
/// one balancer it is better than two random choices, too. It needs members that report: as
/// answers to questions, or with their responses. The module `heartbeat` has both (feature
/// `heartbeat`); your own code calls [`PrequalReports::report`].
///
/// # The rule
///
/// * A pool holds up to 16 reports, at most one for each member. A new report replaces the
///   oldest one. A report counts for 1 s ([`with_max_age`](Self::with_max_age)).
/// * A report is hot if its requests in flight, for each unit of weight, are above a quantile
///   of those in the last 128 reports ([`with_quantile`](Self::with_quantile)). If any
///   report is cold, the one with the least latency wins. Otherwise the one with the fewest
///   requests in flight for each unit of weight wins. One of several equal ones is drawn.
/// * The default quantile is 0: all reports are hot, and latencies do not count. Greater
///   ones (the paper uses 0.84) need latencies that follow the load of a member closely; with
///   others, many requests go to one member. In a simulation, members that serve one request
///   at a time report the latency of their last request. At 0.9 of their capacity, the mean
///   response time is 1.7 service times with quantile 0, 2.1 with 0.3, and 12 with 0.6.
/// * A pick adds one to the requests in flight of the report that it uses. After some uses a
///   report is removed. The number of uses follows from the rates, as in the paper:
///   `2 / ((1 - 16/n) * probes - removals)`, at least 1, and rounded at random.
/// * Each pick also removes one report, in turn the oldest and the worst
///   ([`with_removals_per_pick`](Self::with_removals_per_pick)). The last two stay.
/// * One in a hundred picks does not use reports ([`with_exploration`](Self::with_exploration)),
///   so that a member whose reports do not arrive gets requests. If members report with their
///   responses only, it is one in ten ([`by_responses`](Self::by_responses)).
/// * Up to 16 members, all of them can have a report in the pool, and reports are only
///   removed by age.
/// * A pick that does not use reports, or finds fewer than two, draws two members in
///   proportion to their weights. It picks the one with fewer requests in flight from this
///   balancer for each unit of weight.
///
/// Weights are shares of the requests in flight, not of the picks: while all members are
/// idle, heavy ones get more than their share. Caps hold, and a request that has tried
/// members uses the reports of the others.
///
/// # Members that fail fast
///
/// A member that fails at once has few requests in flight, and would attract all others. So
/// a failed request counts as in flight for 10 s on average
/// ([`with_failure_lifetime`](Self::with_failure_lifetime)); its weight fades over time. A
/// response with status 429 or 5xx counts as failed, whatever its outcome. While it
/// counts for half a request or more, the member's reports are hot. A member gets no more
/// than its share if the lifetime is longer than the time that the others take for a
/// request.
///
/// # Members that report too little
///
/// Reports are believed. In a simulation of 20 members, one that always reports no requests in
/// flight and no latency gets 66 % of the picks [by responses](Self::by_responses), and 83 %
/// with a quantile of 0.84. Let only members that you trust report, and limit their requests in
/// flight ([`MemberSpec::with_max_in_flight`](crate::MemberSpec::with_max_in_flight)).
///
/// # Cost
///
/// A pick takes no lock and allocates nothing: the pool is an array of atomics. It examines
/// at most 16 reports.
///
/// Source: Wydrowski, Kleinberg, Rumble, Archer: *Load is not what you should balance:
/// Introducing Prequal* (NSDI 2024). The last three rules, the one report for each member,
/// the weights and the failures are additions of this crate.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{Clock, ManualClock};
/// use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
/// use std::time::Duration;
///
/// let (reports, clock) = (PrequalReports::new(), ManualClock::new());
/// let balancer = Balancer::builder()
///     .scheduler(Prequal::new(&reports))
///     .clock(clock.clone())
///     .seed(1)
///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// for (name, in_flight) in [("a", 5), ("b", 4), ("c", 7)] {
///     let latency = Duration::from_millis(20);
///     reports.report(name, ProbeReport { in_flight, latency }, clock.now());
/// }
/// let picked = || balancer.pick(&PickRequest::new()).unwrap().member().name().to_owned();
/// assert_eq!(picked(), "b");
/// assert_eq!(balancer.standing("b"), Some(5), "the report, and this pick");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Prequal {
    reports: PrequalReports,
}

impl Prequal {
    /// Creates a scheduler that picks by `reports`, for members that are asked. Do not share
    /// the reports with another scheduler.
    ///
    /// Its rates are those of the paper: three members are asked for each pick, and one
    /// report is removed. A hundredth of the picks does not use reports. All settings of an
    /// earlier scheduler with these reports are set back.
    #[must_use]
    pub fn new(reports: &PrequalReports) -> Self {
        reports.state().settings.set_defaults();
        Self {
            reports: reports.clone(),
        }
    }

    /// Creates a scheduler that picks by `reports`, for members that report with each
    /// response and are not asked.
    ///
    /// There is about one report for each pick, so the rates are 1 and 0. A tenth of the
    /// picks does not use reports ([`with_exploration`](Self::with_exploration)).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Prequal, PrequalReports};
    ///
    /// let reports = PrequalReports::new();
    /// let by_responses = Prequal::by_responses(&reports);
    /// // The same:
    /// let by_responses = Prequal::new(&reports)
    ///     .with_probes_per_pick(1.0)
    ///     .with_removals_per_pick(0.0)
    ///     .with_exploration(0.1);
    /// # let _ = by_responses;
    /// ```
    #[must_use]
    pub fn by_responses(reports: &PrequalReports) -> Self {
        let this = Self::new(reports).with_probes_per_pick(1.0);
        this.with_removals_per_pick(0.0).with_exploration(0.1)
    }

    /// Sets the quantile of requests in flight above which a report is hot: from 0, the
    /// default, where only requests in flight count, to 1, where only latencies count.
    /// Numbers out of this range count as its nearest end, and `NaN` as 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock};
    /// use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::time::Duration;
    ///
    /// let (reports, clock) = (PrequalReports::new(), ManualClock::new());
    /// let balancer = Balancer::builder()
    ///     .scheduler(Prequal::new(&reports).with_quantile(0.84))
    ///     .clock(clock.clone())
    ///     .seed(1)
    ///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// for (name, in_flight, millis) in [("a", 5, 20), ("b", 4, 30), ("c", 70, 1)] {
    ///     let latency = Duration::from_millis(millis);
    ///     reports.report(name, ProbeReport { in_flight, latency }, clock.now());
    /// }
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// assert_eq!(lease.member().name(), "a", "c is hot, and b is slower");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_quantile(self, quantile: f64) -> Self {
        self.state().settings.set_quantile(quantile);
        self
    }

    /// Sets how many members are to be asked for each pick, from 0 to 64; 3 by default.
    /// Fractions are spread evenly. [`PrequalReports::targets`] returns these members.
    #[must_use]
    pub fn with_probes_per_pick(self, members: f64) -> Self {
        self.state().settings.set_probes(members);
        self
    }

    /// Sets how many reports each pick removes, in turn the oldest and the worst; from 0 to
    /// 64, 1 by default. Fractions are spread evenly.
    #[must_use]
    pub fn with_removals_per_pick(self, reports: f64) -> Self {
        self.state().settings.set_removals(reports);
        self
    }

    /// Sets the share of picks that do not use reports, from 0 to 1; 0.01 by default. They
    /// draw two members, as if there were too few reports.
    ///
    /// With 0, a member whose reports do not arrive gets no request while two others have
    /// reports. If members report with their responses only, set a greater share: members
    /// that get no requests do not report.
    #[must_use]
    pub fn with_exploration(self, share: f64) -> Self {
        self.state().settings.set_exploration(share);
        self
    }

    /// Sets how long a report counts; 1 s by default.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        self.state().settings.set_max_age(max_age);
        self
    }

    /// Sets how long a failed request counts as in flight, on average; 10 s by default.
    /// Choose a time that is longer than most requests take. Zero turns it off.
    #[must_use]
    pub fn with_failure_lifetime(self, lifetime: Duration) -> Self {
        self.state().settings.set_failure_lifetime(lifetime);
        self
    }

    fn state(&self) -> &PrequalState {
        self.reports.state()
    }

    /// Returns the reports that a pick can use; none if it does not use reports.
    fn contenders<'c>(
        &self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
    ) -> Contenders<'c> {
        let state = self.state();
        let mut contenders = Contenders::none();
        let share = state.settings.exploration();
        if share > 0 && context.random().below(WHOLE) < share {
            return contenders;
        }
        let max_age = state.settings.max_age_nanos();
        let now = context.now();
        let nanos = now.map(Timestamp::as_nanos);
        let debts = self.debts(now);
        let hot = state.hot_rule();
        for report in state.pool.iter() {
            let age = nanos.map(|now| now.saturating_sub(report.at.as_nanos()));
            if age.is_some_and(|age| age >= max_age) {
                continue;
            }
            let Some(one) = candidates.get(report.member) else {
                continue;
            };
            if !is_open(candidates, &one) {
                continue;
            }
            let debt = debts.of(report.member);
            let weight = one.weight();
            contenders.add(Contender {
                report,
                state: one.state(),
                weight,
                load: load(report.in_flight, debt),
                is_hot: hot.holds(report.in_flight, debt, weight.units()),
            });
        }
        contenders
    }

    /// Returns the failed requests that still count at `now`.
    fn debts(&self, now: Option<Timestamp>) -> DebtsNow<'_> {
        let state = self.state();
        let lifetime = state.settings.failure_lifetime();
        state.failures.at(now.unwrap_or_default(), lifetime)
    }

    /// Returns the load of a member as this balancer sees it.
    fn local_load(one: &Candidate<'_>, debts: &DebtsNow<'_>) -> LoadPerWeight {
        let load = load(one.state().in_flight(), debts.of(one.id()));
        LoadPerWeight::new(load, one.weight())
    }

    /// Picks without reports.
    fn fall_back<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let (state, debts) = (self.state(), self.debts(context.now()));
        let load = |one: &Candidate<'_>| Self::local_load(one, &debts);
        let pick = WITHOUT_REPORTS.pick(candidates, context, load);
        if let Pick::Claimed(claim) = &pick {
            state.pool.count_pick(claim.member().id());
            state.count_due();
        }
        pick
    }

    /// Changes the pool after a pick that has used `used`.
    fn count_use(
        &self,
        used: &Contender<'_>,
        contenders: &mut Contenders<'_>,
        members: usize,
        context: &PickContext<'_>,
    ) {
        let state = self.state();
        let most = most_uses(&state.settings, used.report.uses, members, context.random());
        state.pool.count_use(&used.report, most);
        if used.report.uses + 1 >= most {
            contenders.leave_out(used.report.member);
        }
        state.count_due();
        if members <= PLACES {
            return;
        }
        for number in state.count_removals() {
            if contenders.len() <= FEWEST_REPORTS {
                break;
            }
            let removed = if number % 2 == 0 {
                contenders.oldest().copied()
            } else {
                contenders.worst().copied()
            };
            if let Some(removed) = removed {
                state.pool.remove(&removed.report);
                contenders.leave_out(removed.report.member);
            }
        }
    }
}

impl Scheduler for Prequal {
    fn name(&self) -> &'static str {
        "prequal"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let mut contenders = self.contenders(candidates, context);
        while contenders.len() >= FEWEST_REPORTS {
            let Some(best) = contenders.choose(context.random()).copied() else {
                break;
            };
            match candidates.claim_state(best.state) {
                Ok(claim) => {
                    self.count_use(&best, &mut contenders, candidates.len(), context);
                    return Pick::Claimed(claim);
                }
                Err(_) => contenders.leave_out(best.report.member),
            }
        }
        self.fall_back(candidates, context)
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let contenders = self.contenders(candidates, context);
        if contenders.len() >= FEWEST_REPORTS {
            let best = contenders.choose(context.random())?;
            return Some(best.report.member);
        }
        let debts = self.debts(context.now());
        WITHOUT_REPORTS.peek(candidates, context, |one| Self::local_load(one, &debts))
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let contenders = self.contenders(candidates, context);
        if contenders.len() < FEWEST_REPORTS {
            let debts = self.debts(context.now());
            let load = |one: &Candidate<'_>| Self::local_load(one, &debts);
            let measure =
                "requests in flight from here, this one and failed ones included, by weight";
            return WITHOUT_REPORTS
                .explain(candidates, context, load, (measure, ONE_FAILURE as f64))
                .note("this pick uses no reports, or there are too few: two members are drawn");
        }
        let mut details = PickDetails::comparing(
            "requests in flight as reported, this one and failed ones included, by weight",
        );
        for one in contenders.iter() {
            let load = LoadPerWeight::new(one.load, one.weight);
            details = details.score(one.report.member, load.shown() / ONE_FAILURE as f64);
        }
        for one in contenders.iter().filter(|it| !it.is_hot) {
            let latency = Duration::from_nanos(one.report.latency);
            let name = one.state.name();
            details = details.note(format!("{name} is cold, with a latency of {latency:?}"));
        }
        if contenders.iter().any(|it| !it.is_hot) {
            details = details.note("of the cold members, that with the least latency is picked");
        }
        details.ignoring_hash(context)
    }

    fn on_session_pick(&self, _: &Candidates<'_>, member: &MemberState) {
        let state = self.state();
        state.pool.count_pick(member.id());
        state.count_due();
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        let state = self.state();
        let lifetime = state.settings.failure_lifetime();
        if ended.has_failed() && !lifetime.is_zero() {
            let now = ended.at.unwrap_or_default();
            state.failures.add(member.id(), now, lifetime);
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.state().follow(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(Lots::new(members)))
    }

    fn reset(&self) {
        self.state().reset();
    }

    /// Returns the requests in flight of the member's report, with the picks since; `None`
    /// without a report.
    fn standing(&self, member: MemberId) -> Option<i64> {
        let report = self.state().pool.of(member)?;
        Some(report.in_flight.into())
    }

    fn needs(&self) -> Needs {
        Needs::CLOCK | Needs::ENDED | Needs::PLAN
    }
}
