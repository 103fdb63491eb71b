//! Long lives against Apache's plain loops, cut at any point: by sessions, by tried
//! members, by leases that are held, by drains, by other weights, by caps that come and go,
//! and by a group that becomes large and small again.
//!
//! The lives of `twins` are short and compare everything that can be seen. These are long
//! and compare picks only.

use std::time::{Duration, Instant};

use equipoise::random::Random;
use equipoise::{Balancer, Flag, Lease, MemberId, MemberSpec, PickRequest, Status, Weight};

use crate::member::{Key, Member};
use crate::methods::{Books, Change, Method};

/// More than the 16 that are looked at without a lock.
const MEMBERS: usize = 24;

/// A third of the seconds that `EQUIPOISE_STRESS_SECONDS` allows, or of three seconds.
fn length() -> Duration {
    let seconds = std::env::var("EQUIPOISE_STRESS_SECONDS").ok();
    let seconds: f64 = seconds.map_or(3.0, |seconds| seconds.parse().unwrap());
    Duration::from_secs_f64(seconds / 3.0)
}

#[test]
fn picks_by_busyness_are_those_of_plain_loops() {
    live(Method::Busyness, 1);
}

#[test]
fn picks_by_weighted_busyness_are_those_of_plain_loops() {
    live(Method::WeightedBusyness, 2);
}

#[test]
fn picks_by_traffic_are_those_of_plain_loops() {
    live(Method::Traffic, 3);
}

#[expect(
    clippy::disallowed_methods,
    reason = "it lives for a length of real time"
)]
fn live(method: Method, seed: u64) {
    let mut life = Life::new(method, seed);
    let end = Instant::now() + length();
    for pick in 0.. {
        if pick % 1024 == 0 && Instant::now() >= end {
            break;
        }
        if life.draw(150) == 0 {
            life.change();
        }
        life.pick(pick);
        while life.held.len() > life.most_held {
            life.end_one();
        }
    }
    life.held.clear();
}

struct Life {
    balancer: Balancer<Key>,
    random: Random,
    members: Vec<Member>,
    ids: Vec<MemberId>,
    group: Vec<Key>,
    books: Books,
    held: Vec<Lease<Key>>,
    most_held: usize,
}

impl Life {
    fn new(method: Method, seed: u64) -> Self {
        let spec = |key: Key| MemberSpec::new().with_route(format!("r{key}"));
        let builder = Balancer::builder();
        let all = (0..MEMBERS).map(|key| (format!("m{key}"), key, spec(key)));
        let balancer = builder.members(all).build().unwrap();
        method.install(&balancer);
        let member = |key: Key| Member {
            name: format!("m{key}"),
            source: spec(key),
            spec: spec(key),
            payload: 0,
            order: Some(key as u64),
            status: Status::NORMAL,
            error_since: Duration::ZERO,
            retries: 0,
            in_flight: 0,
            elected: 0,
            bytes: 0,
            touched: false,
        };
        let known = balancer.members();
        let mut life = Self {
            random: Random::seeded(seed),
            members: (0..MEMBERS).map(member).collect(),
            ids: known.iter().map(|member| member.id()).collect(),
            group: (0..MEMBERS).collect(),
            books: Books::new(method),
            held: Vec::new(),
            most_held: 0,
            balancer,
        };
        let joined = life.group.clone();
        let change = Change {
            joined,
            ..Change::default()
        };
        life.books.follow(&change, &life.members);
        life
    }

    fn draw(&self, below: u64) -> usize {
        usize::try_from(self.random.below(below)).unwrap()
    }

    fn any(&self) -> Key {
        self.draw(MEMBERS as u64)
    }

