//! A group picks as a balancer does: whatever happens, both pick the same members.

use equipoise::clock::ManualClock;
use equipoise::random::Random;
use equipoise::scheduler::{
    BoundedLoad, First, LeastRequest, Maglev, Modulo, PeakEwma, Prequal, PrequalReports,
    Rendezvous, Ring, Rotation, Scheduler, Shadow, WeightedRandom, ZoneAware,
};
use equipoise::testkit::{Group, GroupPickError};
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, Flag, Lease, MemberId, MemberSpec, Outcome,
    PickError, PickRequest, Weight,
};

const NAMES: [&str; 22] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v",
];

struct Pair<S> {
    group: Group<S>,
    balancer: Balancer<()>,
    /// Requests in flight, the oldest first; the member's id in the group, and the lease.
    held: Vec<(MemberId, Lease<()>)>,
    dice: Random,
    /// How many of the names are in use.
    names: usize,
}

impl<S: Scheduler> Pair<S> {
    fn new(make: impl Fn() -> S, seed: u64, names: usize) -> Self {
        let builder = Balancer::builder().scheduler(make()).seed(seed);
        let clock = ManualClock::new();
        Self {
            group: Group::new(make()).with_seed(seed),
            balancer: builder.clock(clock).forced_recovery(false).build().unwrap(),
            held: Vec::new(),
            dice: Random::seeded(seed),
            names,
        }
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.dice.below(end as u64)).unwrap()
    }

    fn insert(&mut self, name: &'static str) {
        let weights = [100, 100, 200, 150, 900];
        let weight = Weight::from_hundredths(weights[self.below(5)]).unwrap();
        let mut spec = MemberSpec::new().with_weight(weight);
        if self.below(3) == 0 {
            spec = spec.with_max_in_flight(2);
        }
        self.group.insert(name, spec.clone());
        self.balancer.insert(name, (), spec).unwrap();
    }

    fn step(&mut self) {
        let name = NAMES[self.below(self.names)];
        let flags = [
            Flag::Disabled,
            Flag::Draining,
            Flag::HotSpare,
            Flag::HotStandby,
            Flag::InError,
        ];
        let flag = flags[self.below(5)];
        match self.below(20) {
            0..=8 => self.pick(),
            9 => self.session(name),
            10..=13 if !self.held.is_empty() => {
                let (member, lease) = self.held.remove(self.below(self.held.len()));
                assert!(self.group.end(member, Outcome::Success));
                lease.finish(Outcome::Success);
            }
            14 if !self.held.is_empty() => {
                let at = self.below(self.held.len());
                let (bytes, (member, lease)) = (self.dice.below(9_999), &mut self.held[at]);
                let name = lease.member().name().to_owned();
                if self.group.id(&name) == Some(*member) {
                    self.group.add_bytes(&name, bytes, 2 * bytes);
                    lease.record_sent(bytes);
                    lease.record_received(2 * bytes);
                }
            }
            15 | 16 => self.insert(name),
            17 => {
                let is_there = self.group.remove(name);
                assert_eq!(self.balancer.remove(name).is_ok(), is_there);
                // A group has no overrides that outlive a member.
                self.balancer.clear_overrides(name);
            }
            18 => {
                let is_there = self.group.set_flag(name, flag);
                assert_eq!(self.balancer.set_flag(name, flag).is_ok(), is_there);
            }
            _ => {
                for flag in flags {
                    self.group.clear_flag(name, flag);
                    let _ = self.balancer.clear_flag(name, flag);
                }
            }
        }
    }

    /// A session of a member that can serve it.
    fn session(&mut self, name: &'static str) {
        if let Some(member) = self.group.pick_session(name) {
            let request = PickRequest::new().with_session_member(Some(name));
            let lease = self.balancer.pick(&request).unwrap();
            assert_eq!(lease.member().name(), name);
            self.held.push((member, lease));
        }
    }

    fn pick(&mut self) {
        let tried: Vec<&str> = (0..self.below(3))
            .map(|_| NAMES[self.below(self.names)])
            .collect();
        let in_group = tried.iter().filter_map(|name| self.group.id(name));
        let in_group: Vec<MemberId> = in_group.collect();
        let members = tried.iter().filter_map(|name| self.balancer.member(name));
        let in_balancer: Vec<MemberId> = members.map(|member| member.id()).collect();
        let request = PickRequest::new().with_hash(self.dice.next_u64());
        let picked = self.group.pick(&request.with_tried(&in_group));
        let leased = self.balancer.pick(&request.with_tried(&in_balancer));
        match (picked, leased) {
            (Ok(member), Ok(lease)) => {
                let name = lease.member().name();
                assert_eq!(self.group.id(name), Some(member), "{name}");
                assert_eq!(
                    self.group.scheduler().standing(member),
                    self.balancer.standing(name)
                );
                self.held.push((member, lease));
            }
            (Err(GroupPickError::AtCapacity), Err(PickError::AtCapacity))
            | (
                Err(GroupPickError::NoneUsable),
                Err(PickError::NoneUsable { .. } | PickError::Empty),
            ) => {}
            (picked, leased) => panic!("{picked:?} {leased:?}"),
        }
    }
}

fn pick_alike<S: Scheduler>(make: impl Fn() -> S) {
    for seed in 0..40 {
        // From 17 members on, schedulers keep them in another way.
        let (names, first) = if seed % 2 == 0 { (7, 4) } else { (22, 18) };
        let mut pair = Pair::new(&make, seed, names);
        for name in &NAMES[..first] {
            pair.insert(name);
        }
        for _ in 0..250 {
            pair.step();
        }
    }
}

#[test]
fn by_requests_picks_alike() {
    pick_alike(ByRequests::new);
}

#[test]
fn by_busyness_picks_alike() {
    pick_alike(ByBusyness::new);
}

#[test]
fn by_traffic_picks_alike() {
    pick_alike(ByTraffic::new);
}

#[test]
fn maglev_picks_alike() {
    pick_alike(|| Maglev::with_table_size(251).unwrap());
}

#[test]
fn rotation_picks_alike() {
    pick_alike(Rotation::new);
}

#[test]
fn first_picks_alike() {
    pick_alike(First::new);
}

#[test]
fn schedulers_that_draw_pick_alike() {
    pick_alike(WeightedRandom::new);
    pick_alike(LeastRequest::new);
    pick_alike(|| LeastRequest::new().with_scan_max(0).unwrap());
    pick_alike(PeakEwma::new);
    pick_alike(|| Prequal::new(&PrequalReports::new()));
}

#[test]
fn hashing_schedulers_pick_alike() {
    pick_alike(Rendezvous::new);
    pick_alike(|| Ring::with_points(20).unwrap());
    pick_alike(Modulo::new);
    pick_alike(Modulo::nginx);
    pick_alike(|| BoundedLoad::new(Rendezvous::new()));
}

#[test]
fn schedulers_that_wrap_others_pick_alike() {
    pick_alike(|| ZoneAware::new("", Rotation::new));
    pick_alike(|| Shadow::new(Rotation::new(), LeastRequest::new()));
}
