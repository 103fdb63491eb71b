//! Where a member is: [`Address`].
//!
//! What does not live here: how a connection to it is opened (`net`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::Path;
use std::str::FromStr;

use crate::net::{Connector, DatagramsTo};
#[cfg(feature = "tls")]
use crate::net::{MemberTls, TlsError};

/// Where a member is: a socket address, a host by name, or a unix socket.
///
/// A name is resolved for each connection, and all of its addresses are tried. Without a port
/// (or with port 0) a connection goes to the port at which its client came in, so that a
/// member can serve a protocol on several ports.
///
/// A member that listens at some of these ports only for a while, as an FTP server does for
/// transfers, refuses connections to the others. One such connection, which any client can open,
/// puts it in error at all ports; let forwarders of these ports have
/// [no failover](super::TcpForwarder::no_failover).
///
/// | text | the member |
/// |---|---|
/// | `10.0.0.1:5432`, `[2001:db8::1]:5432` | an address |
/// | `10.0.0.1`, `2001:db8::1`, `[2001:db8::1]` | an address, at the port of the listener |
/// | `db.internal:5432` | a host by name |
/// | `db.internal` | a host by name, at the port of the listener |
/// | `unix:/run/db.sock`, `/run/db.sock` | a unix socket, where there are such |
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
    /// Creates the address of a host by name.
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

    /// Secures connections to the member by TLS. The name that is asked for, and that the
    /// certificate must be for, is that of the settings, otherwise the host or its address.
    ///
    /// # Errors
    ///
    /// If that is no host name and no IP address, or there is none because it is a unix
    /// socket.
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

    /// What opens connections to it, if it has a port of its own.
    #[cfg(feature = "health")]
    pub(crate) fn own_connector(&self) -> Option<Connector> {
        let connector = &self.connector;
        (!connector.lacks_port()).then(|| connector.clone())
    }

    /// Where datagrams go to, at `port` if the address has none.
    ///
    /// # Errors
    ///
    /// Why it takes none.
    pub(super) fn datagrams_to(&self, port: u16) -> Result<DatagramsTo<'_>, &'static str> {
        Ok(match self.connector.datagrams_to()? {
            DatagramsTo::Address(to) if to.port() == 0 => {
                DatagramsTo::Address(SocketAddr::new(to.ip(), port))
            }
            DatagramsTo::Host(host, 0) => DatagramsTo::Host(host, port),
            to => to,
        })
    }

    /// What opens connections to it; `port` is asked for only if the address has none.
    pub(super) fn connector(&self, port: impl FnOnce() -> Option<u16>) -> Connector {
        let connector = self.connector.clone();
        if !connector.lacks_port() {
            return connector;
        }
        // Without any port, the connection is refused.
        connector.or_port(port().unwrap_or(0))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            connector: Connector::tcp(address),
        }
    }
}

/// An address at the port of the listener.
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

/// Whether a resolver can be asked for it.
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

/// Why a text is no [`Address`].
///
/// # Examples
///
/// ```
/// use equipoise::forward::Address;
///
/// let error = "db.internal:http".parse::<Address>().unwrap_err();
/// assert_eq!(error.to_string(), "\"db.internal:http\": the port is no number up to 65535");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?}: {wrong}")]
pub struct ParseAddressError {
    text: String,
    wrong: AddressFault,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum AddressFault {
    #[error("the host is no name and no IP address")]
    Name,
    #[error("the port is no number up to 65535")]
    Port,
    #[error("no path of a unix socket, or there are none on this system")]
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
        // Port 0 is no port.
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
