//! Which header fields a proxy passes on, by name: one table for heads and trailers, of
//! requests and responses; and one look over a head that finds what there is to do.
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
    /// `Accept`, which is passed on, and read for error pages.
    Accept,
    /// `Transfer-Encoding`, which says where the body ends.
    Coding,
    /// `Connection`, which names fields of one connection (RFC 9110, 7.6.1).
    Connection,
    /// `Expect`.
    Expect,
    /// The client, or the path of the request. Only a trusted proxy may set it.
    Forwarded,
    /// How the message is routed, authenticated, cached or interpreted. This must be known
    /// before the body, so it is allowed in heads only (RFC 9110, 6.5.1).
    Head,
    /// The connection that the message came on (RFC 9110, 7.6.1).
    HopByHop,
    /// `Host`.
    Host,
    /// `Content-Length`.
    Length,
    /// Anything else.
    Other,
    /// `Trailer`.
    Trailer,
    /// `Upgrade`.
    Upgrade,
}

/// The fields that are not [`Other`](HeaderField::Other), by the first letter. An asterisk
/// is any rest.
const KNOWN: &[(&str, HeaderField)] = &[
    ("accept", HeaderField::Accept),
    ("age", HeaderField::Head),
    ("authorization", HeaderField::Head),
    ("cache-control", HeaderField::Head),
    ("cf-connecting-ip", HeaderField::Forwarded),
    ("cf-connecting-ipv6", HeaderField::Forwarded),
    ("client-ip", HeaderField::Forwarded),
    ("connection", HeaderField::Connection),
    ("content-encoding", HeaderField::Head),
    ("content-length", HeaderField::Length),
    ("content-location", HeaderField::Head),
    ("content-range", HeaderField::Head),
    ("content-type", HeaderField::Head),
    ("cookie", HeaderField::Head),
    ("cookie2", HeaderField::Head),
    ("date", HeaderField::Head),
    ("destination", HeaderField::Head),
    ("expect", HeaderField::Expect),
    ("expires", HeaderField::Head),
    ("fastly-client-ip", HeaderField::Forwarded),
    ("forwarded", HeaderField::Forwarded),
    ("forwarded-for", HeaderField::Forwarded),
    ("front-end-https", HeaderField::Forwarded),
    ("host", HeaderField::Host),
    ("http2-settings", HeaderField::HopByHop),
    ("if-*", HeaderField::Head),
    ("keep-alive", HeaderField::HopByHop),
    ("location", HeaderField::Head),
    ("max-forwards", HeaderField::Head),
    ("pragma", HeaderField::Head),
    ("proxy-authenticate", HeaderField::HopByHop),
    ("proxy-authentication-info", HeaderField::HopByHop),
    ("proxy-authorization", HeaderField::HopByHop),
    ("proxy-client-ip", HeaderField::Forwarded),
    ("proxy-connection", HeaderField::HopByHop),
    ("range", HeaderField::Head),
    ("refresh", HeaderField::Head),
    ("retry-after", HeaderField::Head),
    ("set-cookie", HeaderField::Head),
    ("set-cookie2", HeaderField::Head),
    ("te", HeaderField::HopByHop),
    ("trailer", HeaderField::Trailer),
    ("transfer-encoding", HeaderField::Coding),
    ("true-client-ip", HeaderField::Forwarded),
    ("upgrade", HeaderField::Upgrade),
    ("uri", HeaderField::Head),
    ("vary", HeaderField::Head),
    ("via", HeaderField::Head),
    ("warning", HeaderField::Head),
    ("wl-proxy-client-ip", HeaderField::Forwarded),
    ("www-authenticate", HeaderField::Head),
    ("x-appengine-user-ip", HeaderField::Forwarded),
    ("x-azure-clientip", HeaderField::Forwarded),
    ("x-client-ip", HeaderField::Forwarded),
    ("x-cluster-client-ip", HeaderField::Forwarded),
    ("x-envoy-external-address", HeaderField::Forwarded),
    ("x-forwarded*", HeaderField::Forwarded),
    ("x-original-url", HeaderField::Forwarded),
    ("x-proxyuser-ip", HeaderField::Forwarded),
    ("x-real-ip", HeaderField::Forwarded),
    ("x-rewrite-url", HeaderField::Forwarded),
    ("x-url-scheme", HeaderField::Forwarded),
];

/// The part of [`KNOWN`] with the same first letter.
#[derive(Clone, Copy)]
struct KnownPart {
    from: usize,
    to: usize,
    /// A bit for each length of a name, so that most other names are not compared. The last
    /// one is for all longer names.
    lengths: u32,
}

