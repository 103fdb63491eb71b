//! Hosts: that of a request, and those of a rule.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Uri, Version};

use super::RuleError;
use crate::proxy::fields::HostLines;

/// The limit of DNS. It also bounds the work of looking a name up by its suffixes.
const LONGEST: usize = 253;

/// Returns the host of a request, in lower case, without port and trailing dot. An IPv6
/// address is in brackets, in the standard library's notation.
///
/// The request line takes precedence over the header (RFC 9112, 3.2.2). A request with two
/// `Host` headers, or with an invalid one, has no host.
pub(in crate::proxy) fn host_of<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<Cow<'r, str>> {
    if let Some(authority) = uri.authority() {
        let text = authority.as_str();
        let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
        return host_in(host.as_bytes());
    }
    let lines = HostLines::of(headers);
    let host = lines.first.filter(|_| !lines.several)?;
    host_in(host.as_bytes().trim_ascii())
}

/// Returns whether the scheme of a request is `http` or `https`. A scheme is
/// case-insensitive (RFC 3986, 3.1), but over HTTP/2 it arrives as the client wrote it.
pub(crate) fn is_for_http(head: &Parts) -> bool {
    let is_http = |scheme: &Scheme| {
        let mut schemes = [Scheme::HTTP, Scheme::HTTPS].into_iter();
        schemes.any(|known| scheme.as_str().eq_ignore_ascii_case(known.as_str()))
    };
    head.uri.scheme().is_none_or(is_http)
}

/// Returns whether the head of a request has exactly one valid host, so that every server
/// finds the same one in it (RFC 9112, 3.2; RFC 9113, 8.3.1). A client of HTTP/1.0 may omit
/// it.
#[cfg(feature = "config")]
pub(crate) fn names_its_host(head: &Parts) -> bool {
    names_one_host(head, HostLines::of(&head.headers))
}

/// Does the same for a head that was looked over.
pub(in crate::proxy) fn names_one_host(head: &Parts, lines: HostLines<'_>) -> bool {
    let header = lines.first.map(|host| host.as_bytes().trim_ascii());
    if !is_for_http(head) || lines.several || header.is_some_and(|host| !is_host(host)) {
        return false;
    }
    let authority = head.uri.authority().map(Authority::as_str);
    let Some(authority) = authority.map(str::as_bytes) else {
        return header.is_some() || head.version < Version::HTTP_11;
    };
    // User and password before the host would be treated as part of it.
    if !is_host(authority) {
        return false;
    }
    match header {
        Some(header) if head.version >= Version::HTTP_2 => header.eq_ignore_ascii_case(authority),
        // The authority takes precedence over the header.
        Some(_) => true,
        None => head.version != Version::HTTP_11,
    }
}

fn is_host(text: &[u8]) -> bool {
    name_in(text).is_some() || host_in(text).is_some()
}

fn host_in(text: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(behind) = text.strip_prefix(b"[") {
        let (address, port) = std::str::from_utf8(behind).ok()?.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return is_port.then(|| Cow::Owned(format!("[{address}]")));
    }
    let (name, is_lower) = name_in(text)?;
    let name = std::str::from_utf8(name).ok()?;
    Some(match is_lower {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.to_ascii_lowercase()),
    })
}

fn is_number(port: &str) -> bool {
    is_digits(port.as_bytes())
}

fn is_digits(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
}

/// What a byte is in a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HostByte {
    Colon,
    Dot,
    /// Of a label in lower case.
    Lower,
    Other,
    /// Of a label in upper case.
    Upper,
}

/// Underscores are in use, though not in DNS.
const HOST_BYTES: [HostByte; 256] = {
    let (mut bytes, mut byte) = ([HostByte::Other; 256], 0_u8);
    while byte < 128 {
        bytes[byte as usize] = match byte {
            b':' => HostByte::Colon,
            b'.' => HostByte::Dot,
            b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' => HostByte::Lower,
            b'A'..=b'Z' => HostByte::Upper,
            _ => HostByte::Other,
        };
        byte += 1;
    }
    bytes
};

