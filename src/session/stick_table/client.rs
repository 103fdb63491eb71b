//! What counts as one client: [`Prefixes`] of addresses make a [`ClientNetwork`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many bits of an address distinguish clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prefixes {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// An address whose other bits are zero. IPv4 addresses are mapped to IPv6, so that all
/// have one form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct ClientNetwork([u8; 16]);

impl Prefixes {
    pub(super) fn network(self, client: IpAddr) -> ClientNetwork {
        let masked = match client.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.v4.into()));
                let masked = u32::from(address) & mask.unwrap_or(0);
                Ipv4Addr::from(masked).to_ipv6_mapped()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.v6.into()));
                Ipv6Addr::from(u128::from(address) & mask.unwrap_or(0))
            }
        };
        ClientNetwork(masked.octets())
    }
}

impl ClientNetwork {
    /// Returns the first address of the network.
    pub(super) fn address(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::Prefixes;

    fn shown(v4: u8, v6: u8, client: &str) -> String {
        let network = Prefixes { v4, v6 }.network(client.parse().unwrap());
        network.address().to_string()
    }

    #[test]
    fn a_client_is_as_much_of_its_address_as_is_told_apart() {
        assert_eq!(shown(32, 128, "10.1.2.3"), "10.1.2.3");
        assert_eq!(shown(32, 128, "::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(shown(24, 128, "::ffff:10.1.2.3"), "10.1.2.0");
        assert_eq!(shown(0, 128, "10.1.2.3"), "0.0.0.0");
        assert_eq!(shown(32, 128, "2001:db8::1:2"), "2001:db8::1:2");
        assert_eq!(shown(32, 64, "2001:db8::1:2"), "2001:db8::");
        assert_eq!(shown(0, 64, "2001:db8:0:1::1"), "2001:db8:0:1::");
        assert_eq!(shown(32, 0, "2001:db8::1"), "::");
        assert_eq!(shown(255, 255, "10.1.2.3"), "10.1.2.3");
        assert_eq!(shown(255, 255, "2001:db8::1"), "2001:db8::1");
    }
}
