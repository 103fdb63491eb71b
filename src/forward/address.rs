//! The address of a member: [`Address`].
//!
//! Not here: how a connection to it is opened (`net`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::Path;
use std::str::FromStr;

use crate::net::{Connector, DatagramsTo};
#[cfg(feature = "tls")]
use crate::net::{MemberTls, TlsError};

/// The address of a member: a socket address, a host name, or a unix socket.
///
/// A name is resolved for each connection, and all of its addresses are tried. Without a
/// port (or with port 0), a connection goes to the same port that its client connected to,
/// so that a member can serve a protocol on several ports.
///
/// Some members listen on one of these ports only for a while, as an FTP server does for
/// transfers, and refuse connections otherwise. One refused connection, which any client
/// can cause, puts the member in error for all ports. Therefore use forwarders with [no
/// failover](super::TcpForwarder::no_failover) for such ports.
///
/// | text | the member |
/// |---|---|
/// | `10.0.0.1:5432`, `[2001:db8::1]:5432` | an address |
/// | `10.0.0.1`, `2001:db8::1`, `[2001:db8::1]` | an address, with the port of the listener |
/// | `db.internal:5432` | a host name |
/// | `db.internal` | a host name, with the port of the listener |
/// | `unix:/run/db.sock`, `/run/db.sock` | a unix socket, on systems that have them |
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::Address;
///
/// let members = ["db-1.internal:5432", "10.0.0.2:5432", "unix:/run/db.sock"];
/// let members: Vec<(&str, Address)> = members
///     .into_iter()
///     .map(|text| Ok((text, text.parse()?)))
///     .collect::<Result<_, equipoise::forward::ParseAddressError>>()?;
/// let balancer = Balancer::new(members)?;
/// assert_eq!(balancer.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Address {
    connector: Connector,
}

impl Address {
    /// Creates the address of a host by its name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::Address;
    ///
    /// assert_eq!(Address::host("db.internal", Some(5432)).to_string(), "db.internal:5432");
    /// assert_eq!(Address::host("ftp.internal", None).to_string(), "ftp.internal");
    /// ```
    pub fn host(name: &str, port: Option<u16>) -> Self {
        Self {
            connector: Connector::host(name, port.unwrap_or(0)),
        }
    }

    /// Creates the address of a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::Address;
    ///
    /// assert_eq!(Address::unix("/run/db.sock").to_string(), "/run/db.sock");
    /// ```
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self {
            connector: Connector::unix(path),
        }
    }

    /// Secures connections to the member by TLS. The requested server name (SNI), which the
    /// certificate must match, is that of the settings, or else the host or its address.
    ///
    /// # Errors
    ///
    /// Fails if that is neither a host name nor an IP address, or if the address is a unix
    /// socket and the settings have no server name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::Address;
    /// use equipoise::net::MemberTls;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["internal".to_owned()])?;
    /// # let roots = made.cert.pem();
    /// let tls = MemberTls::with_roots(roots.as_bytes())?;
    /// let member = Address::host("db.internal", Some(5432)).with_tls(&tls)?;
    /// # let _ = member;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn with_tls(self, tls: &MemberTls) -> Result<Self, TlsError> {
        let connector = self.connector.tls(tls)?;
        Ok(Self { connector })
    }

    /// Returns a connector to the address, if the address has a port.
    #[cfg(feature = "health")]
    pub(crate) fn own_connector(&self) -> Option<Connector> {
        let connector = &self.connector;
        (!connector.lacks_port()).then(|| connector.clone())
    }

    /// Returns the target for datagrams, with `port` if the address has none.
    ///
    /// # Errors
    ///
    /// The reason why this address cannot receive datagrams.
    pub(super) fn datagrams_to(&self, port: u16) -> Result<DatagramsTo<'_>, &'static str> {
        Ok(match self.connector.datagrams_to()? {
            DatagramsTo::Address(to) if to.port() == 0 => {
                DatagramsTo::Address(SocketAddr::new(to.ip(), port))
            }
            DatagramsTo::Host(host, 0) => DatagramsTo::Host(host, port),
            to => to,
        })
    }

    /// Returns a connector to the address; `port` is only called if the address has none.
    pub(super) fn connector(&self, port: impl FnOnce() -> Option<u16>) -> Connector {
        let connector = self.connector.clone();
        if !connector.lacks_port() {
            return connector;
        }
        // Without any port, the connection is refused.
        connector.with_default_port(port().unwrap_or(0))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            connector: Connector::tcp(address),
        }
    }
}