/// Returns the name in a host, without port and trailing dot, and whether it is in lower
/// case. This runs for each request.
fn name_in(host: &[u8]) -> Option<(&[u8], bool)> {
    let (mut end, mut in_label, mut is_lower) = (host.len(), false, true);
    for (at, &byte) in host.iter().enumerate() {
        match HOST_BYTES[usize::from(byte)] {
            HostByte::Lower => in_label = true,
            HostByte::Upper => (in_label, is_lower) = (true, false),
            HostByte::Dot if in_label => in_label = false,
            HostByte::Colon if is_digits(&host[at + 1..]) => {
                end = at;
                break;
            }
            _ => return None,
        }
    }
    let name = &host[..end];
    let name = name.strip_suffix(b".").unwrap_or(name);
    (!name.is_empty() && name.len() <= LONGEST).then_some((name, is_lower))
}

/// The hosts of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum HostPattern {
    /// Hosts with one or more labels before this name.
    Below(Box<str>),
    Exactly(Box<str>),
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        let wrong = |advice| RuleError::Host {
            text: text.to_owned(),
            advice,
        };
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Exactly(format!("[{address}]").into()));
        }
        if text.contains("://") {
            return Err(wrong("remove the scheme"));
        }
        if text.contains('/') {
            return Err(wrong("remove the path, and add a path condition"));
        }
        if !text.is_ascii() {
            return Err(wrong("write it in Punycode (`xn--..`), as clients do"));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(wrong(
                "use an asterisk only for whole labels in front: `*.example.com`",
            ));
        }
        if name.rsplit_once(':').is_some_and(|(host, port)| {
            is_number(port) && (host.ends_with(']') || !host.contains(':'))
        }) {
            return Err(wrong("remove the port"));
        }
        match host_in(name.as_bytes()) {
            Some(host) if below => Ok(Self::Below(host.into())),
            Some(host) => Ok(Self::Exactly(host.into())),
            None => Err(wrong(
                "write a name such as `www.example.com`, or an address",
            )),
        }
    }

    pub(super) fn holds(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => host == &**name,
            Self::Below(name) => host
                .strip_suffix(&**name)
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, host_in};

    #[test]
    fn a_host_is_read_without_port_case_and_dot_at_its_end() {
        let rows = [
            ("example.com", Some("example.com")),
            ("EXAMPLE.com:8080", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("example.com.:80", Some("example.com")),
            ("example.com:", Some("example.com")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[0:0::1]:8443", Some("[::1]")),
            ("[2001:DB8::1]", Some("[2001:db8::1]")),
            ("my_host", Some("my_host")),
            ("", None),
            (".", None),
            (":80", None),
            (".example.com", None),
            ("a..b", None),
            ("example.com:http", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[::1%25eth0]", None),
            ("evil.com/path", None),
            ("a b", None),
        ];
        for (text, host) in rows {
            assert_eq!(host_in(text.as_bytes()).as_deref(), host, "{text}");
        }
        assert_eq!(host_in("a.".repeat(200).as_bytes()), None);
    }

    #[test]
    fn an_asterisk_is_at_least_one_label() {
        let below = HostPattern::parse("*.Example.com").unwrap();
        assert!(below.holds("a.example.com"));
        assert!(below.holds("a.b.example.com"));
        assert!(!below.holds("example.com"));
        assert!(!below.holds("badexample.com"));
        assert!(!below.holds("example.com.evil.org"));
    }

    #[test]
    fn an_invalid_host_is_named_with_its_correction() {
        let rows = [
            ("", "write a name"),
            ("*", "asterisk"),
            ("*.", "write a name"),
            ("a.*.com", "asterisk"),
            ("*.*.com", "asterisk"),
            ("a:80", "remove the port"),
            ("[::1]:80", "remove the port"),
            ("*.a:80", "remove the port"),
            ("http://a", "remove the scheme"),
            ("a/b", "remove the path"),
            ("bücher.de", "Punycode"),
            ("a b", "write a name"),
        ];
        for (text, advice) in rows {
            let error = HostPattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        let address = HostPattern::Exactly("[::1]".into());
        assert_eq!(HostPattern::parse("::1").unwrap(), address);
        assert_eq!(HostPattern::parse("[0::1]").unwrap(), address);
    }
}
