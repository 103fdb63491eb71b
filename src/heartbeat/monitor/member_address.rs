//! The address of a member, which its reports are matched with: [`MemberAddress`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;

/// The address of a member, which a [`HeartbeatMonitor`](super::HeartbeatMonitor) matches
/// reports with: an IP address or a host name, optionally with a port.
///
/// Names are looked up periodically. A report with a port belongs to the members at that
/// port, and to members without a port. A report without a port belongs to all members at
/// its address.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::MemberAddress;
/// use http::Uri;
///
/// let address: MemberAddress = "10.0.0.1:8080".parse()?;
/// assert_eq!(address, std::net::SocketAddr::from(([10, 0, 0, 1], 8080)).into());
///
/// let uri = Uri::from_static("https://app.internal/shop");
/// assert_eq!(MemberAddress::of_uri(&uri), Some(MemberAddress::host("app.internal", Some(443))));
/// # Ok::<(), equipoise::heartbeat::ParseMemberAddressError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct MemberAddress {
    host: HostOrIp,
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum HostOrIp {
    Ip(IpAddr),
    Name(Arc<str>),
}

impl MemberAddress {
    /// Creates an address from a host name, or from an IP address as text.
    #[must_use]
    pub fn host(name: &str, port: Option<u16>) -> Self {
        let bare = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = match bare.unwrap_or(name).parse::<IpAddr>() {
            Ok(ip) => HostOrIp::Ip(ip.to_canonical()),
            Err(_) => HostOrIp::Name(name.to_ascii_lowercase().into()),
        };
        let port = port.filter(|&port| port > 0);
        Self { host, port }
    }

    /// Creates an address from a URI; the default port is that of the scheme. `None` if the
    /// URI has no host.
    #[must_use]
    pub fn of_uri(uri: &Uri) -> Option<Self> {
        let port = match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("https" | "wss")) => 443,
            (None, _) => 80,
        };
        Some(Self::host(uri.host()?, Some(port)))
    }

    pub(super) const fn host_or_ip(&self) -> &HostOrIp {
        &self.host
    }

    pub(super) const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl From<SocketAddr> for MemberAddress {
    fn from(address: SocketAddr) -> Self {
        Self {
            port: Some(address.port()).filter(|&port| port > 0),
            ..address.ip().into()
        }
    }
}

impl From<IpAddr> for MemberAddress {
    fn from(ip: IpAddr) -> Self {
        Self {
            host: HostOrIp::Ip(ip.to_canonical()),
            port: None,
        }
    }
}

/// Parses `10.0.0.1`, `10.0.0.1:80`, `[2001:db8::1]:80`, `2001:db8::1`, `app.internal`,
/// `app.internal:80`.
impl FromStr for MemberAddress {
    type Err = ParseMemberAddressError;

    fn from_str(text: &str) -> Result<Self, ParseMemberAddressError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(ip.into());
        }
        let error = || ParseMemberAddressError {
            text: text.to_owned(),
        };
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => {
                let digits = Some(port).filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
                let port = digits.and_then(|digits| digits.parse().ok());
                (name, Some(port.ok_or_else(error)?))
            }
            None => (text, None),
        };
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = (1..=253).contains(&name.len()) && name.bytes().all(is_part);
        if !is_name {
            return Err(error());
        }
        Ok(Self::host(name, port))
    }
}

impl fmt::Display for MemberAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (HostOrIp::Ip(IpAddr::V6(ip)), Some(port)) => write!(f, "[{ip}]:{port}"),
            (HostOrIp::Ip(ip), Some(port)) => write!(f, "{ip}:{port}"),
            (HostOrIp::Ip(ip), None) => ip.fmt(f),
            (HostOrIp::Name(name), Some(port)) => write!(f, "{name}:{port}"),
            (HostOrIp::Name(name), None) => f.write_str(name),
        }
    }
}

/// Why a text is not a [`MemberAddress`].
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::MemberAddress;
///
/// let error = "/run/app.sock".parse::<MemberAddress>().unwrap_err();
/// assert_eq!(error.to_string(), "not a host with an optional port from 1 to 65535: \"/run/app.sock\"");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a host with an optional port from 1 to 65535: {text:?}")]
pub struct ParseMemberAddressError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::MemberAddress;
    use http::Uri;

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in [
            "10.0.0.1",
            "10.0.0.1:80",
            "2001:db8::1",
            "[2001:db8::1]:80",
            "app.internal",
            "app.internal:80",
        ] {
            assert_eq!(text.parse::<MemberAddress>().unwrap().to_string(), text);
        }
        let shown = |text: &str| text.parse::<MemberAddress>().unwrap().to_string();
        assert_eq!(shown("App.Internal:80"), "app.internal:80");
        assert_eq!(shown("[::ffff:10.0.0.1]:80"), "10.0.0.1:80");
        for text in [
            "",
            ":80",
            "a:b",
            "a:70000",
            "http://a",
            "/run/a.sock",
            "a b",
        ] {
            assert!(text.parse::<MemberAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_address_of_a_uri_has_the_port_of_its_scheme() {
        for (uri, shown) in [
            ("http://10.0.0.1/app", "10.0.0.1:80"),
            ("https://[2001:db8::1]", "[2001:db8::1]:443"),
            ("http://app:8080", "app:8080"),
        ] {
            let address = MemberAddress::of_uri(&Uri::from_static(uri)).unwrap();
            assert_eq!(address.to_string(), shown);
        }
        assert_eq!(MemberAddress::of_uri(&Uri::from_static("/app")), None);
    }
}
