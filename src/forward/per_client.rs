//! Limits per client: [`Clients`] limits how many connections or flows a client has open,
//! and how fast it opens more. [`PerClient`] applies this to connections.
//!
//! A client is an IPv4 address or an IPv6 /64 network, within which a client can choose its
//! address freely.
//!
//! Not here: limits on the total (`net`, `udp`).

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::Instant;

use crate::sync::Mutex;

const SECOND: u64 = 1_000_000_000;

/// Below this number a purge is not worthwhile.
const FEW: usize = 1024;

/// The limits for each client.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerClientLimits {
    /// The maximum number of concurrent connections or flows.
    pub(super) open: Option<u32>,
    /// The maximum number that begin within a second; at least one.
    pub(super) per_second: Option<u32>,
}

/// The limit that a client has exceeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exceeded {
    Open,
    Rate,
}

/// The counts of all clients. Times are nanoseconds since a moment that the caller chooses.
#[derive(Debug)]
pub(super) struct Clients {
    open: u32,
    /// The time between two begins at the maximum rate; zero without a rate.
    interval: u64,
    /// The keys come from the network; the standard library's hasher is randomly keyed.
    known: HashMap<IpAddr, ClientCounts>,
    /// The number of clients at which those without a state worth keeping are removed.
    purge_at: usize,
    /// The maximum number of remembered clients that have nothing open.
    most_idle: usize,
}

#[derive(Debug)]
struct ClientCounts {
    open: u32,
    /// The time at which its next one would begin at the maximum rate.
    due: u64,
}

impl Clients {
    /// `most_idle` is the number of clients without anything open that are remembered for
    /// their rate.
    pub(super) fn new(limits: PerClientLimits, most_idle: usize) -> Self {
        let interval = |per_second: u32| SECOND / u64::from(per_second.max(1));
        Self {
            open: limits.open.unwrap_or(u32::MAX),
            interval: limits.per_second.map_or(0, interval),
            known: HashMap::new(),
            purge_at: FEW,
            most_idle: most_idle.max(FEW),
        }
    }

    /// Counts a new connection or flow of a client.
    ///
    /// # Errors
    ///
    /// The limit that the client has exceeded.
    pub(super) fn begin(&mut self, address: IpAddr, now: u64) -> Result<(), Exceeded> {
        let key = key(address);
        if self.open == 0 {
            return Err(Exceeded::Open);
        }
        if self.known.len() >= self.purge_at && !self.known.contains_key(&key) {
            self.purge(now);
        }
        let new = ClientCounts { open: 0, due: now };
        let client = self.known.entry(key).or_insert(new);
        if client.open >= self.open {
            return Err(Exceeded::Open);
        }
        // It may be one second ahead of its rate.
        if client.due > now.saturating_add(SECOND - self.interval) {
            return Err(Exceeded::Rate);
        }
        client.due = client.due.max(now).saturating_add(self.interval);
        client.open += 1;
        Ok(())
    }

    /// Counts the end of a connection or flow. If the client has no other, it is removed at
    /// once without a rate, otherwise by a later purge.
    pub(super) fn end(&mut self, address: IpAddr) {
        let key = key(address);
        if let Some(client) = self.known.get_mut(&key) {
            client.open = client.open.saturating_sub(1);
            if client.open == 0 && self.interval == 0 {
                self.known.remove(&key);
            }
        }
    }

    /// Undoes a [`begin`](Self::begin) completely.
    pub(super) fn take_back(&mut self, address: IpAddr) {
        if let Some(client) = self.known.get_mut(&key(address)) {
            client.due = client.due.saturating_sub(self.interval);
        }
        self.end(address);
    }

    /// Removes the clients that have nothing open and are not ahead of their rate; if too
    /// many remain, all that have nothing open.
    fn purge(&mut self, now: u64) {
        self.known.retain(|_, it| it.open > 0 || it.due > now);
        let idle = self.known.values().filter(|it| it.open == 0).count();
        if idle > self.most_idle {
            self.known.retain(|_, it| it.open > 0);
        }
        self.purge_at = (2 * self.known.len()).max(FEW);
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        four => four,
    }
}

/// Limits the connections of each client; shared between tasks.
#[derive(Debug)]
pub(super) struct PerClient {
    clients: Mutex<Clients>,
    started: Instant,
}

impl PerClient {
    /// Returns `None` if there are no limits.
    pub(super) fn new(limits: PerClientLimits, most_idle: usize) -> Option<Self> {
        let PerClientLimits { open, per_second } = limits;
        (open.is_some() || per_second.is_some()).then(|| Self {
            clients: Mutex::new(Clients::new(limits, most_idle)),
            started: Instant::now(),
        })
    }

    /// Counts a new connection.
    ///
    /// # Errors
    ///
    /// The limit that the client has exceeded: too many connections, or opened too fast.
    pub(super) fn admit(&self, client: IpAddr) -> Result<Admitted<'_>, Exceeded> {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.clients.lock().begin(client, now)?;
        Ok(Admitted { of: self, client })
    }
}

