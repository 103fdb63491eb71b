//! The text of forwarding headers: lists, quoted strings, addresses, and the headers that a
//! client may not set.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::Uri;
use http::header::{Entry, FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::proxy::fields::{HeaderField, HostLines, names_where};

/// Parses an address as proxies write it: alone, with a port, or in brackets.
pub(super) fn address_in(said: &[u8]) -> Option<IpAddr> {
    let said = std::str::from_utf8(said).ok()?;
    let bracketed = || {
        let inner = said.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let address = said.parse().ok();
    let with_port = || said.parse().ok().map(|it: SocketAddr| it.ip());
    address.or_else(with_port).or_else(bracketed)
}

/// Formats an address for a header. This runs for each request and mostly for IPv4, so that
/// case does not use `fmt`.
pub(super) fn address(address: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(address) = address else {
        return HeaderValue::try_from(address.to_string()).ok();
    };
    let (mut text, mut length) = ([0; 15], 0);
    let mut write = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            write(b'.');
        }
        if octet >= 100 {
            write(b'0' + octet / 100);
        }
        if octet >= 10 {
            write(b'0' + octet / 10 % 10);
        }
        write(b'0' + octet % 10);
    }
    HeaderValue::from_bytes(&text[..length]).ok()
}

/// Removes the headers in which a client describes itself or the path of its request.
pub(super) fn remove_claims(headers: &mut HeaderMap) {
    for claim in names_where(headers, |field, _| field == HeaderField::Forwarded) {
        headers.remove(claim);
    }
}

/// Returns whether an element can be appended to `Forwarded`: no quoted string is left
/// open.
pub(super) fn is_sound(headers: &HeaderMap) -> bool {
    headers.get_all(FORWARDED).iter().all(|value| {
        let mut quoted = false;
        let mut bytes = value.as_bytes().iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'"' => quoted = !quoted,
                b'\\' if quoted => {
                    bytes.next();
                }
                _ => {}
            }
        }
        !quoted
    })
}

/// Returns the host of a request: from the request line, which takes precedence (RFC 9112,
/// 3.2.2), or from the header.
pub(super) fn host_of(uri: &Uri, lines: HostLines<'_>) -> Option<HeaderValue> {
    let named = uri.authority().map(|authority| {
        let text = authority.as_str();
        text.rsplit_once('@').map_or(text, |(_, host)| host)
    });
    match named {
        Some(host) => HeaderValue::from_str(host).ok(),
        None => lines.first.cloned(),
    }
}

/// Appends to a list in a single header: many programs read only the first of several.
pub(super) fn append(headers: &mut HeaderMap, name: HeaderName, member: HeaderValue) {
    let mut said = match headers.entry(name) {
        Entry::Occupied(said) => said,
        Entry::Vacant(place) => {
            place.insert(member);
            return;
        }
    };
    let mut list: Vec<u8> = Vec::new();
    for value in said.iter() {
        if !value.is_empty() {
            list.extend_from_slice(value.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(member.as_bytes());
    if let Ok(value) = HeaderValue::try_from(list) {
        said.insert(value);
    }
}

/// Writes a token as it is, and any other text as a quoted string (RFC 9110, 5.6.4).
pub(super) fn quote(text: &[u8], into: &mut Vec<u8>) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if !text.is_empty() && text.iter().all(is_token) {
        into.extend_from_slice(text);
        return;
    }
    into.push(b'"');
    for &byte in text {
        if byte == b'"' || byte == b'\\' {
            into.push(b'\\');
        }
        into.push(byte);
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::address;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn an_address_is_written_as_the_standard_library_does() {
        for octet in 0..=255 {
            for address in [[octet, 0, 9, 10], [99, 100, 255, octet]] {
                let address = IpAddr::V4(Ipv4Addr::from(address));
                let text = super::address(address).unwrap();
                assert_eq!(text, address.to_string().as_str());
            }
        }
        let wide: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(address(wide).unwrap(), "2001:db8::1");
    }
}
