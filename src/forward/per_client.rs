//! How many connections one client may have at once: [`PerClient`].
//!
//! What does not live here: how many there may be in all (`net`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::sync::Mutex;

/// Counts connections by client. There is an entry only for a client that has some.
#[derive(Debug)]
pub(super) struct PerClient {
    most: u32,
    open: Mutex<HashMap<IpAddr, u32>>,
}

impl PerClient {
    /// `most` may be open for one client.
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            open: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a connection in, unless its client has as many as there may be.
    pub(super) fn admit(&self, client: IpAddr) -> Option<Admitted<'_>> {
        let client = network_of(client);
        let mut open = self.open.lock();
        let number = open.entry(client).or_default();
        if *number < self.most {
            *number += 1;
            return Some(Admitted { of: self, client });
        }
        if *number == 0 {
            // None at all may be open.
            open.remove(&client);
        }
        None
    }
}

/// One connection of a client, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Admitted<'p> {
    of: &'p PerClient,
    client: IpAddr,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut open = self.of.open.lock();
        if let Some(number) = open.get_mut(&self.client) {
            *number -= 1;
            if *number == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// What is one client: an address of IPv4, and a /64 of IPv6, out of which a client chooses its
/// address at will.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::PerClient;
    use std::net::IpAddr;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_its_own_count_and_an_end_makes_room() {
        let clients = PerClient::new(2);
        let [one, other] = [ip("10.0.0.1"), ip("10.0.0.2")];
        let first = clients.admit(one).unwrap();
        let _second = clients.admit(ip("::ffff:10.0.0.1")).unwrap();
        assert!(clients.admit(one).is_none());
        let others = clients.admit(other).unwrap();
        drop(first);
        let _third = clients.admit(one).unwrap();
        assert!(clients.admit(one).is_none());
        drop(others);
        assert_eq!(clients.open.lock().len(), 1);
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one_client() {
        let clients = PerClient::new(1);
        let _first = clients.admit(ip("2001:db8::1")).unwrap();
        assert!(clients.admit(ip("2001:db8::ffff:1")).is_none());
        assert!(clients.admit(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn a_cap_of_none_leaves_nothing_behind() {
        let clients = PerClient::new(0);
        assert!(clients.admit(ip("10.0.0.1")).is_none());
        assert!(clients.open.lock().is_empty());
    }
}
