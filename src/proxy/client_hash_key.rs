//! Hash keys from the address of the client, which a server knows.
//!
//! Not here: all other keys ([`HashKey`]).

use std::net::IpAddr;

use ipnet::IpNet;

use super::ClientAddr;
use crate::service::HashKey;
use crate::stable_hash::hash_bytes;

impl HashKey {
    /// The address of the client, without its port.
    ///
    /// It is that of the connection, or what a PROXY header says if the server accepts one.
    /// Behind another server, a [`ClientAddrLayer`](crate::proxy::ClientAddrLayer) tells the
    /// address. Behind another proxy of HTTP, all clients have its address: use a header
    /// that this proxy sets instead.
    ///
    /// The key is the same as that of the `forward` module for TCP and UDP.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::ClientAddr;
    /// use equipoise::service::HashKey;
    ///
    /// let hash = |client: &str| {
    ///     let (mut head, ()) = http::Request::new(()).into_parts();
    ///     head.extensions.insert(ClientAddr(client.parse().unwrap()));
    ///     HashKey::client_addr().hash(&head)
    /// };
    /// assert_eq!(hash("10.0.0.1:5000"), hash("10.0.0.1:6000"));
    /// assert_ne!(hash("10.0.0.1:5000"), hash("10.0.0.2:5000"));
    /// ```
    #[must_use]
    pub fn client_addr() -> Self {
        Self::client_network(32, 128)
    }

    /// The network of the client: the first `v4` bits of an IPv4 address, and the first `v6`
    /// bits of an IPv6 address. Larger numbers mean the whole address.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::ClientAddr;
    /// use equipoise::service::HashKey;
    ///
    /// // A host in a /64 of IPv6 may take another address out of it at any time.
    /// let key = HashKey::client_network(32, 64);
    /// let hash = |client: &str| {
    ///     let (mut head, ()) = http::Request::new(()).into_parts();
    ///     head.extensions.insert(ClientAddr(client.parse().unwrap()));
    ///     key.hash(&head)
    /// };
    /// assert_eq!(hash("[2001:db8::1]:5000"), hash("[2001:db8::2]:5000"));
    /// assert_ne!(hash("[2001:db8::1]:5000"), hash("[2001:db8:0:1::1]:5000"));
    /// ```
    #[must_use]
    pub fn client_network(v4: u8, v6: u8) -> Self {
        Self::by(move |head| {
            let client = head.extensions.get::<ClientAddr>()?;
            Some(network_hash(client.ip(), v4, v6))
        })
    }
}

/// Hashes the first address of a client's network.
fn network_hash(client: IpAddr, v4: u8, v6: u8) -> u64 {
    let prefix = match client {
        IpAddr::V4(_) => v4.min(32),
        IpAddr::V6(_) => v6.min(128),
    };
    let network = IpNet::new(client, prefix);
    match network.map_or(client, |network| network.network()) {
        IpAddr::V4(address) => hash_bytes(&address.octets()),
        IpAddr::V6(address) => hash_bytes(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "clippy does not know helpers of tests")]

    use super::ClientAddr;
    use crate::service::HashKey;
    use crate::stable_hash::hash_bytes;

    fn hash(key: &HashKey, client: Option<&str>) -> Option<u64> {
        let (mut head, ()) = http::Request::new(()).into_parts();
        if let Some(client) = client {
            head.extensions.insert(ClientAddr(client.parse().unwrap()));
        }
        key.hash(&head)
    }

    #[test]
    fn a_client_has_one_key_whichever_way_its_address_is_written() {
        let whole = HashKey::client_addr();
        let plain = hash(&whole, Some("10.0.0.1:80"));
        assert_eq!(plain, Some(hash_bytes(&[10, 0, 0, 1])));
        assert_eq!(hash(&whole, Some("[::ffff:10.0.0.1]:80")), plain);
        assert_eq!(hash(&whole, None), None);
        let network = HashKey::client_network(24, 48);
        let plain = hash(&network, Some("10.0.0.1:80"));
        assert_eq!(plain, Some(hash_bytes(&[10, 0, 0, 0])));
        assert_eq!(hash(&network, Some("10.0.0.255:81")), plain);
        assert_ne!(hash(&network, Some("10.0.1.1:80")), plain);
        let (one, other) = ("[2001:db8:1:1::1]:80", "[2001:db8:1:2::1]:80");
        assert_eq!(hash(&network, Some(one)), hash(&network, Some(other)));
        assert!(
            network
                .and(HashKey::path())
                .hash(&http::Request::new(()).into_parts().0)
                .is_some()
        );
    }
}
