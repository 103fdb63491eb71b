//! Which header fields a proxy passes on, by their names: one table for heads and for
//! trailers, of requests and of answers.
//!
//! Many servers read `_` in a name as `-`, so a name means here whatever it means with
//! hyphens. What does not live here: what becomes of the fields of a head (`hop_by_hop`,
//! `forwarding`), and lists of names that a message brings along.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRAILER};

/// What a field is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Field {
    /// The connection that the message came on (RFC 9110, 7.6.1).
    Connection,
    /// The client, or the way that a request came. Only a proxy that is trusted may say it.
    Forwarded,
    /// Where the body ends.
    Framing,
    /// How the message is routed, authenticated, cached or read. That has to be known
    /// before the body, so it is for heads only (RFC 9110, 6.5.1).
    Head,
    /// Anything else.
    Other,
}

impl Field {
    pub(super) fn of(name: &HeaderName) -> Self {
        let name = name.as_str();
        if name.contains('_') {
            Self::named(&name.replace('_', "-"))
        } else {
            Self::named(name)
        }
    }

    /// By a name in lower case and with hyphens.
    fn named(name: &str) -> Self {
        match name {
            "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "upgrade" => Self::Connection,
            "content-length" | "transfer-encoding" => Self::Framing,
            "forwarded" | "front-end-https" | "true-client-ip" | "x-client-ip"
            | "x-original-url" | "x-real-ip" | "x-rewrite-url" => Self::Forwarded,
            "age" | "authorization" | "cache-control" | "content-encoding" | "content-location"
            | "content-range" | "content-type" | "cookie" | "cookie2" | "date" | "destination"
            | "expect" | "expires" | "host" | "location" | "max-forwards" | "pragma" | "range"
            | "refresh" | "retry-after" | "set-cookie" | "set-cookie2" | "trailer" | "uri"
            | "vary" | "via" | "warning" | "www-authenticate" => Self::Head,
            _ if name.starts_with("x-forwarded") => Self::Forwarded,
            _ if name.starts_with("if-") => Self::Head,
            _ => Self::Other,
        }
    }

    /// Whether no head may bring it along, whatever the version of HTTP. `Content-Length`
    /// and what proxies say may come as long as they are spelled as what they are: those are
    /// looked at elsewhere.
    pub(super) fn stops_here(self, name: &HeaderName) -> bool {
        match self {
            Self::Connection => true,
            Self::Framing => name != CONTENT_LENGTH,
            Self::Forwarded => name.as_str().contains('_'),
            Self::Head | Self::Other => false,
        }
    }
}

/// The names among these fields for which that holds: none, and nothing allocated, for
/// most messages.
pub(super) fn names_where(
    fields: &HeaderMap,
    holds: impl Fn(Field, &HeaderName) -> bool,
) -> Vec<HeaderName> {
    let names = fields.keys();
    names
        .filter(|name| holds(Field::of(name), name))
        .cloned()
        .collect()
}

/// Makes trailers such as may be passed on; `removed` are further names that the head was
/// not allowed to have.
pub(super) fn clean_trailers(trailers: &mut HeaderMap, removed: &[HeaderName]) {
    for name in names_where(trailers, |field, name| {
        field != Field::Other || removed.contains(name)
    }) {
        trailers.remove(name);
    }
    trim(trailers);
}

/// Makes `Trailer` announce only what [`clean_trailers`] leaves.
pub(super) fn clean_announcement(headers: &mut HeaderMap, removed: &[HeaderName]) {
    if !headers.contains_key(TRAILER) {
        return;
    }
    let is_left = |name: &&[u8]| match HeaderName::from_bytes(name) {
        Ok(name) => Field::of(&name) == Field::Other && !removed.contains(&name),
        Err(_) => false,
    };
    let announced = headers.get_all(TRAILER).iter().flat_map(members);
    let left: Vec<&[u8]> = announced.filter(is_left).collect();
    let left = (!left.is_empty()).then(|| left.join(&b", "[..]));
    headers.remove(TRAILER);
    if let Some(Ok(left)) = left.map(HeaderValue::try_from) {
        headers.insert(TRAILER, left);
    }
}

/// Removes the blanks around values, which HTTP/2 can carry and which no value has
/// (RFC 9110, 5.5).
pub(super) fn trim(fields: &mut HeaderMap) {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for value in fields.values_mut() {
        let bytes = value.as_bytes();
        if is_blank(bytes.first()) || is_blank(bytes.last()) {
            if let Ok(mut trimmed) = HeaderValue::from_bytes(trimmed(bytes)) {
                trimmed.set_sensitive(value.is_sensitive());
                *value = trimmed;
            }
        }
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let first = bytes.iter().position(is_text);
    let last = bytes.iter().rposition(is_text);
    match (first, last) {
        (Some(first), Some(last)) => &bytes[first..=last],
        _ => &[],
    }
}

/// The members of a comma-separated list.
pub(super) fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|&byte| byte == b',');
    members.map(<[u8]>::trim_ascii)
}
