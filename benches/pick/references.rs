//! What the crate is compared with: the floor that every design of its kind stands
//! on, and the plain ways of doing it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

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

/// The same with a member that is drawn at random: with many members, most accesses miss the
/// nearest cache, and the processor cannot fetch ahead.
pub(crate) struct DrawnFloor(Floor);

impl DrawnFloor {
    pub(crate) fn new(count: usize) -> Self {
        Self(Floor::new(count))
    }
}

impl Contender for DrawnFloor {
    fn run(&self, lane: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let members = self.0.0.load();
            let drawn = u128::from(lane.draw()) * members.len() as u128;
            let drawn = usize::try_from(drawn >> 64).expect("less than there are");
            let member = members[drawn].clone();
            drop(members);
            member.in_flight.fetch_add(1, Relaxed);
            black_box(&member.address);
            member.in_flight.fetch_sub(1, Relaxed);
        }
    }
}

/// A member as in the crate: its state has its lines to itself, and requests in flight and
/// picks are one word of it.
struct Entry {
    address: SocketAddr,
    state: Arc<State>,
}

#[repr(align(128))]
struct State(AtomicU64);

const ONE_PICK: u64 = 1 << 25;
const IN_FLIGHT: u64 = (1 << 24) - 1;
/// A cap, or a member that was removed, would refuse a request.
const CLOSED: u64 = 1 << 24;

impl Entry {
    fn new(index: usize) -> Arc<Self> {
        Arc::new(Self {
            address: fleet::address(index),
            state: Arc::new(State(AtomicU64::new(0))),
        })
    }

    /// Counts a request in, as the crate does.
    fn claim(&self) {
        let word = &self.state.0;
        let mut seen = word.load(SeqCst);
        while seen & IN_FLIGHT < IN_FLIGHT && seen & CLOSED == 0 {
            let next = seen.wrapping_add(ONE_PICK + 1);
            match word.compare_exchange_weak(seen, next, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Uses the member, and counts the request out.
    fn end(&self) {
        black_box(&self.address);
        self.state.0.fetch_sub(1, SeqCst);
    }
}

/// The least that one exact order can cost: all threads take the next turn from one index.
/// Everything else is as in the crate: a list that can be replaced, a claim by
/// compare-exchange, and a counted reference to the member.
pub(crate) struct SharedIndex {
    members: ArcSwap<Vec<Arc<Entry>>>,
    next: Padded<AtomicUsize>,
}

impl SharedIndex {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            members: ArcSwap::from_pointee((0..count).map(Entry::new).collect()),
            next: Padded::default(),
        }
    }
}

impl Contender for SharedIndex {
    fn run(&self, _: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let members = self.members.load();
            let turn = self.next.0.fetch_add(1, Relaxed);
            let member = members[turn % members.len()].clone();
            member.claim();
            drop(members);
            member.end();
        }
    }
}

/// Earliest deadline first, as in Envoy (and, with a tree for a heap, in HAProxy): a heap of
/// members under a lock, by the time at which each is next due. The claim is as in the crate,
/// outside the lock.
pub(crate) struct EdfHeap(Mutex<Edf>);

struct Edf {
    members: Vec<Arc<Entry>>,
    /// The time between two turns of each.
    periods: Vec<u64>,
    /// When each is due, then in the order of their last turns, then which it is.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    turns: u64,
}

impl EdfHeap {
    pub(crate) fn new(weights: Weights, count: usize) -> Self {
        const SCALE: u64 = 1 << 32;
        let period = |index| SCALE / u64::from(weights.in_hundredths(index));
        let periods: Vec<_> = (0..count).map(period).collect();
        let due = periods.iter().enumerate();
        Self(Mutex::new(Edf {
            members: (0..count).map(Entry::new).collect(),
            due: due.map(|(index, &due)| Reverse((due, 0, index))).collect(),
            periods,
            turns: 0,
        }))
    }

    fn next(&self) -> Option<Arc<Entry>> {
        let edf = &mut *self.0.lock();
        let mut first = edf.due.peek_mut()?;
        let Reverse((due, last, index)) = &mut *first;
        let index = *index;
        edf.turns += 1;
        *due += edf.periods[index];
        *last = edf.turns;
        Some(edf.members[index].clone())
    }
}

impl Contender for EdfHeap {
    fn run(&self, _: &mut Lane, picks: u64) {
        for _ in 0..picks {
            if let Some(member) = self.next() {
                member.claim();
                member.end();
            }
        }
    }
}

/// One line that goes from core to core with each addition: what any step costs that all
/// threads must take one after another.
#[derive(Default)]
pub(crate) struct SharedLine(Padded<AtomicUsize>);

/// How often a thread looks whether another one has had the line, before it goes on alone.
const LOOKS: usize = 1_000;

impl Contender for SharedLine {
    fn run(&self, lane: &mut Lane, picks: u64) {
        for _ in 0..picks {
            for _ in 0..LOOKS {
                if self.0.0.load(Relaxed) != lane.turn {
                    break;
                }
                std::hint::spin_loop();
            }
            lane.turn = self.0.0.fetch_add(1, Relaxed) + 1;
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