/// One connection of a client; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Admitted<'p> {
    of: &'p PerClient,
    client: IpAddr,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.of.clients.lock().end(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::{Clients, Exceeded, FEW, PerClient, PerClientLimits, SECOND};
    use std::net::{IpAddr, Ipv4Addr};

    fn limits(open: Option<u32>, per_second: Option<u32>) -> PerClientLimits {
        PerClientLimits { open, per_second }
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn a_client_begins_as_many_a_second_as_it_may_and_no_more() {
        for rate in [1, 3, 10] {
            let mut clients = Clients::new(limits(None, Some(rate)), FEW);
            let mut begun = |now| clients.begin(address(1), now);
            for _ in 0..rate {
                assert_eq!(begun(0), Ok(()));
            }
            assert_eq!(begun(0), Err(Exceeded::Rate));
            let interval = SECOND / u64::from(rate);
            assert_eq!(begun(interval), Ok(()));
            assert_eq!(begun(interval), Err(Exceeded::Rate));
            // However long it was quiet, no more than the number for one second.
            for _ in 0..rate {
                assert_eq!(begun(60 * SECOND), Ok(()));
            }
            assert_eq!(begun(60 * SECOND), Err(Exceeded::Rate));
        }
    }

    #[test]
    fn without_a_rate_a_client_begins_as_fast_as_it_can() {
        let mut clients = Clients::new(limits(Some(u32::MAX), None), FEW);
        for _ in 0..10_000 {
            assert_eq!(clients.begin(address(1), 0), Ok(()));
        }
    }

    #[test]
    fn what_is_taken_back_counts_neither_as_open_nor_for_the_rate() {
        let mut clients = Clients::new(limits(Some(1), Some(2)), FEW);
        for _ in 0..10 {
            assert_eq!(clients.begin(address(1), 0), Ok(()));
            clients.take_back(address(1));
        }
        for _ in 0..2 {
            assert_eq!(clients.begin(address(1), 0), Ok(()));
            clients.end(address(1));
        }
        assert_eq!(clients.begin(address(1), 0), Err(Exceeded::Rate));
    }

    #[test]
    fn what_is_refused_for_its_number_does_not_count_for_the_rate() {
        let mut clients = Clients::new(limits(Some(1), Some(2)), FEW);
        assert_eq!(clients.begin(address(1), 0), Ok(()));
        for _ in 0..10 {
            assert_eq!(clients.begin(address(1), 0), Err(Exceeded::Open));
        }
        clients.end(address(1));
        assert_eq!(clients.begin(address(1), 0), Ok(()));
        clients.end(address(1));
        assert_eq!(clients.begin(address(1), 0), Err(Exceeded::Rate));
    }

    #[test]
    fn addresses_of_one_network_are_one_client_and_mapped_ones_are_what_they_are() {
        let mut clients = Clients::new(limits(Some(1), Some(10)), FEW);
        let mut begun = |address: &str| clients.begin(address.parse().unwrap(), 0);
        assert_eq!(begun("2001:db8::1"), Ok(()));
        assert_eq!(begun("2001:db8::2"), Err(Exceeded::Open));
        assert_eq!(begun("2001:db8:0:1::1"), Ok(()));
        assert_eq!(begun("10.0.0.1"), Ok(()));
        assert_eq!(begun("::ffff:10.0.0.1"), Err(Exceeded::Open));
        assert_eq!(begun("::ffff:10.0.0.2"), Ok(()));
    }

    #[test]
    fn idle_clients_are_forgotten_before_there_are_too_many() {
        let mut clients = Clients::new(limits(Some(1), Some(10)), FEW);
        for number in 0..100_000 {
            assert_eq!(clients.begin(address(number), 0), Ok(()));
            clients.end(address(number));
        }
        assert!(clients.known.len() <= 4 * FEW, "{}", clients.known.len());
        // Clients that have something open are not removed.
        for number in 0..10_000 {
            assert_eq!(clients.begin(address(number), SECOND), Ok(()));
        }
        for number in 0..10_000 {
            let again = clients.begin(address(number), SECOND);
            assert_eq!(again, Err(Exceeded::Open));
        }
    }

    #[test]
    fn an_end_makes_room_and_without_a_rate_leaves_nothing_behind() {
        assert!(PerClient::new(limits(None, None), FEW).is_none());
        let clients = PerClient::new(limits(Some(2), None), FEW).unwrap();
        let first = clients.admit(address(1)).unwrap();
        let _second = clients.admit(address(1)).unwrap();
        assert!(clients.admit(address(1)).is_err());
        let others = clients.admit(address(2)).unwrap();
        drop(first);
        let _third = clients.admit(address(1)).unwrap();
        assert!(clients.admit(address(1)).is_err());
        drop(others);
        assert_eq!(clients.clients.lock().known.len(), 1);
    }

    #[test]
    fn a_cap_of_none_leaves_nothing_behind() {
        let clients = PerClient::new(limits(Some(0), Some(1)), FEW).unwrap();
        assert!(clients.admit(address(1)).is_err());
        assert!(clients.clients.lock().known.is_empty());
    }
}
