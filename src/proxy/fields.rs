//! Which header fields a proxy passes on, by name: one table for heads and trailers, of
//! requests and responses.
//!
//! Many servers read `_` in a name as `-`, so a name with underscores is treated as the
//! name with hyphens. What does not live here: how the fields of a head are changed
//! (`hop_by_hop`, `forwarding`), and lists of names in a message.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRAILER};

/// The maximum number of header lines over HTTP/1.1, whatever is configured: hyper
/// allocates that many entries before it reads one, and a [`HeaderMap`] holds no more.
pub(super) const MOST_LINES: usize = 24_576;

/// The purpose of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeaderField {
    /// The connection that the message came on (RFC 9110, 7.6.1).
    Connection,
    /// The client, or the path of the request. Only a trusted proxy may set it.
    Forwarded,
    /// Where the body ends.
    Framing,
    /// How the message is routed, authenticated, cached or interpreted. This must be known
    /// before the body, so it is allowed in heads only (RFC 9110, 6.5.1).
    Head,
    /// Anything else.
    Other,
}

impl HeaderField {
    pub(super) fn of(name: &HeaderName) -> Self {
        let name = name.as_str();
        if name.contains('_') {
            Self::named(&name.replace('_', "-"))
        } else {
            Self::named(name)
        }
    }

    /// Finds a field by its name in lower case and with hyphens. This runs for each field
    /// of each message, so a name is compared only with the few that start with the same
    /// letter.
    fn named(name: &str) -> Self {
        let known: &[(&str, Self)] = match name.as_bytes().first() {
            Some(b'a') => &[("age", Self::Head), ("authorization", Self::Head)],
            Some(b'c') => &[
                ("cache-control", Self::Head),
                ("cf-connecting-ip", Self::Forwarded),
                ("cf-connecting-ipv6", Self::Forwarded),
                ("client-ip", Self::Forwarded),
                ("connection", Self::Connection),
                ("content-encoding", Self::Head),
                ("content-length", Self::Framing),
                ("content-location", Self::Head),
                ("content-range", Self::Head),
                ("content-type", Self::Head),
                ("cookie", Self::Head),
                ("cookie2", Self::Head),
            ],
            Some(b'd') => &[("date", Self::Head), ("destination", Self::Head)],
            Some(b'e') => &[("expect", Self::Head), ("expires", Self::Head)],
            Some(b'f') => &[
                ("fastly-client-ip", Self::Forwarded),
                ("forwarded", Self::Forwarded),
                ("forwarded-for", Self::Forwarded),
                ("front-end-https", Self::Forwarded),
            ],
            Some(b'h') => &[("host", Self::Head), ("http2-settings", Self::Connection)],
            Some(b'i') if name.starts_with("if-") => return Self::Head,
            Some(b'k') => &[("keep-alive", Self::Connection)],
            Some(b'l') => &[("location", Self::Head)],
            Some(b'm') => &[("max-forwards", Self::Head)],
            Some(b'p') => &[
                ("pragma", Self::Head),
                ("proxy-authenticate", Self::Connection),
                ("proxy-authentication-info", Self::Connection),
                ("proxy-authorization", Self::Connection),
                ("proxy-client-ip", Self::Forwarded),
                ("proxy-connection", Self::Connection),
            ],
            Some(b'r') => &[
                ("range", Self::Head),
                ("refresh", Self::Head),
                ("retry-after", Self::Head),
            ],
            Some(b's') => &[("set-cookie", Self::Head), ("set-cookie2", Self::Head)],
            Some(b't') => &[
                ("te", Self::Connection),
                ("trailer", Self::Head),
                ("transfer-encoding", Self::Framing),
                ("true-client-ip", Self::Forwarded),
            ],
            Some(b'u') => &[("upgrade", Self::Connection), ("uri", Self::Head)],
            Some(b'v') => &[("vary", Self::Head), ("via", Self::Head)],
            Some(b'w') => &[
                ("warning", Self::Head),
                ("wl-proxy-client-ip", Self::Forwarded),
                ("www-authenticate", Self::Head),
            ],
            Some(b'x') if name.starts_with("x-forwarded") => return Self::Forwarded,
            Some(b'x') => &[
                ("x-appengine-user-ip", Self::Forwarded),
                ("x-azure-clientip", Self::Forwarded),
                ("x-client-ip", Self::Forwarded),
                ("x-cluster-client-ip", Self::Forwarded),
                ("x-envoy-external-address", Self::Forwarded),
                ("x-original-url", Self::Forwarded),
                ("x-proxyuser-ip", Self::Forwarded),
                ("x-real-ip", Self::Forwarded),
                ("x-rewrite-url", Self::Forwarded),
                ("x-url-scheme", Self::Forwarded),
            ],
            _ => &[],
        };
        let found = known.iter().find(|(known, _)| *known == name);
        found.map_or(Self::Other, |(_, field)| *field)
    }

    /// Returns whether the field is removed from every head, whatever the version of HTTP.
    /// `Content-Length` and forwarding headers may stay if they are spelled with hyphens:
    /// they are checked elsewhere.
    pub(super) fn stops_here(self, name: &HeaderName) -> bool {
        match self {
            Self::Connection => true,
            Self::Framing => name != CONTENT_LENGTH,
            Self::Forwarded => name.as_str().contains('_'),
            Self::Head | Self::Other => false,
        }
    }
}

/// Returns whether servers that read `_` as `-` treat the two names as one.
pub(crate) fn reads_as(one: &HeaderName, other: &HeaderName) -> bool {
    let letters = |name: &HeaderName| name.as_str().len();
    let hyphened = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let (ones, others) = (one.as_str().bytes(), other.as_str().bytes());
    letters(one) == letters(other) && ones.map(hyphened).eq(others.map(hyphened))
}

/// Returns the names of these fields for which `holds` holds. For most messages there are
/// none, and nothing is allocated.
pub(super) fn names_where(
    fields: &HeaderMap,
    holds: impl Fn(HeaderField, &HeaderName) -> bool,
) -> Vec<HeaderName> {
    let names = fields.keys();
    names
        .filter(|name| holds(HeaderField::of(name), name))
        .cloned()
        .collect()
}

/// Removes the trailers that may not be passed on. `removed` are further names that the
/// head was not allowed to have, in any spelling.
pub(super) fn clean_trailers(trailers: &mut HeaderMap, removed: &[HeaderName]) {
    for name in names_where(trailers, |field, name| {
        field != HeaderField::Other || removed.iter().any(|removed| reads_as(removed, name))
    }) {
        trailers.remove(name);
    }
    trim(trailers);
}

/// Reduces `Trailer` to the fields that [`clean_trailers`] keeps.
pub(super) fn clean_announcement(headers: &mut HeaderMap, removed: &[HeaderName]) {
    if !headers.contains_key(TRAILER) {
        return;
    }
    let is_left = |name: &&[u8]| match HeaderName::from_bytes(name) {
        Ok(name) => {
            HeaderField::of(&name) == HeaderField::Other
                && !removed.iter().any(|removed| reads_as(removed, &name))
        }
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

/// Removes whitespace around values, which HTTP/2 can carry and which is not part of a
/// value (RFC 9110, 5.5).
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

/// Returns the elements of a comma-separated list.
pub(super) fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|&byte| byte == b',');
    members.map(<[u8]>::trim_ascii)
}
