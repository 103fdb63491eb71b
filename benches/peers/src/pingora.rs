//! `pingora-load-balancing`, by its public API. It counts no requests in flight: a pick is a
//! `select`, which clones the backend.

use std::hint::black_box;

use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::{
    BackendIter, BackendSelection, Consistent, FNVHash, Random, RoundRobin,
};

use crate::fleet;
use crate::lanes::{Contender, Lane};

/// The backends that `select` looks at before it gives up.
const TRIES: usize = 256;

/// A balancer of pingora; if half of the backends are unusable, `accept` refuses them, as
/// for a health check that has failed.
pub(crate) struct Pingora<S: BackendSelection> {
    balancer: LoadBalancer<S>,
    is_half: bool,
}

impl<S> Pingora<S>
where
    S: BackendSelection + 'static,
    S::Iter: BackendIter,
{
    pub(crate) fn new(count: usize, is_half: bool) -> Self {
        let balancer = LoadBalancer::try_from_iter((0..count).map(fleet::address));
        Self {
            balancer: balancer.expect("addresses"),
            is_half,
        }
    }
}

impl<S> Contender for Pingora<S>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    fn run(&self, lane: &mut Lane, picks: u64) {
        for _ in 0..picks {
            let key = lane.draw().to_le_bytes();
            let picked = match self.is_half {
                false => self.balancer.select(&key, TRIES),
                true => self.balancer.select_with(&key, TRIES, |backend, healthy| {
                    healthy && backend.addr.as_inet().is_some_and(is_even)
                }),
            };
            black_box(picked.expect("one of them is accepted"));
        }
    }
}

/// Returns whether an address is that of a member with an even index.
fn is_even(address: &std::net::SocketAddr) -> bool {
    match address.ip() {
        std::net::IpAddr::V4(host) => u32::from(host) % 2 == 0,
        std::net::IpAddr::V6(_) => false,
    }
}

/// The selections that are measured.
pub(crate) fn selection(name: &str, count: usize, is_half: bool) -> Option<Box<dyn Contender>> {
    Some(match name {
        "pingora RoundRobin" => Box::new(Pingora::<RoundRobin>::new(count, is_half)),
        "pingora Random" => Box::new(Pingora::<Random>::new(count, is_half)),
        "pingora FNVHash" => Box::new(Pingora::<FNVHash>::new(count, is_half)),
        "pingora Consistent" => Box::new(Pingora::<Consistent>::new(count, is_half)),
        _ => return None,
    })
}
