//! The methods: the scheduler of each, and its model.

use equipoise::testkit::models::{Election, ElectionMethod};
use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    Busyness,
    Requests,
    Traffic,
    TrafficCatchingUp,
    WeightedBusyness,
}

impl Method {
    pub(crate) fn install<W>(self, balancer: &Balancer<W>) {
        match self {
            Self::Busyness => balancer.set_scheduler(ByBusyness::new()),
            Self::WeightedBusyness => balancer.set_scheduler(ByBusyness::weighted()),
            Self::Requests => balancer.set_scheduler(ByRequests::new()),
            Self::Traffic => balancer.set_scheduler(ByTraffic::new()),
            Self::TrafficCatchingUp => balancer.set_scheduler(ByTraffic::catching_up()),
        }
    }

    pub(crate) fn election(self) -> Election {
        match self {
            Self::Busyness => Election::new(ElectionMethod::Busyness),
            Self::WeightedBusyness => Election::new(ElectionMethod::WeightedBusyness),
            Self::Requests => Election::new(ElectionMethod::Requests),
            Self::Traffic => Election::new(ElectionMethod::Traffic),
            Self::TrafficCatchingUp => Election::new(ElectionMethod::Traffic).lifting(false),
        }
    }
}
