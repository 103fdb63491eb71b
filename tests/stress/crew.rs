//! Who makes the storm: pickers, and one who changes everything.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use equipoise::clock::{Clock, ManualClock};
use equipoise::random::Random;
use equipoise::scheduler::HeartbeatReading;
use equipoise::{
    Balancer, Flag, HeartbeatReadings, Lease, MemberId, MemberSpec, MemberState, Outcome,
    PickRequest, Weight,
};

use crate::method::Method;

const NAMES: u64 = 12;
const ROUTES: u64 = 4;

/// One that picks holds so many leases at most.
const HELD: usize = 6;

/// How many leases were granted of whom.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<MemberId, u64>);

impl Seen {
    pub(crate) fn of(&self, member: MemberId) -> u64 {
        self.0.get(&member).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (member, count) in other.0 {
            *self.0.entry(member).or_default() += count;
        }
    }
}

pub(crate) struct Picker {
    balancer: Balancer<u64>,
    random: Random,
    held: Vec<Lease<u64>>,
    seen: Seen,
}

impl Picker {
    pub(crate) fn new(balancer: &Balancer<u64>, random: Random) -> Self {
        Self {
            balancer: balancer.clone(),
            random,
            held: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Works while it is told to, lets everything go, and tells what it was given.
    pub(crate) fn work(mut self, go_on: impl Fn() -> bool) -> Seen {
        while go_on() {
            match self.random.below(3) {
                0 => self.let_go(),
                1 => self.use_one(),
                _ => self.pick(),
            }
        }
        self.held.clear();
        self.seen
    }

    fn pick(&mut self) {
        if self.held.len() >= HELD {
            return self.let_go();
        }
        let mut tried = Vec::new();
        let mut request = PickRequest::new();
        if self.random.below(4) == 0 {
            tried.extend(self.held.iter().map(|lease| lease.member().id()));
            request = request.with_tried(&tried);
        }
        let route = format!("r{}", self.random.below(ROUTES));
        if self.random.below(3) == 0 {
            request = request.with_session(Some(&route));
        }
        if let Ok(lease) = self.balancer.pick(&request) {
            let id = lease.member().id();
            assert!(!tried.contains(&id), "tried, but elected");
            *self.seen.0.entry(id).or_default() += 1;
            self.held.push(lease);
        }
    }

    fn use_one(&mut self) {
        let Some(lease) = self.held.last_mut() else {
            return;
        };
        lease.record_sent(self.random.below(1_000));
        lease.record_received(self.random.below(100_000));
        if self.random.below(20) == 0 {
            lease.put_in_error();
        }
    }

    fn let_go(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let lease = self.held.swap_remove(below(&self.random, self.held.len()));
        match self.random.below(4) {
            0 => drop(lease),
            1 => lease.finish(Outcome::Failure),
            2 => drop(lease.into_guard()),
            _ => lease.finish(Outcome::Success),
        }
    }
}

/// The members that there have ever been. Some are only watched, so that a name that
/// comes back is somebody new once its leases are gone.
#[derive(Debug, Default)]
pub(crate) struct Known {
    kept: Vec<Arc<MemberState>>,
    watched: Vec<Weak<MemberState>>,
}

impl Known {
    pub(crate) fn living(&self) -> impl Iterator<Item = Arc<MemberState>> {
        let watched = self.watched.iter().filter_map(Weak::upgrade);
        self.kept.iter().cloned().chain(watched)
    }
}

pub(crate) struct Churner {
    balancer: Balancer<u64>,
    clock: ManualClock,
    method: Method,
    readings: HeartbeatReadings,
    random: Random,
    known: Known,
}

impl Churner {
    pub(crate) fn new(
        balancer: &Balancer<u64>,
        clock: ManualClock,
        method: Method,
        random: Random,
    ) -> Self {
        Self {
            balancer: balancer.clone(),
            clock,
            method,
            readings: HeartbeatReadings::new(),
            random,
            known: Known::default(),
        }
    }

    pub(crate) fn begin(&mut self) {
        self.method.install(&self.balancer, &mut self.readings);
        for name in 0..NAMES {
            self.insert(name);
        }
    }

    pub(crate) fn into_known(self) -> Known {
        self.known
    }

    pub(crate) fn change_something(&mut self) {
        let name = self.random.below(NAMES);
        let called = format!("m{name}");
        // The member may be gone, which is as good.
        let balancer = &self.balancer;
        match self.random.below(40) {
            0..4 => drop(balancer.remove(&called)),
            4..12 => self.insert(name),
            12..16 => {
                let weight = self.weight();
                let _ = balancer.update(&called, |spec| spec.with_weight(weight));
            }
            16..20 => {
                let cap = self.random.below(5);
                let _ = balancer.update(&called, |spec| with_cap(spec, cap));
            }
            20 => {
                let tier = u16::from(self.random.below(4) == 0);
                let _ = balancer.update(&called, |spec| spec.with_tier(tier));
            }
            21..25 => {
                let flag = Flag::ALL[below(&self.random, Flag::ALL.len())];
                let _ = balancer.set_flag(&called, flag);
            }
            25..35 => {
                for flag in Flag::ALL {
                    let _ = balancer.clear_flag(&called, flag);
                }
            }
            35 => self.replace_scheduler(),
            36 => balancer.reset_standings(),
            37 => {
                let reading = HeartbeatReading { ready: 40, busy: 1 };
                let _ = self.readings.report(&called, reading, self.clock.now());
            }
            _ => {
                self.clock.advance(Duration::from_millis(1));
                balancer.apply_timed_changes();
            }
        }
    }

    fn replace_scheduler(&mut self) {
        let other = Method::ALL[below(&self.random, Method::ALL.len())];
        other.install(&self.balancer, &mut self.readings);
        std::thread::yield_now();
        self.method.install(&self.balancer, &mut self.readings);
    }

    fn insert(&mut self, name: u64) {
        let spec = MemberSpec::new()
            .with_weight(self.weight())
            .with_recovery_delay(Duration::from_millis(2))
            .with_route(format!("r{}", self.random.below(ROUTES)));
        let spec = with_cap(spec, self.random.below(5));
        let called = format!("m{name}");
        let id = self.balancer.insert(called.as_str(), name, spec);
        let id = id.expect("all members are of one source");
        if self.known.living().any(|member| member.id() == id) {
            return;
        }
        // Nobody else inserts or removes.
        let state = self.balancer.member(&called).expect("inserted just now");
        if name % 2 == 0 {
            self.known.kept.push(state);
        } else {
            self.known.watched.push(Arc::downgrade(&state));
        }
    }

    fn weight(&self) -> Weight {
        let weights = [100, 100, 100, 250, 700, 1, 6_553_500];
        Weight::from_hundredths(weights[below(&self.random, weights.len())]).unwrap()
    }
}

/// Caps of 1 to 3 are reached all the time; no member is left without any room.
fn with_cap(spec: MemberSpec, cap: u64) -> MemberSpec {
    match u32::try_from(cap).unwrap() {
        cap @ 1..=3 => spec.with_max_in_flight(cap),
        _ => spec.without_max_in_flight(),
    }
}

fn below(random: &Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap()
}
