//! Balancers of `n` members, as the benchmarks need them.
//!
//! Not here: what is done with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use equipoise::clock::{Clock, SystemClock};
use equipoise::scheduler::{
    BoundedLoad, First, HeartbeatReading, LeastRequest, Maglev, Modulo, PeakEwma, Prequal,
    PrequalReports, ProbeReport, Rendezvous, Ring, Rotation, WeightedRandom, ZoneAware,
};
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, Flag, Heartbeat, HeartbeatReadings, MemberSpec,
    Weight,
};

/// How members are picked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// `Maglev` with bounded loads.
    BoundedLoad,
    ByBusyness,
    ByRequests,
    ByTraffic,
    First,
    Heartbeat,
    /// By a scan of up to 16 members, and by two choices beyond.
    LeastRequest,
    Maglev,
    Modulo,
    PeakEwma,
    /// With a full pool of reports.
    Prequal,
    Rendezvous,
    Ring,
    Rotation,
    /// `LeastRequest` without a scan.
    TwoChoices,
    WeightedRandom,
    /// `ByRequests` in two zones, half of the members in each; most picks stay in the own
    /// zone.
    ZoneAware,
}

impl Method {
    pub(crate) const ALL: [Self; 17] = [
        Self::ByRequests,
        Self::Rotation,
        Self::ByBusyness,
        Self::ByTraffic,
        Self::LeastRequest,
        Self::TwoChoices,
        Self::PeakEwma,
        Self::Prequal,
        Self::WeightedRandom,
        Self::Heartbeat,
        Self::Maglev,
        Self::BoundedLoad,
        Self::Ring,
        Self::Modulo,
        Self::Rendezvous,
        Self::First,
        Self::ZoneAware,
    ];

    /// The name of its row.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BoundedLoad => "BoundedLoad of Maglev",
            Self::ByBusyness => "ByBusyness",
            Self::ByRequests => "ByRequests",
            Self::ByTraffic => "ByTraffic",
            Self::First => "First",
            Self::Heartbeat => "Heartbeat",
            Self::LeastRequest => "LeastRequest",
            Self::Maglev => "Maglev",
            Self::Modulo => "Modulo",
            Self::PeakEwma => "PeakEwma",
            Self::Prequal => "Prequal",
            Self::Rendezvous => "Rendezvous",
            Self::Ring => "Ring",
            Self::Rotation => "Rotation",
            Self::TwoChoices => "LeastRequest, two choices",
            Self::WeightedRandom => "WeightedRandom",
            Self::ZoneAware => "ZoneAware of ByRequests",
        }
    }

    /// Whether a pick depends on the request's hash key.
    pub(crate) const fn is_keyed(self) -> bool {
        matches!(
            self,
            Self::BoundedLoad | Self::Maglev | Self::Modulo | Self::Rendezvous | Self::Ring
        )
    }

    /// Whether the end of a request counts, with the time to its head or its outcome.
    pub(crate) const fn reads_ends(self) -> bool {
        matches!(
            self,
            Self::LeastRequest | Self::PeakEwma | Self::Prequal | Self::TwoChoices
        )
    }

    /// Whether it is one of Apache's methods, which the first tables are about.
    pub(crate) const fn is_apache(self) -> bool {
        matches!(self, Self::ByBusyness | Self::ByRequests | Self::ByTraffic)
    }

    /// Whether an insertion or a removal also makes a table of all members.
    pub(crate) const fn makes_table(self) -> bool {
        matches!(
            self,
            Self::BoundedLoad
                | Self::LeastRequest
                | Self::Maglev
                | Self::Modulo
                | Self::PeakEwma
                | Self::Prequal
                | Self::Ring
                | Self::TwoChoices
                | Self::WeightedRandom
        )
    }
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
        let mut spec = spec(weights, index);
        if routes {
            spec = spec.with_route(route(index));
        }
        if method == Method::ZoneAware {
            spec = spec.with_label("zone", ["near", "far"][index / 2 % 2]);
        }
        (address(index).to_string(), address(index), spec)
    });
    let builder = Balancer::builder().clock(clock).seed(7).members(members);
    let builder = match method {
        Method::BoundedLoad => builder.scheduler(BoundedLoad::new(Maglev::new())),
        Method::ByBusyness => builder.scheduler(ByBusyness::new()),
        Method::ByRequests => builder.scheduler(ByRequests::new()),
        Method::ByTraffic => builder.scheduler(ByTraffic::new()),
        Method::First => builder.scheduler(First::new()),
        Method::LeastRequest => builder.scheduler(LeastRequest::new()),
        Method::Maglev => builder.scheduler(Maglev::new()),
        Method::Modulo => builder.scheduler(Modulo::new()),
        Method::PeakEwma => builder.scheduler(PeakEwma::new()),
        Method::Rendezvous => builder.scheduler(Rendezvous::new()),
        Method::Ring => builder.scheduler(Ring::new()),
        Method::Rotation => builder.scheduler(Rotation::new()),
        Method::TwoChoices => {
            let least = LeastRequest::new().with_scan_max(0);
            builder.scheduler(least.expect("no scan"))
        }
        Method::WeightedRandom => builder.scheduler(WeightedRandom::new()),
        Method::ZoneAware => builder.scheduler(ZoneAware::new("near", ByRequests::new)),
        Method::Heartbeat => {
            let readings = HeartbeatReadings::new();
            let scheduler = Heartbeat::new(&readings).with_max_age(A_DAY);
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
        Method::Prequal => {
            let reports = PrequalReports::new();
            // Reports stay, however often they are used.
            let scheduler = Prequal::new(&reports)
                .with_max_age(A_DAY)
                .with_probes_per_pick(0.0)
                .with_removals_per_pick(0.0);
            let balancer = builder.scheduler(scheduler).build().expect("unique names");
            // Every second member may be disabled later.
            for index in (0..count).step_by(2).take(REPORTS) {
                let report = ProbeReport {
                    in_flight: 1,
                    latency: Duration::from_millis(10),
                };
                reports.report(&*address(index).to_string(), report, clock.now());
            }
            return balancer;
        }
    };
    builder.build().expect("unique names")
}

const A_DAY: Duration = Duration::from_secs(86_400);

/// The reports for which the pool of `Prequal` has room.
const REPORTS: usize = 16;
