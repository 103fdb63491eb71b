//! How much each client may take: [`Clients`] limits its flows, and how fast it begins new
//! ones.
//!
//! A client is an IPv4 address, or the network of 64 bits that an IPv6 address is in, as one
//! peer may use all addresses of such a network.

use std::collections::HashMap;
use std::net::IpAddr;

use super::dropped::Dropped;

const SECOND: u64 = 1_000_000_000;

/// What each client has. Times are nanoseconds since a moment of the caller's choice.
#[derive(Debug)]
pub(super) struct Clients {
    flows: u32,
    /// Between two new flows of a client that takes all it may.
    interval: u64,
    /// The keys come from the network, and the hasher of the standard library is keyed.
    known: HashMap<IpAddr, Client>,
    /// How many there may be before those that count no more are forgotten.
    purge_at: usize,
    /// No more than so many are ever known that have no flow.
    most: usize,
}

#[derive(Debug)]
struct Client {
    flows: u32,
    /// When its next flow would begin if it kept to its rate.
    due: u64,
}

/// Fewer than so many are not worth a purge.
const FEW: usize = 1024;

impl Clients {
    /// Each client may have so many flows, and begin so many in a second; `most` clients
    /// without a flow are remembered.
    pub(super) fn new(flows: u32, per_second: u32, most: usize) -> Self {
        Self {
            flows,
            interval: SECOND / u64::from(per_second.max(1)),
            known: HashMap::new(),
            purge_at: FEW,
            most: most.max(FEW),
        }
    }

    /// Counts a new flow of a client.
    ///
    /// # Errors
    ///
    /// If it has too many, or begins them too fast.
    pub(super) fn begin(&mut self, address: IpAddr, now: u64) -> Result<(), Dropped> {
        let key = key(address);
        if self.known.len() >= self.purge_at && !self.known.contains_key(&key) {
            self.purge(now);
        }
        let client = self
            .known
            .entry(key)
            .or_insert(Client { flows: 0, due: now });
        if client.flows >= self.flows {
            return Err(Dropped::ClientFlows);
        }
        // It may be one second ahead of its rate.
        if client.due > now.saturating_add(SECOND - self.interval) {
            return Err(Dropped::ClientRate);
        }
        client.due = client.due.max(now).saturating_add(self.interval);
        client.flows += 1;
        Ok(())
    }

    /// A flow of a client has ended.
    pub(super) fn end(&mut self, address: IpAddr) {
        if let Some(client) = self.known.get_mut(&key(address)) {
            client.flows = client.flows.saturating_sub(1);
        }
    }

    /// Forgets the clients that have no flow and are not ahead of their rate; if too many are
    /// left, all that have no flow.
    fn purge(&mut self, now: u64) {
        self.known.retain(|_, it| it.flows > 0 || it.due > now);
        let idle = self.known.values().filter(|it| it.flows == 0).count();
        if idle > self.most {
            self.known.retain(|_, it| it.flows > 0);
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
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

#[cfg(test)]
mod tests {
    use super::{Clients, Dropped, FEW, SECOND};
    use std::net::{IpAddr, Ipv4Addr};

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn a_client_begins_as_many_flows_a_second_as_it_may_and_no_more() {
        let mut clients = Clients::new(u32::MAX, 10, FEW);
        let mut begun = |now| clients.begin(address(1), now);
        for _ in 0..10 {
            assert_eq!(begun(0), Ok(()));
        }
        assert_eq!(begun(0), Err(Dropped::ClientRate));
        assert_eq!(begun(SECOND / 10), Ok(()));
        assert_eq!(begun(SECOND / 10), Err(Dropped::ClientRate));
        // However long it was quiet, no more than those of one second.
        for _ in 0..10 {
            assert_eq!(begun(60 * SECOND), Ok(()));
        }
        assert_eq!(begun(60 * SECOND), Err(Dropped::ClientRate));
    }

    #[test]
    fn a_client_at_its_limit_leaves_the_others_alone() {
        let mut clients = Clients::new(1, 10, FEW);
        assert_eq!(clients.begin(address(1), 0), Ok(()));
        assert_eq!(clients.begin(address(1), 0), Err(Dropped::ClientFlows));
        assert_eq!(clients.begin(address(2), 0), Ok(()));
        clients.end(address(1));
        assert_eq!(clients.begin(address(1), 0), Ok(()));
    }

    #[test]
    fn addresses_of_one_network_are_one_client_and_mapped_ones_are_what_they_are() {
        let mut clients = Clients::new(1, 10, FEW);
        let mut begun = |address: &str| clients.begin(address.parse().unwrap(), 0);
        assert_eq!(begun("2001:db8::1"), Ok(()));
        assert_eq!(begun("2001:db8::2"), Err(Dropped::ClientFlows));
        assert_eq!(begun("2001:db8:0:1::1"), Ok(()));
        assert_eq!(begun("10.0.0.1"), Ok(()));
        assert_eq!(begun("::ffff:10.0.0.1"), Err(Dropped::ClientFlows));
        assert_eq!(begun("::ffff:10.0.0.2"), Ok(()));
    }

    #[test]
    fn clients_without_flows_are_forgotten_before_there_are_too_many() {
        let mut clients = Clients::new(1, 10, FEW);
        for number in 0..100_000 {
            assert_eq!(clients.begin(address(number), 0), Ok(()));
            clients.end(address(number));
        }
        assert!(clients.known.len() <= 4 * FEW, "{}", clients.known.len());
        // And those with flows are not.
        for number in 0..10_000 {
            assert_eq!(clients.begin(address(number), SECOND), Ok(()));
        }
        for number in 0..10_000 {
            let again = clients.begin(address(number), SECOND);
            assert_eq!(again, Err(Dropped::ClientFlows));
        }
    }
}
