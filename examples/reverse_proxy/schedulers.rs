//! The schedulers by name, and how to set one on a balancer.

use clap::ValueEnum;
use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings};

/// In the order of the demonstration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SchedulerName {
    /// By count of requests and weight
    #[value(name = "byrequests")]
    ByRequests,
    /// The fewest bytes for each unit of weight
    #[value(name = "bytraffic")]
    ByTraffic,
    /// The fewest requests in flight
    #[value(name = "bybusyness")]
    ByBusyness,
    /// In proportion to the idle capacity that backends report
    #[value(name = "heartbeat")]
    Heartbeat,
}

impl SchedulerName {
    /// Sets the scheduler of a balancer; requests in flight are not affected. `readings`
    /// are the reports of backends, for [`Heartbeat`](Self::Heartbeat) only.
    pub(crate) fn set<W>(self, balancer: &Balancer<W>, readings: &HeartbeatReadings) {
        match self {
            Self::ByRequests => balancer.set_scheduler(ByRequests::new()),
            Self::ByTraffic => balancer.set_scheduler(ByTraffic::new()),
            Self::ByBusyness => balancer.set_scheduler(ByBusyness::new()),
            Self::Heartbeat => balancer.set_scheduler(Heartbeat::new(readings)),
        }
    }
}
