//! Members that answer after a time, on a clock that is moved by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use equipoise::clock::{Clock, ManualClock, Timestamp};
use equipoise::{Balancer, ByBusyness, Lease, MemberSpec, Outcome, PickRequest};

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A balancer whose requests are open for as long as their members take.
pub(crate) struct Simulation {
    pub(crate) balancer: Balancer<()>,
    pub(crate) clock: ManualClock,
    /// Requests by when they are answered, with their status.
    open: BTreeMap<(Timestamp, u64), (Lease<()>, u16)>,
    requests: u64,
}

/// What became of the requests of a run.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) members: BTreeMap<String, u64>,
    pub(crate) all: u64,
    pub(crate) refused: u64,
}

impl Served {
    pub(crate) fn by(&self, member: &str) -> u64 {
        self.members.get(member).copied().unwrap_or(0)
    }
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number}")).collect()
}

impl Simulation {
    /// So many members, `m0` and on, of which the least busy is elected.
    pub(crate) fn of(count: usize) -> Self {
        let clock = ManualClock::new();
        let members = names(count).into_iter();
        let balancer = Balancer::builder()
            .clock(clock.clone())
            .scheduler(ByBusyness::default())
            .members(members.map(|name| (name, (), MemberSpec::new())))
            .build()
            .unwrap();
        Self {
            balancer,
            clock,
            open: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Sends a request each `gap` for so long; `serve` tells status and time of a member.
    pub(crate) fn run(
        &mut self,
        time: Duration,
        gap: Duration,
        serve: impl Fn(&str) -> (u16, Duration),
    ) -> Served {
        let mut served = Served::default();
        let end = self.clock.now() + time;
        while self.clock.now() < end {
            self.answer();
            served.all += 1;
            match self.balancer.pick(&PickRequest::new()) {
                Ok(lease) => {
                    let name = lease.member().name().to_owned();
                    let (status, time) = serve(&name);
                    *served.members.entry(name).or_default() += 1;
                    self.requests += 1;
                    let key = (self.clock.now() + time, self.requests);
                    self.open.insert(key, (lease, status));
                }
                Err(_) => served.refused += 1,
            }
            self.clock.advance(gap);
        }
        self.answer();
        served
    }

    fn answer(&mut self) {
        let now = self.clock.now();
        while let Some(entry) = self.open.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (mut lease, status) = entry.remove();
            lease.record_head(Some(status));
            lease.finish(Outcome::Success);
        }
    }

    pub(crate) fn is_out(&self, member: &str) -> bool {
        !self.balancer.member(member).unwrap().status().is_usable()
    }

    pub(crate) fn out(&self) -> Vec<String> {
        let mut out = names(self.balancer.len());
        out.retain(|name| self.is_out(name));
        out
    }
}