    fn change(&mut self) {
        match self.draw(8) {
            0 => self.most_held = self.draw(60),
            1 => {
                // To a size on either side of what is looked at, or to nearly nothing.
                let size = [1, 3, 10, 15, 16, 17, 18, MEMBERS][self.draw(8)];
                while self.group.len() != size {
                    let joins = self.group.len() < size;
                    let key = self.any();
                    if self.group.contains(&key) != joins {
                        self.set_draining(key, !joins);
                    }
                }
            }
            2 | 3 => {
                let key = self.any();
                self.set_draining(key, self.group.contains(&key));
            }
            4 | 5 => {
                // Bytes per unit of weight could overflow with the heaviest.
                let heaviest = match self.books.method() {
                    Method::Traffic => 900,
                    _ => 6_553_500,
                };
                let hundredths = [100, 100, 100, 200, 700, heaviest][self.draw(6)];
                let weight = Weight::from_hundredths(hundredths).unwrap();
                self.edit(|spec| spec.with_weight(weight));
            }
            6 => {
                let cap = u32::try_from(self.draw(4)).unwrap();
                self.edit(|spec| spec.with_max_in_flight(cap));
            }
            _ => self.edit(MemberSpec::without_max_in_flight),
        }
    }

    fn set_draining(&mut self, key: Key, on: bool) {
        let name = self.members[key].name.clone();
        let mut change = Change::default();
        if on {
            self.balancer.set_flag(&name, Flag::Draining).unwrap();
            self.group.retain(|&other| other != key);
            change.left.push(key);
        } else {
            self.balancer.clear_flag(&name, Flag::Draining).unwrap();
            self.group.push(key);
            self.group.sort_unstable();
            change.joined.push(key);
        }
        self.books.follow(&change, &self.members);
    }

    /// Gives one member, or each of them, another spec.
    fn edit(&mut self, edit: impl Fn(MemberSpec) -> MemberSpec + Sync) {
        let one = self.any();
        let all = self.draw(4) == 0;
        for key in (0..MEMBERS).filter(|&key| all || key == one) {
            let member = &mut self.members[key];
            let before = member.spec.clone();
            member.spec = edit(before.clone());
            self.balancer.update(&member.name, &edit).unwrap();
            if self.group.contains(&key) && member.spec != before {
                let changed = vec![key];
                let change = Change {
                    changed,
                    ..Change::default()
                };
                self.books.follow(&change, &self.members);
            }
        }
    }

    fn pick(&mut self, pick: usize) {
        let (mut tried, mut route) = (Vec::new(), None);
        match self.draw(8) {
            0 => tried.extend((0..=self.draw(3)).map(|_| self.any())),
            1 | 2 => route = Some(self.any()),
            _ => {}
        }
        let ids: Vec<MemberId> = tried.iter().map(|&key| self.ids[key]).collect();
        let text = route.map(|key| format!("r{key}"));
        let mut request = PickRequest::new().with_tried(&ids);
        if let Some(text) = &text {
            request = request.with_session(Some(text));
        }
        let hit = route.filter(|&key| self.members[key].has_room());
        let expected = match hit {
            Some(key) => {
                if self.group.contains(&key) {
                    self.books.enter(key, &self.group, &self.members);
                }
                Some(key)
            }
            None => self.books.elect(&self.group, &tried, &self.members),
        };
        let lease = self.balancer.pick(&request).ok();
        let picked = lease.as_deref().copied();
        assert_eq!(
            picked,
            expected,
            "pick {pick} of {} members",
            self.group.len()
        );
        let Some(mut lease) = lease else { return };
        self.members[*lease].in_flight += 1;
        if self.draw(2) == 0 {
            let bytes = [0, 1, 99, 1_000, 70_000][self.draw(5)];
            lease.record_received(bytes);
            self.members[*lease].bytes += bytes;
        }
        self.held.push(lease);
    }

    fn end_one(&mut self) {
        let at = self.draw(self.held.len() as u64);
        let lease = self.held.swap_remove(at);
        let key = *lease;
        drop(lease);
        self.members[key].in_flight -= 1;
        self.books.ended(key, &self.members);
    }
}
