//! Without concurrency, `explain` names the member that the next pick picks: through random
//! changes, errors, ends and times, for every scheduler.

use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::random::Random;
use equipoise::scheduler::{
    BoundedLoad, First, Heartbeat, HeartbeatReadings, LeastRequest, Maglev, Modulo, PeakEwma,
    Prequal, PrequalReports, Rendezvous, Ring, Rotation, Shadow, WeightedRandom, ZoneAware,
};
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, Flag, Lease, MemberSpec, Outcome, PickRequest,
    Scheduler, Weight,
};

fn all() -> Vec<Box<dyn Scheduler>> {
    vec![
        Box::new(BoundedLoad::new(Maglev::new())),
        Box::new(BoundedLoad::new(Modulo::new())),
        Box::new(BoundedLoad::new(Rendezvous::new())),
        Box::new(BoundedLoad::new(Ring::new())),
        Box::new(ByBusyness::new()),
        Box::new(ByBusyness::weighted()),
        Box::new(ByRequests::new()),
        Box::new(ByTraffic::new()),
        Box::new(First::new()),
        Box::new(Heartbeat::new(&HeartbeatReadings::new())),
        Box::new(LeastRequest::new()),
        Box::new(LeastRequest::new().with_scan_max(0).unwrap()),
        Box::new(Maglev::with_table_size(251).unwrap()),
        Box::new(Modulo::new()),
        Box::new(Modulo::nginx()),
        Box::new(PeakEwma::new()),
        Box::new(Prequal::new(&PrequalReports::new())),
        Box::new(Rendezvous::new()),
        Box::new(Ring::new()),
        Box::new(Rotation::new()),
        Box::new(Shadow::new(Modulo::new(), LeastRequest::new())),
        Box::new(WeightedRandom::new()),
        Box::new(ZoneAware::new("z0", || BoundedLoad::new(Modulo::new()))),
    ]
}

/// A balancer to which random things happen.
struct Churned {
    balancer: Balancer<()>,
    clock: ManualClock,
    dice: Random,
    held: Vec<Lease<()>>,
}

impl Churned {
    fn new(scheduler: Box<dyn Scheduler>, seed: u64) -> Self {
        let clock = ManualClock::new();
        let builder = Balancer::builder().scheduler(scheduler).seed(seed);
        let this = Self {
            balancer: builder.clock(clock.clone()).build().unwrap(),
            clock,
            dice: Random::seeded(seed),
            held: Vec::new(),
        };
        for at in 0..this.dice.below(9) {
            this.insert(at);
        }
        this
    }

    fn insert(&self, at: u64) {
        let weight = Weight::from_hundredths(1 + self.below(400)).unwrap();
        let spec = MemberSpec::new()
            .with_weight(weight)
            .with_tier(u16::from(self.below(4) == 0))
            .with_label("zone", format!("z{}", at % 3));
        let _ = self.balancer.insert(format!("m{at}"), (), spec);
    }

    fn below(&self, end: u32) -> u32 {
        u32::try_from(self.dice.below(end.into())).unwrap()
    }

    fn step(&mut self) {
        let name = format!("m{}", self.dice.below(12));
        match self.below(24) {
            0 => self.insert(self.dice.below(12)),
            1 => drop(self.balancer.remove(&name)),
            2 => {
                let flag = Flag::ALL[self.below(9) as usize];
                let _ = self.balancer.set_flag(&name, flag);
            }
            3 | 4 => {
                for flag in Flag::ALL {
                    let _ = self.balancer.clear_flag(&name, flag);
                }
            }
            5 => self
                .clock
                .advance(Duration::from_millis(self.dice.below(70_000))),
            6..=13 if !self.held.is_empty() => {
                let at = usize::try_from(self.dice.below(self.held.len() as u64)).unwrap();
                let mut lease = self.held.swap_remove(at);
                lease.record_received(self.dice.below(5_000));
                self.clock
                    .advance(Duration::from_micros(self.dice.below(9_000)));
                match self.below(5) {
                    0 => lease.put_in_error(),
                    1 => lease.finish(Outcome::Failure),
                    2 => drop(lease),
                    _ => {
                        lease.record_head(Some(200));
                        lease.finish(Outcome::Success);
                    }
                }
            }
            _ => self.assert_foretold(&name),
        }
    }

    fn assert_foretold(&mut self, name: &str) {
        let members = self.balancer.members();
        let ids = members.iter().map(|one| one.id());
        let tried: Vec<_> = ids.filter(|_| self.below(12) == 0).collect();
        let mut request = PickRequest::new();
        if self.below(3) == 0 {
            request = request.with_tried(&tried);
        }
        if self.below(2) == 0 {
            request = request.with_hash(self.dice.next_u64());
        }
        if self.below(8) == 0 {
            request = request.with_session_member(Some(name));
        }
        let explained = self.balancer.explain(&request);
        let expected = explained.picked().map(|one| &*one.name);
        let lease = self.balancer.pick(&request).ok();
        let found = lease.as_ref().map(|lease| lease.member().name());
        assert_eq!(expected, found, "{explained}");
        self.held.extend(lease);
    }
}

#[test]
fn the_next_pick_is_the_one_that_is_explained_whatever_happened_before() {
    for index in 0..all().len() {
        for seed in 0..8 {
            let mut churned = Churned::new(all().swap_remove(index), seed);
            for _ in 0..600 {
                churned.step();
            }
        }
    }
}
