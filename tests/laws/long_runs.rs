//! Millions of picks by each method, cut at any point by all that is decided otherwise:
//! sessions, repeated requests, members at their caps, drains, groups that become large and
//! small again, errors, changes of weight and cap, resets, and questions.
//!
//! The lives of `twins` are short and compare everything that can be seen. These are long
//! and compare picks and standings only.

use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::{Balancer, Flag, Lease, MemberId, MemberSpec, PickError, PickRequest, Weight};

use crate::member::{Key, facts};
use crate::methods::Method;
use crate::model::{Model, Request};

/// More weights than this are kept in a tournament. Up to half as many members are looked at
/// without books, if the method compares facts.
const FEW: usize = 32;

/// How many picks of each method there are: some take a debug build a few seconds, and all
/// are made where other tests are given time, too.
fn picks() -> u64 {
    match std::env::var_os("EQUIPOISE_STRESS_SECONDS") {
        Some(_) => 10_000_000,
        None => 200_000,
    }
}

/// How many picks of hundreds of members: the plain loop reads all of them each time.
const AMONG_MANY: u64 = 3_000;

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

struct Course {
    balancer: Balancer<u32>,
    clock: ManualClock,
    model: Model,
    ids: Vec<MemberId>,
    held: Vec<(Key, Lease<u32>)>,
    dice: Dice,
    /// One in so many leases is held.
    holding: u64,
    /// So many are held at a time.
    most_held: usize,
    picks: u64,
    /// For messages.
    world: String,
}

fn name(key: Key) -> String {
    format!("m{key}")
}

/// Equal weights, few different ones, or any.
fn weight(kind: u64, counts_bytes: bool, dice: &mut Dice) -> Weight {
    // Bytes by weight could overflow with the heaviest.
    let heaviest = if counts_bytes { 900 } else { 6_553_500 };
    let hundredths = match kind {
        0 => 100,
        1 => [100, 200, 300, 500, heaviest][usize::try_from(dice.below(5)).unwrap()],
        _ => u32::try_from(dice.below(10_000)).unwrap() + 1,
    };
    Weight::from_hundredths(hundredths).unwrap()
}

impl Course {
    fn start(method: Method, members: usize, kind: u64, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let clock = ManualClock::new();
        let mut builder = Balancer::builder().clock(clock.clone());
        let mut model = Model::new(method, true);
        let counts_bytes = model.books.method().counts_bytes();
        for key in 0..members {
            let spec = MemberSpec::new()
                .with_weight(weight(kind, counts_bytes, &mut dice))
                .with_route(format!("r{key}"));
            model.put(&name(key), 0, &spec);
            builder = builder.member(name(key), 0, spec);
        }
        model.refresh();
        let balancer = builder.build().unwrap();
        method.install(&balancer);
        let ids = (0..members).map(|key| balancer.member(&name(key)).unwrap().id());
        Self {
            ids: ids.collect(),
            balancer,
            clock,
            model,
            held: Vec::new(),
            holding: [2, 10, 1_000_000][usize::try_from(dice.below(3)).unwrap()],
            most_held: 100,
            dice,
            picks: 0,
            world: format!("{members} members, weights of kind {kind}, seed {seed}"),
        }
    }

    fn any(&mut self) -> Key {
        usize::try_from(self.dice.below(self.ids.len() as u64)).unwrap()
    }

    /// Returns the group after what is due, for both.
    fn group(&mut self) -> Vec<Key> {
        self.balancer.apply_timed_changes();
        self.model.refresh();
        self.model.group()
    }

    /// Picks of requests of which nothing is known.
    fn plain(&mut self, picks: u64) {
        let group = self.group();
        for _ in 0..picks {
            let model = &mut self.model;
            let expected = model.books.elect(&group, &[], facts(&model.members));
            self.compare(expected, &PickRequest::new());
        }
    }