const LONGEST: usize = 31;

const PARTS: [KnownPart; 26] = {
    let nothing = KnownPart {
        from: 0,
        to: 0,
        lengths: 0,
    };
    let (mut parts, mut at) = ([nothing; 26], 0);
    while at < KNOWN.len() {
        let name = KNOWN[at].0.as_bytes();
        let part = &mut parts[(name[0] - b'a') as usize];
        if part.to == 0 {
            part.from = at;
        }
        at += 1;
        part.to = at;
        let last = name.len() - 1;
        part.lengths |= match name[last] {
            b'*' => u32::MAX << last,
            _ => 1 << name.len(),
        };
    }
    parts
};

impl HeaderField {
    /// This runs for each field of each message.
    pub(super) fn of(name: &HeaderName) -> Self {
        let name = name.as_str().as_bytes();
        let Some(letter) = name.first().map(|first| first.wrapping_sub(b'a')) else {
            return Self::Other;
        };
        let Some(part) = PARTS.get(usize::from(letter)) else {
            return Self::Other;
        };
        if part.lengths >> name.len().min(LONGEST) & 1 == 0 {
            return Self::Other;
        }
        let mut known = KNOWN[part.from..part.to].iter();
        let found = known.find(|(known, _)| is_named(name, known.as_bytes()));
        found.map_or(Self::Other, |(_, field)| *field)
    }

    /// Returns whether the field is removed from every head, whatever the version of HTTP.
    /// `Content-Length` and forwarding headers may stay if they are spelled with hyphens:
    /// they are checked elsewhere.
    pub(super) fn stops_here(self, name: &HeaderName) -> bool {
        match self {
            Self::Coding | Self::Connection | Self::HopByHop | Self::Upgrade => true,
            Self::Length => name != CONTENT_LENGTH,
            Self::Forwarded => name.as_str().contains('_'),
            _ => false,
        }
    }

    /// Returns whether the field may be a trailer.
    fn may_come_last(self) -> bool {
        matches!(self, Self::Accept | Self::Other)
    }
}

/// `known` is in lower case and with hyphens.
fn is_named(name: &[u8], known: &[u8]) -> bool {
    let (name, known) = match known.strip_suffix(b"*") {
        Some(front) => (name.get(..front.len()).unwrap_or_default(), front),
        None => (name, known),
    };
    name == known || reads_as_bytes(name, known)
}

/// Returns whether servers that read `_` as `-` treat the two names as one.
pub(crate) fn reads_as(one: &HeaderName, other: &HeaderName) -> bool {
    reads_as_bytes(one.as_str().as_bytes(), other.as_str().as_bytes())
}

fn reads_as_bytes(one: &[u8], other: &[u8]) -> bool {
    let hyphened = |&byte: &u8| if byte == b'_' { b'-' } else { byte };
    one.len() == other.len() && one.iter().map(hyphened).eq(other.iter().map(hyphened))
}

/// What one look over a head has found, so that a step with nothing to do is left out. A
/// step may have less to do than this promises, never more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FoundFields {
    /// A bit for each [`HeaderField`].
    kinds: u16,
    /// The number of lines that [stop here](HeaderField::stops_here).
    stopping: usize,
    /// Whether a value begins or ends with whitespace.
    padded: bool,
}

impl FoundFields {
    /// Looks over a head, and removes whitespace around values, which HTTP/2 can carry and
    /// which is not part of a value (RFC 9110, 5.5).
    pub(super) fn trimmed(headers: &mut HeaderMap) -> Self {
        let found = Self::of(headers);
        if found.padded {
            trim(headers);
        }
        found
    }

    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            found.padded |= is_padded(value.as_bytes());
            let field = HeaderField::of(name);
            found.kinds |= 1 << field as u16;
            found.stopping += usize::from(field.stops_here(name));
        }
        found
    }

    pub(super) fn has(self, field: HeaderField) -> bool {
        self.kinds & 1 << field as u16 != 0
    }

    /// Returns how many lines [stop here](HeaderField::stops_here).
    pub(super) fn stopping(self) -> usize {
        self.stopping
    }
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
        !field.may_come_last() || removed.iter().any(|removed| reads_as(removed, name))
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
            HeaderField::of(&name).may_come_last()
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

fn trim(fields: &mut HeaderMap) {
    for value in fields.values_mut() {
        let bytes = value.as_bytes();
        if is_padded(bytes) {
            if let Ok(mut trimmed) = HeaderValue::from_bytes(trimmed(bytes)) {
                trimmed.set_sensitive(value.is_sensitive());
                *value = trimmed;
            }
        }
    }
}

fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
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
