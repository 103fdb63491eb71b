//! Hosts: that of a request, and those of a rule.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Uri, Version};

use super::RuleError;

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
        return host_in(text.rsplit_once('@').map_or(text, |(_, host)| host));
    }
    let mut named = headers.get_all(HOST).iter();
    match (named.next(), named.next()) {
        (Some(host), None) => host_in(host.to_str().ok()?.trim()),
        _ => None,
    }
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
pub(crate) fn names_its_host(head: &Parts) -> bool {
    if !is_for_http(head) {
        return false;
    }
    let mut lines = head.headers.get_all(HOST).iter();
    let header = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(host), None) => match host.to_str().map(str::trim) {
            Ok(host) if host_in(host).is_some() => Some(host),
            _ => return false,
        },
        (Some(_), Some(_)) => return false,
    };
    let Some(authority) = head.uri.authority().map(Authority::as_str) else {
        return header.is_some() || head.version < Version::HTTP_11;
    };
    // User and password before the host would be treated as part of it.
    if host_in(authority).is_none() {
        return false;
    }
    match header {
        Some(header) if head.version >= Version::HTTP_2 => header.eq_ignore_ascii_case(authority),
        // The authority takes precedence over the header.
        Some(_) => true,
        None => head.version != Version::HTTP_11,
    }
}

fn host_in(text: &str) -> Option<Cow<'_, str>> {
    if let Some(behind) = text.strip_prefix('[') {
        let (address, port) = behind.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return is_port.then(|| Cow::Owned(format!("[{address}]")));
    }
    let colon = text.bytes().position(|byte| byte == b':');
    let (name, port) = match colon {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    (is_number(port) && is_name(name)).then(|| lower(name))
}

fn is_number(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether this is a name as in DNS, or one with underscores, which are in use.
fn is_name(name: &str) -> bool {
    let mut in_label = false;
    for byte in name.bytes() {
        match byte {
            b'.' if in_label => in_label = false,
            b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => in_label = true,
            _ => return false,
        }
    }
    in_label && name.len() <= LONGEST
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
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
        match host_in(name) {
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
            assert_eq!(host_in(text).as_deref(), host, "{text}");
        }
        assert_eq!(host_in(&"a.".repeat(200)), None);
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
