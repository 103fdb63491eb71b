//! The schedulers by name. To add one, add a line to [`SCHEDULERS`].
//!
//! Not here: what reports a scheduler gets, except those of heartbeats.

use std::time::Duration;

use equipoise::scheduler::{HeartbeatReading, Maglev, Scheduler};
use equipoise::testkit::simulation::{Feedback, Fleet};
use equipoise::{ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings};

use crate::two_choices::{TwoChoices, Uniform};

/// All schedulers, in the order of tables and plots. `Shown` are compared if none is named.
#[rustfmt::skip]
pub(crate) const SCHEDULERS: &[SchedulerEntry] = &[
    entry("random", Shown::Always, "a random member, whatever its weight", |_| each(|| Uniform)),
    entry("byrequests", Shown::Always, "by count of requests and weight", |_| each(ByRequests::new)),
    entry("bytraffic", Shown::IfNamed, "the fewest bytes for each unit of weight", |_| each(ByTraffic::new)),
    entry("maglev", Shown::Always, "by the hash key of the request", |_| each(Maglev::new)),
    entry("heartbeat", Shown::IfNamed, "in proportion to the idle capacity that members report", heartbeat),
    entry("p2c", Shown::Always, "the less busy of two random members", |_| each(|| TwoChoices)),
    entry("bybusyness", Shown::Always, "the fewest requests in flight", |_| each(ByBusyness::new)),
];

impl SchedulerEntry {
    /// Its place among those that have colours: those that are always shown come first, so
    /// that each has a colour of its own, in all plots.
    pub(crate) fn colour(&self) -> usize {
        let place = |wanted: &dyn Fn(&Self) -> bool| {
            let mut all = SCHEDULERS.iter().filter(|it| wanted(it));
            all.position(|it| it.name == self.name)
        };
        let always = |it: &Self| it.shown == Shown::Always;
        let first = SCHEDULERS.iter().filter(|it| always(it)).count();
        place(&always)
            .or_else(|| place(&|it| !always(it)).map(|place| first + place))
            .unwrap_or(0)
    }
}

/// A scheduler by name.
pub(crate) struct SchedulerEntry {
    pub(crate) name: &'static str,
    pub(crate) shown: Shown,
    pub(crate) about: &'static str,
    /// Makes it; the argument is the mean service time.
    pub(crate) make: fn(Duration) -> Made,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    Always,
    IfNamed,
}

/// What makes the scheduler of each balancer, and the reports for all of them.
pub(crate) struct Made {
    pub(crate) scheduler: Box<dyn FnMut(usize) -> Box<dyn Scheduler>>,
    pub(crate) feedback: Box<dyn Feedback>,
}

const fn entry(
    name: &'static str,
    shown: Shown,
    about: &'static str,
    make: fn(Duration) -> Made,
) -> SchedulerEntry {
    SchedulerEntry {
        name,
        shown,
        about,
        make,
    }
}

/// A scheduler without reports.
fn each<S: Scheduler>(make: impl Fn() -> S + 'static) -> Made {
    Made {
        scheduler: Box::new(move |_| -> Box<dyn Scheduler> { Box::new(make()) }),
        feedback: Box::new(()),
    }
}

/// Reports once in so many service times.
fn heartbeat(service_time: Duration) -> Made {
    let readings = HeartbeatReadings::new();
    let feedback = Heartbeats {
        readings: readings.clone(),
        interval: 10 * service_time,
    };
    Made {
        scheduler: Box::new(move |_| -> Box<dyn Scheduler> { Box::new(Heartbeat::new(&readings)) }),
        feedback: Box::new(feedback),
    }
}

/// The slots of a simulated server.
const SLOTS: u32 = 32;

struct Heartbeats {
    readings: HeartbeatReadings,
    interval: Duration,
}

impl Feedback for Heartbeats {
    fn interval(&self) -> Option<Duration> {
        Some(self.interval)
    }

    fn on_interval(&mut self, fleet: &Fleet<'_>) {
        for member in 0..fleet.len() {
            let busy = fleet.in_flight(member);
            let ready = SLOTS.saturating_sub(busy);
            let reading = HeartbeatReading { ready, busy };
            // All names are those of members, so the table is never full.
            let _ = self
                .readings
                .report(fleet.name(member), reading, fleet.now());
        }
    }
}