    fn compare(&mut self, expected: Option<Key>, request: &PickRequest<'_>) {
        self.picks += 1;
        match self.balancer.pick(request) {
            Ok(mut lease) => {
                let picked = lease.member().id();
                let expected_id = expected.map(|key| self.ids[key]);
                assert_eq!(
                    Some(picked),
                    expected_id,
                    "pick {} of {}",
                    self.picks,
                    self.world
                );
                let key = expected.unwrap();
                self.model.members[key].in_flight += 1;
                if self.model.books.method().counts_bytes() && self.dice.one_in(2) {
                    let bytes = [0, 1, 99, 1_000, 70_000];
                    let bytes = bytes[usize::try_from(self.dice.below(5)).unwrap()];
                    lease.record_received(bytes);
                    self.model.members[key].bytes += bytes;
                }
                if self.dice.one_in(self.holding) && self.held.len() < self.most_held {
                    self.held.push((key, lease));
                } else {
                    self.model.end(key);
                }
            }
            Err(error) => {
                let none = matches!(error, PickError::AtCapacity | PickError::NoneUsable { .. });
                assert!(none && expected.is_none(), "{error} {expected:?}");
            }
        }
    }

    /// A pick of a request of which something is known.
    fn particular(&mut self, request: &PickRequest<'_>, of_model: &Request<'_>) {
        let expected = self.model.pick(of_model).ok();
        if let Some((key, _)) = expected {
            // It is counted below.
            self.model.members[key].in_flight -= 1;
        }
        self.compare(expected.map(|(key, _)| key), request);
    }

    fn hit(&mut self) {
        let route = format!("r{}", self.any());
        let of_model = Request {
            sessions: true,
            route: Some(&route),
            ..Request::default()
        };
        self.particular(&PickRequest::new().with_session(Some(&route)), &of_model);
    }

    fn repeat(&mut self) {
        let tried: Vec<Key> = (0..=self.dice.below(2)).map(|_| self.any()).collect();
        let ids: Vec<MemberId> = tried.iter().map(|&key| self.ids[key]).collect();
        let of_model = Request {
            tried,
            ..Request::default()
        };
        self.particular(&PickRequest::new().with_tried(&ids), &of_model);
    }

    fn let_go(&mut self) {
        let some = self.dice.below(self.held.len() as u64 + 1);
        for _ in 0..some {
            self.let_one_go();
        }
    }

    fn let_one_go(&mut self) {
        let at = usize::try_from(self.dice.below(self.held.len() as u64)).unwrap();
        let (key, lease) = self.held.swap_remove(at);
        drop(lease);
        self.model.end(key);
    }

    /// Requests that end in any order while others are picked.
    fn flow(&mut self, picks: u64) {
        let group = self.group();
        for _ in 0..picks {
            let model = &mut self.model;
            let expected = model.books.elect(&group, &[], facts(&model.members));
            self.compare(expected, &PickRequest::new());
            if self.held.len() > self.most_held / 2 && self.dice.one_in(self.holding) {
                self.let_one_go();
            }
        }
        self.ask();
    }

    fn drain(&mut self) {
        let (key, on) = (self.any(), self.dice.one_in(2));
        self.set_draining(key, on);
    }

    /// To a size on either side of what is looked at, or to nearly nothing.
    fn resize(&mut self) {
        let all = self.ids.len();
        let size = [1, 3, 10, 15, 16, 17, 18, all][usize::try_from(self.dice.below(8)).unwrap()];
        let mut group = self.group();
        for _ in 0..20 * all {
            if group.len() == size.min(all) {
                break;
            }
            let key = self.any();
            let is_here = group.contains(&key);
            if is_here == (group.len() > size) {
                self.set_draining(key, is_here);
                group = self.model.group();
            }
        }
    }

    fn set_draining(&mut self, key: Key, on: bool) {
        let change = if on {
            self.balancer.set_flag(&name(key), Flag::Draining)
        } else {
            self.balancer.clear_flag(&name(key), Flag::Draining)
        };
        change.unwrap();
        self.model.say(&name(key), |said| {
            said.flags.insert(Flag::Draining, on);
        });
        self.model.refresh();
    }

    /// Gives one member, or each of them, another cap or weight.
    fn change(&mut self, kind: u64) {
        let (one, all) = (self.any(), self.dice.one_in(4));
        let counts_bytes = self.model.books.method().counts_bytes();
        let weight = weight(kind, counts_bytes, &mut self.dice);
        let cap = self.dice.one_in(2).then(|| self.dice.below(4));
        let edit = |spec: MemberSpec| match cap {
            Some(cap) => spec.with_max_in_flight(u32::try_from(cap).unwrap()),
            None => spec.with_weight(weight).without_max_in_flight(),
        };
        for key in (0..self.ids.len()).filter(|&key| all || key == one) {
            self.balancer.update(&name(key), edit).unwrap();
            self.model.edit(key, edit);
            self.model.refresh();
        }
    }

