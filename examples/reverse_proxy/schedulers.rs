//! The schedulers that can be asked for by name, and how a balancer is told.

use clap::ValueEnum;
use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings};

/// In the order in which they are shown.
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
    /// Picks this way from now on; requests that are under way do not notice. `readings`
    /// is where backends report, for [`Heartbeat`](Self::Heartbeat) only.
    pub(crate) fn set<W>(self, balancer: &Balancer<W>, readings: &HeartbeatReadings) {
        match self {
            Self::ByRequests => balancer.set_scheduler(ByRequests::new()),
            Self::ByTraffic => balancer.set_scheduler(ByTraffic::new()),
            Self::ByBusyness => balancer.set_scheduler(ByBusyness::new()),
            Self::Heartbeat => balancer.set_scheduler(Heartbeat::new(readings)),
        }
    }
}
