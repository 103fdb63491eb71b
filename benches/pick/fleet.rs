//! Balancers of `n` members, as the benchmarks need them.
//!
//! Not here: what is done with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use equipoise::clock::{Clock, SystemClock};
use equipoise::scheduler::{HeartbeatReading, Maglev};
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, Flag, Heartbeat, HeartbeatReadings, MemberSpec,
    Weight,
};

/// How members are picked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    ByBusyness,
    ByRequests,
    ByTraffic,
    Heartbeat,
    Maglev,
}

impl Method {
    pub(crate) const ALL: [Self; 5] = [
        Self::ByRequests,
        Self::ByBusyness,
        Self::ByTraffic,
        Self::Heartbeat,
        Self::Maglev,
    ];
}

/// How the members' weights differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weights {
    /// 1.00, 1.01, 1.02, …
    All,
    /// 1 everywhere.
    Equal,
    /// 1 to 10, in turn.
    Ten,
}

impl Weights {
    pub(crate) const ALL: [Self; 3] = [Self::Equal, Self::Ten, Self::All];

    pub(crate) fn in_hundredths(self, index: usize) -> u32 {
        let step = match self {
            Self::All => index,
            Self::Equal => 0,
            Self::Ten => index % 10 * 100,
        };
        100 + u32::try_from(step).expect("few members")
    }
}

pub(crate) fn address(index: usize) -> SocketAddr {
    let host = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + u32::try_from(index).expect("few members");
    SocketAddr::new(IpAddr::V4(host.into()), 8080)
}

/// The route that the member of this index owns.
pub(crate) fn route(index: usize) -> String {
    format!("r{index}")
}

pub(crate) fn spec(weights: Weights, index: usize) -> MemberSpec {
    let weight = Weight::from_hundredths(weights.in_hundredths(index)).expect("in range");
    MemberSpec::new().with_weight(weight)
}

/// Disables every second member.
pub(crate) fn disable_every_second<W>(balancer: &Balancer<W>) {
    let mut edit = balancer.edit();
    for member in balancer.members().iter().skip(1).step_by(2) {
        edit.set_flag(member.name(), Flag::Disabled);
    }
    edit.apply().expect("members of the default source");
}

/// Builds a balancer of `count` members whose payload is an address.
pub(crate) fn balancer(
    method: Method,
    weights: Weights,
    count: usize,
    routes: bool,
) -> Balancer<SocketAddr> {
    let clock = SystemClock::new();
    let members = (0..count).map(|index| {
        let spec = spec(weights, index);
        let spec = if routes {
            spec.with_route(route(index))
        } else {
            spec
        };
        (address(index).to_string(), address(index), spec)
    });
    let builder = Balancer::builder().clock(clock).seed(7).members(members);
    let builder = match method {
        Method::ByBusyness => builder.scheduler(ByBusyness::new()),
        Method::ByRequests => builder.scheduler(ByRequests::new()),
        Method::ByTraffic => builder.scheduler(ByTraffic::new()),
        Method::Maglev => builder.scheduler(Maglev::new()),
        Method::Heartbeat => {
            let readings = HeartbeatReadings::new();
            let scheduler = Heartbeat::new(&readings).with_max_age(Duration::from_secs(86_400));
            let balancer = builder.scheduler(scheduler).build().expect("unique names");
            for index in 0..count {
                let reading = HeartbeatReading {
                    ready: 100,
                    busy: 1,
                };
                let report = readings.report(&address(index).to_string(), reading, clock.now());
                report.expect("a member");
            }
            return balancer;
        }
    };
    builder.build().expect("unique names")
}