    fn fail(&mut self) {
        if let Some((key, lease)) = self.held.pop() {
            lease.put_in_error();
            drop(lease);
            self.model.put_in_error(key);
            self.model.end(key);
        }
    }

    fn ask(&mut self) {
        for key in 0..self.ids.len() {
            let standing = self.balancer.standing(&name(key));
            if !self.model.books.method().counts_bytes() {
                assert_eq!(standing, Some(self.model.books.standing(key)), "{key}");
            }
        }
    }

    fn foresee(&mut self) {
        let explained = self.balancer.explain(&PickRequest::new());
        let foreseen = explained.picked().map(|member| member.id);
        self.model.refresh();
        let (group, model) = (self.model.group(), &mut self.model);
        let expected = model.books.elect(&group, &[], facts(&model.members));
        assert_eq!(foreseen, expected.map(|key| self.ids[key]));
        self.compare(expected, &PickRequest::new());
    }

    fn live(&mut self, picks: u64, kind: u64) {
        while self.picks < picks {
            let long = [3, 30, 300, 1_500][usize::try_from(self.dice.below(4)).unwrap()];
            let run = self.dice.below(long);
            self.plain(run);
            match self.dice.below(25) {
                0..=7 => self.hit(),
                8..=11 => self.repeat(),
                12..=15 => self.let_go(),
                16 => self.drain(),
                17 => self.change(kind),
                18 => self.fail(),
                19 => self.clock.advance(Duration::from_secs(20)),
                20 => {
                    self.balancer.reset_standings();
                    self.model.reset_standings();
                }
                21 => self.ask(),
                22 => self.resize(),
                _ => self.foresee(),
            }
            self.model.now = self.clock_time();
        }
        self.ask();
    }

    fn clock_time(&self) -> Duration {
        self.balancer
            .now()
            .since(equipoise::clock::Timestamp::ORIGIN)
    }
}

fn live(method: Method) {
    let worlds = (1..=FEW + 8).flat_map(|members| (0..3).map(move |kind| (members, kind)));
    let worlds: Vec<(usize, u64)> = worlds.collect();
    let each = picks().div_ceil(worlds.len() as u64);
    let mut lived = 0;
    for (seed, (members, kind)) in (0..).zip(worlds) {
        let mut course = Course::start(method, members, kind, seed);
        course.live(each, kind);
        lived += course.picks;
    }
    assert!(lived >= picks(), "{lived}");
}

#[test]
fn picks_made_ahead_are_those_of_the_plain_loop_whatever_cuts_them() {
    live(Method::Requests);
}

#[test]
fn picks_by_busyness_are_those_of_the_plain_loop_whatever_cuts_them() {
    live(Method::Busyness);
}

#[test]
fn picks_by_busyness_among_hundreds_are_those_of_the_plain_loop_whatever_cuts_them() {
    for kind in 0..3 {
        Course::start(Method::Busyness, 600, kind, kind).live(AMONG_MANY, kind);
    }
}

/// Ends of requests that were noted, while there are turns: of members that come after all
/// turns then, and of others.
#[test]
fn picks_by_busyness_are_those_of_the_plain_loop_whatever_ends_meanwhile() {
    for (members, most_held) in [(40, 20), (600, 300), (1_100, 700)] {
        for kind in 0..3 {
            for method in [Method::Busyness, Method::WeightedBusyness] {
                let mut course = Course::start(method, members, kind, kind);
                (course.holding, course.most_held) = (2, most_held);
                course.flow(AMONG_MANY);
            }
        }
    }
}

#[test]
fn picks_by_weighted_busyness_are_those_of_the_plain_loop_whatever_cuts_them() {
    live(Method::WeightedBusyness);
}

#[test]
fn picks_by_traffic_are_those_of_the_plain_loop_whatever_cuts_them() {
    live(Method::Traffic);
}

#[test]
fn picks_by_traffic_that_catches_up_are_those_of_the_plain_loop_whatever_cuts_them() {
    live(Method::TrafficCatchingUp);
}
