//! The identity of a server that reports: [`SenderId`].

use std::fmt;
use std::net::IpAddr;

/// The identity of a server that reports: its IP address and, if the report has one, its
/// port.
///
/// IPv4-mapped IPv6 addresses (`::ffff:10.0.0.1`) are converted to IPv4.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::SenderId;
///
/// let sender = SenderId::new("::ffff:10.0.0.1".parse()?, Some(8080));
/// assert_eq!(sender.to_string(), "10.0.0.1:8080");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SenderId {
    ip: IpAddr,
    port: Option<u16>,
}

impl SenderId {
    /// Creates the identity of a server. Port 0 means no port.
    #[must_use]
    pub const fn new(ip: IpAddr, port: Option<u16>) -> Self {
        let port = match port {
            Some(0) => None,
            port => port,
        };
        let ip = ip.to_canonical();
        Self { ip, port }
    }

    /// Returns the IP address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns the port, if it is known.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, self.port) {
            (ip, None) => ip.fmt(f),
            (IpAddr::V4(ip), Some(port)) => write!(f, "{ip}:{port}"),
            (IpAddr::V6(ip), Some(port)) => write!(f, "[{ip}]:{port}"),
        }
    }
}
