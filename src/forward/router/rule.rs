//! The conditions of a rule: [`StreamRule`].
//!
//! Not here: the targets (`table`).

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::net::{canonical, contain};

/// The conditions of a rule, which must all hold. A rule without conditions matches every
/// connection.
///
/// The server name that a TLS client requests is not a condition: see
/// [`StreamRouter::route_by_name`](super::StreamRouter::route_by_name).
///
/// # Examples
///
/// ```
/// use equipoise::forward::StreamRule;
///
/// // Staff, on the administration port.
/// let staff = StreamRule::new()
///     .port(8443)
///     .client_in(["10.0.0.0/8".parse()?, "fd00::/8".parse()?]);
/// # let _ = staff;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StreamRule {
    conditions: Vec<StreamCondition>,
}

/// One condition on a connection.
#[derive(Clone, Debug)]
enum StreamCondition {
    ClientIn(Vec<IpNet>),
    LocalAddr(SocketAddr),
    Ports(Vec<u16>),
}

/// The addresses of a connection that rules can test.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionAddresses {
    pub(super) client: Option<SocketAddr>,
    /// Also `None` if no rule needs it.
    pub(super) local: Option<SocketAddr>,
}

impl StreamRule {
    /// Creates a rule that matches every connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Matches connections that were accepted on this port. A unix socket has none.
    ///
    /// This is the listener's own port, even if a PROXY header contains another.
    pub fn port(self, port: u16) -> Self {
        self.ports([port])
    }

    /// Matches connections that were accepted on any of these ports.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::StreamRule;
    ///
    /// let passive_ftp = StreamRule::new().ports(50_000..50_100);
    /// # let _ = passive_ftp;
    /// ```
    pub fn ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.with(StreamCondition::Ports(ports.into_iter().collect()))
    }

    /// Matches connections that were accepted on this address and port, for listeners with
    /// several addresses. With `0.0.0.0` or `::`, only the port is compared.
    ///
    /// This is the listener's own address, even if a PROXY header contains another.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::StreamRule;
    ///
    /// let inside = StreamRule::new().local_addr("10.0.0.1:443".parse()?);
    /// # let _ = inside;
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn local_addr(self, address: SocketAddr) -> Self {
        self.with(if address.ip().is_unspecified() {
            StreamCondition::Ports(vec![address.port()])
        } else {
            StreamCondition::LocalAddr(canonical_address(address))
        })
    }

    /// Matches clients from any of these networks. The client's address is that of the
    /// PROXY header, if the router's acceptor [reads](crate::net::Acceptor::proxy_protocol)
    /// one from the peer, or else the peer's address. A client of a unix socket never
    /// matches.
    pub fn client_in(self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        let networks = networks.into_iter().map(canonical).collect();
        self.with(StreamCondition::ClientIn(networks))
    }

    fn with(mut self, condition: StreamCondition) -> Self {
        self.conditions.push(condition);
        self
    }

    pub(super) fn needs_local_addr(&self) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.any(|it| {
            matches!(
                it,
                StreamCondition::LocalAddr(_) | StreamCondition::Ports(_)
            )
        })
    }

    pub(super) fn holds(&self, addresses: &ConnectionAddresses) -> bool {
        let local = addresses.local.map(canonical_address);
        self.conditions.iter().all(|condition| match condition {
            StreamCondition::ClientIn(networks) => contain(networks, addresses.client),
            StreamCondition::LocalAddr(address) => local == Some(*address),
            StreamCondition::Ports(ports) => local.is_some_and(|here| ports.contains(&here.port())),
        })
    }
}

/// Returns the address without IPv6 flow and scope, and a mapped IPv4 address as IPv4.
fn canonical_address(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::{ConnectionAddresses, StreamRule};
    use std::net::SocketAddr;

    fn at(client: &str, local: &str) -> ConnectionAddresses {
        let parsed = |text: &str| text.parse::<SocketAddr>().ok();
        ConnectionAddresses {
            client: parsed(client),
            local: parsed(local),
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let rule = StreamRule::new()
            .ports([443, 8443])
            .client_in(["10.0.0.0/8".parse().unwrap()]);
        for (client, local, holds) in [
            ("10.0.0.7:1", "192.0.2.1:443", true),
            ("[::ffff:10.0.0.7]:1", "[::ffff:192.0.2.1]:8443", true),
            ("10.0.0.7:1", "192.0.2.1:80", false),
            ("11.0.0.7:1", "192.0.2.1:443", false),
            ("none", "192.0.2.1:443", false),
            ("10.0.0.7:1", "none", false),
        ] {
            assert_eq!(rule.holds(&at(client, local)), holds, "{client} {local}");
        }
        assert!(StreamRule::new().holds(&at("none", "none")));
        assert!(!StreamRule::new().ports([]).holds(&at("none", "[::1]:1")));
        assert!(!rule.port(443).holds(&at("10.0.0.7:1", "192.0.2.1:8443")));
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for (asked, local, holds) in [
            ("192.0.2.1:443", "192.0.2.1:443", true),
            ("192.0.2.1:443", "[::ffff:192.0.2.1]:443", true),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1:443", true),
            ("[fe80::1]:443", "[fe80::1%3]:443", true),
            ("192.0.2.1:443", "192.0.2.2:443", false),
            ("192.0.2.1:443", "192.0.2.1:444", false),
            ("0.0.0.0:443", "192.0.2.1:443", true),
            ("[::]:443", "192.0.2.1:443", true),
            ("[::]:443", "192.0.2.1:444", false),
        ] {
            let rule = StreamRule::new().local_addr(asked.parse().unwrap());
            assert_eq!(rule.holds(&at("none", local)), holds, "{asked} {local}");
        }
    }
}
