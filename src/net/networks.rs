//! IP networks, and tests whether an address is in them.

use std::net::SocketAddr;

use ipnet::{IpNet, Ipv4Net};

/// Converts an IPv4 network that is written as IPv6 to its IPv4 form, as is done for
/// addresses.
pub(crate) fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(wide) = net else {
        return net;
    };
    let narrow = wide
        .addr()
        .to_ipv4_mapped()
        .zip(wide.prefix_len().checked_sub(96));
    let narrow = narrow.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    narrow.map_or(net, IpNet::V4)
}

/// Returns whether a peer is in one of these canonical networks. A unix socket has no
/// address, and is in none.
pub(crate) fn contain(networks: &[IpNet], peer: Option<SocketAddr>) -> bool {
    let peer = peer.map(|peer| peer.ip().to_canonical());
    peer.is_some_and(|peer| networks.iter().any(|net| net.contains(&peer)))
}

#[cfg(test)]
mod tests {
    use super::{canonical, contain};
    use std::net::SocketAddr;

    #[test]
    fn a_peer_of_version_4_is_in_its_network_however_either_is_written() {
        for net in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
            let networks = [canonical(net.parse().unwrap())];
            for (peer, is_in) in [
                ("10.1.2.3:1", true),
                ("[::ffff:10.1.2.3]:1", true),
                ("11.1.2.3:1", false),
                ("[::1]:1", false),
            ] {
                let peer: SocketAddr = peer.parse().unwrap();
                assert_eq!(contain(&networks, Some(peer)), is_in, "{peer} in {net}");
            }
            assert!(!contain(&networks, None));
        }
    }
}