/// Creates an address with the port of the listener.
impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        SocketAddr::new(address, 0).into()
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let error = |wrong| ParseAddressError {
            text: text.to_owned(),
            wrong,
        };
        if let Some(path) = text
            .strip_prefix("unix:")
            .or(text.starts_with('/').then_some(text))
        {
            #[cfg(unix)]
            if !path.is_empty() {
                return Ok(Self::unix(path));
            }
            let _ = path;
            return Err(error(AddressFault::Unix));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(address.into());
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => {
                let digits = Some(port).filter(|port| port.bytes().all(|it| it.is_ascii_digit()));
                let port = digits.and_then(|digits| digits.parse().ok());
                (name, Some(port.ok_or_else(|| error(AddressFault::Port))?))
            }
            None => (text, None),
        };
        if !is_name(name) {
            return Err(error(AddressFault::Name));
        }
        Ok(Self::host(name, port))
    }
}

/// Returns whether a resolver could resolve it.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(is_part)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.connector.lacks_port() {
            return self.connector.fmt(f);
        }
        let text = self.connector.to_string();
        f.write_str(text.strip_suffix(":0").unwrap_or(&text))
    }
}

/// The error of parsing an [`Address`].
///
/// # Examples
///
/// ```
/// use equipoise::forward::Address;
///
/// let error = "db.internal:http".parse::<Address>().unwrap_err();
/// assert_eq!(error.to_string(), "\"db.internal:http\": the port is not a number up to 65535");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?}: {wrong}")]
pub struct ParseAddressError {
    text: String,
    wrong: AddressFault,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum AddressFault {
    #[error("the host is neither a name nor an IP address")]
    Name,
    #[error("the port is not a number up to 65535")]
    Port,
    #[error("the path of the unix socket is missing, or this system has no unix sockets")]
    Unix,
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressFault};

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in [
            "10.0.0.1:80",
            "10.0.0.1",
            "[2001:db8::1]:80",
            "[2001:db8::1]",
            "db.internal:5432",
            "db.internal",
            "my_service",
            "/run/db.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let shown = |text: &str| text.parse::<Address>().unwrap().to_string();
        assert_eq!(shown("unix:/run/db.sock"), "/run/db.sock");
        assert_eq!(shown("unix:relative.sock"), "relative.sock");
        assert_eq!(shown("2001:db8::1"), "[2001:db8::1]");
        // Port 0 means no port.
        assert_eq!(shown("10.0.0.1:0"), "10.0.0.1");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, wrong) in [
            ("", AddressFault::Name),
            (":80", AddressFault::Name),
            ("two words:80", AddressFault::Name),
            ("http://a:80", AddressFault::Name),
            ("[2001:db8::1", AddressFault::Name),
            ("a:", AddressFault::Port),
            ("a:70000", AddressFault::Port),
            ("a:+80", AddressFault::Port),
            ("unix:", AddressFault::Unix),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().wrong, wrong, "{text}");
        }
    }

    #[test]
    fn an_address_without_a_port_takes_the_one_it_is_given() {
        let connector = |text: &str| text.parse::<Address>().unwrap().connector(|| Some(21));
        assert_eq!(connector("10.0.0.1").to_string(), "10.0.0.1:21");
        assert_eq!(connector("10.0.0.1:80").to_string(), "10.0.0.1:80");
        assert_eq!(connector("ftp.internal").to_string(), "ftp.internal:21");
    }
}
