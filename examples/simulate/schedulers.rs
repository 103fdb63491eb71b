//! The schedulers by name. To add one, add a line to [`SCHEDULERS`].
//!
//! Not here: what reports a scheduler gets, except those of heartbeats.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use equipoise::scheduler::{
    BoundedLoad, First, HeartbeatReading, LeastRequest, Maglev, Modulo, PeakEwma, Prequal,
    PrequalReports, ProbeReport, Rendezvous, Ring, Rotation, Scheduler, WeightedRandom,
};
use equipoise::testkit::simulation::{Feedback, Fleet};
use equipoise::{ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings};

/// All schedulers, in the order of tables and plots. `Shown` are compared if none is named.
#[rustfmt::skip]
pub(crate) const SCHEDULERS: &[SchedulerEntry] = &[
    entry("weightedrandom", Shown::Always, "at random, in proportion to weight", |_| each(WeightedRandom::new)),
    entry("byrequests", Shown::Always, "in turn, in proportion to weight, as Apache", |_| each(ByRequests::new)),
    entry("rotation", Shown::IfNamed, "in turn, as evenly as is possible", |_| each(Rotation::new)),
    entry("bytraffic", Shown::IfNamed, "the fewest bytes for each unit of weight", |_| each(ByTraffic::new)),
    entry("first", Shown::IfNamed, "the first member that has room", |_| each(First::new)),
    entry("maglev", Shown::Always, "by the hash key of the request", |_| each(Maglev::new)),
    entry("ring", Shown::IfNamed, "by the hash key, on a ring of points", |_| each(Ring::new)),
    entry("rendezvous", Shown::IfNamed, "by the hash key and scores", |_| each(Rendezvous::new)),
    entry("modulo", Shown::IfNamed, "by the hash key, modulo the weights, as nginx", |_| each(Modulo::new)),
    entry("boundedload", Shown::IfNamed, "by the hash key, with at most 1.25 of the mean load", |_| each(|| BoundedLoad::new(Maglev::new()))),
    entry("heartbeat", Shown::IfNamed, "in proportion to the idle capacity that members report", heartbeat),
    entry("peakewma", Shown::Always, "the better of two random members by latency and requests in flight", |_| each(PeakEwma::new)),
    entry("leastrequest", Shown::Always, "the less busy of two random members, per weight", |_| each(LeastRequest::new)),
    entry("prequal", Shown::Always, "the least busy of 16 members that were asked lately", |_| prequal()),
    entry("bybusyness", Shown::Always, "the fewest requests in flight of all members", |_| each(ByBusyness::new)),
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

/// Each balancer asks some members before each pick, and has reports of its own.
fn prequal() -> Made {
    let reports: Rc<RefCell<Vec<PrequalReports>>> = Rc::default();
    let feedback = Probes {
        reports: reports.clone(),
        indices: HashMap::new(),
    };
    Made {
        scheduler: Box::new(move |balancer| -> Box<dyn Scheduler> {
            let mut reports = reports.borrow_mut();
            if reports.len() <= balancer {
                reports.resize_with(balancer + 1, PrequalReports::new);
            }
            // A name is used for one experiment after the other: no report outlives its own.
            reports[balancer] = PrequalReports::new();
            Box::new(Prequal::new(&reports[balancer]))
        }),
        feedback: Box::new(feedback),
    }
}

struct Probes {
    /// By balancer.
    reports: Rc<RefCell<Vec<PrequalReports>>>,
    /// The members by name.
    indices: HashMap<String, usize>,
}

impl Feedback for Probes {
    fn on_pick(&mut self, fleet: &Fleet<'_>, balancer: usize) {
        if self.indices.len() != fleet.len() {
            let names = (0..fleet.len()).map(|index| (fleet.name(index).to_owned(), index));
            self.indices = names.collect();
        }
        let reports = self.reports.borrow();
        let reports = &reports[balancer];
        for target in reports.targets(reports.due(), fleet.random()) {
            let Some(&member) = self.indices.get(&*target.name) else {
                continue;
            };
            let report = ProbeReport {
                in_flight: fleet.in_flight(member),
                latency: fleet.latency(member).unwrap_or(Duration::MAX),
            };
            reports.report(target.id, report, fleet.now());
        }
    }
}
