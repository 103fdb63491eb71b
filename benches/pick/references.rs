//! What the crate is compared with: the floor that every design of its kind stands
//! on, and the plain ways of doing it.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::fleet::{self, Weights};
use crate::lanes::{Contender, Lane, Padded};

/// The least that handing out a counted, owned member of a replaceable list costs:
/// load the list, take the next (each thread for itself), clone its `Arc`, count in,
/// count out.
pub(crate) struct Floor(ArcSwap<Vec<Arc<Counted>>>);

#[repr(align(64))] // As in the crate: neighbours do not share a line.
struct Counted {
    address: SocketAddr,
    in_flight: AtomicU32,
}

impl Counted {
    fn new(index: usize) -> Self {
        Self {
            address: fleet::address(index),
            in_flight: AtomicU32::new(0),
        }
    }
}

impl Floor {
    pub(crate) fn new(count: usize) -> Self {
        let members = (0..count).map(|index| Arc::new(Counted::new(index)));
        Self(ArcSwap::from_pointee(members.collect()))
    }
}

impl Contender for Floor {
    fn run(&self, lane: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let members = self.0.load();
            let at = if lane.turn < members.len() {
                lane.turn
            } else {
                0
            };
            lane.turn = at + 1;
            let member = members[at].clone();
            drop(members);
            member.in_flight.fetch_add(1, Relaxed);
            black_box(&member.address);
            member.in_flight.fetch_sub(1, Relaxed);
        }
    }
}

/// A shared counter modulo the number of members: no accounting, no change at run
/// time.
pub(crate) struct Counter {
    members: Vec<SocketAddr>,
    next: Padded<AtomicUsize>,
}

impl Counter {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            members: (0..count).map(fleet::address).collect(),
            next: Padded::default(),
        }
    }
}

impl Contender for Counter {
    fn run(&self, _: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let turn = self.next.0.fetch_add(1, Relaxed);
            black_box(&self.members[turn % self.members.len()]);
        }
    }
}

/// Smooth weighted round robin as Apache and nginx do it: a look at everybody, under
/// a lock. No accounting.
pub(crate) struct SmoothScan(Mutex<Vec<Weighted>>);

struct Weighted {
    address: SocketAddr,
    weight: i64,
    standing: i64,
}

impl SmoothScan {
    pub(crate) fn new(weights: Weights, count: usize) -> Self {
        let member = |index| Weighted {
            address: fleet::address(index),
            weight: weights.in_hundredths(index).into(),
            standing: 0,
        };
        Self(Mutex::new((0..count).map(member).collect()))
    }
}

impl Contender for SmoothScan {
    fn run(&self, _: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let mut members = self.0.lock();
            let (mut best, mut highest, mut total) = (0, i64::MIN, 0);
            for (index, member) in members.iter_mut().enumerate() {
                member.standing += member.weight;
                total += member.weight;
                if member.standing > highest {
                    (best, highest) = (index, member.standing);
                }
            }
            let picked = &mut members[best];
            picked.standing -= total;
            black_box(&picked.address);
        }
    }
}

/// The member with the least in flight, by a look at everybody.
pub(crate) struct LeastScan(Vec<Counted>);

impl LeastScan {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(Counted::new).collect())
    }
}

impl Contender for LeastScan {
    fn run(&self, _: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let least = self
                .0
                .iter()
                .min_by_key(|member| member.in_flight.load(Relaxed));
            if let Some(member) = least {
                member.in_flight.fetch_add(1, Relaxed);
                black_box(&member.address);
                member.in_flight.fetch_sub(1, Relaxed);
            }
        }
    }
}
