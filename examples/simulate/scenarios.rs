//! The scenarios: members, arrivals and service times with names.
//!
//! Not here: access logs (`trace`), and the run (`experiment`).

use std::time::Duration;

use equipoise::testkit::simulation::{Arrivals, ServiceTimes, SimulatedMember, Simulation};
use equipoise::{MemberSpec, Weight};

/// All scenarios, in the order of `--help` and of the documentation.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "uniform",
        about: "equal members, independent requests, exponential service times",
        build: |at| at.members(|_, member| member),
        ..BASE
    },
    Scenario {
        name: "slow",
        about: "one in 5 members is 4 times slower, and its weight does not show it",
        least_members: 5,
        load: 0.7,
        build: |at| {
            let slow = at.count / 5;
            at.members(|index, member| {
                if index < slow {
                    member.with_speed(0.25)
                } else {
                    member
                }
            })
        },
        has_bound: false,
        plots: &[PlotKind::Latency, PlotKind::Share],
        ..BASE
    },
    Scenario {
        name: "heavy-tail",
        about: "1 % of the requests take 100 times as long as the others",
        load: 0.7,
        build: |at| {
            let times = ServiceTimes::mixed(at.mean, 0.01, 100.0);
            at.members(|_, member| member).service_times(times)
        },
        ..BASE
    },
    Scenario {
        name: "bursts",
        about: "bursts of 3 times the rate of the calm: a fifth of the time, 20 service times long",
        load: 0.7,
        build: |at| {
            let arrivals = Arrivals::bursts(3.0, 20 * at.mean, 80 * at.mean);
            at.members(|_, member| member).arrivals(arrivals)
        },
        window: Some(800),
        plots: &[PlotKind::Latency, PlotKind::InFlight],
        ..BASE
    },
    Scenario {
        name: "failing",
        about: "one of the members fails each request at once",
        least_members: 2,
        members: 10,
        load: 0.7,
        build: |at| {
            let fails_after = at.mean / 100;
            at.members(|index, member| match index {
                0 => member.with_failures(Duration::ZERO..Duration::MAX, fails_after),
                _ => member,
            })
        },
        has_bound: false,
        plots: &[PlotKind::Share],
        ..BASE
    },
    Scenario {
        name: "stalls",
        about: "each member stands still for 10 service times, now and then: 5 % of the time",
        load: 0.7,
        build: |at| {
            let (every, lasting) = (190 * at.mean, 10 * at.mean);
            at.members(|_, member| member.with_stalls(every, lasting))
        },
        has_bound: false,
        plots: &[PlotKind::Latency],
        ..BASE
    },
    Scenario {
        name: "many-balancers",
        about: "independent balancers over the same members",
        balancers: &[1, 10, 100],
        build: |at| at.members(|_, member| member),
        plots: &[PlotKind::Balancers],
        ..BASE
    },
    Scenario {
        name: "weights",
        about: "members of weight 1, 2, 4, 8 and 16, each as fast as its weight",
        least_members: 5,
        members: 25,
        load: 0.8,
        build: |at| {
            at.members(|index, member| {
                let weight = 1 << (index % 5);
                // It is from 1 to 16.
                let weight = Weight::new(weight).unwrap_or(Weight::ONE);
                let speed = f64::from(weight.hundredths()) / 100.0;
                member
                    .with_speed(speed)
                    .with_spec(MemberSpec::new().with_weight(weight))
            })
        },
        has_bound: false,
        plots: &[PlotKind::Latency, PlotKind::Share],
        ..BASE
    },
    Scenario {
        name: "big",
        about: "very many equal members",
        members: 10_000,
        requests: 10_000_000,
        build: |at| at.members(|_, member| member),
        plots: &[PlotKind::Latency],
        ..BASE
    },
];

const BASE: Scenario = Scenario {
    name: "",
    about: "",
    members: 100,
    least_members: 1,
    load: 0.9,
    requests: 1_000_000,
    balancers: &[1],
    build: |at| at.members(|_, member| member),
    has_bound: true,
    window: None,
    plots: &[PlotKind::Latency, PlotKind::InFlight],
};

/// A load with its members.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) members: u32,
    /// With fewer members, the scenario is not what its text says.
    least_members: u32,
    pub(crate) load: f64,
    pub(crate) requests: u64,
    pub(crate) balancers: &'static [u32],
    build: fn(&Setup) -> Simulation,
    /// Whether one common queue for all members is a lower bound to compare with.
    pub(crate) has_bound: bool,
    /// For how many service times requests in flight are shown; `None` is always.
    pub(crate) window: Option<u32>,
    /// The plots that the documentation has.
    pub(crate) plots: &'static [PlotKind],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PlotKind {
    Balancers,
    InFlight,
    Latency,
    Share,
}

/// What a scenario is built from.
pub(crate) struct Setup {
    pub(crate) count: u32,
    pub(crate) servers: u32,
    pub(crate) shared: bool,
    pub(crate) mean: Duration,
}

impl Setup {
    /// A simulation with members, each adapted by its index.
    fn members(&self, adapt: impl Fn(u32, SimulatedMember) -> SimulatedMember) -> Simulation {
        let member = self.member(self.servers);
        Simulation::new()
            .members((0..self.count).map(|index| adapt(index, member.clone())))
            .service_times(ServiceTimes::exponential(self.mean))
    }

    /// One member with all servers: what one common queue would give.
    pub(crate) fn bound(&self, simulation: &Simulation) -> Simulation {
        let all = self.count.saturating_mul(self.servers);
        simulation.clone().members([self.member(all)])
    }

    fn member(&self, servers: u32) -> SimulatedMember {
        let member = SimulatedMember::new().with_servers(servers);
        match self.shared {
            true => member.with_shared_servers(),
            false => member,
        }
    }
}

impl Scenario {
    /// Returns the scenario of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|it| it.name == name)
    }

    /// Returns an error if so few members make no such scenario.
    pub(crate) fn check(&self, members: u32) -> Result<(), String> {
        let (name, least) = (self.name, self.least_members);
        match members >= least {
            true => Ok(()),
            false => Err(format!("{name} needs at least {least} members")),
        }
    }

    /// Returns its simulation, without load, requests and seed.
    pub(crate) fn simulation(&self, setup: &Setup) -> Simulation {
        (self.build)(setup)
    }
}
