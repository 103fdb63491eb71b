//! The crate itself, used in different ways.

use std::hint::black_box;
use std::net::SocketAddr;

use equipoise::{Balancer, Lease, Outcome, PickRequest};

use crate::fleet::{self, Method, Weights};
use crate::lanes::{Contender, Lane};

/// How the balancer is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// Each lease is dropped at once.
    AtOnce,
    /// Every second member is disabled; each lease is dropped at once.
    HalfUnusable,
    /// So many leases are held before the oldest is dropped.
    Holding(usize),
    /// Nine of ten requests come with the route of a member, which is drawn anew
    /// for each; leases are dropped at once.
    Sticky,
}

impl Use {
    pub(crate) const fn all(held: usize) -> [Self; 4] {
        [
            Self::AtOnce,
            Self::Sticky,
            Self::HalfUnusable,
            Self::Holding(held),
        ]
    }
}

pub(crate) struct Ours {
    balancer: Balancer<SocketAddr>,
    /// Empty unless sessions are on.
    routes: Vec<String>,
    usage: Use,
    /// Recorded as received by each lease.
    bytes: Option<u64>,
    /// Whether each request has a hash key, drawn anew.
    keyed: bool,
    /// Whether each request ends with a head and an outcome.
    ends: bool,
}

impl Ours {
    pub(crate) fn new(method: Method, weights: Weights, usage: Use, count: usize) -> Self {
        let sticky = usage == Use::Sticky;
        let balancer = fleet::balancer(method, weights, count, sticky);
        if usage == Use::HalfUnusable {
            fleet::disable_every_second(&balancer);
        }
        Self {
            balancer,
            routes: (0..if sticky { count } else { 0 })
                .map(fleet::route)
                .collect(),
            usage,
            bytes: (method == Method::ByTraffic).then_some(1_000),
            keyed: method.is_keyed(),
            ends: method.reads_ends(),
        }
    }

    #[inline]
    fn pick(&self, request: &PickRequest<'_>) -> Lease<SocketAddr> {
        let lease = self.balancer.pick(request).expect("a member is usable");
        black_box(&*lease);
        lease
    }

    /// A request with a key if keys count.
    #[inline]
    fn request(&self, lane: &mut Lane) -> PickRequest<'static> {
        match self.keyed {
            true => PickRequest::new().with_hash(lane.draw()),
            false => PickRequest::new(),
        }
    }

    /// Ends a request, with what the method reads.
    #[inline]
    fn end(&self, mut lease: Lease<SocketAddr>) {
        if let Some(bytes) = self.bytes {
            lease.record_received(bytes);
        }
        if self.ends {
            lease.record_head(Some(200));
            lease.finish(Outcome::Success);
        }
    }

    fn at_once(&self, lane: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let request = self.request(lane);
            self.end(self.pick(&request));
        }
    }

    fn holding(&self, held: usize, lane: &mut Lane, picks: u64) {
        let mut ring: Vec<_> = (0..held).map(|_| None).collect();
        let mut at = 0;
        for _ in 0..picks {
            let lease = self.pick(&self.request(lane));
            if let Some(before) = ring[at].replace(lease) {
                self.end(before);
            }
            at = if at + 1 == held { 0 } else { at + 1 };
        }
        for lease in ring.into_iter().flatten() {
            self.end(lease);
        }
    }

    fn sticky(&self, lane: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let draw = lane.draw();
            let route = (draw % 10 != 0).then(|| self.drawn(draw));
            let request = self.request(lane).with_session(route);
            self.end(self.pick(&request));
        }
    }

    /// One of the routes, by the draw's upper half.
    #[inline]
    fn drawn(&self, draw: u64) -> &str {
        let index = ((draw >> 32) * self.routes.len() as u64) >> 32;
        &self.routes[usize::try_from(index).expect("less than there are")]
    }
}

impl Contender for Ours {
    fn run(&self, lane: &mut Lane, picks: u64) {
        match self.usage {
            Use::AtOnce | Use::HalfUnusable => self.at_once(lane, picks),
            Use::Holding(held) => self.holding(held, lane, picks),
            Use::Sticky => self.sticky(lane, picks),
        }
    }
}
