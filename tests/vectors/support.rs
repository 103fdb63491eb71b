//! A balancer as the vectors write it: members A, B, C … in a row, flags by Apache's
//! letters, each with its own name as route, and a clock that is moved by hand.

use equipoise::clock::ManualClock;
use equipoise::{
    Balancer, ByRequests, Flag, Lease, MemberSpec, PickError, PickRequest, Scheduler, Weight,
};
use std::time::Duration;

const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];

pub(crate) struct Fleet {
    pub(crate) balancer: Balancer<()>,
    pub(crate) clock: ManualClock,
    names: &'static [&'static str],
}

/// Members by requests, of the weights in a text such as `5:1:1`.
pub(crate) fn by_requests(weights: &str) -> Fleet {
    weighted(ByRequests::new(), weights)
}

/// Members of the weights in a text such as `5:1:1`.
pub(crate) fn weighted(scheduler: impl Scheduler, weights: &str) -> Fleet {
    let spec = |weight: &str| MemberSpec::new().with_weight(weight.parse().unwrap());
    fleet(scheduler, weights.split(':').map(spec))
}

/// Members of weight 1 by requests, with the flags in a text such as `- - H RD`.
pub(crate) fn flagged(flags: &str) -> Fleet {
    fleet(ByRequests::new(), flags.split(' ').map(spec))
}

/// The spec of a member with Apache's letters; `-` is none.
pub(crate) fn spec(letters: &str) -> MemberSpec {
    letters
        .chars()
        .filter_map(flag)
        .fold(MemberSpec::new(), MemberSpec::with_flag)
}

pub(crate) fn fleet(
    scheduler: impl Scheduler,
    specs: impl IntoIterator<Item = MemberSpec>,
) -> Fleet {
    fleet_of(Balancer::builder().scheduler(scheduler), specs)
}

pub(crate) fn fleet_of(
    builder: equipoise::balancer::Builder<()>,
    specs: impl IntoIterator<Item = MemberSpec>,
) -> Fleet {
    let clock = ManualClock::new();
    let members = NAMES
        .into_iter()
        .zip(specs)
        .map(|(name, spec)| (name, (), spec.with_route(name)));
    let balancer = builder.clock(clock.clone()).members(members).build();
    let balancer = balancer.unwrap();
    Fleet {
        names: &NAMES[..balancer.len()],
        balancer,
        clock,
    }
}

fn flag(letter: char) -> Option<Flag> {
    Some(match letter {
        'C' => Flag::FailedCheck,
        'D' => Flag::Disabled,
        'E' => Flag::InError,
        'H' => Flag::HotStandby,
        'I' => Flag::IgnoreErrors,
        'N' => Flag::Draining,
        'R' => Flag::HotSpare,
        'S' => Flag::Stopped,
        _ => return None,
    })
}

impl Fleet {
    pub(crate) fn pick(&self) -> Result<Lease<()>, PickError> {
        self.balancer.pick(&PickRequest::new())
    }

    /// Who serves so many requests, one after the other; `!` is nobody.
    pub(crate) fn picks(&self, count: usize) -> String {
        let name = |lease: Lease<()>| lease.member().name().to_owned();
        (0..count)
            .map(|_| self.pick().map_or_else(|_| "!".to_owned(), name))
            .collect()
    }

    /// Who serves a client that presents a route.
    pub(crate) fn session(&self, route: &str) -> String {
        let request = PickRequest::new().with_session(Some(route));
        let name = |lease: Lease<()>| lease.member().name().to_owned();
        self.balancer
            .pick(&request)
            .map_or_else(|_| "!".to_owned(), name)
    }

    /// Everybody's standing (Apache: `lbstatus`).
    pub(crate) fn standings(&self) -> Vec<i64> {
        let standing = |name: &&str| self.balancer.standing(name).unwrap();
        self.names.iter().map(standing).collect()
    }

    pub(crate) fn set(&self, name: &str, letter: char) {
        let flag = flag(letter).unwrap();
        self.balancer.set_flag(name, flag).unwrap();
    }

    pub(crate) fn clear(&self, name: &str, letter: char) {
        let flag = flag(letter).unwrap();
        self.balancer.clear_flag(name, flag).unwrap();
    }

    pub(crate) fn set_weight(&self, name: &str, weight: u32) {
        let weight = Weight::new(weight).unwrap();
        self.balancer
            .update(name, |spec| spec.with_weight(weight))
            .unwrap();
    }

    pub(crate) fn is_usable(&self, name: &str) -> bool {
        self.balancer.member(name).unwrap().status().is_usable()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// One request that is tried on as many members as it takes; `dead` ones refuse it.
    ///
    /// Returns who was tried, in order; `!` if nobody was left.
    pub(crate) fn request(&self, dead: &str) -> String {
        let (mut trail, mut tried) = (String::new(), Vec::new());
        loop {
            let request = PickRequest::new().with_tried(&tried);
            let Ok(lease) = self.balancer.pick(&request) else {
                return trail + "!";
            };
            let name = lease.member().name().to_owned();
            trail += &name;
            if !dead.contains(&name) {
                return trail;
            }
            lease.put_in_error();
            tried.push(lease.member().id());
        }
    }
}
