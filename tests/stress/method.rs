//! The methods, each of which has a storm of its own.

use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    Busyness,
    Heartbeat,
    Requests,
    Traffic,
}

impl Method {
    pub(crate) const ALL: [Self; 4] = [
        Self::Busyness,
        Self::Heartbeat,
        Self::Requests,
        Self::Traffic,
    ];

    /// Sets a new scheduler. A heartbeat's readings are never shared with another one,
    /// so they are new as well.
    pub(crate) fn install(self, balancer: &Balancer<u64>, readings: &mut HeartbeatReadings) {
        match self {
            Self::Busyness => balancer.set_scheduler(ByBusyness::new()),
            Self::Heartbeat => {
                *readings = HeartbeatReadings::new();
                balancer.set_scheduler(Heartbeat::new(readings));
            }
            Self::Requests => balancer.set_scheduler(ByRequests::new()),
            Self::Traffic => balancer.set_scheduler(ByTraffic::new()),
        }
    }
}
