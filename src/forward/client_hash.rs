//! The hash of a client's address, with which a hashing scheduler keeps a client on its
//! member.
//!
//! Not here: the affinity that a stick table stores (`sticky_client`).

use std::net::IpAddr;

use crate::stable_hash::hash_bytes;

/// Returns the same hash for each connection of a client, independent of its port and of
/// the IP version that its address is written in.
pub(super) fn client_hash(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => hash_bytes(&address.octets()),
        IpAddr::V6(address) => hash_bytes(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::client_hash;
    use std::net::IpAddr;

    #[test]
    fn a_client_has_one_hash_whichever_way_its_address_is_written() {
        let hash = |text: &str| client_hash(text.parse::<IpAddr>().unwrap());
        assert_eq!(hash("::ffff:10.0.0.1"), hash("10.0.0.1"));
        assert_ne!(hash("10.0.0.2"), hash("10.0.0.1"));
        // Must not change between releases.
        assert_eq!(
            hash("10.0.0.1"),
            crate::stable_hash::hash_bytes(&[10, 0, 0, 1])
        );
    }
}
